/**
 * A process that starts two workers, asks them, measures its CPU time while nobody asks, and ends without closing
 * anything. Prints what it found as JSON. The test starts it with the workers' entry as its argument.
 */

import { ThreadGroup } from '../../../src/runtime/threads/thread-group.js';
import { Asker, tally } from './asker.js';

const group = new ThreadGroup({ entry: new URL(process.argv[2]!), workers: 2 });
await Promise.all([group.start(0, {}), group.start(1, {})]);
const asker = await Asker.on(group.host);
// Nothing but the open requests holds the process here.
const outcomes = await Promise.all(Array.from({ length: 1_000 }, (_, i) => asker.ask(i & 1, { number: i })));
await new Promise((resolve) => setTimeout(resolve, 300));

const cpu = process.cpuUsage();
const began = performance.now();
await new Promise((resolve) => setTimeout(resolve, 1_000));
const used = process.cpuUsage(cpu);
const cpuShare = (used.user + used.system) / 1_000 / (performance.now() - began);
console.log(JSON.stringify({ answers: tally(outcomes).told, cpuShare }));
