// Goal: every message survives its binary form, and `size` never announces too little.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import {
  type CoordinatorAnswer,
  type CoordinatorRequest,
  coordinatorConversation,
} from '../../../src/messages/coordinator-messages.js';
import {
  type HoldingAnswer,
  type HoldingRequest,
  hintDeliveryConversation,
} from '../../../src/messages/hint-delivery-messages.js';
import { type HintRequest, hintConversation } from '../../../src/messages/hint-messages.js';
import type { ObjectPut } from '../../../src/messages/object-request.js';
import { type VnodeAnswer, type VnodeRequest, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import { FrameError, type MessageCodec } from '../../../src/runtime/actor.js';
import { ArrayFrame, ArrayFrameReader, throughFrame } from '../../support/array-frame.js';

const RUNS = Number(process.env.QUORAL_PROPERTY_RUNS ?? 500);

const u8 = fc.integer({ min: 0, max: 255 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = fc.uint8Array({ maxLength: 40 });
const counter = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const eventId = fc.record({ high: u32, low: u32, counter });
const mintedDot = fc.record({ high: u32, low: u32, counter, alone: fc.boolean() });
const timestamp = fc.record({
  ms: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  logical: fc.integer({ min: 0, max: 0xffff }),
});
const milliseconds = fc.integer({ min: 0, max: 2 ** 48 });
const taggedEntries = fc.array(fc.record({ key: bytes, record: bytes, tag: milliseconds }), { maxLength: 5 });
const entries = fc.array(fc.record({ key: bytes, record: bytes }), { maxLength: 5 });

const verb = fc.constantFrom('remove' as const, 'reduce' as const, 'reduce-but-attempts' as const);
const candidates = fc.array(fc.record({ key: bytes, high: u32, low: u32, verb }), { maxLength: 5 });

const condition = fc.oneof(
  fc.record({
    condition: fc.constantFrom('none' as const, 'if-none-match' as const),
    ifMatch: fc.constant(new Uint8Array(0)),
  }),
  fc.record({ condition: fc.constant('if-match' as const), ifMatch: bytes }),
);

const unconditional = fc.record({
  key: bytes,
  causalContext: bytes,
  attempt: eventId,
  earlier: fc.array(eventId, { maxLength: 255, size: 'medium' }),
  expiresAtMs: milliseconds,
  minting: fc.constantFrom('siblings', 'last-write-wins'),
  tombstone: fc.boolean(),
  ttlMs: milliseconds,
  maxSiblings: u32,
  body: bytes,
});
const objectPut: fc.Arbitrary<ObjectPut> = fc
  .tuple(unconditional, condition)
  .map(([put, wanted]) => ({ ...put, ...wanted }) as ObjectPut);

const vnodeRequest: fc.Arbitrary<VnodeRequest> = fc.oneof(
  fc.record({ type: fc.constant('mint' as const), put: objectPut, durable: fc.boolean() }),
  fc.record({
    type: fc.constant('write' as const),
    key: bytes,
    record: bytes,
    durable: fc.boolean(),
    tag: milliseconds,
  }),
  fc.record({ type: fc.constant('hand-off' as const), entries: taggedEntries }),
  fc.record({ type: fc.constant('read' as const), key: bytes, digestOnly: fc.boolean() }),
  fc.record({
    type: fc.constant('list' as const),
    gte: bytes,
    lt: bytes,
    limit: u32,
    limitBytes: u32,
    values: fc.boolean(),
  }),
  fc.record({
    type: fc.constant('reap' as const),
    ask: fc.oneof(
      fc.record({ type: fc.constant('vote' as const), g: milliseconds, floor: milliseconds, candidates }),
      fc.record({ type: fc.constant('commit' as const), g: milliseconds, candidates }),
    ),
  }),
  fc.constant({ type: 'discard' as const }),
  fc.record({ type: fc.constant('adopt' as const), tag: milliseconds, floor: milliseconds }),
);

const vnodeAnswer: fc.Arbitrary<VnodeAnswer> = fc.oneof(
  fc.record({ type: fc.constant('minted' as const), record: bytes, tag: milliseconds, dot: mintedDot, timestamp }),
  fc.record({ type: fc.constant('wrote' as const), durable: fc.boolean() }),
  fc.record({
    type: fc.constant('repeated' as const),
    record: bytes,
    tag: milliseconds,
    dot: mintedDot,
    timestamp,
  }),
  fc.record({
    type: fc.constant('not-minted' as const),
    why: fc.constantFrom('late' as const, 'voided' as const, 'corrupt' as const, 'precondition-failed' as const),
  }),
  fc.record({ type: fc.constant('no-storage' as const), full: fc.boolean() }),
  fc.record({ type: fc.constant('not-ready' as const) }),
  fc.record({ type: fc.constant('object' as const), record: bytes, tag: milliseconds, behind: fc.boolean() }),
  fc.record({ type: fc.constant('digest' as const), high: u32, low: u32, behind: fc.boolean() }),
  fc.record({ type: fc.constant('nothing' as const), behind: fc.boolean() }),
  fc.constant({ type: 'stale-fence' as const }),
  fc.record({
    type: fc.constant('took' as const),
    durable: fc.boolean(),
    stale: fc.array(u32, { maxLength: 4 }),
    unmerged: fc.array(u32, { maxLength: 4 }),
  }),
  fc.constant({ type: 'corrupt' as const }),
  fc.record({ type: fc.constant('listed' as const), entries, more: fc.boolean(), corrupt: u32, behind: fc.boolean() }),
  fc.record({
    type: fc.constant('reap' as const),
    answer: fc.oneof(
      fc.record({ type: fc.constant('voted' as const), held: bytes }),
      fc.record({ type: fc.constantFrom('late' as const, 'behind' as const) }),
      fc.record({ type: fc.constant('reaped' as const), count: u32 }),
    ),
  }),
  fc.record({ type: fc.constantFrom('discarded' as const, 'adopted' as const) }),
);

const hintRequest: fc.Arbitrary<HintRequest> = fc.oneof(
  fc.record({ type: fc.constant('mint' as const), owner: u32, put: objectPut, durable: fc.boolean() }),
  fc.record({
    type: fc.constant('keep' as const),
    owner: u32,
    key: bytes,
    record: bytes,
    durable: fc.boolean(),
    mayWait: fc.boolean(),
    tag: milliseconds,
  }),
  fc.record({ type: fc.constant('read' as const), key: bytes, digestOnly: fc.boolean() }),
);

const holdingRequest: fc.Arbitrary<HoldingRequest> = fc.record({
  type: fc.constant('what-for-me' as const),
  from: u32,
  holds: milliseconds,
});

const holdingAnswer: fc.Arbitrary<HoldingAnswer> = fc.record({
  type: fc.constant('holding' as const),
  count: milliseconds,
  session: fc.record({ high: u32, low: u32 }),
  begun: milliseconds,
  clean: milliseconds,
});

const coordinatorRequest: fc.Arbitrary<CoordinatorRequest> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), put: objectPut, w: u8, pw: u8, dw: u8, timeoutMs: milliseconds }),
  fc.record({
    type: fc.constant('get' as const),
    key: bytes,
    r: u8,
    pr: u8,
    notfoundOk: fc.boolean(),
    basicQuorum: fc.boolean(),
    session: bytes,
    timeoutMs: milliseconds,
  }),
  fc.record({
    type: fc.constant('page' as const),
    partition: u32,
    gte: bytes,
    lt: bytes,
    limit: u32,
    limitBytes: u32,
    values: fc.boolean(),
    r: u8,
    timeoutMs: milliseconds,
  }),
);

const failure = fc.record({
  why: fc.constantFrom(
    'unavailable' as const,
    'died' as const,
    'not-met' as const,
    'timeout' as const,
    'overloaded' as const,
    'corrupt' as const,
    'storage' as const,
    'storage-full' as const,
    'too-many-siblings' as const,
    'voided' as const,
    'stale-read' as const,
  ),
  quorum: fc.constantFrom('r' as const, 'pr' as const, 'w' as const, 'pw' as const, 'dw' as const),
  got: u8,
  wanted: u8,
  definite: fc.boolean(),
});

const node = fc.integer({ min: 0, max: 0xffff });
const ack = fc.record({
  node,
  role: fc.constantFrom('primary' as const, 'fallback' as const),
  durable: fc.boolean(),
});

const coordinatorAnswer: fc.Arbitrary<CoordinatorAnswer> = fc.oneof(
  fc.record({
    type: fc.constant('put-done' as const),
    dot: mintedDot,
    timestamp,
    acks: fc.array(ack, { maxLength: 32 }),
    hints: fc.array(fc.record({ owner: node, holder: node }), { maxLength: 32 }),
  }),
  fc.record({ type: fc.constant('got' as const), record: bytes, mayMissHints: fc.boolean() }),
  fc.record({ type: fc.constant('page-done' as const), entries, more: fc.boolean(), mayMissHints: fc.boolean() }),
  fc.record({ type: fc.constant('failed' as const), failure }),
);

function holds<M>(name: string, codec: MessageCodec<M>, messages: fc.Arbitrary<M>): void {
  test(`${name}: what is read is what was written, in no more than the announced bytes`, async (t) => {
    fc.assert(
      fc.property(messages, (message) => {
        // fast-check makes objects without a prototype; a copy makes them comparable.
        assert.deepEqual(throughFrame(codec, message), structuredClone(message));
      }),
      { numRuns: RUNS },
    );
    t.pass('held for every case');
  });

  test(`${name}: a frame that was cut short is a FrameError`, async (t) => {
    fc.assert(
      fc.property(messages, fc.nat(), (message, where) => {
        const frame = new ArrayFrame();
        codec.write(message, frame);
        const cut = frame.fields.slice(0, where % frame.fields.length);
        assert.throws(() => codec.read(new ArrayFrameReader(cut)), FrameError);
      }),
      { numRuns: RUNS },
    );
    t.pass('held for every case');
  });

  test(`${name}: an unknown type is a FrameError`, async (t) => {
    const frame = new ArrayFrame();
    frame.u8(99);
    t.throws(() => codec.read(frame.reader()), FrameError);
  });
}

holds('what a vnode is asked', vnodeConversation.request, vnodeRequest);
holds('what a vnode answers', vnodeConversation.answer, vnodeAnswer);
holds('what a hint keeper is asked', hintConversation.request, hintRequest);
holds('what a hint deliverer is asked', hintDeliveryConversation.request, holdingRequest);
holds('what a hint deliverer answers', hintDeliveryConversation.answer, holdingAnswer);
holds('what a coordinator is asked', coordinatorConversation.request, coordinatorRequest);
holds('what a coordinator answers', coordinatorConversation.answer, coordinatorAnswer);

test('an unknown reason in an answer is a FrameError', async (t) => {
  for (const [codec, type] of [
    [vnodeConversation.answer, 4],
    [coordinatorConversation.answer, 4],
  ] as const) {
    const frame = new ArrayFrame();
    frame.u8(type);
    frame.u8(200);
    t.throws(() => codec.read(frame.reader()), FrameError);
  }
});

test('a put with more earlier attempts than a frame can count is refused by an assertion', async (t) => {
  const attempt = { high: 1, low: 2, counter: 3 };
  const put: ObjectPut = {
    key: new Uint8Array(1),
    causalContext: new Uint8Array(0),
    attempt,
    earlier: new Array(256).fill(attempt),
    expiresAtMs: 0,
    minting: 'siblings',
    condition: 'none',
    ifMatch: new Uint8Array(0),
    maxSiblings: 0,
    tombstone: false,
    ttlMs: 0,
    body: new Uint8Array(0),
  };
  t.throws(() => vnodeConversation.request.write({ type: 'mint', put, durable: false }, new ArrayFrame()));
});
