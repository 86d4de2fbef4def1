/** Tells the story of one seed: `npm run simulate -- --seed 7`. */
import { parseArgs } from 'node:util';
import { tellSeed } from '../../src/simulation/story.js';
import { spawn } from './spawn.js';

const { values } = parseArgs({ options: { seed: { type: 'string' } } });
const seed = Number(values.seed);
if (values.seed === undefined || !Number.isInteger(seed) || seed < 0) {
  console.error('usage: npm run simulate -- --seed 7');
  process.exit(2);
}

const { report, lines } = tellSeed({ seed, spawn });
console.log(lines.join('\n'));
process.exitCode = report.violations.length === 0 ? 0 : 1;
