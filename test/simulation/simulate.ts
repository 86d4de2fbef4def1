/** Tells the story of one seed: `npm run simulate -- --seed 7`. */
import { parseArgs } from 'node:util';
import { runSeed } from '../../src/simulation/swarm.js';
import { spawn } from './spawn.js';

const { values } = parseArgs({ options: { seed: { type: 'string' } } });
const seed = Number(values.seed);
if (values.seed === undefined || !Number.isInteger(seed) || seed < 0) {
  console.error('usage: npm run simulate -- --seed 7');
  process.exit(2);
}

const report = runSeed({
  seed,
  spawn,
  say: (time, what) => console.log(`${time.toFixed(1).padStart(9)} ms  ${what}`),
});
console.log(
  `${report.puts} puts, ${report.acknowledged} of them acknowledged, ${report.gets} gets, ${report.events} events, trace ${report.traceHash}`,
);
for (const violation of report.violations) console.log(`VIOLATION ${violation}`);
console.log(report.violations.length === 0 ? 'every promise was kept' : `${report.violations.length} violations`);
process.exitCode = report.violations.length === 0 ? 0 : 1;
