/** The clock of sweeps: answers that wait are heard before anything is hedged or given up. */
import assert from 'node:assert/strict';
import { SweepClock } from '../../../src/quorum/sweep-clock.js';
import { test } from '../../support/test.js';

test('a sweep is due every 5 ms while something is under way; every fourth looks at deadlines', () => {
  const clock = new SweepClock();
  let now = 100;
  assert.deepEqual([clock.begin(now), clock.begin(now), clock.isRunning], [5, -1, true]);
  const looked: boolean[] = [];
  for (let sweep = 0; sweep < 8; sweep++) {
    now += 5;
    clock.swept(now);
    assert(clock.mayHedge);
    looked.push(clock.looksAtDeadlines(now));
    assert.equal(clock.next(sweep < 7, now), sweep < 7 ? 5 : -1);
  }
  assert.deepEqual(looked, [false, false, false, true, false, false, false, true]);
  assert.deepEqual([clock.isRunning, clock.begin(now)], [false, 5]);
});

test('a late sweep hedges nothing and is followed at once by one that does, however late that is', () => {
  const clock = new SweepClock();
  clock.begin(0);
  clock.swept(14);
  assert.deepEqual([clock.mayHedge, clock.next(true, 14)], [false, 0]);
  clock.swept(1_000);
  assert.deepEqual([clock.mayHedge, clock.next(true, 1_000)], [true, 5]);
});

test('a thread that was held for long has deadlines put off, if that is wished', () => {
  for (const lenientMs of [250, undefined]) {
    const clock = new SweepClock(lenientMs);
    clock.begin(0);
    let now = 10_000;
    const looked: number[] = [];
    for (; now < 10_400; now += clock.next(true, now)) {
      clock.swept(now);
      if (clock.looksAtDeadlines(now)) looked.push(now);
    }
    assert(looked[0]! >= (lenientMs === undefined ? 10_010 : 10_250) && looked[0]! < 10_300, `${looked[0]}`);
    assert.equal(looked[0]! < 10_100, lenientMs === undefined);
  }
});
