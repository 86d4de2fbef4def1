/**
 * The process that is killed while hints wait: `node hinting-writer.js DIRECTORY SYNC SEED RUN`. Under load, a node is
 * down until others have kept hints for it, and is started again; in the middle of the delivery one of the holders dies,
 * or the owner does once more. Goes on so until it is killed.
 *
 * Tells its parent 'waiting N' and 'delivering N', where N counts the nodes that were down, and writes its log to its
 * standard output, as `crash-writer` does.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { below, pick, SeededRandom } from '../../src/base/random.js';
import { open } from '../../src/index.js';
import { type LogEntry, runLoad } from './crash-load.js';
import { reached } from './reached.js';

/** Writes that are acknowledged while a node is down: most of them leave a hint for it, or for nobody. */
const MEANWHILE = 150;
/** In which the next death comes after the start of a delivery, in milliseconds. */
const SOON_MS = 20;

const [path, sync, seed, run] = process.argv.slice(2) as [string, 'full' | 'none', string, string];
let acked = 0;
const log = (entry: LogEntry): void => {
  writeSync(1, `${JSON.stringify(entry)}\n`);
  if (entry.type === 'acked') acked++;
};

const random = new SeededRandom(Number(seed));
const store = await open({ path, sync });
process.send?.('ready');
// It never stops by itself: whatever ends the load ends the process, too.
void runLoad(store, { seed: random.uint32(), run, stopped: () => false, log });
const names = store.nodes().map(({ name }) => name);
for (let round = 1; ; round++) {
  const owner = pick(random, names);
  await store.admin.crash(owner);
  const until = acked + MEANWHILE;
  await reached(`${MEANWHILE} more acknowledged writes`, () => acked >= until);
  process.send?.(`waiting ${round}`);
  await store.admin.start(owner);
  process.send?.(`delivering ${round}`);
  await sleep(below(random, SOON_MS));
  const next = below(random, 3) === 0 ? owner : pick(random, names);
  await store.admin.crash(next);
  await sleep(below(random, SOON_MS));
  await store.admin.start(next);
}
