/**
 * Runs fast-check properties: seeded, time-boxed by their number of runs, and with a line that reruns a failure.
 * `QUORAL_RUNS` multiplies the runs; `QUORAL_SEED` repeats those of one seed.
 */
import assert from 'node:assert/strict';
import { relative } from 'node:path';
import fc from 'fast-check';

const MULTIPLIER = Number(process.env.QUORAL_RUNS ?? 1);

/** Checks `property` in `runs` runs; a failure says how to run just those again. */
export function holds<T>(property: fc.IProperty<T>, runs: number): void {
  const seed = process.env.QUORAL_SEED;
  const result = fc.check(property, {
    numRuns: Math.ceil(runs * MULTIPLIER),
    ...(seed === undefined ? {} : { seed: Number(seed) }),
  });
  if (!result.failed) return;
  const file = relative(process.cwd(), process.argv[1] ?? '');
  const report = `${fc.defaultReportMessage(result as fc.RunDetails<unknown>)}\n\n${result.errorInstance}`;
  assert.fail(`${report}\n\nTo run this again: QUORAL_SEED=${result.seed} node ${file}`);
}

/**
 * How many runs from the fixed `seed` it takes until `property` fails with one of `errors`: what a planted bug must
 * make it do. Undefined if it holds for `runs`; any other error is thrown.
 */
export function runsUntilFailure<T>(
  property: fc.IProperty<T>,
  runs: number,
  seed: number,
  errors: readonly (abstract new (...args: never[]) => Error)[],
): number | undefined {
  const result = fc.check(property, { numRuns: runs, seed, endOnFailure: true });
  if (!result.failed) return undefined;
  const { errorInstance } = result;
  if (!errors.some((kind) => errorInstance instanceof kind)) throw errorInstance;
  return result.numRuns;
}
