/**
 * Runs many seeds: `npm run swarm -- --seeds 300 [--from 1]`. The last line is `N passed, N failed`; each failing seed
 * comes with the command that runs it again.
 */
import { parseArgs } from 'node:util';
import { runSeed } from '../../src/simulation/swarm.js';
import { spawn } from './spawn.js';

const PROGRESS_EVERY = 25;

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '300' }, from: { type: 'string', default: '1' } },
});
const seeds = Number(values.seeds);
const from = Number(values.from);
if (!Number.isInteger(seeds) || seeds < 1 || !Number.isInteger(from) || from < 0) {
  console.error('usage: npm run swarm -- --seeds 300 [--from 1]');
  process.exit(2);
}

let failed = 0;
let events = 0;
let acknowledged = 0;
const struck = new Map<string, number>();
for (let seed = from; seed < from + seeds; seed++) {
  const report = runSeed({ seed, spawn });
  events += report.events;
  acknowledged += report.acknowledged;
  for (const [kind, count] of report.faults) struck.set(kind, (struck.get(kind) ?? 0) + count);
  if (report.violations.length > 0) {
    failed++;
    console.log(`seed ${seed} failed: ${report.violations[0]}`);
    if (report.violations.length > 1) console.log(`  and ${report.violations.length - 1} more`);
    console.log(`  again: npm run simulate -- --seed ${seed}`);
  }
  const done = seed - from + 1;
  if (done % PROGRESS_EVERY === 0) {
    console.log(`${done} of ${seeds} seeds, ${events} events, ${acknowledged} writes acknowledged, ${failed} failed`);
  }
}
console.log(
  [...struck]
    .sort()
    .map(([kind, count]) => `${count} × ${kind}`)
    .join(', '),
);
console.log(`${seeds - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
