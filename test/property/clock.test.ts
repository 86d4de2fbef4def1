/** The hybrid logical clock under every course of the wall clock, against a naive oracle that keeps all readings. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FOLLOWED_AFTER_MS, HybridLogicalClock, MAX_SKEW_MS } from '../../src/clocks/hybrid-logical-clock.js';
import { compareTimestamps } from '../../src/clocks/timestamp.js';
import { holds } from '../support/property.js';
import { test } from '../support/test.js';

const START_MS = 1e12;

interface Step {
  /** By the monotonic clock, since the step before. */
  readonly passedMs: number;
  /** What the wall clock does besides. */
  readonly movedMs: number;
}

const moved = fc.oneof(
  { weight: 6, arbitrary: fc.constant(0) },
  { weight: 2, arbitrary: fc.integer({ min: -200, max: 200 }) },
  { weight: 2, arbitrary: fc.integer({ min: -MAX_SKEW_MS - 1, max: MAX_SKEW_MS + 1 }) },
  { weight: 2, arbitrary: fc.constantFrom(MAX_SKEW_MS, MAX_SKEW_MS + 1, -MAX_SKEW_MS - 1, 3.6e6, -3.6e6, 1e11) },
);
const passed = fc.oneof(fc.nat({ max: 20_000 }), fc.constantFrom(0, 1, FOLLOWED_AFTER_MS - 1, FOLLOWED_AFTER_MS));
const course = fc.array(fc.record<Step>({ passedMs: passed, movedMs: moved }), { maxLength: 40 });

test('whatever the wall clock does, timestamps rise, and local time is a clock that was there', () => {
  const property = fc.property(course, (steps) => {
    const clock = new HybridLogicalClock(START_MS, 0);
    let monotonicMs = 0;
    let awayMs = 0;
    let last = clock.tick(START_MS, 0);
    /** How far the wall clock was away, at each reading since local time was last in step with it. */
    let away: { readonly at: number; readonly offset: number }[] = [];
    let believed = 0;
    for (const { passedMs, movedMs } of steps) {
      monotonicMs += passedMs;
      awayMs += movedMs;
      const wallMs = START_MS + monotonicMs + awayMs;
      const before = { followed: clock.followedJumps, refused: clock.refusedJumps };
      const localMs = clock.localMs(wallMs, monotonicMs);
      if (Math.abs(awayMs - believed) <= MAX_SKEW_MS) {
        assert.equal(localMs, wallMs, 'in step, it is the wall clock');
        believed = awayMs;
        away = [];
      } else {
        away.push({ at: monotonicMs, offset: awayMs });
        if (clock.followedJumps > before.followed) {
          assert.equal(localMs, wallMs);
          const minute = away.filter(({ at }) => at > monotonicMs - FOLLOWED_AFTER_MS);
          const offsets = minute.map(({ offset }) => offset);
          assert(away[0]!.at <= monotonicMs - FOLLOWED_AFTER_MS, 'it has been away for a minute');
          assert(Math.max(...offsets) - Math.min(...offsets) <= 2_000, 'and has stayed where it went');
          believed = awayMs;
          away = [];
        } else {
          assert.equal(localMs, START_MS + monotonicMs + believed, 'away, it goes by the monotonic clock');
          const first = away.findLastIndex(({ offset }) => Math.abs(offset - awayMs) > 500) + 1;
          const since = monotonicMs - away[first]!.at;
          // Within its limits it may wobble so that the minute begins once more.
          assert(
            since < 2 * FOLLOWED_AFTER_MS || clock.refusedJumps > before.refused,
            'a clock that stays is followed',
          );
        }
      }
      const next = clock.tick(wallMs, monotonicMs);
      assert(compareTimestamps(next, last) > 0, 'it never repeats or goes back');
      last = next;
    }
  });
  holds(property, 3_000);
});

test('a jump that stays is followed within a minute and one reading, from any state', () => {
  const property = fc.property(course, fc.integer({ min: 1, max: 10_000 }), (steps, everyMs) => {
    const clock = new HybridLogicalClock(START_MS, 0);
    let monotonicMs = 0;
    let wallMs = START_MS;
    for (const { passedMs, movedMs } of steps) {
      monotonicMs += passedMs;
      wallMs += passedMs + movedMs;
      clock.tick(wallMs, monotonicMs);
    }
    const until = monotonicMs + FOLLOWED_AFTER_MS + everyMs;
    for (; monotonicMs < until; monotonicMs += everyMs, wallMs += everyMs) clock.localMs(wallMs, monotonicMs);
    assert.equal(clock.localMs(wallMs, monotonicMs), wallMs);
  });
  holds(property, 300);
});
