/**
 * What a coordinator can be asked by a client: put (a delete is the put of a tombstone), get, and a page of a scan.
 */
import { EMPTY } from '../base/bytes.js';
import type { QuorumName } from '../base/errors.js';
import {
  type Conversation,
  FrameError,
  type FrameReader,
  type FrameWriter,
  type MessageCodec,
} from '../runtime/actor.js';
import { type ListedEntry, listedEntries } from './entries.js';
import { flag, struct, u8, word } from './layout.js';
import { type VersionName, versionName } from './minted-version.js';
import { type ObjectPut, objectPut } from './object-request.js';

export type CoordinatorRequest =
  | {
      readonly type: 'put';
      readonly put: ObjectPut;
      readonly w: number;
      readonly pw: number;
      readonly dw: number;
      readonly timeoutMs: number;
    }
  | {
      readonly type: 'get';
      readonly key: Uint8Array;
      readonly r: number;
      readonly pr: number;
      /** False: a replica that has nothing does not count towards R. */
      readonly notfoundOk: boolean;
      /** Without notfoundOk: a majority that has nothing, or fails, is enough to say so. */
      readonly basicQuorum: boolean;
      /** A causal context of this key that the result must cover, in its binary form (`codec/context.ts`); empty: none. */
      readonly session: Uint8Array;
      readonly timeoutMs: number;
    }
  /** One page of one partition's range, from R replicas; limits and `values` as of a vnode's 'list'. */
  | {
      readonly type: 'page';
      readonly partition: number;
      readonly gte: Uint8Array;
      readonly lt: Uint8Array;
      readonly limit: number;
      readonly limitBytes: number;
      readonly values: boolean;
      readonly r: number;
      readonly timeoutMs: number;
    };

/** Who acknowledged: a primary, or the fallback that stands in for one. One for each slot that counted. */
export interface Ack {
  /** The node's index in the ring. */
  readonly node: number;
  readonly role: 'primary' | 'fallback';
  readonly durable: boolean;
}

/** A hint that had been stored by the time of the reply; both are indices in the ring. */
export interface HintPlace {
  /** The primary that it is for. */
  readonly owner: number;
  /** The fallback that keeps it. */
  readonly holder: number;
}

/** Why an operation failed, and which quorum it lacked, by its own count. `definite` (of a put): nothing was stored. */
export interface OperationFailure {
  readonly why:
    | 'unavailable'
    /** Of a put: as 'unavailable', and the vnode that was to mint died with it in hand. */
    | 'died'
    | 'not-met'
    | 'timeout'
    | 'overloaded'
    | 'corrupt'
    | 'storage'
    | 'storage-full'
    | 'too-many-siblings'
    | 'object-too-large'
    | 'precondition-failed'
    | 'voided'
    | 'stale-read';
  readonly quorum: QuorumName;
  readonly got: number;
  readonly wanted: number;
  readonly definite: boolean;
}

export type CoordinatorAnswer =
  /** `dot` names the write. */
  | (VersionName & {
      readonly type: 'put-done';
      readonly acks: readonly Ack[];
      readonly hints: readonly HintPlace[];
    })
  /**
   * `record`: the merged object, empty if no replica has one. `mayMissHints`: a replica that was counted may lack writes
   * that stand-ins keep for it.
   */
  | { readonly type: 'got'; readonly record: Uint8Array; readonly mayMissHints: boolean }
  /** `mayMissHints`: as of 'got', of keys that are missing, too. */
  | {
      readonly type: 'page-done';
      readonly entries: readonly ListedEntry[];
      readonly more: boolean;
      readonly mayMissHints: boolean;
    }
  | { readonly type: 'failed'; readonly failure: OperationFailure };

const PUT = 1;
const GET = 2;
const PAGE = 3;
/** Flags of a get. */
const NOTFOUND_OK = 1;
const BASIC_QUORUM = 2;
const SESSION = 4;

function flagsOf(get: CoordinatorRequest & { type: 'get' }): number {
  const flags = (get.notfoundOk ? NOTFOUND_OK : 0) | (get.basicQuorum ? BASIC_QUORUM : 0);
  return get.session.length === 0 ? flags : flags | SESSION;
}

const request: MessageCodec<CoordinatorRequest> = {
  size(message) {
    switch (message.type) {
      case 'put':
        return 4 + 8 + objectPut.size(message.put);
      case 'get':
        return 4 + 8 + 4 + message.key.length + 4 + message.session.length;
      case 'page':
        return 3 + 12 + 8 + 8 + message.gte.length + message.lt.length;
    }
  },
  write(message, out) {
    switch (message.type) {
      case 'put':
        out.u8(PUT);
        out.u8(message.w);
        out.u8(message.pw);
        out.u8(message.dw);
        out.f64(message.timeoutMs);
        objectPut.write(message.put, out);
        return;
      case 'get':
        out.u8(GET);
        out.u8(message.r);
        out.u8(message.pr);
        out.u8(flagsOf(message));
        out.f64(message.timeoutMs);
        out.bytes(message.key);
        if (message.session.length > 0) out.bytes(message.session);
        return;
      case 'page':
        out.u8(PAGE);
        out.u8(message.r);
        out.u8(message.values ? 1 : 0);
        out.u32(message.partition);
        out.u32(message.limit);
        out.u32(message.limitBytes);
        out.f64(message.timeoutMs);
        out.bytes(message.gte);
        out.bytes(message.lt);
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case PUT: {
        const w = from.u8();
        const pw = from.u8();
        const dw = from.u8();
        const timeoutMs = from.f64();
        return { type: 'put', put: objectPut.read(from), w, pw, dw, timeoutMs };
      }
      case GET: {
        const r = from.u8();
        const pr = from.u8();
        const flags = from.u8();
        const timeoutMs = from.f64();
        const notfoundOk = (flags & NOTFOUND_OK) !== 0;
        const basicQuorum = (flags & BASIC_QUORUM) !== 0;
        const key = from.bytes();
        const session = (flags & SESSION) === 0 ? EMPTY : from.bytes();
        return { type: 'get', key, r, pr, notfoundOk, basicQuorum, session, timeoutMs };
      }
      case PAGE: {
        const r = from.u8();
        const values = from.u8() === 1;
        const partition = from.u32();
        const limit = from.u32();
        const limitBytes = from.u32();
        const timeoutMs = from.f64();
        const gte = from.bytes();
        const lt = from.bytes();
        return { type: 'page', partition, gte, lt, limit, limitBytes, values, r, timeoutMs };
      }
      default:
        throw new FrameError(`no request of a coordinator has type ${type}`);
    }
  },
};

const PUT_DONE = 1;
const GOT = 2;
const PAGE_DONE = 3;
const FAILED = 4;

const failure = struct<OperationFailure>({
  why: word('reason of a failure', [
    'unavailable',
    'not-met',
    'timeout',
    'overloaded',
    'corrupt',
    'storage',
    'too-many-siblings',
    'object-too-large',
    'voided',
    'precondition-failed',
    'storage-full',
    'stale-read',
    'died',
  ]),
  quorum: word<QuorumName>('quorum', ['r', 'pr', 'w', 'pw', 'dw']),
  got: u8,
  wanted: u8,
  definite: flag,
});

const answer: MessageCodec<CoordinatorAnswer> = {
  size(message) {
    switch (message.type) {
      case 'put-done':
        return 3 + versionName.size(message) + 3 * message.acks.length + 4 * message.hints.length;
      case 'got':
        return 6 + message.record.length;
      case 'page-done':
        return 3 + listedEntries.size(message.entries);
      case 'failed':
        return 1 + failure.size(message.failure);
    }
  },
  write(message, out) {
    switch (message.type) {
      case 'put-done':
        out.u8(PUT_DONE);
        versionName.write(message, out);
        out.u8(message.acks.length);
        for (const ack of message.acks) writeAck(ack, out);
        out.u8(message.hints.length);
        for (const { owner, holder } of message.hints) {
          writeNode(owner, out);
          writeNode(holder, out);
        }
        return;
      case 'got':
        out.u8(GOT);
        out.bytes(message.record);
        out.u8(message.mayMissHints ? 1 : 0);
        return;
      case 'page-done':
        out.u8(PAGE_DONE);
        out.u8(message.more ? 1 : 0);
        out.u8(message.mayMissHints ? 1 : 0);
        listedEntries.write(message.entries, out);
        return;
      case 'failed':
        out.u8(FAILED);
        failure.write(message.failure, out);
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case PUT_DONE: {
        const { dot, timestamp } = versionName.read(from);
        const count = from.u8();
        const acks: Ack[] = [];
        for (let i = 0; i < count; i++) acks.push(readAck(from));
        return { type: 'put-done', dot, timestamp, acks, hints: readHints(from) };
      }
      case GOT:
        return { type: 'got', record: from.bytes(), mayMissHints: from.u8() === 1 };
      case PAGE_DONE: {
        const more = from.u8() === 1;
        const mayMissHints = from.u8() === 1;
        return { type: 'page-done', entries: listedEntries.read(from), more, mayMissHints };
      }
      case FAILED:
        return { type: 'failed', failure: failure.read(from) };
      default:
        throw new FrameError(`no answer of a coordinator has type ${type}`);
    }
  },
};

const DURABLE = 1;
const FALLBACK = 2;
const NO_HINTS: readonly HintPlace[] = [];

function writeAck(ack: Ack, out: FrameWriter): void {
  writeNode(ack.node, out);
  out.u8((ack.durable ? DURABLE : 0) | (ack.role === 'fallback' ? FALLBACK : 0));
}

function readAck(from: FrameReader): Ack {
  const node = readNode(from);
  const flags = from.u8();
  return { node, role: (flags & FALLBACK) === 0 ? 'primary' : 'fallback', durable: (flags & DURABLE) !== 0 };
}

function readHints(from: FrameReader): readonly HintPlace[] {
  const count = from.u8();
  if (count === 0) return NO_HINTS;
  const hints: HintPlace[] = [];
  for (let i = 0; i < count; i++) hints.push({ owner: readNode(from), holder: readNode(from) });
  return hints;
}

/** A node's index, in two bytes. */
function writeNode(node: number, out: FrameWriter): void {
  out.u8(node & 0xff);
  out.u8(node >>> 8);
}

function readNode(from: FrameReader): number {
  return from.u8() | (from.u8() << 8);
}

export const coordinatorConversation: Conversation<CoordinatorRequest, CoordinatorAnswer> = {
  name: 'coordinator',
  request,
  answer,
};
