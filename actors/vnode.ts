/**
 * The vnode: owns one partition on one node, and is the only writer of that partition's data there. Mints puts,
 * merges what other replicas send, answers reads. What a merge or a minting results in is decided in `src/objects`.
 *
 * Lives once per partition and node. Hears `VnodeRequest`; asks nobody.
 */
import type { WriteGate } from '../src/admission/write-gate.js';
import { type CausalContext, EMPTY_CONTEXT, highestCounterOf } from '../src/clocks/causal-context.js';
import { sameEvent, type WriterId } from '../src/clocks/event-id.js';
import { HybridLogicalClock } from '../src/clocks/hybrid-logical-clock.js';
import { type Timestamp, ZERO_TIMESTAMP } from '../src/clocks/timestamp.js';
import { decodeContext, type SeenContext } from '../src/codec/context.js';
import { CorruptRecordError, UnknownRecordVersionError } from '../src/codec/errors.js';
import {
  decodeRecord,
  decodeSoundContext,
  digestHigh,
  digestLow,
  encodeRecord,
  isSoundRecord,
  sameDigest,
} from '../src/codec/record.js';
import type { ObjectPut } from '../src/messages/object-request.js';
import type { ListedEntry, VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import { type AttemptOutcome, outcomeOf } from '../src/objects/attempt.js';
import { conditionHolds } from '../src/objects/condition.js';
import { merge, replaces } from '../src/objects/merge.js';
import { mint } from '../src/objects/mint.js';
import type { StoredObject } from '../src/objects/stored-object.js';
import { AttemptWindow } from '../src/quorum/attempt-window.js';
import type { Actor, ActorContext, Incoming, Release } from '../src/runtime/actor.js';
import type { RangeOptions, Storage } from '../src/storage/storage.js';
import type { NodeIdentity } from './node-identity.js';

export interface VnodeOptions {
  readonly partition: number;
  readonly objects: Storage;
  readonly identity: NodeIdentity;
  readonly counters: NodeCounters;
  /** Of the node: shut while its commits fail. */
  readonly gate: WriteGate;
  /** A put that would leave more siblings is refused; merges never are. */
  readonly maxSiblings: number;
  /** A put that would make the key's record longer is refused; merges never are. */
  readonly maxObjectBytes: number;
}

/** Records that a listing takes from the storage: before it knows how large they are, and at a time. */
const LISTED_AT_FIRST = 4;
const LISTED_AT_ONCE = 32;
const NOTHING_SEEN: SeenContext = { context: EMPTY_CONTEXT, highestTimestamp: ZERO_TIMESTAMP };

/** In the objects storage, behind every partition: what is written to learn whether anything can be. Not read. */
const PROBE_KEY = Uint8Array.of(0xff, 0xff, 0x70);
/** A few pages, as a turn writes. */
const PROBE = new Uint8Array(16_384);
const NEXT_PROBE = 'probe';

/** What is in the place of a record: nothing, an object, bytes that are no object, or a record of a newer format. */
type Local = StoredObject | undefined | 'corrupt' | 'newer';

export class Vnode implements Actor<VnodeRequest, VnodeAnswer> {
  private readonly partition: number;
  private readonly objects: Storage;
  private readonly identity: NodeIdentity;
  private readonly counters: NodeCounters;
  private readonly gate: WriteGate;
  private readonly maxSiblings: number;
  private readonly maxObjectBytes: number;
  private readonly clock: HybridLogicalClock;
  private readonly attempts = new AttemptWindow();
  private writer: WriterId;
  /** The highest counter used under `writer`. */
  private counter = 0;
  /** Sent with every object that is read here. No tombstone was ever reaped: the first tag. */
  private readonly tag = 0;

  constructor(options: VnodeOptions, context: ActorContext) {
    this.partition = options.partition;
    this.objects = options.objects;
    this.identity = options.identity;
    this.counters = options.counters;
    this.gate = options.gate;
    this.maxSiblings = options.maxSiblings;
    this.maxObjectBytes = options.maxObjectBytes;
    this.clock = new HybridLogicalClock(context.wallClock(), context.now());
    const marker = options.identity.take(options.partition);
    if (marker === undefined) {
      this.writer = drawWriter(context);
      this.counters.newIdentities++;
    } else {
      this.writer = marker.writer;
      this.counter = marker.counter;
    }
  }

  receive(message: VnodeRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    switch (message.type) {
      case 'mint':
        this.mint(message.put, message.durable, incoming, context);
        return;
      case 'write':
        this.write(message.key, message.record, message.durable, incoming, context);
        return;
      case 'read':
        this.read(message.key, message.digestOnly, incoming, context);
        return;
      case 'list':
        this.list(message, incoming, context);
        return;
    }
  }

  /** What was minted in the failed turn may have been replicated already: its dots must never be used again. */
  commitFailed(_error: unknown, context: ActorContext): void {
    this.counters.failedCommits++;
    this.renew(context);
    this.probe(context);
  }

  /** The next probe may be due. */
  timer(_message: unknown, context: ActorContext): void {
    this.probe(context);
  }

  stop(): void {
    this.identity.leave(this.partition, { writer: this.writer, counter: this.counter });
  }

  private mint(put: ObjectPut, durable: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    // Whatever comes of it: a second copy of a put that is refused now must not be minted later.
    const seen = this.attempts.see(put.attempt);
    const local = this.decode(this.objects.get(put.key));
    if (local === 'corrupt' || local === 'newer') {
      // What this writer minted for the key is unknown now; another replica knows it all the same.
      if (local === 'corrupt') this.renew(context);
      context.reply(incoming, { type: 'not-minted', why: 'corrupt' });
      return;
    }
    const outcome = outcomeOf(local, put.attempt, undefined);
    if (outcome !== 'unknown' || seen !== 'new') {
      this.answerKnown(put, outcome, local, durable, incoming, context);
      return;
    }
    if (this.isRefused(incoming, context)) return;
    // A wall clock that was set right is not followed, while clients go by it from then on: an attempt is late only by
    // both clocks, and a value lives as long as the later one says, or an hour's correction would refuse every put, or
    // let values expire as they are written.
    const wallMs = Math.floor(context.wallClock());
    const localMs = this.clock.localMs(wallMs, context.now());
    if (Math.min(wallMs, localMs) > put.expiresAtMs) {
      context.reply(incoming, { type: 'not-minted', why: 'late' });
      return;
    }
    const token = put.causalContext.length === 0 ? NOTHING_SEEN : decodeContext(put.causalContext);
    this.noteContext(token.context, context);
    if (local !== undefined) this.noteContext(local.context, context);
    this.observe(token.highestTimestamp, context);
    if (put.condition !== 'none' && !this.meetsCondition(put, local, wallMs, context)) {
      context.reply(incoming, { type: 'not-minted', why: 'precondition-failed' });
      return;
    }
    const dot = { high: this.writer.high, low: this.writer.low, counter: this.counter + 1 };
    const minted = mint(local, {
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
    if (minted.object.siblings.length > (put.maxSiblings || this.maxSiblings)) {
      context.reply(incoming, { type: 'not-minted', why: 'too-many-siblings' });
      return;
    }
    const record = encodeRecord(minted.object);
    // One sibling alone was measured by the client; what a put may not do is pile them up.
    if (minted.object.siblings.length > 1 && record.length > this.maxObjectBytes) {
      context.reply(incoming, { type: 'not-minted', why: 'object-too-large' });
      return;
    }
    this.counter++;
    this.counters.minted++;
    this.objects.put(put.key, record);
    // A dot needs no commit before it travels: if the commit fails, this vnode changes its writerId.
    context.notice(incoming, {
      type: 'minted',
      record,
      tag: this.tag,
      dot: minted.dot,
      timestamp: minted.sibling.timestamp,
    });
    this.replyWrote(durable, incoming, context);
  }

  private meetsCondition(
    put: ObjectPut,
    local: StoredObject | undefined,
    wallMs: number,
    context: ActorContext,
  ): boolean {
    if (put.condition !== 'if-match') return conditionHolds(local, { type: 'if-none-match', wallMs }, put.earlier);
    const { context: seen } = decodeContext(put.ifMatch);
    this.noteContext(seen, context);
    return conditionHolds(local, { type: 'if-match', seen }, put.earlier);
  }

  /** Answers an attempt that is not to be minted: it was here before, or a later one of its put has taken its place. */
  private answerKnown(
    put: ObjectPut,
    outcome: AttemptOutcome,
    local: StoredObject | undefined,
    durable: boolean,
    incoming: Incoming<VnodeAnswer>,
    context: ActorContext,
  ): void {
    this.counters.repeatedAttempts++;
    if (outcome === 'voided') {
      context.reply(incoming, { type: 'not-minted', why: 'voided' });
      return;
    }
    const sibling = local?.siblings.find((one) => sameEvent(one.attempt, put.attempt));
    if (local === undefined || sibling === undefined) {
      // It was here, and is gone: replaced by a later write, or lost in a commit that failed. Nobody here can tell.
      context.reply(incoming, { type: 'not-minted', why: 'doubtful' });
      return;
    }
    const answer: VnodeAnswer = {
      type: 'repeated',
      record: encodeRecord(local),
      tag: this.tag,
      // Whether it was then is not known any more.
      dot: { ...sibling.dot, alone: false },
      timestamp: sibling.timestamp,
    };
    context.reply(incoming, answer, durable ? 'durable' : 'stored');
  }

  private write(
    key: Uint8Array,
    record: Uint8Array,
    durable: boolean,
    incoming: Incoming<VnodeAnswer>,
    context: ActorContext,
  ): void {
    this.counters.replicated++;
    const stored = this.objects.get(key);
    // Equal digests are equal objects, if what stands under the digest is still what it was.
    if (stored !== undefined && sameDigest(stored, record) && isSoundRecord(stored)) {
      this.replyWrote(durable, incoming, context);
      return;
    }
    if (this.isRefused(incoming, context)) return;
    const theirs = decodeRecord(record);
    this.noteContext(theirs.context, context);
    for (const sibling of theirs.siblings) this.observe(sibling.timestamp, context);
    if (stored === undefined || isReplaced(stored, theirs)) {
      this.objects.put(key, record);
      this.replyWrote(durable, incoming, context);
      return;
    }
    const local = this.decode(stored);
    if (local === 'newer') {
      context.reply(incoming, { type: 'corrupt' });
      return;
    }
    if (local === 'corrupt') this.renew(context);
    if (local === undefined || local === 'corrupt') this.objects.put(key, record);
    else {
      const merged = merge(local, theirs);
      if (merged === theirs) this.objects.put(key, record);
      else if (merged !== local) this.objects.put(key, encodeRecord(merged));
    }
    this.replyWrote(durable, incoming, context);
  }

  private read(key: Uint8Array, digestOnly: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    this.counters.reads++;
    const record = this.objects.get(key);
    if (record === undefined) context.reply(incoming, { type: 'nothing', behind: false });
    else if (!this.isSound(record)) context.reply(incoming, { type: 'corrupt' });
    else if (digestOnly) {
      context.reply(incoming, { type: 'digest', high: digestHigh(record), low: digestLow(record), behind: false });
    } else context.reply(incoming, { type: 'object', record: copyOf(record), tag: this.tag, behind: false });
  }

  private list(message: VnodeRequest & { type: 'list' }, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const { lt, limit, limitBytes } = message;
    const entries: ListedEntry[] = [];
    let bytes = 0;
    let corrupt = 0;
    let more = false;
    let largest = 1;
    let from: RangeOptions = { gte: message.gte, lt, limit: Math.min(LISTED_AT_FIRST, limit + 1) };
    // Unreadable records are left out: read on until the page is full or the range ends.
    for (let found = this.objects.range(from); found.length > 0; found = this.objects.range(from)) {
      for (const { key, value } of found) {
        largest = Math.max(largest, value.length);
        if (entries.length === limit || (entries.length > 0 && bytes + key.length + value.length > limitBytes)) {
          more = true;
          break;
        }
        if (this.isSound(value)) {
          entries.push({ key, record: value });
          bytes += key.length + value.length;
        } else corrupt++;
      }
      if (more || found.length < from.limit) break;
      // As many as find room if they are no larger than those before; and one, to know whether there are more.
      const room = Math.min(LISTED_AT_ONCE, limit - entries.length, Math.floor((limitBytes - bytes) / largest));
      from = { gt: found[found.length - 1]!.key, lt, limit: Math.max(0, room) + 1 };
    }
    context.reply(incoming, { type: 'listed', entries, more, corrupt });
  }

  /** True if nothing can be stored here now: the write has had its answer, and is certain not to be here. */
  private isRefused(incoming: Incoming<VnodeAnswer>, context: ActorContext): boolean {
    const { gate } = this;
    if (gate.open) return false;
    this.probe(context);
    this.counters.writesRefused++;
    context.reply(incoming, { type: 'no-storage', full: gate.full });
    return true;
  }

  /** Writes what tells whether this node can store again, if that is due; and sees to the one after it. */
  private probe(context: ActorContext): void {
    const { gate } = this;
    if (!gate.probeDue(context.now())) return;
    this.objects.put(PROBE_KEY, PROBE);
    context.after(gate.nextProbeMs, NEXT_PROBE);
  }

  private replyWrote(durable: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const release: Release = durable ? 'durable' : 'stored';
    context.reply(incoming, { type: 'wrote', durable: durable || this.objects.commitIsDurable }, release);
  }

  /** Bodies are views into `record`: of what a storage gave, valid until its next call. */
  private decode(record: Uint8Array | undefined): Local {
    if (record === undefined) return undefined;
    try {
      return decodeRecord(record);
    } catch (error) {
      if (error instanceof UnknownRecordVersionError) return 'newer';
      if (!(error instanceof CorruptRecordError)) throw error;
      this.counters.corruptRecords++;
      return 'corrupt';
    }
  }

  private isSound(record: Uint8Array): boolean {
    if (isSoundRecord(record)) return true;
    this.counters.corruptRecords++;
    return false;
  }

  /** A context that names this writer beyond its counter: somewhere a copy of this vnode has minted under its name. */
  private noteContext(seen: CausalContext, context: ActorContext): void {
    if (highestCounterOf(seen, this.writer) <= this.counter) return;
    this.counters.identityAlarms++;
    this.renew(context);
  }

  private observe(timestamp: Timestamp, context: ActorContext): void {
    if (!this.clock.observe(timestamp, context.wallClock(), context.now())) this.counters.clockRefusals++;
  }

  private renew(context: ActorContext): void {
    this.writer = drawWriter(context);
    this.counter = 0;
    this.counters.newIdentities++;
  }
}

/** True only if `theirs` is all that is left once `stored` is merged with it. */
function isReplaced(stored: Uint8Array, theirs: StoredObject): boolean {
  return isSoundRecord(stored) && replaces(theirs, decodeSoundContext(stored));
}

function drawWriter(context: ActorContext): WriterId {
  return { high: context.random.uint32(), low: context.random.uint32() };
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}
