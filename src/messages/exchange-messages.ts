/**
 * What an exchange's leader asks of a replica, and what it answers: `src/anti-entropy/exchange-asks.ts`, on its way
 * between threads; and what it lets the replica know. Sums travel as little-endian words.
 */
import type { ExchangeAnswer, ExchangeAsk } from '../anti-entropy/exchange-asks.js';
import { packedKeyBytes, packKeys, unpackKeys } from '../anti-entropy/packed-keys.js';
import { packedBytes, packNodes, unpackNodes } from '../anti-entropy/packed-nodes.js';
import { uint32At } from '../codec/byte-reader.js';
import { CorruptRecordError } from '../codec/errors.js';
import { type Conversation, FrameError, type MessageCodec } from '../runtime/actor.js';
import { bytes, f64, list, struct, u8, u32, variants } from './layout.js';

/** The half-words of a tree's root. */
export interface Root {
  readonly high: number;
  readonly low: number;
}

export type ExchangeRequest =
  /** `leader`: the node that leads the exchange; a replica is in one of one leader's at a time. */
  | { readonly type: 'exchange'; readonly partition: number; readonly leader: number; readonly ask: ExchangeAsk }
  /** The replica's tree does not fit its records. Replied to as 'noted'. */
  | { readonly type: 'rebuild'; readonly partition: number }
  /**
   * The replica lacks nothing that node `other` has, and the reverse. `root`: what the replica answered to this
   * exchange's first question, by which it knows that this is about its present self. Replied to as 'noted'.
   */
  | {
      readonly type: 'equal';
      readonly partition: number;
      readonly leader: number;
      readonly other: number;
      readonly root: Root;
    }
  /** Replicas of `node` were lost: the leader is to compare them with these others at once. Replied to as 'noted'. */
  | { readonly type: 'refill'; readonly node: number; readonly pairs: readonly RefillPair[] };

/** The replica of a partition, and another node's of which it lacks what was lost. */
export interface RefillPair {
  readonly partition: number;
  readonly other: number;
}

export type ExchangeReply = ExchangeAnswer | { readonly type: 'noted' };

/** @param read - throws {CorruptRecordError} where there is nothing that `write` gives */
function packed<T>(
  size: (value: T) => number,
  write: (value: T) => Uint8Array,
  read: (bytes: Uint8Array) => T,
): MessageCodec<T> {
  return {
    size: (value) => 4 + size(value),
    write: (value, out) => out.bytes(write(value)),
    read(from) {
      try {
        return read(from.bytes());
      } catch (error) {
        if (!(error instanceof CorruptRecordError)) throw error;
        throw new FrameError(error.message, { cause: error });
      }
    },
  };
}

/** Places of nodes in their level, ascending. */
const nodes = packed(packedBytes, packNodes, unpackNodes);
const keys = packed<readonly Uint8Array[]>(packedKeyBytes, packKeys, unpackKeys);

const words: MessageCodec<Uint32Array> = {
  size: (some) => 4 + some.byteLength,
  write(some, out) {
    const packed = Buffer.allocUnsafe(some.byteLength);
    for (let i = 0; i < some.length; i++) packed.writeUInt32LE(some[i]!, 4 * i);
    out.bytes(packed);
  },
  read(from) {
    const packed = from.bytes();
    if (packed.length % 4 !== 0) throw new FrameError('words are cut off');
    const some = new Uint32Array(packed.length / 4);
    for (let i = 0; i < some.length; i++) some[i] = uint32At(packed, 4 * i);
    return some;
  },
};

const ask = variants<ExchangeAsk>('question of an exchange', {
  root: {},
  branches: { level: u32, parents: nodes },
  sums: { level: u32, nodes },
  keys: { level: u32, segments: nodes, from: bytes },
  leaves: { keys },
});

export const exchangeConversation: Conversation<ExchangeRequest, ExchangeReply> = {
  name: 'exchange',
  request: variants('request of an exchange', {
    exchange: { partition: u32, leader: u32, ask },
    rebuild: { partition: u32 },
    equal: { partition: u32, leader: u32, other: u32, root: struct({ high: u32, low: u32 }) },
    refill: { node: u32, pairs: list(struct({ partition: u32, other: u32 })) },
  }),
  answer: variants('answer of an exchange', {
    root: { depth: u8, keys: f64, high: u32, low: u32 },
    sums: { sums: words },
    keys: { leaves: bytes, next: bytes },
    leaves: { leaves: words },
    resized: {},
    'not-ready': {},
    busy: {},
    noted: {},
  }),
};
