/**
 * What the initiator of a round of reaping asks of the other nodes, and what they answer: `src/anti-entropy/reaping.ts`,
 * on its way between threads. What is about a node goes to its reaper, what is about a replica to its vnode
 * (`vnode-messages.ts`).
 */
import type { PartitionFence, ReapAnswer, ReapAsk, ReapCandidate, ReapVerb } from '../anti-entropy/reaping.js';
import type { LifeName, Lineage } from '../codec/system-entries.js';
import { type Conversation, FrameError, type MessageCodec } from '../runtime/actor.js';
import { bytes, type Fields, f64, flag, list, struct, u32, variants, word } from './layout.js';

/** To a reaper. */
export type NodeAsk = ReapAsk & { readonly type: 'ask' | 'census' };
/** To a vnode. */
export type ReplicaAsk = ReapAsk & { readonly type: 'vote' | 'commit' };

export type ReapRequest =
  | { readonly type: 'reap'; readonly partition: number; readonly ask: NodeAsk }
  /** `from` has started: how do your fences stand, and do you know of a later life of it? Replied to as 'fences'. */
  | { readonly type: 'fences'; readonly from: number; readonly lineage: Lineage };

/** What a reaper answers. */
export type ReaperAnswer =
  | ReapAnswer
  | {
      readonly type: 'fences';
      /** Of all of its replicas. */
      readonly fences: readonly PartitionFence[];
      /**
       * By partition, below which tag it refuses hints; empty if it does not know. No round commits without every
       * member's census, and none comes to its census without every primary's vote: a replica whose tag is lower is old.
       */
      readonly refuseBelow: readonly number[];
      /** The number of a life of the asker that is known here, and is none of those that it names, nor before them; else 0. */
      readonly laterLife: number;
    };

const verb = word<ReapVerb>('treatment of a candidate', ['remove', 'reduce', 'reduce-but-attempts']);
const candidates = list(struct<ReapCandidate>({ key: bytes, high: u32, low: u32, verb }));

/** What both ask. */
export const reapAskCodec = variants<ReapAsk>('question of a round of reaping', {
  ask: {},
  vote: { g: f64, floor: f64, candidates },
  census: { g: f64 },
  commit: { g: f64, candidates },
});

const nodeAsk: MessageCodec<NodeAsk> = {
  size: reapAskCodec.size,
  write: reapAskCodec.write,
  read(from) {
    const ask = reapAskCodec.read(from);
    if (ask.type === 'ask' || ask.type === 'census') return ask;
    throw new FrameError(`a reaper is not asked to ${ask.type}`);
  },
};

const ANSWER_FIELDS = {
  ready: { ringVersion: u32, pendingOwner: flag, tag: f64, floor: f64 },
  voted: { held: bytes },
  clear: {},
  'not-clear': {},
  late: {},
  behind: {},
  reaped: { count: u32 },
};

export const reapAnswerCodec = variants<ReapAnswer>('answer of a round of reaping', ANSWER_FIELDS);

const lineage = struct<Lineage>({ number: f64, names: list(struct<LifeName>({ high: u32, low: u32 })) });
const fence: Fields<PartitionFence> = { partition: u32, tag: f64, floor: f64, isKnown: flag };

export const reapConversation: Conversation<ReapRequest, ReaperAnswer> = {
  name: 'reap',
  request: variants('request of a reaper', { reap: { partition: u32, ask: nodeAsk }, fences: { from: u32, lineage } }),
  answer: variants('answer of a reaper', {
    ...ANSWER_FIELDS,
    fences: { fences: list(struct(fence)), refuseBelow: list(f64), laterLife: f64 },
  }),
};
