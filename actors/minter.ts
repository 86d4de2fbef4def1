/**
 * How a put is minted: what a vnode and a hint keeper have in common. It remembers attempts, holds a clock, checks
 * deadlines, conditions and limits, and says what is to be answered; what is stored where is its owner's to do.
 * What a minting results in is decided in `src/objects`.
 */
import { EMPTY_CONTEXT, highestCounterOf } from '../src/clocks/causal-context.js';
import { sameEvent, type WriterId } from '../src/clocks/event-id.js';
import { HybridLogicalClock } from '../src/clocks/hybrid-logical-clock.js';
import { type Timestamp, ZERO_TIMESTAMP } from '../src/clocks/timestamp.js';
import { decodeContext, type SeenContext } from '../src/codec/context.js';
import { decodeSoundRecord, encodeRecord } from '../src/codec/record.js';
import { highestCounterIn, mintRecord, outcomeIn, timestampsIn } from '../src/codec/record-update.js';
import type { ObjectPut } from '../src/messages/object-request.js';
import type { NotMinted, VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import { conditionHolds } from '../src/objects/condition.js';
import { AttemptWindow } from '../src/quorum/attempt-window.js';
import type { ActorContext } from '../src/runtime/actor.js';
import type { PutWarnings } from './put-warnings.js';

export interface MinterOptions {
  readonly counters: NodeCounters;
  /** A put that would leave more siblings is refused. */
  readonly maxSiblings: number;
  /** A put that would make the key's record longer is refused. */
  readonly maxObjectBytes: number;
  /** Of the node. */
  readonly warnings: PutWarnings;
}

/** Who mints, and the highest counter used under that name. */
export interface Writer {
  id: WriterId;
  counter: number;
}

export type Minted = VnodeAnswer & { readonly type: 'minted' };
export type Refused = VnodeAnswer & { readonly type: 'not-minted' };
export type Repeated = VnodeAnswer & { readonly type: 'repeated' };

const NOTHING_SEEN: SeenContext = { context: EMPTY_CONTEXT, highestTimestamp: ZERO_TIMESTAMP };

export class Minter {
  private readonly counters: NodeCounters;
  private readonly maxSiblings: number;
  private readonly maxObjectBytes: number;
  private readonly warnings: PutWarnings;
  private readonly clock: HybridLogicalClock;
  private readonly attempts = new AttemptWindow();

  constructor(options: MinterOptions, context: ActorContext) {
    this.counters = options.counters;
    this.maxSiblings = options.maxSiblings;
    this.maxObjectBytes = options.maxObjectBytes;
    this.warnings = options.warnings;
    this.clock = new HybridLogicalClock(context.wallClock(), context.now());
  }

  /**
   * Notes that the put's attempt has come. To be called first, whatever comes of the put: a second copy of one that is
   * refused now must not be minted later.
   * @returns false if it came before, or may have
   */
  see(put: ObjectPut): boolean {
    return this.attempts.see(put.attempt) === 'new';
  }

  /**
   * What is answered to an attempt that is not to be minted: it was here before, or a later one of its put has taken
   * its place. Undefined if it may be minted.
   * @param isNew - as `see` said
   * @param local - the record of the put's key, if there is one; its checksum was checked before
   * @param tag - of `local`, for what is sent of it
   */
  recall(put: ObjectPut, isNew: boolean, local: Uint8Array | undefined, tag: number): Refused | Repeated | undefined {
    const outcome = outcomeIn(local, put.attempt, undefined);
    if (outcome === 'unknown' && isNew) return undefined;
    this.counters.repeatedAttempts++;
    if (outcome === 'voided') return refusal('voided');
    const object = local === undefined ? undefined : decodeSoundRecord(local);
    const sibling = object?.siblings.find((one) => sameEvent(one.attempt, put.attempt));
    // Gone: replaced by a later write, or lost in a commit that failed. Nobody here can tell.
    if (object === undefined || sibling === undefined) return refusal('doubtful');
    // Whether it was alone when it was minted is not known any more.
    const dot = { ...sibling.dot, alone: false };
    return { type: 'repeated', record: encodeRecord(object), tag, dot, timestamp: sibling.timestamp };
  }

  /**
   * Mints on `local` under the writer's next dot, unless the put is late, does not meet its condition, or would take
   * the object over a limit. Draws the writer a new name if a context knows more of it than it does itself.
   * @param local - as for `recall`
   * @param tag - of `local`, for what is sent of it
   */
  mint(
    put: ObjectPut,
    local: Uint8Array | undefined,
    writer: Writer,
    tag: number,
    context: ActorContext,
  ): Minted | Refused {
    // A wall clock that was set right is not followed for a minute, while clients go by it from then on: an attempt is late only by
    // both clocks, and a value lives as long as the later one says, or an hour's correction would refuse every put, or
    // let values expire as they are written.
    const wallMs = Math.floor(context.wallClock());
    const localMs = this.clock.localMs(wallMs, context.now());
    // All clocks of a node see the same jumps: the one that has been here for longest has seen most.
    this.counters.clockJumps = Math.max(this.counters.clockJumps, this.clock.refusedJumps);
    this.counters.clockJumpsFollowed = Math.max(this.counters.clockJumpsFollowed, this.clock.followedJumps);
    if (Math.min(wallMs, localMs) > put.expiresAtMs) return refusal('late');
    const token = put.causalContext.length === 0 ? NOTHING_SEEN : decodeContext(put.causalContext);
    this.noteCounter(highestCounterOf(token.context, writer.id), writer, context);
    if (local !== undefined) this.noteCounter(highestCounterIn(local, writer.id), writer, context);
    this.observe(token.highestTimestamp, context);
    if (put.condition !== 'none' && !this.meetsCondition(put, local, writer, wallMs, context)) {
      return refusal('precondition-failed');
    }
    const dot = { high: writer.id.high, low: writer.id.low, counter: writer.counter + 1 };
    const {
      record,
      siblings,
      dot: named,
      timestamp,
    } = mintRecord(local, {
      dot,
      attempt: put.attempt,
      earlierAttempts: put.earlier,
      token: token.context,
      tokenTimestamp: token.highestTimestamp,
      clock: this.clock.tick(context.wallClock(), context.now()),
      lastWriteWins: put.minting === 'last-write-wins',
      tombstone: put.tombstone,
      expiresAtMs: put.ttlMs === 0 ? 0 : Math.max(wallMs, localMs) + put.ttlMs,
      body: put.body,
    });
    if (siblings > (put.maxSiblings || this.maxSiblings)) return refusal('too-many-siblings');
    // One sibling alone was measured by the client; what a put may not do is pile them up.
    if (siblings > 1 && record.length > this.maxObjectBytes) return refusal('object-too-large');
    writer.counter++;
    this.counters.minted++;
    this.warnings.minted(put, siblings);
    return { type: 'minted', record, tag, dot: named, timestamp };
  }

  /**
   * Lets the clock follow what others have written, so that last-write-wins goes by who was later.
   * @param record - its checksum was checked before
   */
  observeAll(record: Uint8Array, context: ActorContext): void {
    for (const timestamp of timestampsIn(record)) this.observe(timestamp, context);
  }

  /** Looks for the writer in what a record has seen. @param record - its checksum was checked before */
  noteContext(record: Uint8Array, writer: Writer, context: ActorContext): void {
    this.noteCounter(highestCounterIn(record, writer.id), writer, context);
  }

  /** A context that names this writer beyond its counter: somewhere a copy of it has minted under its name. */
  private noteCounter(highest: number, writer: Writer, context: ActorContext): void {
    if (highest <= writer.counter) return;
    this.counters.identityAlarms++;
    this.renew(writer, context);
  }

  /** Its dots must not be used again: from now on it is another one. */
  renew(writer: Writer, context: ActorContext): void {
    writer.id = drawWriterId(context);
    writer.counter = 0;
    this.counters.newIdentities++;
  }

  private meetsCondition(
    put: ObjectPut,
    local: Uint8Array | undefined,
    writer: Writer,
    wallMs: number,
    context: ActorContext,
  ): boolean {
    const object = local === undefined ? undefined : decodeSoundRecord(local);
    if (put.condition !== 'if-match') return conditionHolds(object, { type: 'if-none-match', wallMs }, put.earlier);
    const { context: seen } = decodeContext(put.ifMatch);
    this.noteCounter(highestCounterOf(seen, writer.id), writer, context);
    return conditionHolds(object, { type: 'if-match', seen }, put.earlier);
  }

  private observe(timestamp: Timestamp, context: ActorContext): void {
    if (!this.clock.observe(timestamp, context.wallClock(), context.now())) this.counters.clockRefusals++;
  }
}

export function drawWriterId(context: ActorContext): WriterId {
  return { high: context.random.uint32(), low: context.random.uint32() };
}

function refusal(why: NotMinted): Refused {
  return { type: 'not-minted', why };
}
