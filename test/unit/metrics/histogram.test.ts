/** Histograms: quantiles within their error of the true ones, also of what several have recorded. */
import assert from 'node:assert/strict';
import { SeededRandom, unit } from '../../../src/base/random.js';
import { Histogram } from '../../../src/metrics/histogram.js';
import { test } from '../../support/test.js';

/** Durations over all that can be, in milliseconds: from below a microsecond to hours. */
function durations(seed: number, count: number): number[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => 10 ** (unit(random) * 11 - 4));
}

test('quantiles are within a 32nd of the true ones, and never below them', () => {
  const all = durations(1, 20_000);
  const histogram = new Histogram();
  for (const ms of all) histogram.record(ms);
  const sorted = all.toSorted((a, b) => a - b);
  for (const q of [0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1]) {
    const exact = sorted[Math.ceil(q * sorted.length) - 1]!;
    const given = histogram.quantile(q);
    assert(given >= exact && given <= exact * (33 / 32) + 0.001, `${q}: ${given} for ${exact}`);
  }
  const { count, maxMs, meanMs, p50Ms, p99Ms, p999Ms } = histogram.summary();
  assert.deepEqual([count, maxMs], [all.length, sorted[sorted.length - 1]]);
  assert(Math.abs(meanMs - all.reduce((sum, ms) => sum + ms, 0) / all.length) < 1e-6 * meanMs);
  assert(p50Ms <= p99Ms && p99Ms <= p999Ms && p999Ms <= maxMs);
});

test('what two have recorded is together what one would have', () => {
  const all = durations(2, 5_000);
  const [one, other, both] = [new Histogram(), new Histogram(), new Histogram()];
  all.forEach((ms, i) => {
    (i % 3 === 0 ? one : other).record(ms);
    both.record(ms);
  });
  // As it comes out of another thread.
  one.add(structuredClone(other.data()));
  const { meanMs, ...summary } = one.summary();
  const { meanMs: expectedMean, ...expected } = both.summary();
  assert.deepEqual(summary, expected);
  assert(Math.abs(meanMs - expectedMean) < 1e-9 * expectedMean);
  one.reset();
  assert.deepEqual([one.count, one.quantile(0.5)], [0, 0]);
});
