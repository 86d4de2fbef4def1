/**
 * What an exchange's leader asks of a replica, and what it answers: `src/anti-entropy/exchange-asks.ts`, on its way
 * between threads; and what it lets the replica know. Sums travel as little-endian words.
 */
import {
  answerBytes,
  askBytes,
  type ExchangeAnswer,
  type ExchangeAsk,
  packNodes,
  unpackNodes,
} from '../anti-entropy/exchange-asks.js';
import { uint32At } from '../codec/byte-reader.js';
import { CorruptRecordError } from '../codec/errors.js';
import {
  type Conversation,
  FrameError,
  type FrameReader,
  type FrameWriter,
  type MessageCodec,
} from '../runtime/actor.js';

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

const EXCHANGE = 1;
const REBUILD = 2;
const EQUAL = 3;
const REFILL = 4;

const ROOT = 1;
const BRANCHES = 2;
const SUMS = 3;
const KEYS = 4;
const LEAVES = 5;
const NOT_READY = 6;
const BUSY = 7;
const RESIZED = 8;
const NOTED = 9;

const request: MessageCodec<ExchangeRequest> = {
  size(message) {
    // 8: the lengths of the two lists that an ask has at most.
    if (message.type === 'exchange') return 9 + askBytes(message.ask) + 8;
    return message.type === 'refill' ? 9 + 8 * message.pairs.length : 22;
  },
  write(message, out) {
    switch (message.type) {
      case 'exchange':
        out.u8(EXCHANGE);
        out.u32(message.partition);
        out.u32(message.leader);
        writeAsk(message.ask, out);
        return;
      case 'rebuild':
        out.u8(REBUILD);
        out.u32(message.partition);
        return;
      case 'equal':
        out.u8(EQUAL);
        out.u32(message.partition);
        out.u32(message.leader);
        out.u32(message.other);
        out.u32(message.root.high);
        out.u32(message.root.low);
        return;
      case 'refill':
        out.u8(REFILL);
        out.u32(message.node);
        out.u32(message.pairs.length);
        for (const { partition, other } of message.pairs) {
          out.u32(partition);
          out.u32(other);
        }
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case EXCHANGE:
        return { type: 'exchange', partition: from.u32(), leader: from.u32(), ask: readAsk(from) };
      case REBUILD:
        return { type: 'rebuild', partition: from.u32() };
      case EQUAL: {
        const partition = from.u32();
        const leader = from.u32();
        const other = from.u32();
        return { type: 'equal', partition, leader, other, root: { high: from.u32(), low: from.u32() } };
      }
      case REFILL: {
        const node = from.u32();
        const count = from.u32();
        const pairs: RefillPair[] = [];
        // A malformed count ends at the frame's end, where the reader throws.
        for (let i = 0; i < count; i++) pairs.push({ partition: from.u32(), other: from.u32() });
        return { type: 'refill', node, pairs };
      }
      default:
        throw new FrameError(`no request of an exchange has type ${type}`);
    }
  },
};

function writeAsk(ask: ExchangeAsk, out: FrameWriter): void {
  switch (ask.type) {
    case 'root':
      out.u8(ROOT);
      return;
    case 'branches':
      out.u8(BRANCHES);
      out.u32(ask.level);
      out.bytes(packNodes(ask.parents));
      return;
    case 'sums':
      out.u8(SUMS);
      out.u32(ask.level);
      out.bytes(packNodes(ask.nodes));
      return;
    case 'keys':
      out.u8(KEYS);
      out.u32(ask.level);
      out.bytes(packNodes(ask.segments));
      out.bytes(ask.from);
      return;
    case 'leaves':
      out.u8(LEAVES);
      out.u32(ask.keys.length);
      for (const key of ask.keys) out.bytes(key);
      return;
  }
}

function readAsk(from: FrameReader): ExchangeAsk {
  const type = from.u8();
  switch (type) {
    case ROOT:
      return { type: 'root' };
    case BRANCHES:
      return { type: 'branches', level: from.u32(), parents: readNodes(from) };
    case SUMS:
      return { type: 'sums', level: from.u32(), nodes: readNodes(from) };
    case KEYS:
      return { type: 'keys', level: from.u32(), segments: readNodes(from), from: from.bytes() };
    case LEAVES: {
      const count = from.u32();
      const keys: Uint8Array[] = [];
      // A malformed count ends at the frame's end, where the reader throws.
      for (let i = 0; i < count; i++) keys.push(from.bytes());
      return { type: 'leaves', keys };
    }
    default:
      throw new FrameError(`no question of an exchange has type ${type}`);
  }
}

const answer: MessageCodec<ExchangeReply> = {
  size: (message) => (message.type === 'noted' ? 1 : answerBytes(message)),
  write(message, out) {
    switch (message.type) {
      case 'root':
        out.u8(ROOT);
        out.u8(message.depth);
        out.f64(message.keys);
        out.u32(message.high);
        out.u32(message.low);
        return;
      case 'sums':
        out.u8(SUMS);
        writeWords(message.sums, out);
        return;
      case 'keys':
        out.u8(KEYS);
        out.bytes(message.leaves);
        out.bytes(message.next);
        return;
      case 'leaves':
        out.u8(LEAVES);
        writeWords(message.leaves, out);
        return;
      case 'resized':
        out.u8(RESIZED);
        return;
      case 'not-ready':
        out.u8(NOT_READY);
        return;
      case 'busy':
        out.u8(BUSY);
        return;
      case 'noted':
        out.u8(NOTED);
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case ROOT:
        return { type: 'root', depth: from.u8(), keys: from.f64(), high: from.u32(), low: from.u32() };
      case SUMS:
        return { type: 'sums', sums: readWords(from) };
      case KEYS:
        return { type: 'keys', leaves: from.bytes(), next: from.bytes() };
      case LEAVES:
        return { type: 'leaves', leaves: readWords(from) };
      case RESIZED:
        return { type: 'resized' };
      case NOT_READY:
        return { type: 'not-ready' };
      case BUSY:
        return { type: 'busy' };
      case NOTED:
        return { type: 'noted' };
      default:
        throw new FrameError(`no answer of an exchange has type ${type}`);
    }
  },
};

function readNodes(from: FrameReader): Uint32Array {
  try {
    return unpackNodes(from.bytes());
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error;
    throw new FrameError(error.message, { cause: error });
  }
}

function writeWords(words: Uint32Array, out: FrameWriter): void {
  const bytes = Buffer.allocUnsafe(words.byteLength);
  for (let i = 0; i < words.length; i++) bytes.writeUInt32LE(words[i]!, 4 * i);
  out.bytes(bytes);
}

function readWords(from: FrameReader): Uint32Array {
  const bytes = from.bytes();
  if (bytes.length % 4 !== 0) throw new FrameError('words are cut off');
  const words = new Uint32Array(bytes.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = uint32At(bytes, 4 * i);
  return words;
}

export const exchangeConversation: Conversation<ExchangeRequest, ExchangeReply> = {
  name: 'exchange',
  request,
  answer,
};
