/**
 * The process that the crash tests kill: `node crash-writer.js DIRECTORY SYNC SEED RUN`.
 * Writes until it is killed, or told to 'stop': then it closes the store and ends.
 * Says 'ready' to its parent when the store is open, and writes its log to its standard output, a file: each line is
 * with the system before the next step is taken, so that a kill loses none that was written.
 */
import { writeSync } from 'node:fs';
import { open } from '../../src/index.js';
import { type LogEntry, openedEntry, runLoad } from './crash-load.js';
import { IDENTITY_KEYS, writeIdentities } from './identity-keys.js';

const [path, sync, seed, run] = process.argv.slice(2) as [string, 'full' | 'none', string, string];
const log = (entry: LogEntry): void => {
  writeSync(1, `${JSON.stringify(entry)}\n`);
};

const store = await open({ path, sync });
process.send?.('ready');
log(await openedEntry(store));
await writeIdentities(store, IDENTITY_KEYS, run, log);
let stopped = false;
process.once('message', () => {
  stopped = true;
});
process.send?.('writing');
await runLoad(store, { seed: Number(seed), run, stopped: () => stopped, log });
await store.close();
process.disconnect?.();
