/** Which pair is compared when, and who leads. */
import assert from 'node:assert/strict';
import { ExchangeLease } from '../../../src/anti-entropy/exchange-lease.js';
import { PairAges } from '../../../src/anti-entropy/pair-ages.js';
import { ExchangeSchedule, type Pair } from '../../../src/anti-entropy/schedule.js';
import { below, SeededRandom } from '../../../src/base/random.js';
import { test } from '../../support/test.js';

const PRIMARIES = Array.from({ length: 16 }, (_, partition) => [0, 1, 2].map((i) => (partition + i) % 5));
const INTERVAL = 60_000;

function name({ partition, first, second }: Pair): string {
  return `${partition}: ${first}–${second}`;
}

// Goal: whoever is down or fails meanwhile, each pair that can be compared is, once an interval, and by one leader.
test('every pair of replicas is compared within the interval, never two of one partition at once', () => {
  const random = new SeededRandom(5);
  const schedules = [0, 1, 2, 3, 4].map((self) => {
    return new ExchangeSchedule({ self, primaries: PRIMARIES, intervalMs: INTERVAL, concurrency: 2, nowMs: 1_000 });
  });
  let down = -1;
  const isUp = (node: number): boolean => node !== down;
  const compared = new Map<string, number>();
  const underWay: { self: number; pair: Pair; endsMs: number }[] = [];
  let upSince = 1_000;
  for (let nowMs = 1_000; nowMs < 8 * INTERVAL; nowMs += 50) {
    if (nowMs === 3 * INTERVAL + 1_000 || nowMs === 5 * INTERVAL + 1_000) {
      down = down === -1 ? 2 : -1;
      upSince = nowMs;
    }
    for (const [i, { self, pair, endsMs }] of [...underWay.entries()].reverse()) {
      if (endsMs > nowMs) continue;
      underWay.splice(i, 1);
      const good = isUp(self) && isUp(pair.first) && isUp(pair.second) && below(random, 20) > 0;
      schedules[self]!.ended(pair, nowMs, good);
      if (good) compared.set(name(pair), nowMs);
    }
    for (const [self, schedule] of schedules.entries()) {
      if (!isUp(self)) continue;
      for (let pair = schedule.next(nowMs, 0, isUp); pair !== undefined; pair = schedule.next(nowMs, 0, isUp)) {
        const { partition } = pair;
        assert.ok(isUp(pair.first) && isUp(pair.second));
        assert.ok(
          !underWay.some((other) => other.pair.partition === partition && isUp(other.self)),
          'one at a time of a partition',
        );
        underWay.push({ self, pair, endsMs: nowMs + 50 + below(random, 400) });
      }
    }
    if (nowMs < upSince + 1.2 * INTERVAL) continue;
    for (const [partition, [a, b, c]] of PRIMARIES.entries()) {
      for (const [first, second] of [
        [a!, b!],
        [a!, c!],
        [b!, c!],
      ] as const) {
        if (!isUp(first) || !isUp(second)) continue;
        const last = compared.get(name({ partition, first, second }));
        assert.ok(
          last !== undefined && nowMs - last <= 1.05 * INTERVAL,
          `${partition}: ${first}–${second} at ${nowMs}`,
        );
      }
    }
  }
  assert.equal(compared.size, 48);
});

test('exchanges begin within their window, spread out, and later and later if they fail', () => {
  const options = { self: 0, primaries: [[0, 1, 2]], intervalMs: 9_000, retryMs: 100, nowMs: 0 };
  const up = () => true;
  const night = new ExchangeSchedule({ ...options, window: { from: 23 * 60, to: 5 * 60 } });
  assert.equal(night.next(0, 12 * 60, up), undefined);
  assert.equal(night.next(0, 5 * 60, up), undefined);
  assert.notEqual(night.next(0, 23 * 60, up), undefined);
  const day = new ExchangeSchedule({ ...options, window: { from: 60, to: 120 } });
  assert.equal(day.next(0, 59, up), undefined);
  assert.notEqual(day.next(0, 60, up), undefined);
  // One that is under way stops when the window ends, unless somebody waits for it.
  const underWay = day.next(0, 60, up);
  assert.equal(underWay, undefined, 'the only pair is under way');
  const begun = { partition: 0, first: 0, second: 1 };
  assert(day.mayGoOn(begun, 119) && !day.mayGoOn(begun, 120) && !day.mayGoOn(begun, 59));
  day.hurry(0, ({ first, second }) => first === 0 && second === 1);
  assert(day.mayGoOn(begun, 120));
  // What somebody waits for is compared at any time, until it was equal.
  const called = new ExchangeSchedule({ ...options, window: { from: 60, to: 120 } });
  const wanted = { partition: 0, first: 1, second: 2 };
  called.hurry(0, ({ first }) => first === 1);
  assert.deepEqual(called.next(0, 500, up), wanted);
  called.ended(wanted, 0, false);
  assert.deepEqual(called.next(100, 500, up), wanted);
  for (let nowMs = 100, round = 0; round < 9; round++, nowMs += 200) {
    called.ended(wanted, nowMs, false);
    assert.deepEqual(called.next(nowMs + 200, 500, up), wanted, 'and soon, however often it fails');
  }
  called.ended(wanted, 2_000, true);
  assert.equal(called.next(1_000_000, 500, up), undefined, 'once is enough');
  assert.notEqual(called.next(1_000_000, 100, up), undefined);

  const schedule = new ExchangeSchedule(options);
  const pair = schedule.next(0, 0, up)!;
  assert.deepEqual(pair, { partition: 0, first: 0, second: 1 });
  assert.equal(schedule.next(9_000, 0, up), undefined, 'another pair of this partition is under way');
  let nowMs = 0;
  for (const waitMs of [100, 200, 400, 800]) {
    schedule.ended(pair, nowMs, false);
    assert.equal(schedule.next(nowMs + waitMs - 1, 0, up), undefined);
    nowMs += waitMs;
    assert.deepEqual(schedule.next(nowMs, 0, up), pair);
  }
  // That its window has ended is no failure: it is due when the next one begins, and waits no longer than before if it fails then.
  schedule.stopped(pair, nowMs);
  assert.deepEqual(schedule.next(nowMs, 0, up), pair);
  schedule.ended(pair, nowMs, true);
  schedule.hurry(nowMs);
  const rest: string[] = [];
  for (
    let next = schedule.next(nowMs, 0, up);
    next !== undefined && rest.length < 3;
    next = schedule.next(nowMs, 0, up)
  ) {
    rest.push(name(next));
    schedule.ended(next, nowMs, true);
  }
  assert.deepEqual(rest.sort(), ['0: 0–1', '0: 0–2', '0: 1–2']);
  // A node leads only while those before it in the list are down.
  const second = new ExchangeSchedule({ ...options, self: 1 });
  assert.equal(second.next(9_000, 0, up), undefined);
  assert.deepEqual(
    second.next(9_000, 0, (node) => node !== 0),
    { partition: 0, first: 1, second: 2 },
  );
});

test('a replica is in the exchanges of one leader at a time, and forgets one that is silent', () => {
  const lease = new ExchangeLease(1_000);
  assert.ok(lease.admits(1, 0));
  assert.ok(lease.admits(1, 900));
  assert.ok(!lease.admits(2, 1_800));
  assert.ok(lease.admits(2, 1_900));
  assert.ok(!lease.admits(3, 1_901));
});

test('a replica is taken by a primary that is before its leader in the list, and free once the leader is through', () => {
  const lease = new ExchangeLease(1_000);
  assert.ok(lease.admits(2, 0));
  assert.ok(lease.admits(1, 1));
  assert.ok(!lease.admits(2, 2));
  lease.ended(2);
  assert.ok(!lease.admits(2, 3));
  lease.ended(1);
  assert.ok(lease.admits(2, 4));
});

test('a node tells for how long a replica of its own has not been found equal to another one, whoever leads', () => {
  const ages = new PairAges(
    1,
    [
      [0, 1, 2],
      [2, 3, 4],
      [1, 4, 0],
    ],
    1_000,
  );
  assert.equal(ages.longestMs(1_500), 500, 'since the beginning');
  for (const [partition, other] of [
    [0, 0],
    [0, 2],
    [2, 4],
  ] as const) {
    ages.foundEqual(partition, other, 2_000);
  }
  assert.equal(ages.longestMs(3_000), 2_000, 'one pair never was');
  ages.foundEqual(2, 0, 2_500);
  assert.equal(ages.longestMs(3_000), 1_000);
  ages.foundEqual(0, 0, 2_700);
  ages.foundEqual(0, 2, 2_700);
  ages.foundEqual(2, 4, 2_800);
  assert.equal(ages.longestMs(3_000), 500);
  assert.equal(
    new PairAges(0, [[0], [0]], 0).longestMs(5_000),
    0,
    'without other replicas there is nothing to compare',
  );
});
