/**
 * A process that starts two workers, asks them, measures its CPU time while nobody asks, and ends without closing
 * anything. Prints what it found as JSON. The test starts it with the workers' entry as its argument.
 *
 * What the start has left to do (compiling, collecting) takes its time still: it is idle as soon as one look finds it so,
 * and not if none of many does.
 */
import { ThreadGroup } from '../../../src/runtime/threads/thread-group.js';
import { Asker, tally } from './asker.js';

const group = new ThreadGroup({ entry: new URL(process.argv[2]!), workers: 2 });
await Promise.all([group.start(0, {}), group.start(1, {})]);
const asker = await Asker.on(group.host);
// Nothing but the open requests holds the process here.
const outcomes = await Promise.all(Array.from({ length: 1_000 }, (_, i) => asker.ask(i & 1, { number: i })));

const LOOK_MS = 1_000;
const IDLE = 0.01;
let cpuShare = 1;
for (let looks = 0; looks < 10 && cpuShare >= IDLE; looks++) {
  const cpu = process.cpuUsage();
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const used = process.cpuUsage(cpu);
  cpuShare = (used.user + used.system) / 1_000 / (performance.now() - began);
}
console.log(JSON.stringify({ answers: tally(outcomes).told, cpuShare }));
