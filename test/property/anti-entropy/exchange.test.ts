/**
 * An exchange between two replicas, beside the plainest comparison there is: every key that differs is found, and no
 * other, for the price promised (semantics §7, promise 8); with writes in flight only what stays different is repaired;
 * whatever is lost or comes twice, both end equal.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Exchange, type ExchangeOptions, type ExchangeOutcome } from '../../../src/anti-entropy/exchange.js';
import type { ExchangeAnswer, ExchangeAsk } from '../../../src/anti-entropy/exchange-asks.js';
import { DeltaBuilder } from '../../../src/anti-entropy/tree-delta.js';
import { below, SeededRandom } from '../../../src/base/random.js';
import { partitionRange } from '../../../src/codec/key.js';
import { exchangeConversation } from '../../../src/messages/exchange-messages.js';
import { throughFrame } from '../../support/array-frame.js';
import { holds } from '../../support/property.js';
import { test } from '../../support/test.js';
import { keyOf, PARTITION, TreeReplica } from '../../support/tree-replica.js';

type Pair = readonly [TreeReplica, TreeReplica];

function text(key: Uint8Array): string {
  return Buffer.from(key).toString('hex');
}

function records(replica: TreeReplica): Map<string, string> {
  const entries = replica.storage.range({ ...partitionRange(PARTITION), limit: Number.POSITIVE_INFINITY });
  return new Map(entries.map(({ key, value }) => [text(key), text(value)]));
}

/** The keys that differ, by looking at all of them. */
function naiveDifference([a, b]: Pair): string[] {
  const ours = records(a);
  const theirs = records(b);
  return [...new Set([...ours.keys(), ...theirs.keys()])].filter((key) => ours.get(key) !== theirs.get(key)).sort();
}

function pairOf(keys: number): Pair {
  const pair: Pair = [new TreeReplica(1), new TreeReplica(2)];
  for (let i = 0; i < keys; i++) pair[1].merge(keyOf(i), pair[0].mint(keyOf(i)));
  for (const replica of pair) replica.storage.commit();
  return pair;
}

/** Makes `count` keys differ: written at one of the two, lost at one, or written at both. */
function part(pair: Pair, count: number, keys: number, random: SeededRandom): void {
  for (let i = 0; i < count; i++) {
    const key = keyOf(below(random, Math.max(1, Math.ceil(keys * 1.2))));
    const way = below(random, 4);
    const replica = pair[way % 2]!;
    if (way < 2) replica.mint(key);
    else if (way === 2 && replica.storage.get(key) !== undefined) replica.set(key, undefined);
    else for (const each of pair) each.mint(key);
  }
}

/** Merges a key on both sides, as a repair does. */
function repair(pair: Pair, key: Uint8Array): void {
  const found = pair.map((replica) => replica.storage.get(key)?.slice());
  for (const [i, record] of found.entries()) if (record !== undefined) pair[1 - i]!.merge(key, record);
}

/** Messages go through their binary form, as between threads. */
function sent(ask: ExchangeAsk): ExchangeAsk {
  const request = throughFrame(exchangeConversation.request, {
    type: 'exchange',
    partition: PARTITION,
    leader: 3,
    ask,
  });
  assert(request.type === 'exchange');
  return request.ask;
}

function returned(answer: ExchangeAnswer): ExchangeAnswer {
  const reply = throughFrame(exchangeConversation.answer, answer);
  assert(reply.type !== 'noted');
  return reply;
}

interface Run {
  readonly exchange: Exchange;
  readonly outcome: ExchangeOutcome;
  readonly repaired: string[];
  readonly rebuilt: readonly [boolean, boolean];
}

/** Runs an exchange to its end in an order of events that `random` draws, with `meanwhile` in between. */
function run(
  pair: Pair,
  options: ExchangeOptions & { pageKeys?: number; loss?: number; meanwhile?: (() => void) | undefined } = {},
  random = new SeededRandom(1),
): Run {
  const exchange = new Exchange(options);
  const repaired: string[] = [];
  const rebuilt: [boolean, boolean] = [false, false];
  const inFlight: (() => void)[] = [];
  for (;;) {
    options.meanwhile?.();
    if (inFlight.length > 0 && below(random, 2) === 0) inFlight.splice(below(random, inFlight.length), 1)[0]!();
    const step = exchange.next();
    if (step.type === 'done') return { exchange, outcome: step.outcome, repaired, rebuilt };
    if (step.type === 'wait') {
      for (let i = 0; i < 5; i++) options.meanwhile?.();
      exchange.waited();
    } else if (step.type === 'repair') {
      for (const key of step.keys) {
        repaired.push(text(key));
        repair(pair, key);
      }
    } else if (step.type === 'rebuild') {
      rebuilt[0] ||= step.first;
      rebuilt[1] ||= step.second;
    } else if (step.type === 'ask') {
      const { number } = step;
      const ask = sent(step.ask);
      for (const replica of [0, 1] as const) {
        inFlight.push(() => {
          const lost = below(random, 1_000) < (options.loss ?? 0);
          if (lost) {
            exchange.failed(number);
            return;
          }
          const answer = returned(pair[replica].answer(ask, options.pageKeys));
          exchange.answered(number, replica, answer);
          if (below(random, 4) === 0) inFlight.push(() => exchange.answered(number, replica, answer));
        });
      }
    }
  }
}

test('an exchange names precisely the keys that differ, at the price that was promised', () => {
  const sizes = fc.constantFrom(0, 1, 30, 200, 700, 3_000);
  const property = fc.property(sizes, fc.nat({ max: 60 }), fc.nat(), fc.boolean(), (keys, differences, seed, small) => {
    const random = new SeededRandom(seed);
    const pair = pairOf(keys);
    for (const replica of pair) replica.freshen();
    part(pair, differences, keys, random);
    const expected = naiveDifference(pair);
    const options = small ? { maxBranches: 3, maxSegments: 5, maxKeys: 7, repairBatch: 2, pageKeys: 9 } : {};
    const { exchange, outcome, repaired, rebuilt } = run(pair, options, random);
    assert.equal(outcome, expected.length === 0 ? 'equal' : 'compared');
    assert.deepEqual(repaired.sort(), expected);
    assert.deepEqual(rebuilt, [false, false]);
    assert.deepEqual(naiveDifference(pair), []);
    const { hashes, keysDifferent, asks } = exchange.figures;
    assert.equal(keysDifferent, expected.length);
    if (expected.length === 0) assert.deepEqual([hashes, asks], [1, 1], 'one root, one question');
    // Sixteen a level for each key, less what they share; its segment once more.
    const levels = Math.max(1, Math.ceil(Math.log(Math.max(2, keys * 1.2)) / Math.log(16)));
    assert.ok(hashes <= 1 + 17 * expected.length * levels, `${hashes} hashes for ${expected.length} among ${keys}`);
    const again = run(pair, {}, random);
    assert.equal(again.outcome, 'equal');
  });
  holds(property, 40);
});

test('replicas whose trees are of different sizes are compared all the same', () => {
  const pair = pairOf(2_500);
  pair[0].keeper.beginBuild(1, 20_000);
  assert.deepEqual([pair[0].freshen().depth, pair[1].freshen().depth], [3, 2]);
  assert.equal(run(pair).outcome, 'equal', 'roots are sums, and do not know how deep they are');
  part(pair, 40, 2_500, new SeededRandom(3));
  const expected = naiveDifference(pair);
  assert.ok(expected.length > 20);
  assert.deepEqual(run(pair).repaired.sort(), expected);
  assert.deepEqual(naiveDifference(pair), []);
});

test('writes in flight are left alone; what stays different is repaired', () => {
  const property = fc.property(fc.nat(), fc.integer({ min: 1, max: 30 }), (seed, differences) => {
    const random = new SeededRandom(seed);
    const pair = pairOf(500);
    for (const replica of pair) replica.freshen();
    part(pair, differences, 500, random);
    const lasting = new Set(naiveDifference(pair));
    const late: (() => void)[] = [];
    const touched = new Set<string>();
    // A write is at one replica at once, and at the other well before the wait is over.
    const meanwhile = (): void => {
      while (late.length > 2) late.shift()!();
      const from = below(random, 2);
      const key = keyOf(below(random, 500));
      touched.add(text(key));
      const record = pair[from]!.mint(key);
      late.push(() => pair[1 - from]!.merge(key, record));
    };
    const { repaired, rebuilt, outcome } = run(pair, { meanwhile }, random);
    assert.notEqual(outcome, 'failed');
    assert.deepEqual(rebuilt, [false, false]);
    for (const key of lasting) assert.ok(repaired.includes(key) || touched.has(key), 'a lasting difference is found');
    for (const key of repaired) assert.ok(lasting.has(key), 'a write on its way is no difference');
    for (const arrive of late) arrive();
    run(pair, {}, random);
    assert.deepEqual(naiveDifference(pair), []);
  });
  holds(property, 25);
});

test('what fails goes on where it stopped, and ends with equal replicas', () => {
  let failures = 0;
  const property = fc.property(fc.nat(), (seed) => {
    const random = new SeededRandom(seed);
    const pair = pairOf(600);
    part(pair, 50, 600, random);
    const expected = naiveDifference(pair);
    const all: string[] = [];
    let from = 0;
    for (let round = 0; ; round++) {
      assert.ok(round < 500, 'it comes to its end');
      const options = { from, loss: 250, maxSegments: 8, maxKeys: 4, pageKeys: 3, maxBranches: 2 };
      const { outcome, repaired, exchange } = run(pair, options, random);
      all.push(...repaired);
      assert.ok(exchange.position >= from);
      from = exchange.position;
      if (outcome !== 'failed') break;
      failures++;
    }
    assert.deepEqual([...new Set(all)].sort(), expected);
    assert.equal(all.length, expected.length, 'nothing is repaired twice');
    assert.deepEqual(naiveDifference(pair), []);
  });
  holds(property, 8);
  assert.ok(failures > 10, `${failures} exchanges failed`);
});

test('a tree that does not fit its records is named, and built anew', () => {
  const random = new SeededRandom(7);
  for (const wrong of [0, 1] as const) {
    const pair = pairOf(400);
    for (const replica of pair) replica.freshen();
    const delta = new DeltaBuilder(3);
    for (let i = 0; i < 3; i++) delta.add(random.uint32(), 12, 34 + i);
    pair[wrong].keeper.tree!.apply(delta.finish());
    const { rebuilt, repaired } = run(pair);
    assert.deepEqual(rebuilt, [wrong === 0, wrong === 1]);
    assert.deepEqual(repaired, []);
    pair[wrong].keeper.beginBuild(random.uint32(), 400);
    assert.equal(run(pair).outcome, 'equal');
  }
});

test('a replica that has no tree, or is in another exchange, ends it; one that keeps changing its size, too', () => {
  const start = (...answers: readonly ExchangeAnswer[]): Exchange => {
    const exchange = new Exchange();
    for (const answer of answers) {
      const step = exchange.next();
      assert.ok(step.type === 'ask');
      for (const replica of [0, 1] as const) exchange.answered(step.number, replica, answer);
    }
    return exchange;
  };
  for (const type of ['not-ready', 'busy'] as const)
    assert.deepEqual(start({ type }).next(), { type: 'done', outcome: type });
  const exchange = new Exchange();
  for (let i = 0; ; i++) {
    const step = exchange.next();
    if (step.type === 'done') {
      assert.equal(step.outcome, 'failed');
      break;
    }
    assert.ok(step.type === 'ask' && i < 20);
    for (const replica of [0, 1] as const) {
      const root: ExchangeAnswer = { type: 'root', depth: 2, keys: 9, high: replica, low: 5 };
      exchange.answered(step.number, replica, step.ask.type === 'root' ? root : { type: 'resized' });
    }
  }
  // An answer that does not fit its question is no answer.
  const odd = start(...Array<ExchangeAnswer>(3).fill({ type: 'sums', sums: new Uint32Array(1) }));
  assert.deepEqual(odd.next(), { type: 'done', outcome: 'failed' });
});
