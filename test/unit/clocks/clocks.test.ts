/** Contexts, timestamps, and the hybrid logical clock, case by case; the laws are in test/property. */
import assert from 'node:assert/strict';
import {
  ATTEMPT,
  attemptsOf,
  contextCovers,
  counterOf,
  covers,
  coversAttempt,
  coversDot,
  DOT,
  dotsBeyondOf,
  EMPTY_CONTEXT,
  equalContexts,
  highestCounterOf,
  joinContexts,
  withAttempts,
  withDot,
  withDotAndAllBefore,
} from '../../../src/clocks/causal-context.js';
import { HybridLogicalClock, MAX_SKEW_MS } from '../../../src/clocks/hybrid-logical-clock.js';
import { compareTimestamps, laterOf, MAX_LOGICAL, MAX_MS, nextTimestamp } from '../../../src/clocks/timestamp.js';
import { test } from '../../support/test.js';
import { at, context, event } from '../../support/versions.js';

test('a context covers what its vector reaches, what stands beyond it, and the attempts it voids', async () => {
  const seen = context([event(1, 5)], [event(1, 9), event(2, 3)], [event(7, 1)]);
  assert.equal(coversDot(seen, event(1, 4)), true);
  assert.equal(coversDot(seen, event(1, 6)), false, 'beyond the vector, only exact dots');
  assert.equal(coversDot(seen, event(1, 9)), true);
  assert.equal(coversDot(seen, event(2, 2)), false, 'a dot beyond says nothing of those before it');
  assert.equal(coversDot(seen, event(2, 3)), true);
  assert.equal(coversDot(seen, event(7, 1)), false, 'an attempt is no dot');
  assert.equal(coversAttempt(seen, event(7, 1)), true);
  assert.equal(coversAttempt(seen, event(1, 9)), false, 'a dot is no attempt');
  assert.equal(covers(seen, event(3, 1), event(7, 1)), true);
  assert.equal(covers(seen, event(3, 1), event(7, 2)), false);
  assert.equal(counterOf(seen, event(1, 1).high, event(1, 1).low), 5);
  assert.equal(counterOf(seen, event(2, 1).high, event(2, 1).low), 0);
  assert.equal(highestCounterOf(seen, event(1, 1)), 9);
  assert.equal(highestCounterOf(seen, event(2, 1)), 3);
  assert.equal(highestCounterOf(seen, event(7, 1)), 0);
  assert.deepEqual(attemptsOf(seen), [event(7, 1)]);
  assert.deepEqual(dotsBeyondOf(seen), [event(1, 9), event(2, 3)]);
});

test('a writer that differs in one half of its id is another writer', async () => {
  const seen = context([event(1, 5)]);
  assert.equal(coversDot(seen, { ...event(1, 5), high: 0 }), false);
  assert.equal(coversDot(seen, { ...event(1, 5), low: 0 }), false);
});

test('joining keeps entries sorted, drops dots that the vector reaches, and allocates nothing it need not', async () => {
  const a = context([event(2, 4)], [event(1, 2)], [event(9, 1)]);
  const b = context([event(1, 3)], [event(2, 4), event(2, 6)]);
  const joined = joinContexts(a, b);
  const [one, two, nine] = [event(1, 3), event(2, 4), event(9, 1)];
  assert.deepEqual(joined.vv, [one.high, one.low, 3, two.high, two.low, 4]);
  assert.deepEqual(joined.extra, [DOT, two.high, two.low, 6, ATTEMPT, nine.high, nine.low, 1]);
  assert.deepEqual(joinContexts(b, a), joined);
  assert.equal(joinContexts(joined, a), joined);
  assert.equal(joinContexts(b, joined), joined);
  assert.equal(joinContexts(EMPTY_CONTEXT, a), a);
  assert.equal(contextCovers(joined, a) && contextCovers(joined, b), true);
  assert.equal(contextCovers(a, joined), false);
  assert.equal(contextCovers(a, EMPTY_CONTEXT), true);
  assert.equal(equalContexts(joined, joinContexts(b, a)), true);
  assert.equal(equalContexts(joined, a), false);
});

test('a dot or attempt is added once, in order', async () => {
  const seen = context([event(1, 5)]);
  assert.equal(withDot(seen, event(1, 5)), seen);
  const two = withDot(withDot(seen, event(2, 8)), event(2, 7));
  assert.deepEqual(dotsBeyondOf(two), [event(2, 7), event(2, 8)]);
  assert.equal(withDot(two, event(2, 7)), two);
  const voided = withAttempts(two, [event(9, 2), event(8, 3), event(9, 2)]);
  assert.deepEqual(attemptsOf(voided), [event(8, 3), event(9, 2)]);
  assert.equal(withAttempts(voided, []), voided);
});

test('a writer that mints raises the vector, and the dots below leave the extras', async () => {
  const seen = context([event(2, 5)], [event(1, 3), event(2, 7), event(3, 1)]);
  const minted = withDotAndAllBefore(seen, event(2, 8));
  assert.deepEqual(minted.vv, [event(2, 8).high, event(2, 8).low, 8]);
  assert.deepEqual(dotsBeyondOf(minted), [event(1, 3), event(3, 1)]);
  const first = withDotAndAllBefore(seen, event(1, 4));
  assert.equal(counterOf(first, event(1, 4).high, event(1, 4).low), 4);
  assert.deepEqual(dotsBeyondOf(first), [event(2, 7), event(3, 1)]);
  assert.equal(withDotAndAllBefore(minted, event(2, 8)), minted);
});

test('timestamps are ordered by millisecond, then by logic, and the next one is above', async () => {
  assert.ok(compareTimestamps(at(1, 9), at(2, 0)) < 0);
  assert.ok(compareTimestamps(at(2, 1), at(2, 0)) > 0);
  assert.equal(compareTimestamps(at(2, 1), at(2, 1)), 0);
  assert.deepEqual(laterOf(at(1, 9), at(2, 0)), at(2, 0));
  assert.deepEqual(nextTimestamp(at(5, 1)), at(5, 2));
  assert.deepEqual(nextTimestamp(at(5, MAX_LOGICAL)), at(6, 0));
  assert.deepEqual(nextTimestamp(at(MAX_MS, MAX_LOGICAL)), at(MAX_MS, MAX_LOGICAL));
});

test('the clock follows the wall clock and never repeats or goes back', async () => {
  const clock = new HybridLogicalClock(1_000_000, 50);
  assert.deepEqual(clock.tick(1_000_000, 50), at(1_000_000));
  assert.deepEqual(clock.tick(1_000_000.7, 50.7), at(1_000_000, 1));
  assert.deepEqual(clock.tick(999_000, 51), at(1_000_000, 2), 'the wall clock was set back by a second');
  assert.deepEqual(clock.tick(1_000_002, 52), at(1_000_002));
  for (let i = 0; i < MAX_LOGICAL; i++) clock.tick(1_000_002, 52);
  assert.deepEqual(clock.tick(1_000_002, 52), at(1_000_003), 'logic that is used up borrows a millisecond');
});

test('the clock goes by timestamps up to 10 s ahead, and counts the others', async () => {
  const clock = new HybridLogicalClock(1_000_000, 0);
  clock.tick(1_000_000, 0);
  assert.equal(clock.observe(at(1_000_000 + MAX_SKEW_MS, 7), 1_000_000, 0), true);
  assert.deepEqual(clock.tick(1_000_000, 0), at(1_000_000 + MAX_SKEW_MS, 8));
  assert.equal(clock.observe(at(1_000_001 + MAX_SKEW_MS), 1_000_000, 0), false);
  assert.equal(clock.observe(at(MAX_MS, MAX_LOGICAL), 1_000_000, 0), false);
  assert.equal(clock.refusedTimestamps, 2);
  assert.deepEqual(clock.tick(1_000_000, 0), at(1_000_000 + MAX_SKEW_MS, 9));
  assert.equal(clock.observe(at(3), 1_000_000, 0), true, 'the past is believed and changes nothing');
  assert.deepEqual(clock.tick(1_000_000, 0), at(1_000_000 + MAX_SKEW_MS, 10));
});

test('the clock does not follow a jump of the wall clock, and goes on by the monotonic one', async () => {
  for (const jumpMs of [MAX_SKEW_MS + 1, -MAX_SKEW_MS - 1, 1e15, -1e15]) {
    const clock = new HybridLogicalClock(1_000_000, 0);
    assert.deepEqual(clock.tick(1_000_010, 10), at(1_000_010));
    assert.deepEqual(clock.tick(1_000_020 + jumpMs, 20), at(1_000_020));
    assert.deepEqual(clock.tick(1_000_030 + jumpMs, 30), at(1_000_030));
    assert.equal(clock.refusedJumps, 1, 'one jump, however often it is seen');
    assert.deepEqual(clock.tick(1_000_041, 40), at(1_000_041), 'back in step, it is followed again');
  }
  const slewed = new HybridLogicalClock(0, 0);
  for (let i = 1; i <= 10; i++) slewed.tick(i * (1_000 + MAX_SKEW_MS), i * 1_000);
  assert.deepEqual(slewed.tick(110_001, 10_001), at(110_001), 'small steps are followed wherever they lead');
  assert.equal(slewed.refusedJumps, 0);
});

test('a jump of the wall clock that lasts for a minute is followed', async () => {
  for (const jumpMs of [3_600_000, -3_600_000]) {
    const clock = new HybridLogicalClock(10_000_000, 0);
    clock.tick(10_000_000, 0);
    const local = (monotonicMs: number, awayMs: number) =>
      clock.localMs(10_000_000 + monotonicMs + awayMs, monotonicMs);
    assert.equal(local(1_000, jumpMs), 10_001_000);
    assert.equal(local(60_999, jumpMs), 10_060_999, 'for a millisecond less than a minute');
    assert.equal(local(61_000, jumpMs + 900), 10_061_000 + jumpMs + 900, 'slewed meanwhile');
    assert.deepEqual([clock.refusedJumps, clock.followedJumps], [1, 1]);
    const before = clock.tick(10_061_001 + jumpMs, 61_001);
    if (jumpMs < 0) assert.equal(before.ms, 10_000_000, 'timestamps wait for the clock rather than go back');
    else assert.equal(before.ms, 10_061_001 + jumpMs);
    assert.equal(local(70_000, jumpMs), 10_070_000 + jumpMs, 'from now on it is the clock that is believed');
    assert.equal(local(71_000, 0), 10_071_000 + jumpMs, 'and the way back is a jump');
    assert.equal(clock.refusedJumps, 2);
  }
});

test('a jump is not followed that goes on, or comes back, within the minute', async () => {
  const clock = new HybridLogicalClock(10_000_000, 0);
  const local = (monotonicMs: number, awayMs: number) => clock.localMs(10_000_000 + monotonicMs + awayMs, monotonicMs);
  for (let step = 1; step <= 10; step++) {
    assert.equal(local(step * 30_000, step * 3_600_000), 10_000_000 + step * 30_000, 'it never stays');
  }
  assert.deepEqual([clock.refusedJumps, clock.followedJumps], [10, 0]);
  assert.equal(local(310_000, 0), 10_310_000);
  assert.equal(local(320_000, 3_600_000), 10_320_000);
  assert.equal(local(379_000, 3_600_000), 10_379_000, 'the minute begins with the jump');
  assert.deepEqual([clock.refusedJumps, clock.followedJumps], [11, 0]);
});
