/** The instrument that availability is measured with: what it must not overlook. */
import assert from 'node:assert/strict';
import { type Begun, type Ended, openLoop } from '../../../benchmarks/workloads/open-loop.js';
import { figureOf } from '../../../benchmarks/workloads/span-figure.js';
import { TimeoutError } from '../../../src/index.js';
import { test } from '../../support/test.js';

function put(partition: number, dueMs: number, endedMs: number, failure?: string): Ended {
  return { kind: 'put', partition, dueMs, begunMs: dueMs + 1, endedMs, failure };
}

test('gaps are those between successes, within the span, of all and of each partition', () => {
  const all = [
    put(0, 0, 5),
    put(1, 10, 12),
    put(0, 20, 21, 'TIMEOUT'),
    put(1, 30, 90),
    put(0, 40, 100),
    { ...put(0, 45, 50), kind: 'get' as const },
    put(1, 50, 130),
  ];
  const whole = figureOf(all, 'put', 2, { fromMs: 0, toMs: 150 });
  assert.deepEqual([whole.operations, whole.failures, whole.latencies.count], [6, { TIMEOUT: 1 }, 5]);
  assert.equal(whole.gapMs, 90 - 12, 'a failure and a get do not end it');
  assert.deepEqual(whole.partitionGap, { ms: 95, partition: 0 });
  assert.deepEqual(whole.arrivalGap, { ms: 150 - 41, partition: 0 }, 'what fails has arrived, too; a get has not');
  assert.equal(whole.latencies.summary().maxMs, 80);
  // Cut at the ends of the span; operations belong where they were due.
  const middle = figureOf(all, 'put', 2, { fromMs: 20, toMs: 60 });
  assert.deepEqual([middle.operations, middle.gapMs, middle.partitionGap.ms], [4, 40, 40]);
  const late = figureOf(all, 'put', 3, { fromMs: 95, toMs: 150 });
  assert.deepEqual([late.operations, late.gapMs], [0, 30]);
  assert.deepEqual(late.partitionGap, { ms: 55, partition: 2 }, 'a partition without any success has the longest');
});

test('what was due while nothing ran is begun afterwards, and its latency counts from when it was due', async () => {
  const begun: number[] = [];
  const ended = await openLoop({
    perSecond: 1_000,
    durationMs: 400,
    begin: (n): Begun => {
      begun.push(n);
      // All stands still: this thread, and the store with it.
      if (n === 100) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
      const done = n === 300 ? Promise.reject(new TimeoutError('too late')) : Promise.resolve();
      return { kind: n % 2 === 0 ? 'put' : 'get', partition: n % 8, done };
    },
  });
  assert.deepEqual(
    begun,
    Array.from({ length: 400 }, (_, n) => n),
  );
  assert.equal(ended.length, 400);
  const late = ended.filter(({ dueMs, endedMs }) => endedMs - dueMs >= 100);
  assert(late.length >= 95, `${late.length} of the 200 that were due in the standstill waited half of it`);
  const { failures, gapMs } = figureOf(ended, 'put', 8, { fromMs: 0, toMs: 400 });
  assert.deepEqual(failures, { TIMEOUT: 1 });
  assert(gapMs >= 190, `a gap of ${gapMs} ms`);
});
