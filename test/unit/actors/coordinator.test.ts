/** The coordinator, without a host: what it does beyond what `src/quorum` decides. */
import assert from 'node:assert/strict';
import { Coordinator } from '../../../actors/coordinator.js';
import { BackgroundBudget } from '../../../src/admission/background-budget.js';
import { utf8 } from '../../../src/base/bytes.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import type { CoordinatorRequest } from '../../../src/messages/coordinator-messages.js';
import type { VnodeAnswer } from '../../../src/messages/vnode-messages.js';
import { HotKeys } from '../../../src/metrics/hot-keys.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { threadOf } from '../../../src/runtime/actor.js';
import { LoneContext } from '../../support/lone-actor.js';
import { test } from '../../support/test.js';

const KEY = encodeLocatedKey(0, { type: utf8('t'), bucket: utf8('b'), key: utf8('k') });
const GET: CoordinatorRequest = {
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

/** The coordinator of node 0, in a ring of four whose threads run unless they are down. */
class Coordinating {
  readonly context = new LoneContext();
  readonly down = new Set<number>();
  readonly budget = new BackgroundBudget();
  private readonly coordinator = new Coordinator({
    node: 0,
    preferenceLists: [{ primaries: [0, 1, 2], fallbacks: [3] }],
    maxOperations: 10,
    counters: newNodeCounters(),
    budget: this.budget,
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
  assert.deepEqual(reply, { type: 'failed', failure: { why: 'overloaded', got: 1, wanted: 2, definite: false } });
  assert(asked[1]! > 50 && asked[2]! > 50, `asked ${asked} times`);
  assert.equal(asked[3], 0, 'the work of overloaded primaries is not shifted onto others');
});
