// Goal: a client that is full says when there is room again, by what it has got done.
import assert from 'node:assert/strict';
import { DrainEstimate } from '../../../src/admission/drain-estimate.js';
import { test } from '../../support/test.js';

/** Looks every 5 ms, as the client does, while so many requests end in each millisecond. @returns the time then */
function run(estimate: DrainEstimate, fromMs: number, ms: number, perMs: number): number {
  for (let now = fromMs + 1; now <= fromMs + ms; now++) {
    for (let i = 0; i < perMs; i++) estimate.end();
    if (now % 5 === 0) estimate.look(now);
  }
  return fromMs + ms;
}

test('the wait is what is in flight by the rate at which requests end', () => {
  const estimate = new DrainEstimate();
  estimate.begin(0);
  assert.equal(estimate.retryAfterMs(5_000), 100, 'nothing is known yet');
  let now = run(estimate, 0, 200, 50);
  assert.equal(estimate.retryAfterMs(5_000), 100);
  assert.equal(estimate.retryAfterMs(1_000), 20);
  assert.equal(estimate.retryAfterMs(1), 1, 'never at once');
  // The store becomes ten times slower.
  now = run(estimate, now, 400, 5);
  assert(estimate.retryAfterMs(1_000) > 190 && estimate.retryAfterMs(1_000) <= 200);
  assert.equal(estimate.retryAfterMs(10_000), 1_000, 'never more than a second');
  // It stands still: nobody knows for how long.
  now = run(estimate, now, 2_000, 0);
  assert.equal(estimate.retryAfterMs(10), 1_000);
  // It is back.
  run(estimate, now, 200, 50);
  assert(estimate.retryAfterMs(1_000) < 25);
});

test('time in which nothing is in flight does not count', () => {
  const estimate = new DrainEstimate();
  estimate.begin(0);
  run(estimate, 0, 200, 50);
  estimate.begin(60_000);
  run(estimate, 60_000, 40, 50);
  assert.equal(estimate.retryAfterMs(1_000), 20);
});
