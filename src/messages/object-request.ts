/**
 * The fields of a put that travel unchanged from the client through the coordinator to the vnode that mints it,
 * and their one binary form.
 */
import { assert } from '../base/assert.js';
import { EMPTY } from '../base/bytes.js';
import type { Attempt } from '../clocks/event-id.js';
import type { FrameReader, FrameWriter, MessageCodec } from '../runtime/actor.js';

/** How a put treats concurrent versions on the coordinating replica. */
export type Minting = 'siblings' | 'last-write-wins';

/** What must be so at the coordinating vnode for a put to be minted (`objects/condition.ts`). */
export type PutCondition = 'none' | 'if-none-match' | 'if-match';

export interface ObjectPut {
  /** Partition, type, bucket and key (`codec/key.ts`). */
  readonly key: Uint8Array;
  /** The client's causal context C in its binary form (`codec/token.ts`), empty if it gave none. */
  readonly causalContext: Uint8Array;
  /** This try of the put. */
  readonly attempt: Attempt;
  /** Earlier tries of the same put whose outcome is unknown: covered by this one. At most 255. */
  readonly earlier: readonly Attempt[];
  /** Wall-clock milliseconds after which the attempt must not be minted. */
  readonly expiresAtMs: number;
  readonly minting: Minting;
  readonly condition: PutCondition;
  /** Of 'if-match': the context that must cover what is there, in its binary form; else empty. */
  readonly ifMatch: Uint8Array;
  /** The put is refused if it would leave more siblings; 0: the node's own limit. */
  readonly maxSiblings: number;
  readonly tombstone: boolean;
  /** How long the value lives from its minting, in milliseconds; 0: for ever. */
  readonly ttlMs: number;
  /** The stored form of value, content type and metadata (`codec/body.ts`); empty for a tombstone. */
  readonly body: Uint8Array;
}

/** The longest time that a put may be given, in milliseconds. */
export const MAX_TIMEOUT_MS = 3_600_000;
/** How far clocks may be apart before an attempt is taken for late, in milliseconds. */
export const CLOCK_ALLOWANCE_MS = 10_000;
/** So long after its put began no attempt is minted any more, whoever's clock that is told by. */
export const MAX_ATTEMPT_MS = MAX_TIMEOUT_MS + 2 * CLOCK_ALLOWANCE_MS;

const TOMBSTONE = 1;
const LAST_WRITE_WINS = 2;
const IF_NONE_MATCH = 4;
const IF_MATCH = 8;
const OWN_LIMIT = 16;
const ATTEMPT_BYTES = 16;

const NONE: Attempt[] = [];

export const objectPut: MessageCodec<ObjectPut> = {
  size(put) {
    return (
      4 +
      put.key.length +
      4 +
      put.causalContext.length +
      4 +
      put.body.length +
      ATTEMPT_BYTES * (1 + put.earlier.length) +
      1 +
      1 +
      8 +
      8 +
      (put.condition === 'if-match' ? 4 + put.ifMatch.length : 0) +
      (put.maxSiblings === 0 ? 0 : 4)
    );
  },
  write(put, out) {
    assert(put.earlier.length <= 255, 'a put lists at most 255 earlier attempts');
    out.bytes(put.key);
    out.bytes(put.causalContext);
    out.bytes(put.body);
    writeAttempt(put.attempt, out);
    out.u8(put.earlier.length);
    for (const attempt of put.earlier) writeAttempt(attempt, out);
    out.u8(flagsOf(put));
    out.f64(put.expiresAtMs);
    out.f64(put.ttlMs);
    if (put.condition === 'if-match') out.bytes(put.ifMatch);
    if (put.maxSiblings !== 0) out.u32(put.maxSiblings);
  },
  read(from) {
    const key = from.bytes();
    const causalContext = from.bytes();
    const body = from.bytes();
    const attempt = readAttempt(from);
    const count = from.u8();
    let earlier: Attempt[] = NONE;
    if (count > 0) {
      earlier = [];
      for (let i = 0; i < count; i++) earlier.push(readAttempt(from));
    }
    const flags = from.u8();
    const expiresAtMs = from.f64();
    const ttlMs = from.f64();
    const ifMatch = (flags & IF_MATCH) === 0 ? EMPTY : from.bytes();
    const maxSiblings = (flags & OWN_LIMIT) === 0 ? 0 : from.u32();
    return {
      key,
      causalContext,
      attempt,
      earlier,
      expiresAtMs,
      minting: (flags & LAST_WRITE_WINS) !== 0 ? 'last-write-wins' : 'siblings',
      condition: (flags & IF_MATCH) !== 0 ? 'if-match' : (flags & IF_NONE_MATCH) !== 0 ? 'if-none-match' : 'none',
      ifMatch,
      maxSiblings,
      tombstone: (flags & TOMBSTONE) !== 0,
      ttlMs,
      body,
    };
  },
};

function flagsOf(put: ObjectPut): number {
  let flags = put.tombstone ? TOMBSTONE : 0;
  if (put.minting === 'last-write-wins') flags |= LAST_WRITE_WINS;
  if (put.condition !== 'none') flags |= put.condition === 'if-match' ? IF_MATCH : IF_NONE_MATCH;
  return put.maxSiblings === 0 ? flags : flags | OWN_LIMIT;
}

function writeAttempt(attempt: Attempt, out: FrameWriter): void {
  out.u32(attempt.high);
  out.u32(attempt.low);
  out.f64(attempt.counter);
}

function readAttempt(from: FrameReader): Attempt {
  return { high: from.u32(), low: from.u32(), counter: from.f64() };
}
