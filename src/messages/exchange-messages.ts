/**
 * What an exchange's leader asks of a replica, and what it answers: `src/anti-entropy/exchange-asks.ts`, on its way
 * between threads. Numbers of a tree travel as little-endian words.
 */
import type { ExchangeAnswer, ExchangeAsk } from '../anti-entropy/exchange-asks.js';
import { uint32At } from '../codec/byte-reader.js';
import {
  type Conversation,
  FrameError,
  type FrameReader,
  type FrameWriter,
  type MessageCodec,
} from '../runtime/actor.js';

/** `leader`: the node that leads the exchange; a replica is in one of one leader's at a time. */
export interface ExchangeRequest {
  readonly type: 'exchange';
  readonly partition: number;
  readonly leader: number;
  readonly ask: ExchangeAsk;
}

const ROOT = 1;
const BRANCHES = 2;
const SUMS = 3;
const KEYS = 4;
const LEAVES = 5;
const NOT_READY = 6;
const BUSY = 7;
const RESIZED = 8;

const request: MessageCodec<ExchangeRequest> = {
  size: ({ ask }) => 9 + askSize(ask),
  write({ partition, leader, ask }, out) {
    out.u32(partition);
    out.u32(leader);
    writeAsk(ask, out);
  },
  read(from) {
    return { type: 'exchange', partition: from.u32(), leader: from.u32(), ask: readAsk(from) };
  },
};

function askSize(ask: ExchangeAsk): number {
  switch (ask.type) {
    case 'root':
      return 0;
    case 'branches':
      return 8 + ask.parents.byteLength;
    case 'sums':
      return 8 + ask.nodes.byteLength;
    case 'keys':
      return 12 + ask.segments.byteLength + ask.from.length;
    case 'leaves': {
      let size = 4;
      for (const key of ask.keys) size += 4 + key.length;
      return size;
    }
  }
}

function writeAsk(ask: ExchangeAsk, out: FrameWriter): void {
  switch (ask.type) {
    case 'root':
      out.u8(ROOT);
      return;
    case 'branches':
      out.u8(BRANCHES);
      out.u32(ask.level);
      writeWords(ask.parents, out);
      return;
    case 'sums':
      out.u8(SUMS);
      out.u32(ask.level);
      writeWords(ask.nodes, out);
      return;
    case 'keys':
      out.u8(KEYS);
      out.u32(ask.level);
      writeWords(ask.segments, out);
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
      return { type: 'branches', level: from.u32(), parents: readWords(from) };
    case SUMS:
      return { type: 'sums', level: from.u32(), nodes: readWords(from) };
    case KEYS:
      return { type: 'keys', level: from.u32(), segments: readWords(from), from: from.bytes() };
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

const answer: MessageCodec<ExchangeAnswer> = {
  size(message) {
    switch (message.type) {
      case 'root':
        return 18;
      case 'sums':
        return 5 + message.sums.byteLength;
      case 'keys':
        return 9 + message.leaves.length + message.next.length;
      case 'leaves':
        return 5 + message.leaves.byteLength;
      default:
        return 1;
    }
  },
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
      default:
        throw new FrameError(`no answer of an exchange has type ${type}`);
    }
  },
};

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

export const exchangeConversation: Conversation<ExchangeRequest, ExchangeAnswer> = {
  name: 'exchange',
  request,
  answer,
};
