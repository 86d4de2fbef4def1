// Goal: every message of exchanges and of reaping survives its binary form, and `size` never announces too little.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type ExchangeReply,
  type ExchangeRequest,
  exchangeConversation,
} from '../../../src/messages/exchange-messages.js';
import {
  type ReaperAnswer,
  type ReapRequest,
  reapAskCodec,
  reapConversation,
} from '../../../src/messages/reap-messages.js';
import { FrameError, type MessageCodec } from '../../../src/runtime/actor.js';
import { ArrayFrame, throughFrame } from '../../support/array-frame.js';
import { holds } from '../../support/property.js';
import { test } from '../../support/test.js';

const u32 = fc.nat({ max: 0xffff_ffff });
const height = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const bytes = fc.uint8Array({ maxLength: 40 });
const words = fc.uint32Array({ maxLength: 20 });
/** Far from each other, or close together: on the way they have two forms. */
const nodes = fc
  .tuple(fc.nat({ max: 0xffff_ffff - 64 }), fc.uniqueArray(fc.oneof(u32, fc.nat({ max: 63 })), { maxLength: 40 }))
  .map(([from, some]) => Uint32Array.from(new Set(some.map((node) => (node < 64 ? from + node : node)))).sort());
const level = fc.nat({ max: 6 });
const partition = fc.nat({ max: 1_023 });
const just = <T extends string>(type: T) => fc.record({ type: fc.constant(type) });

const node = fc.nat({ max: 63 });

const exchangeRequest: fc.Arbitrary<ExchangeRequest> = fc.oneof(
  fc.record({
    type: fc.constant('exchange' as const),
    partition,
    leader: node,
    ask: fc.oneof(
      just('root'),
      fc.record({ type: fc.constant('branches' as const), level, parents: nodes }),
      fc.record({ type: fc.constant('sums' as const), level, nodes }),
      fc.record({ type: fc.constant('keys' as const), level, segments: nodes, from: bytes }),
      fc.record({ type: fc.constant('leaves' as const), keys: fc.array(bytes, { maxLength: 5 }) }),
    ),
  }),
  fc.record({ type: fc.constant('rebuild' as const), partition }),
  fc.record({
    type: fc.constant('equal' as const),
    partition,
    leader: node,
    other: node,
    root: fc.record({ high: u32, low: u32 }),
  }),
  fc.record({
    type: fc.constant('refill' as const),
    node,
    pairs: fc.array(fc.record({ partition, other: node }), { maxLength: 5 }),
  }),
);

const exchangeAnswer: fc.Arbitrary<ExchangeReply> = fc.oneof(
  fc.record({ type: fc.constant('root' as const), depth: level, keys: height, high: u32, low: u32 }),
  fc.record({ type: fc.constant('sums' as const), sums: words }),
  fc.record({ type: fc.constant('keys' as const), leaves: bytes, next: bytes }),
  fc.record({ type: fc.constant('leaves' as const), leaves: words }),
  just('resized'),
  just('not-ready'),
  just('busy'),
  just('noted'),
);

const reapRequest: fc.Arbitrary<ReapRequest> = fc.oneof(
  fc.record({
    type: fc.constant('reap' as const),
    partition,
    ask: fc.oneof(just('ask'), fc.record({ type: fc.constant('census' as const), g: height })),
  }),
  fc.record({
    type: fc.constant('fences' as const),
    from: u32,
    lineage: fc.record({
      number: height,
      names: fc.array(fc.record({ high: u32, low: u32 }), { minLength: 1, maxLength: 5 }),
    }),
  }),
);

const reaperAnswer: fc.Arbitrary<ReaperAnswer> = fc.oneof(
  fc.record({
    type: fc.constant('ready' as const),
    ringVersion: u32,
    pendingOwner: fc.boolean(),
    tag: height,
    floor: height,
  }),
  fc.record({ type: fc.constant('voted' as const), held: bytes }),
  fc.record({ type: fc.constant('reaped' as const), count: u32 }),
  just('clear'),
  just('not-clear'),
  just('late'),
  just('behind'),
  fc.record({
    type: fc.constant('fences' as const),
    fences: fc.array(fc.record({ partition, tag: height, floor: height, isKnown: fc.boolean() }), { maxLength: 5 }),
    refuseBelow: fc.array(height, { maxLength: 5 }),
    laterLife: height,
  }),
);

/** Whatever kind of array bytes and words come in. */
function plain(message: unknown): unknown {
  return JSON.parse(
    JSON.stringify(message, (_, value) => (ArrayBuffer.isView(value) ? [...(value as Uint8Array)] : value)),
  );
}

function survives<M>(codec: MessageCodec<M>, messages: fc.Arbitrary<M>): void {
  holds(
    fc.property(messages, (message) => assert.deepEqual(plain(throughFrame(codec, message)), plain(message))),
    300,
  );
  const unknown = new ArrayFrame();
  unknown.u8(99);
  assert.throws(() => codec.read(unknown.reader()), /has type 99/);
}

test('exchanges and rounds of reaping survive their binary form', () => {
  survives(exchangeConversation.request, exchangeRequest);
  survives(exchangeConversation.answer, exchangeAnswer);
  survives(reapConversation.request, reapRequest);
  survives(reapConversation.answer, reaperAnswer);
});

test('what goes to vnodes is not asked of a reaper', () => {
  const frame = new ArrayFrame();
  frame.u8(1);
  frame.u32(7);
  reapAskCodec.write({ type: 'commit', g: 3, candidates: [] }, frame);
  assert.throws(() => reapConversation.request.read(frame.reader()), /not asked to commit/);
});

test('words that are cut off are refused', () => {
  const frame = new ArrayFrame();
  frame.u8(2);
  frame.bytes(new Uint8Array(7));
  assert.throws(() => exchangeConversation.answer.read(frame.reader()), FrameError);
});

test('nodes and keys that are cut off, or none, are refused', () => {
  const asking = (type: number, rest: Uint8Array): ArrayFrame => {
    const frame = new ArrayFrame();
    frame.u8(1);
    frame.u32(3);
    frame.u32(0);
    frame.u8(type);
    if (type === SUMS) frame.u32(2);
    frame.bytes(rest);
    return frame;
  };
  const SUMS = 3;
  const LEAVES = 5;
  const read = (frame: ArrayFrame): unknown => exchangeConversation.request.read(frame.reader());
  assert.deepEqual(plain(read(asking(SUMS, Uint8Array.of(1, 10, 0b101)))), {
    ...{ type: 'exchange', partition: 3, leader: 0 },
    ask: { type: 'sums', level: 2, nodes: [10, 12] },
  });
  for (const bytes of [
    [],
    [2, 0],
    [0, 0x80],
    [0, 0xff, 0xff, 0xff, 0xff, 0x1f],
    [1],
    [1, 0xff, 0xff, 0xff, 0xff, 0x0f, 2],
  ]) {
    assert.throws(() => read(asking(SUMS, Uint8Array.from(bytes))), FrameError, `${bytes}`);
  }
  for (const bytes of [[0], [0, 2, 7], [1, 0], [0, 1, 7, 2, 0]]) {
    assert.throws(() => read(asking(LEAVES, Uint8Array.from(bytes))), FrameError, `${bytes}`);
  }
});
