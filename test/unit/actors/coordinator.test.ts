/** The coordinator, without a host: what it does beyond what `src/quorum` decides. */
import assert from 'node:assert/strict';
import { Coordinator } from '../../../actors/coordinator.js';
import { BackgroundBudget } from '../../../src/admission/background-budget.js';
import { utf8 } from '../../../src/base/bytes.js';
import { encodeContext } from '../../../src/codec/context.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { encodeRecord } from '../../../src/codec/record.js';
import type { CoordinatorRequest, OperationFailure } from '../../../src/messages/coordinator-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../../../src/messages/vnode-messages.js';
import { HotKeys } from '../../../src/metrics/hot-keys.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { latencyData, newOperationLatencies, summaryOf } from '../../../src/metrics/operation-latencies.js';
import { type Failure, threadOf } from '../../../src/runtime/actor.js';
import { LoneContext } from '../../support/lone-actor.js';
import { anObject } from '../../support/records.js';
import { test } from '../../support/test.js';

const KEY = encodeLocatedKey(0, { type: utf8('t'), bucket: utf8('b'), key: utf8('k') });
const GET: CoordinatorRequest & { type: 'get' } = {
  type: 'get',
  key: KEY,
  r: 2,
  pr: 0,
  notfoundOk: true,
  basicQuorum: false,
  session: new Uint8Array(0),
  timeoutMs: 1_000,
};

const PAGE: CoordinatorRequest = {
  type: 'page',
  partition: 0,
  gte: Uint8Array.of(0, 0),
  lt: Uint8Array.of(0, 1),
  limit: 10,
  limitBytes: 1_000,
  values: true,
  r: 2,
  timeoutMs: 1_000,
};

const empty = new Uint8Array(0);
const PUT: CoordinatorRequest & { type: 'put' } = {
  type: 'put',
  put: {
    ...{ key: KEY, causalContext: empty, attempt: { high: 1, low: 1, counter: 1 }, earlier: [] },
    ...{ expiresAtMs: 1e15, minting: 'siblings', condition: 'none', ifMatch: empty, maxSiblings: 0 },
    ...{ tombstone: false, ttlMs: 0, body: empty },
  },
  ...{ w: 2, pw: 0, dw: 0, timeoutMs: 1_000 },
};
const MINTED: VnodeAnswer = {
  type: 'minted',
  ...{ record: empty, tag: 0, dot: { high: 2, low: 2, counter: 1, alone: true }, timestamp: { ms: 0, logical: 0 } },
};

type Sent = LoneContext['sent'][number];

/** The coordinator of node 0, in a ring of four whose threads run unless they are down. */
class Coordinating {
  readonly context = new LoneContext();
  readonly down = new Set<number>();
  readonly budget = new BackgroundBudget();
  readonly counters = newNodeCounters();
  readonly latencies = newOperationLatencies();
  /** Above 0 once there was a round of reaping. */
  refuseBelow = 0;
  private readonly coordinator = new Coordinator({
    node: 0,
    preferenceLists: [{ primaries: [0, 1, 2], fallbacks: [3] }],
    maxOperations: 10,
    counters: this.counters,
    latencies: this.latencies,
    budget: this.budget,
    hints: { fences: { refuseBelow: () => this.refuseBelow } },
    hotKeys: new HotKeys(),
  });

  constructor() {
    this.context.pulse = (thread?: number) => (this.down.has(thread!) ? -1 : this.context.nowMs);
  }

  /** The nodes that are asked for a get, which is answered after `ms`. */
  asked(ms = 0): number[] {
    const { context, coordinator } = this;
    const before = context.sent.length;
    coordinator.receive(GET, {}, context);
    const sent = context.sent.slice(before);
    context.nowMs += ms;
    for (const { correlation } of sent) {
      coordinator.answered(correlation, { type: 'nothing', behind: false }, false, context);
    }
    return sent.map(({ place }) => threadOf(place));
  }

  /** The nodes that are asked for a page, where those of `behind` are so. */
  askedForPage(behind: readonly number[]): number[] {
    const { context, coordinator } = this;
    const first = context.sent.length;
    coordinator.receive(PAGE, {}, context);
    // An answer may lead to a further request.
    for (let i = first; i < context.sent.length; i++) {
      const { place, correlation } = context.sent[i]!;
      const isBehind = behind.includes(threadOf(place));
      const answer = { type: 'listed', entries: [], more: false, corrupt: 0, behind: isBehind } as const;
      coordinator.answered(correlation, answer, false, context);
    }
    return context.sent.slice(first).map(({ place }) => threadOf(place));
  }

  /** What comes of a put whose minter has room, and the others none, until its deadline; how often each was asked. */
  putWithoutRoom(): { readonly reply: unknown; readonly asked: readonly number[] } {
    const { context, coordinator } = this;
    const asked = [0, 0, 0, 0];
    let heard = context.sent.length;
    coordinator.receive(PUT, {}, context);
    const until = context.nowMs + 2 * PUT.timeoutMs;
    while (context.replies.length === 0 && context.nowMs < until) {
      for (const { place, correlation } of context.sent.slice(heard)) {
        heard++;
        const node = threadOf(place);
        asked[node]!++;
        if (node !== 0) coordinator.failed(correlation, 'refused', context);
        else {
          coordinator.answered(correlation, MINTED, true, context);
          coordinator.answered(correlation, { type: 'wrote', durable: false }, false, context);
        }
      }
      context.nowMs += 5;
      coordinator.timer('sweep', context);
    }
    return { reply: context.replies[0], asked };
  }

  /** What comes of a put whose minter, here and there, is lost so. @param notice - it has told before what it minted */
  putWhoseMinterIs(failure: Failure, notice: boolean): unknown {
    const { context, coordinator } = this;
    const before = context.sent.length;
    coordinator.receive(PUT, {}, context);
    const { correlation } = context.sent[before]!;
    if (notice) coordinator.answered(correlation, MINTED, true, context);
    coordinator.failed(correlation, failure, context);
    // Nobody else stores it.
    for (let i = before + 1; i < context.sent.length && context.replies.length === 0; i++) {
      coordinator.failed(context.sent[i]!.correlation, 'cut-off', context);
    }
    return context.replies[0];
  }

  /** What is sent after a get is answered so, by node; and what its reply was. */
  getOf(
    answers: Readonly<Record<number, VnodeAnswer>>,
    session: Uint8Array = empty,
  ): { readonly reply: unknown; readonly repairs: Sent[] } {
    const { context, coordinator } = this;
    let heard = context.sent.length;
    const replies = context.replies.length;
    coordinator.receive({ ...GET, session }, {}, context);
    while (context.replies.length === replies) {
      const asked = context.sent[heard++]!;
      // Sent before the reply: a repair would be one that the client waits for.
      assert.equal((asked.message as VnodeRequest).type, 'read');
      const answer = answers[threadOf(asked.place)]!;
      coordinator.answered(asked.correlation, answer, false, context);
    }
    return { reply: context.replies[replies], repairs: context.sent.slice(heard) };
  }

  /** Those who were sent repairs have stored them. */
  repaired(repairs: readonly Sent[]): void {
    for (const { correlation } of repairs) {
      this.coordinator.answered(correlation, { type: 'wrote', durable: false }, false, this.context);
    }
  }

  /** Time goes by, without a request. */
  idle(ms: number): void {
    this.context.nowMs += ms;
    this.coordinator.timer('sweep', this.context);
  }
}

test('the first request after a time of idleness goes by how the nodes are then, not by what was seen before', () => {
  const nodes = new Coordinating();
  assert.deepEqual(nodes.asked(), [0, 1]);
  nodes.idle(5);
  nodes.context.nowMs += 60_000;
  nodes.down.add(1);
  assert.deepEqual(nodes.asked(), [0, 2]);
  nodes.idle(5);
  nodes.context.nowMs += 60_000;
  nodes.down.clear();
  assert.deepEqual(nodes.asked(), [0, 1]);
});

test('of a put whose minter has died with it the client is told just that; not of one that was cut off', () => {
  for (const notice of [false, true]) {
    for (const [failure, why] of [
      ['died', 'died'],
      ['cut-off', 'unavailable'],
    ] as const) {
      const reply = new Coordinating().putWhoseMinterIs(failure, notice) as { failure?: OperationFailure };
      assert.deepEqual([reply.failure?.why, reply.failure?.definite], [why, false], `${failure}, ${notice}`);
    }
  }
});

// Goal: a replica that was lost does not have each read of its partition ask twice until it is refilled.
test('a replica that is behind, and lacked what others have, is read after them for a second', () => {
  const nodes = new Coordinating();
  const behind = { type: 'nothing', behind: true } as const;
  const { reply, repairs } = nodes.getOf({ 0: behind, 1: object(NEWER) });
  assert.equal((reply as { type: string }).type, 'got');
  assert.deepEqual(
    repairs.map(({ place }) => threadOf(place)),
    [0],
  );
  assert.deepEqual(nodes.asked(), [1, 2]);
  nodes.down.add(2);
  nodes.idle(5);
  assert.deepEqual(nodes.asked(), [0, 1], 'it is asked all the same where too few others are up');
  nodes.down.clear();
  nodes.idle(1_000);
  assert.deepEqual(nodes.asked(), [0, 1]);
  nodes.getOf({ 0: { type: 'nothing', behind: false }, 1: object(NEWER) });
  assert.deepEqual(nodes.asked(), [0, 1], 'one that lost nothing is merely repaired');
});

// Goal: hints are handed over, and whatever else can wait is done, at the pace that clients do not feel.
test('background work gets fewer slices while requests take longer than they did', () => {
  const nodes = new Coordinating();
  const { budget, context } = nodes;
  /** How many slices there are after an interval in which requests took `ms`. */
  const after = (ms: number): number => {
    for (let i = 0; i < 100; i++) nodes.asked(ms);
    budget.take(context.nowMs);
    return budget.perInterval;
  };
  for (let i = 0; i < 100; i++) after(2);
  const before = after(2);
  after(20);
  const slow = after(20);
  assert(slow <= before / 4, `${before} slices, then ${slow}`);
  assert(after(2) > slow);
});

test('what succeeds is recorded by its kind and how long it took, from the request to the reply; what fails is not', () => {
  const nodes = new Coordinating();
  nodes.putWithoutRoom();
  for (let i = 0; i < 9; i++) nodes.asked(2);
  nodes.asked(40);
  nodes.askedForPage([]);
  const { gets, puts, pages } = summaryOf([latencyData(nodes.latencies)]);
  assert.deepEqual([gets.count, puts.count, pages.count], [10, 0, 1]);
  assert(gets.p50Ms >= 2 && gets.p50Ms < 2.1, `${gets.p50Ms} ms`);
  assert.deepEqual([gets.maxMs, pages.maxMs], [40, 0]);
  assert.equal(nodes.counters.failed, 1);
});

test('a page is not made of replicas alone that may lack what was acknowledged while they were away', () => {
  const nodes = new Coordinating();
  const { replies } = nodes.context;
  assert.deepEqual(nodes.askedForPage([]), [0, 1]);
  assert.deepEqual(nodes.askedForPage([1]), [0, 1, 2]);
  assert.equal(replies.length, 2);
  // Where all are behind, what they have is all that there is.
  assert.deepEqual(nodes.askedForPage([0, 1, 2]), [0, 1, 2]);
  const page = (mayMissHints: boolean) => ({ type: 'page-done', entries: [], more: false, mayMissHints });
  assert.deepEqual(replies, [page(false), page(false), page(true)]);
});

test('replicas without room are asked again until the deadline; then the put was refused, which is no timeout', () => {
  const { reply, asked } = new Coordinating().putWithoutRoom();
  assert.deepEqual(reply, {
    type: 'failed',
    failure: { why: 'overloaded', quorum: 'w', got: 1, wanted: 2, definite: false },
  });
  assert(asked[1]! > 50 && asked[2]! > 50, `asked ${asked} times`);
  assert.equal(asked[3], 0, 'the work of overloaded primaries is not shifted onto others');
});

const NEWER = encodeRecord(anObject(2));
const OLDER = encodeRecord(anObject(1));
const NOTHING: VnodeAnswer = { type: 'nothing', behind: false };

function object(record: Uint8Array): VnodeAnswer {
  return { type: 'object', record, tag: 0, behind: false };
}

test('a stale primary is repaired once the client has its reply, a stand-in never', () => {
  const nodes = new Coordinating();
  const { reply, repairs } = nodes.getOf({ 0: object(NEWER), 1: NOTHING });
  assert.equal((reply as { type: string }).type, 'got');
  assert.deepEqual(
    repairs.map(({ place, message }) => [threadOf(place), (message as VnodeRequest).type]),
    [[1, 'write']],
  );
  nodes.repaired(repairs);
  // Primaries 1 and 2 are down: their stand-in has less, or nothing, and keeps it.
  nodes.down.add(1).add(2);
  nodes.idle(5);
  for (const held of [NOTHING, object(OLDER)]) {
    assert.deepEqual(nodes.getOf({ 0: object(NEWER), 3: held }).repairs.length, 0);
  }
  // What only the stand-in has goes to the primary that answered.
  const fromHint = nodes.getOf({ 0: NOTHING, 3: object(NEWER) });
  assert.deepEqual(
    fromHint.repairs.map(({ place }) => threadOf(place)),
    [0],
  );
  assert.equal(nodes.counters.readRepairs, 2);
});

test('a get with a session asks everybody until it has what the session saw; if nobody has, the read is stale', () => {
  const seen = encodeContext(anObject(2).context, { ms: 0, logical: 0 });
  const nodes = new Coordinating();
  const typeOf = (reply: unknown) => (reply as { type: string }).type;
  const askedBy = (story: () => void): number[] => {
    const before = nodes.context.sent.length;
    story();
    const sent = nodes.context.sent.slice(before);
    const reads = sent.filter(({ message }) => (message as VnodeRequest).type === 'read');
    return [...new Set(reads.map(({ place }) => threadOf(place)))];
  };
  const old = { 0: object(OLDER), 1: object(OLDER) };
  const fresh = askedBy(() =>
    assert.equal(typeOf(nodes.getOf({ 0: object(NEWER), 1: object(NEWER) }, seen).reply), 'got'),
  );
  assert.deepEqual(fresh, [0, 1]);
  // The third primary has it, or only a stand-in.
  for (const [third, standIn] of [
    [object(NEWER), NOTHING],
    [NOTHING, object(NEWER)],
  ] as const) {
    const asked = askedBy(() => {
      const { reply, repairs } = nodes.getOf({ ...old, 2: third, 3: standIn }, seen);
      assert.deepEqual(reply, { type: 'got', record: NEWER, mayMissHints: false });
      nodes.repaired(repairs);
    });
    assert.deepEqual(asked, [0, 1, 2, 3]);
  }
  const { reply } = nodes.getOf({ ...old, 2: NOTHING, 3: NOTHING }, seen);
  assert.deepEqual(reply, {
    type: 'failed',
    failure: { why: 'stale-read', quorum: 'r', got: 4, wanted: 2, definite: true },
  });
  const nothing = { 0: NOTHING, 1: NOTHING, 2: NOTHING, 3: NOTHING };
  assert.equal(typeOf(nodes.getOf(nothing, seen).reply), 'failed', 'nothing was ever reaped: it is lost');
  nodes.refuseBelow = 1;
  assert.deepEqual(nodes.getOf(nothing, seen).reply, { type: 'got', record: empty, mayMissHints: false });
});

test('repairs take slices of the background budget; under load they are shed, and the reads are not', () => {
  const nodes = new Coordinating();
  const { budget, context, counters } = nodes;
  const stale = { 0: object(NEWER), 1: NOTHING };
  /** Reads in an interval, which leave so many repairs; their answers took `ms`. */
  const repairsOf = (reads: number, ms: number): number => {
    context.nowMs += 100;
    const before = counters.readRepairs;
    for (let i = 0; i < reads; i++) {
      const { reply, repairs } = nodes.getOf(stale);
      assert.equal((reply as { type: string }).type, 'got');
      nodes.repaired(repairs);
    }
    for (let i = 0; i < 100; i++) budget.requestTook(ms);
    return counters.readRepairs - before;
  };
  for (let i = 0; i < 30; i++) repairsOf(0, 2);
  assert.equal(repairsOf(200, 2), 200, 'with few of them, all are made');
  assert.equal(counters.readRepairsShed, 0);
  for (let i = 0; i < 20; i++) repairsOf(200, 200);
  const left = repairsOf(200, 200);
  assert(left > 0 && left <= 32, `${left} repairs of 200 while clients wait`);
  assert(counters.readRepairsShed > 1_000);
  for (let i = 0; i < 20; i++) repairsOf(200, 2);
  assert.equal(repairsOf(200, 2), 200, 'it recovers');
});

test('repairs that nobody acknowledges do not pile up', () => {
  const nodes = new Coordinating();
  for (let i = 0; i < 200; i++) nodes.getOf({ 0: object(NEWER), 1: NOTHING });
  assert.deepEqual([nodes.counters.readRepairs, nodes.counters.readRepairsShed], [64, 136]);
});
