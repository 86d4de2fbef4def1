/**
 * 100,000 random calls with random options, compared with a naive model: `npm run fuzz [-- --calls N --seed N]`.
 * Ends with `N passed, N failed`.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { fuzzStores } from '../support/store-fuzz-run.js';

// Who has read enough and leaves (`| head`) ends it, without a word: it has not come to its end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') console.error(error);
  process.exit(1);
});

const { values } = parseArgs({ options: { calls: { type: 'string' }, seed: { type: 'string' } } });
const seed = Number(values.seed ?? randomInt(2 ** 31));
const calls = Number(values.calls ?? 100_000);
const startedAt = performance.now();

console.log(`fuzz run, seed ${seed}`);
let failed = 0;
try {
  const progress = (made: number) => process.stderr.write(`  ${made} of ${calls} calls\n`);
  const made = await fuzzStores({ calls, seed, inMemory: 24, onDisk: 8, progress });
  console.log(`ok ${made} calls, no difference (${((performance.now() - startedAt) / 1_000).toFixed(1)} s)`);
} catch (error) {
  failed = 1;
  console.log('not ok');
  console.error(error);
}
console.log(`${1 - failed} passed, ${failed} failed`);
process.exitCode = failed;
