/** The exchanger, called directly: what it does takes slices of the node's background budget, and trees are rebuilt at a pace. */
import assert from 'node:assert/strict';
import { ExchangeRecord } from '../../../actors/exchange-record.js';
import { Exchanger } from '../../../actors/exchanger.js';
import { localHashing } from '../../../actors/local-hashing.js';
import { NodeIdentity } from '../../../actors/node-identity.js';
import { ReplicaTrees } from '../../../actors/replica-trees.js';
import { BackgroundBudget } from '../../../src/admission/background-budget.js';
import type { ExchangeWindow } from '../../../src/anti-entropy/schedule.js';
import { SeededRandom } from '../../../src/base/random.js';
import { encodeRecord } from '../../../src/codec/record.js';
import type { ExchangeRequest } from '../../../src/messages/exchange-messages.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import { LoneContext } from '../../support/lone-actor.js';
import { assertReadable } from '../../support/own-records.js';
import { test } from '../../support/test.js';
import { keyOf, PARTITION, recordOf } from '../../support/tree-replica.js';

/** Of a tree. */
const MAX_AGE_MS = 7 * 24 * 3_600_000;
const LISTS = Array.from({ length: PARTITION + 1 }, () => ({ primaries: [0, 1, 2], fallbacks: [] }));

function world(intervalMs = 1_000, window?: ExchangeWindow, lists = LISTS) {
  const objects = openMemoryStorage();
  const counters = newNodeCounters();
  const budget = new BackgroundBudget();
  const context = new LoneContext();
  const trees = new ReplicaTrees({ objects, counters, hashing: localHashing(objects), maxAgeMs: MAX_AGE_MS });
  const tree = trees.renew(PARTITION);
  const random = new SeededRandom(1);
  const own = { system: openMemoryStorage(), onUnreadable: assertReadable };
  const identity = NodeIdentity.open({ ...own, objects, random, losses: 0, partitions: [] });
  const record = new ExchangeRecord(1);
  const exchanger = new Exchanger(
    {
      node: 0,
      preferenceLists: lists,
      objects,
      identity,
      trees,
      record,
      counters,
      budget,
      intervalMs,
      window,
    },
    context,
  );
  /** Wakes it up after so many milliseconds. */
  const wake = (ms: number, message: 'tick' | 'resume' = 'resume') => {
    context.nowMs += ms;
    exchanger.timer(message, context);
  };
  return { objects, counters, budget, context, record, trees, tree, exchanger, wake };
}

/** As if clients were served so slowly that background work has the least there is. */
function serveSlowly(budget: BackgroundBudget): void {
  for (let i = 0; i < 100; i++) budget.requestTook(500);
}

test('what it leads and builds takes slices: none left, nothing is asked', () => {
  const { budget, context, exchanger, wake } = world();
  // What is normal is learnt from quiet times.
  for (let i = 0; i < 100; i++) budget.requestTook(1);
  assert(budget.take(context.nowMs));
  for (let intervals = 0; intervals < 10; intervals++) {
    serveSlowly(budget);
    context.nowMs += 100;
    assert(budget.take(context.nowMs));
  }
  assert.equal(budget.perInterval, 1);
  wake(0, 'tick');
  assert.equal(context.sent.length, 0, 'a pair is due, and there is no slice');
  assert(
    context.delays.some((ms) => ms <= 100),
    'it will look when there is one again',
  );
  serveSlowly(budget);
  wake(100);
  assert.equal(context.sent.length, 2, 'one question to either side');
  for (const { correlation } of context.sent.splice(0)) {
    exchanger.answered(correlation, { type: 'root', depth: 1, keys: 1, high: correlation, low: 1 }, false, context);
  }
  assert.equal(context.sent.length, 0, 'the next question is a slice of its own');
  serveSlowly(budget);
  wake(100);
  assert.deepEqual(
    context.sent.map(({ message }) => (message as { ask: { type: string } }).ask.type),
    ['branches', 'branches'],
  );
});

// Goal: somebody who waits for all replicas to be compared does not have clients wait for all of that at once.
test('questions are spread over the interval while clients are served, and follow each other where nobody is', () => {
  for (const isServing of [true, false]) {
    const { budget, context, exchanger, wake } = world();
    for (let intervals = 0; intervals < 2; intervals++) {
      assert(budget.take(context.nowMs));
      if (isServing) for (let i = 0; i < 100; i++) budget.requestTook(1);
      context.nowMs += 100;
    }
    wake(0, 'tick');
    /** Both sides answer, with another root each. */
    const answer = (): void => {
      for (const { correlation } of context.sent.splice(0)) {
        exchanger.answered(correlation, { type: 'root', depth: 1, keys: 1, high: correlation, low: 1 }, false, context);
      }
    };
    assert.equal(context.sent.length, 2);
    answer();
    assert.equal(context.sent.length, isServing ? 0 : 2);
    if (!isServing) continue;
    wake(Math.ceil(budget.distanceMs(false)));
    assert.equal(context.sent.length, 2);
  }
});

// Goal: whoever waits for all replicas to be compared waits for that, and neither for the next look at the others nor tick.
test('while somebody waits, the others are looked at with every tick, and what was not ready is tried again soon', () => {
  const { context, record, exchanger, wake } = world(600_000);
  let looks = 0;
  // The others have not begun when this one first looks.
  context.pulse = () => (++looks <= 2 ? -1 : context.nowMs);
  const { session, call } = record.compare(0, 0);
  wake(0, 'tick');
  assert.equal(context.sent.length, 0, 'nobody else is up');
  record.compare(session, call);
  wake(20, 'tick');
  assert.equal(context.sent.length, 2, 'one question to either side');
  const [first] = context.sent;
  // None of them is ready, one after the other, at the rate of the slices.
  for (let pairs = 0; pairs < 3 * LISTS.length; ) {
    context.delays.length = 0;
    if (context.sent.length === 0) wake(100);
    pairs += context.sent.length / 2;
    for (const { correlation } of context.sent.splice(0)) {
      exchanger.answered(correlation, { type: 'not-ready' }, false, context);
    }
  }
  const [delay] = context.delays;
  assert(delay !== undefined && delay <= 200, 'there is a timer for the next one');
  wake(delay);
  assert.deepEqual(context.sent[0]?.message, first!.message);
});

/** Puts the wall clock to that minute of the day, of the same day. */
function setMinute(context: LoneContext, minute: number): void {
  const dayMs = 24 * 3_600_000;
  context.wallMs = Math.floor(context.wallMs / dayMs) * dayMs + minute * 60_000;
}

/** And not the news that two replicas are equal. */
function isQuestion({ message }: { readonly message: unknown }): boolean {
  return (message as ExchangeRequest).type === 'exchange';
}

// Goal: at six in the morning the disks belong to the clients, however much there is to compare.
test('an exchange that is under way when its window ends stops, and goes on where it was in the next one', () => {
  const { context, counters, exchanger, wake } = world(1_000, { from: 60, to: 120 });
  /** The question that is put to two replicas, of trees that differ in all of their 65,536 segments. */
  const question = () => {
    const [first, second, ...more] = context.sent.splice(0).filter(isQuestion);
    assert(first !== undefined && second !== undefined && more.length === 0);
    const { partition, ask } = first.message as ExchangeRequest & { type: 'exchange' };
    const pair = [partition, first.place, second.place].join();
    return { pair, ask, sides: [first, second] };
  };
  type Question = ReturnType<typeof question>;
  const answer = ({ ask, sides }: Question, areEqual = false): void => {
    for (const [side, { correlation }] of sides.entries()) {
      const low = areEqual ? 1 : side;
      const sums = (count: number) => new Uint32Array(2 * count).fill(low);
      if (ask.type === 'root') {
        exchanger.answered(correlation, { type: 'root', depth: 4, keys: 1e6, high: 1, low }, false, context);
      } else if (ask.type === 'branches') {
        exchanger.answered(correlation, { type: 'sums', sums: sums(16 * ask.parents.length) }, false, context);
      } else {
        // What was being written when the segments were found to differ has arrived by now.
        assert(ask.type === 'sums');
        exchanger.answered(correlation, { type: 'sums', sums: new Uint32Array(2 * ask.nodes.length) }, false, context);
      }
    }
  };
  const untilAsked = (): Question => {
    for (let waits = 0; waits < 100 && context.sent.length === 0; waits++)
      wake(100, waits % 10 === 9 ? 'tick' : 'resume');
    return question();
  };
  setMinute(context, 59);
  wake(0, 'tick');
  assert.equal(context.sent.length, 0);
  setMinute(context, 60);
  wake(100, 'tick');
  const { pair, ...begun } = question();
  answer({ pair, ...begun });
  let asked = untilAsked();
  for (; asked.ask.type !== 'sums'; asked = untilAsked()) answer(asked);
  const through = asked.ask.nodes.at(-1)!;
  assert(through > 10_000, 'many segments are looked at in one pass');
  setMinute(context, 120);
  answer(asked);
  for (let waits = 0; waits < 30; waits++) wake(100, 'tick');
  assert.equal(context.sent.length, 0, 'no question more');
  assert.equal(counters.exchanges, 1);
  assert.equal(counters.lastExchangeAtMs, 0, 'this one has not compared its replicas');
  setMinute(context, 60);
  // Others may be due before.
  for (asked = untilAsked(); asked.pair !== pair; asked = untilAsked()) answer(asked, true);
  for (; asked.ask.type !== 'branches' || asked.ask.level < 3; asked = untilAsked()) answer(asked);
  assert.equal(asked.pair, pair);
  assert(asked.ask.parents[0]! * 16 > through, `after ${through} it goes on at ${asked.ask.parents[0]! * 16}`);
});

test('a tree is built anew once it is old, and one that nobody has asked for in that time, inside of the window', () => {
  for (const isOutside of [false, true]) {
    const { context, counters, wake } = world(60_000, isOutside ? { from: 0, to: 1 } : { from: 1, to: 0 });
    context.pulse = () => -1; // Nobody else is up: nobody asks.
    const pass = (ms: number) => {
      context.wallMs += ms;
      if (isOutside) setMinute(context, 30);
      for (let i = 0; i < 10; i++) wake(100, 'tick');
    };
    pass(0);
    pass(MAX_AGE_MS - 3_600_000);
    assert.equal(counters.treesBuilt, 0);
    pass(2 * 3_600_000);
    assert.equal(counters.treesBuilt, isOutside ? 0 : 1);
    pass(MAX_AGE_MS - 3_600_000);
    assert.equal(counters.treesBuilt, isOutside ? 0 : 1, 'none that is newer');
    pass(2 * 3_600_000);
    assert.equal(counters.treesBuilt, isOutside ? 0 : 2);
  }
  const alone = LISTS.map(() => ({ primaries: [0], fallbacks: [] }));
  const { context, counters, wake } = world(60_000, undefined, alone);
  for (let weeks = 0; weeks < 3; weeks++) {
    context.wallMs += 2 * MAX_AGE_MS;
    for (let i = 0; i < 10; i++) wake(100, 'tick');
  }
  assert.equal(counters.treesBuilt, 0, 'who has no other replica has none');
});

test('a tree that replaces one that serves is built at a pace; the first one as fast as there are slices', () => {
  const { objects, counters, context, trees, tree, wake } = world();
  // Three slices of a mebibyte, and the rest of a fourth.
  const dot = { high: 1, low: 1, counter: 1 };
  const sibling = { dot, attempt: dot, timestamp: { ms: 1, logical: 0 }, tombstone: false, expiresAtMs: 0 };
  const siblings = [{ ...sibling, body: new Uint8Array(2 ** 18) }];
  const record = encodeRecord({ context: { vv: [1, 1, 1], extra: [] }, siblings });
  for (let i = 0; i < 13; i++) objects.put(keyOf(i), record);
  objects.commit();
  tree.rebuild();
  for (let i = 0; i < 4; i++) wake(1);
  assert.equal(counters.treesBuilt, 1);
  const call = trees.rebuildAll();
  const from = context.nowMs;
  while (trees.unbuiltSince(call) > 0) wake(1);
  assert.equal(counters.treesBuilt, 2);
  const tookMs = context.nowMs - from;
  // 32 MiB a second; the last slice need not be waited for.
  assert(tookMs >= 3 * 31 && tookMs < 4 * 35, `${tookMs} ms`);
});

test('what is unreadable here is asked for one replica after the other, and waits if one is out of reach', () => {
  const { counters, context, trees, exchanger, wake } = world();
  const key = keyOf(7);
  trees.rotten.note(key);
  const asked = () => {
    const [request, ...others] = context.sent.splice(0).filter(({ message }) => (message as { key?: unknown }).key);
    assert(request !== undefined && others.length === 0);
    return { ...request, message: request.message as { type: string; record?: Uint8Array } };
  };
  wake(100);
  const first = asked();
  exchanger.failed(first.correlation, 'died', context);
  const second = asked();
  // Another read finds it, too, and nobody need be asked for that.
  trees.rotten.note(key);
  assert(first.place !== second.place);
  exchanger.answered(second.correlation, { type: 'nothing', behind: false }, false, context);
  assert.equal(context.sent.length, 0, 'nobody has it, as far as they can be asked');
  wake(100, 'tick');
  const again = asked();
  const record = recordOf({ high: 1, low: 1, counter: 3 });
  exchanger.answered(again.correlation, { type: 'object', record, tag: 4, behind: false }, false, context);
  const write = asked();
  assert.deepEqual(write.message, { type: 'write', key: Uint8Array.from(key), record, durable: false, tag: 4 });
  trees.rotten.note(key);
  exchanger.answered(write.correlation, { type: 'wrote', durable: true }, false, context);
  assert.equal(counters.rotHealed, 1);
  wake(100, 'tick');
  assert(!context.sent.some(({ message }) => (message as { key?: unknown }).key), 'that was it');
});
