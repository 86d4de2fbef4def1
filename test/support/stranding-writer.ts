/**
 * The process of the crash tests whose nodes die inside a transaction: `node stranding-writer.js DIRECTORY SYNC SEED RUN
 * DEATHS END`. Under load, so many nodes die so, one after the other; each comes back while the others go on. Then the
 * store is closed (END 'close': it is opened once more, and left open to a natural end of the process), or the process
 * ends at once by `process.exit` ('exit'), or closes while the last death is still unknown ('close-at-once').
 *
 * Tells its parent 'ending' before that, and writes its log to its standard output, as `crash-writer` does.
 */
import { writeSync } from 'node:fs';
import { below, SeededRandom } from '../../src/base/random.js';
import { open } from '../../src/index.js';
import { openWith } from '../../src/store/open.js';
import { type LogEntry, runLoad } from './crash-load.js';
import { FAULTY_WORKER, Faults } from './faults.js';
import { IDENTITY_KEYS, writeIdentities } from './identity-keys.js';
import { reached } from './reached.js';

const HEAP_MB = 48;
/** Writes that the others acknowledge while one is down, and all of them after it. */
const MEANWHILE = 100;

const [path, sync, seed, run, deaths, end] = process.argv.slice(2) as [string, 'full' | 'none', ...string[]];
let acked = 0;
const log = (entry: LogEntry): void => {
  writeSync(1, `${JSON.stringify(entry)}\n`);
  if (entry.type === 'acked') acked++;
};
async function acknowledged(count: number): Promise<void> {
  const until = acked + count;
  await reached(`${count} more acknowledged writes`, () => acked >= until);
}

const random = new SeededRandom(Number(seed));
const faults = new Faults();
const store = await openWith({ path, sync }, { entry: FAULTY_WORKER, heapMb: HEAP_MB });
let stopped = false;
const load = runLoad(store, { seed: random.uint32(), run: run!, stopped: () => stopped, log });
await acknowledged(MEANWHILE);
for (let death = 1; death <= Number(deaths); death++) {
  const node = below(random, store.nodes().length);
  const state = () => store.nodes()[node]!.state;
  await faults.strike(node, 'exhaust-inside');
  if (death === Number(deaths) && end === 'close-at-once') break;
  await reached(`node ${node} is down`, () => state() === 'down');
  await acknowledged(MEANWHILE);
  await reached(`node ${node} is up again`, () => state() === 'up');
  await acknowledged(MEANWHILE);
}
process.send?.('ending');
if (end === 'exit') process.exit(3);
stopped = true;
await load;
await store.close();
faults.close();
const again = await open({ path });
await writeIdentities(again, IDENTITY_KEYS, run!, log);
await again.close();
process.send?.('closed');
process.disconnect?.();
