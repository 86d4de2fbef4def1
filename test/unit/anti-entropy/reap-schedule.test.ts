/** When a node looks for what may be reaped. */
import assert from 'node:assert/strict';
import { ReapSchedule } from '../../../src/anti-entropy/reap-schedule.js';
import { test } from '../../support/test.js';

const HOUR_MS = 3_600_000;
const NONE = Number.POSITIVE_INFINITY;

test('looks are spread over a quarter of the grace time, and what is due longest goes first', () => {
  const schedule = new ReapSchedule({ partitions: [3, 7], graceMs: 8_000, nowMs: 100 });
  assert.equal(schedule.next(1_099), undefined);
  assert.equal(schedule.next(1_100), 3);
  assert.equal(schedule.next(9_000), 3, 'until it was looked at');
  schedule.looked(3, 9_000, NONE);
  assert.equal(schedule.next(9_000), 7);
  schedule.looked(7, 9_000, NONE);
  assert.equal(schedule.next(10_999), undefined);
  assert.equal(schedule.next(11_000), 3);
});

test('a tombstone that was seen is not waited for longer than it has to be', () => {
  const schedule = new ReapSchedule({ partitions: [3], graceMs: 24 * HOUR_MS, nowMs: 0 });
  schedule.looked(3, 0, 5_000);
  assert.equal(schedule.next(4_999), undefined);
  assert.equal(schedule.next(5_000), 3);
  schedule.looked(3, 5_000, 0);
  assert.equal(schedule.next(5_010), undefined, 'not at once: there is other work');
  schedule.looked(3, 5_000, NONE);
  assert.equal(schedule.next(5_000 + 6 * HOUR_MS - 1), undefined);
  assert.equal(schedule.next(5_000 + 6 * HOUR_MS), 3);
});

test('where a round was abandoned the waits double; who waits for it hurries it', () => {
  const schedule = new ReapSchedule({ partitions: [3, 4], graceMs: 1_000, nowMs: 0 });
  schedule.looked(4, 0, NONE);
  for (const waitMs of [1_000, 2_000, 4_000]) {
    schedule.postponed(3, 10_000);
    schedule.looked(4, 1e9, NONE);
    assert.equal(schedule.next(10_000 + waitMs - 1), undefined);
    assert.equal(schedule.next(10_000 + waitMs), 3);
  }
  schedule.looked(3, 20_000, NONE);
  schedule.postponed(3, 20_000);
  assert.equal(schedule.next(21_000), 3, 'a look that came to its end ends the back-off');
  schedule.postponed(3, 20_000);
  schedule.hurry(20_001, (partition) => partition === 3);
  assert.equal(schedule.next(20_001), 3);
});
