/**
 * What the initiator of a round of reaping asks of the other nodes, and what they answer: `src/anti-entropy/reaping.ts`,
 * on its way between threads. What is about a node goes to its reaper, what is about a replica to its vnode
 * (`vnode-messages.ts`).
 */
import type { PartitionFence, ReapAnswer, ReapAsk, ReapCandidate, ReapVerb } from '../anti-entropy/reaping.js';
import {
  type Conversation,
  FrameError,
  type FrameReader,
  type FrameWriter,
  type MessageCodec,
} from '../runtime/actor.js';

/** To a reaper. */
export type NodeAsk = ReapAsk & { readonly type: 'ask' | 'census' };
/** To a vnode. */
export type ReplicaAsk = ReapAsk & { readonly type: 'vote' | 'commit' };

export type ReapRequest =
  | { readonly type: 'reap'; readonly partition: number; readonly ask: NodeAsk }
  /** How do the fences of your vnodes stand? Asked by a node that has started. Replied to as 'fences'. */
  | { readonly type: 'fences' };

/** What a reaper answers. */
export type ReaperAnswer =
  | ReapAnswer
  /** Of all of its replicas. */
  | { readonly type: 'fences'; readonly fences: readonly PartitionFence[] };

/** Stands in the place of a partition: none. */
const NO_PARTITION = 0xffff_ffff;

const VERBS: readonly ReapVerb[] = ['remove', 'reduce', 'reduce-but-attempts'];

const ASK = 1;
const VOTE = 2;
const CENSUS = 3;
const COMMIT = 4;

const request: MessageCodec<ReapRequest> = {
  size: (message) => (message.type === 'fences' ? 4 : 4 + reapAskCodec.size(message.ask)),
  write(message, out) {
    if (message.type === 'fences') {
      out.u32(NO_PARTITION);
      return;
    }
    out.u32(message.partition);
    reapAskCodec.write(message.ask, out);
  },
  read(from) {
    const partition = from.u32();
    if (partition === NO_PARTITION) return { type: 'fences' };
    const ask = reapAskCodec.read(from);
    if (ask.type === 'ask' || ask.type === 'census') return { type: 'reap', partition, ask };
    throw new FrameError(`a reaper is not asked to ${ask.type}`);
  },
};

export const reapAskCodec: MessageCodec<ReapAsk> = {
  size(ask) {
    switch (ask.type) {
      case 'ask':
        return 1;
      case 'vote':
        return 1 + 16 + candidatesSize(ask.candidates);
      case 'census':
        return 1 + 8;
      case 'commit':
        return 1 + 8 + candidatesSize(ask.candidates);
    }
  },
  write(ask, out) {
    switch (ask.type) {
      case 'ask':
        out.u8(ASK);
        return;
      case 'vote':
        out.u8(VOTE);
        out.f64(ask.g);
        out.f64(ask.floor);
        writeCandidates(ask.candidates, out);
        return;
      case 'census':
        out.u8(CENSUS);
        out.f64(ask.g);
        return;
      case 'commit':
        out.u8(COMMIT);
        out.f64(ask.g);
        writeCandidates(ask.candidates, out);
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case ASK:
        return { type: 'ask' };
      case VOTE:
        return { type: 'vote', g: from.f64(), floor: from.f64(), candidates: readCandidates(from) };
      case CENSUS:
        return { type: 'census', g: from.f64() };
      case COMMIT:
        return { type: 'commit', g: from.f64(), candidates: readCandidates(from) };
      default:
        throw new FrameError(`no question of a round of reaping has type ${type}`);
    }
  },
};

const READY = 1;
const VOTED = 2;
const CLEAR = 3;
const NOT_CLEAR = 4;
const LATE = 5;
const BEHIND = 6;
const REAPED = 7;
const FENCES = 8;

export const reapAnswerCodec: MessageCodec<ReapAnswer> = {
  size(message) {
    switch (message.type) {
      case 'ready':
        return 22;
      case 'voted':
        return 5 + message.held.length;
      case 'reaped':
        return 5;
      default:
        return 1;
    }
  },
  write(message, out) {
    switch (message.type) {
      case 'ready':
        out.u8(READY);
        out.u32(message.ringVersion);
        out.u8(message.pendingOwner ? 1 : 0);
        out.f64(message.tag);
        out.f64(message.floor);
        return;
      case 'voted':
        out.u8(VOTED);
        out.bytes(message.held);
        return;
      case 'clear':
        out.u8(CLEAR);
        return;
      case 'not-clear':
        out.u8(NOT_CLEAR);
        return;
      case 'late':
        out.u8(LATE);
        return;
      case 'behind':
        out.u8(BEHIND);
        return;
      case 'reaped':
        out.u8(REAPED);
        out.u32(message.count);
        return;
    }
  },
  read: (from) => readReapAnswer(from.u8(), from),
};

function readReapAnswer(type: number, from: FrameReader): ReapAnswer {
  switch (type) {
    case READY: {
      const ringVersion = from.u32();
      const pendingOwner = from.u8() === 1;
      return { type: 'ready', ringVersion, pendingOwner, tag: from.f64(), floor: from.f64() };
    }
    case VOTED:
      return { type: 'voted', held: from.bytes() };
    case CLEAR:
      return { type: 'clear' };
    case NOT_CLEAR:
      return { type: 'not-clear' };
    case LATE:
      return { type: 'late' };
    case BEHIND:
      return { type: 'behind' };
    case REAPED:
      return { type: 'reaped', count: from.u32() };
    default:
      throw new FrameError(`no answer of a round of reaping has type ${type}`);
  }
}

const answer: MessageCodec<ReaperAnswer> = {
  size: (message) => (message.type === 'fences' ? 5 + 21 * message.fences.length : reapAnswerCodec.size(message)),
  write(message, out) {
    if (message.type !== 'fences') {
      reapAnswerCodec.write(message, out);
      return;
    }
    out.u8(FENCES);
    out.u32(message.fences.length);
    for (const { partition, tag, floor, isKnown } of message.fences) {
      out.u32(partition);
      out.f64(tag);
      out.f64(floor);
      out.u8(isKnown ? 1 : 0);
    }
  },
  read(from) {
    const type = from.u8();
    if (type !== FENCES) return readReapAnswer(type, from);
    const count = from.u32();
    const fences: PartitionFence[] = [];
    // A malformed count ends at the frame's end, where the reader throws.
    for (let i = 0; i < count; i++) {
      fences.push({ partition: from.u32(), tag: from.f64(), floor: from.f64(), isKnown: from.u8() === 1 });
    }
    return { type: 'fences', fences };
  },
};

function candidatesSize(candidates: readonly ReapCandidate[]): number {
  let size = 4;
  for (const { key } of candidates) size += 13 + key.length;
  return size;
}

function writeCandidates(candidates: readonly ReapCandidate[], out: FrameWriter): void {
  out.u32(candidates.length);
  for (const { key, high, low, verb } of candidates) {
    out.bytes(key);
    out.u32(high);
    out.u32(low);
    out.u8(VERBS.indexOf(verb));
  }
}

function readCandidates(from: FrameReader): ReapCandidate[] {
  const count = from.u32();
  const candidates: ReapCandidate[] = [];
  // A malformed count ends at the frame's end, where the reader throws.
  for (let i = 0; i < count; i++) {
    candidates.push({ key: from.bytes(), high: from.u32(), low: from.u32(), verb: verbIn(from.u8()) });
  }
  return candidates;
}

function verbIn(place: number): ReapVerb {
  const verb = VERBS[place];
  if (verb === undefined) throw new FrameError(`no candidate of a round of reaping is to be treated as ${place} says`);
  return verb;
}

export const reapConversation: Conversation<ReapRequest, ReaperAnswer> = {
  name: 'reap',
  request,
  answer,
};
