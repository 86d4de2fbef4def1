/** The one timer of an actor that has several reasons to wake up. */
import assert from 'node:assert/strict';
import { Wakeup } from '../../../actors/wakeup.js';
import { Timers } from '../../support/lone-actor.js';
import { test } from '../../support/test.js';

// Goal: an actor that asks for sooner and later times, over and over, does not end up with a timer for each of them.
test('there is one timer, for the soonest of all reasons', () => {
  const timers = new Timers();
  const wakeup = new Wakeup('resume');
  for (let round = 0; round < 100; round++) {
    const { nowMs } = timers;
    for (const ms of [200, 50, 80, 5, 5, 90]) wakeup.at(nowMs + ms, timers);
    assert.deepEqual([...timers.due.values()], [nowMs + 5]);
    if (round % 3 === 0) {
      wakeup.cancel(timers);
      assert.equal(timers.due.size, 0, 'nothing is left to wake up for');
      continue;
    }
    timers.next();
    wakeup.came();
    wakeup.cancel(timers);
  }
  assert.equal(timers.due.size, 0);
  wakeup.at(timers.nowMs - 10, timers);
  assert.deepEqual([...timers.due.values()], [timers.nowMs + 1], 'what is late is not done in the same turn');
});
