/**
 * The vnode: owns one partition on one node, and is the only writer of that partition's data there. Mints puts
 * (`minter.ts`), merges what other replicas send, answers reads. What a merge results in is decided in `src/objects`.
 *
 * Lives once per partition and node. Hears `VnodeRequest`; asks nobody.
 */
import type { WriteGate } from '../src/admission/write-gate.js';
import { CorruptRecordError, UnknownRecordVersionError } from '../src/codec/errors.js';
import { partitionOf } from '../src/codec/key.js';
import { PROBE_KEY } from '../src/codec/own-keys.js';
import { checkRecord, digestHigh, digestLow, isSoundRecord, sameDigest } from '../src/codec/record.js';
import { outlineOf } from '../src/codec/record-outline.js';
import { mergeRecords, replacesRecord } from '../src/codec/record-update.js';
import type { ListedEntry, TaggedEntry } from '../src/messages/entries.js';
import type { ObjectPut } from '../src/messages/object-request.js';
import type { VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { Actor, ActorContext, Incoming, Release } from '../src/runtime/actor.js';
import type { RangeOptions, Storage } from '../src/storage/storage.js';
import type { Arrears } from './arrears.js';
import type { NodeFences, VnodeFence } from './fence.js';
import { drawWriterId, Minter, type MinterOptions, type Writer } from './minter.js';
import type { NodeIdentity } from './node-identity.js';
import { GO_ON_REAPING, ReplicaReaping } from './replica-reaping.js';
import type { ReplicaTree } from './replica-tree.js';
import type { ReplicaTrees } from './replica-trees.js';
import type { RottenKeys } from './rotten-keys.js';
import { PROBE_VALUE, WriteGuard } from './write-guard.js';

/** The minter's limits are for puts alone: merges are never refused. */
export interface VnodeOptions extends MinterOptions {
  readonly partition: number;
  readonly objects: Storage;
  readonly identity: NodeIdentity;
  /** Of the node. */
  readonly fences: NodeFences;
  /** Of the node: shut while its commits fail. */
  readonly gate: WriteGate;
  /** True if a flush, or each commit, makes objects durable. */
  readonly canBeDurable: boolean;
  readonly arrears: Arrears;
  /** Of the node; undefined: its replicas are not compared with others. */
  readonly trees: ReplicaTrees | undefined;
}

/** Records that a listing takes from the storage: before it knows how large they are, and at a time. */
const LISTED_AT_FIRST = 4;
const LISTED_AT_ONCE = 32;

/** So long after a start a vnode whose fence was lost waits until others have told theirs, and lets its mail wait: less than a node that stops waits for what it has in hand. */
const FENCE_MS = 500;
const GO_ON = 'go on';
/** So often it looks whether what is waited for is known. */
const LOOK_MS = 5;

/** A request that waits until the fence is known, and that this is no older copy. */
interface Waiting {
  readonly message: VnodeRequest;
  readonly incoming: Incoming<VnodeAnswer>;
}

export class Vnode implements Actor<VnodeRequest, VnodeAnswer> {
  private readonly partition: number;
  private readonly objects: Storage;
  private readonly identity: NodeIdentity;
  private readonly counters: NodeCounters;
  private readonly guard: WriteGuard;
  private readonly minter: Minter;
  private readonly writer: Writer;
  /** Hints are deleted upon our answer: it is released as late as can be. */
  private readonly lasting: Release;
  private readonly arrears: Arrears;
  /** Are told of every write. */
  private readonly trees: ReplicaTrees | undefined;
  private readonly tree: ReplicaTree | undefined;
  /** Is told of what cannot be read. */
  private readonly rotten: RottenKeys | undefined;
  /** Its tag is sent with every object that is read here; what comes with a tag below its floor is refused. */
  private readonly fence: VnodeFence;
  private readonly reaping: ReplicaReaping;
  /** What came before the fence was known, and until when that waits. */
  private waiting: Waiting[] = [];
  /** Of the identity: as often the writer was given another name for it. */
  private disowned: number;
  /** True if the writer's name was drawn in this life. */
  private isFreshName: boolean;
  private readonly waitsUntilMs: number;

  constructor(options: VnodeOptions, context: ActorContext) {
    this.partition = options.partition;
    this.objects = options.objects;
    this.identity = options.identity;
    this.counters = options.counters;
    const { objects } = options;
    this.guard = new WriteGuard({ ...options, writeProbe: () => objects.put(PROBE_KEY, PROBE_VALUE) });
    this.lasting = options.canBeDurable ? 'durable' : 'stored';
    this.arrears = options.arrears;
    this.trees = options.trees;
    this.tree = options.trees?.renew(options.partition);
    this.rotten = options.trees?.rotten;
    // While this actor's predecessor was down, others may have stood in for it.
    if (context.incarnation > 1) this.arrears.wasAway();
    this.fence = options.fences.of(options.partition);
    this.waitsUntilMs = context.now() + FENCE_MS;
    this.minter = new Minter(options, context);
    const marker = options.identity.take(options.partition);
    this.disowned = options.identity.disowned;
    if (marker !== undefined) this.tree?.restore(marker.stop);
    this.isFreshName = marker === undefined;
    if (this.isFreshName) this.counters.newIdentities++;
    this.writer = { id: marker?.writer ?? drawWriterId(context), counter: marker?.counter ?? 0 };
    this.reaping = new ReplicaReaping({
      ...options,
      fence: this.fence,
      tree: this.tree,
      lasting: this.lasting,
      renew: (own) => this.minter.renew(this.writer, own),
      commitFailed: (own) => this.commitFailed(undefined, own),
      probe: (own) => this.guard.probe(own),
    });
  }

  receive(message: VnodeRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const mayWait = this.fence.isSetAside || this.arrears.awaitsWord || (message.type === 'mint' && this.isUnsure);
    if (mayWait && this.isHeldBack(message, incoming, context)) return;
    switch (message.type) {
      case 'mint':
        this.mint(message.put, message.durable, incoming, context);
        return;
      case 'write':
        this.write(message, incoming, context);
        return;
      case 'hand-off':
        this.handOff(message.entries, incoming, context);
        return;
      case 'read':
        this.read(message.key, message.digestOnly, incoming, context);
        return;
      case 'list':
        this.list(message, incoming, context);
        return;
      case 'reap':
      case 'discard':
      case 'adopt':
        this.reaping.receive(message, incoming, context);
        if (message.type === 'adopt') this.resume(context);
        return;
    }
  }

  /** What was minted in the failed turn may have been replicated already: its dots must never be used again. */
  commitFailed(_error: unknown, context: ActorContext): void {
    this.counters.failedCommits++;
    this.tree?.commitFailed();
    this.minter.renew(this.writer, context);
    this.guard.probe(context);
  }

  /** The next probe may be due. */
  timer(message: unknown, context: ActorContext): void {
    if (message === GO_ON_REAPING) this.reaping.timer(context);
    else if (message === GO_ON) this.resume(context);
    else this.guard.probe(context);
  }

  stop(context: ActorContext): void {
    this.followIdentity(context, false);
    const stop = this.identity.leave(this.partition, { writer: this.writer.id, counter: this.writer.counter });
    this.tree?.save(stop);
  }

  /** Deals with what has waited. */
  private resume(context: ActorContext): void {
    const { waiting } = this;
    this.waiting = [];
    for (const { message, incoming } of waiting) this.receive(message, incoming, context);
  }

  /**
   * While the replica is set aside it is no source, and keeps nothing: others mint, are read, and keep hints for it. Nor
   * is it before somebody has told that it is no older copy.
   * After a start it is mostly known at once that all is well, or that nothing is left to be set aside: that is waited for.
   * @returns true if the message has had its answer, or waits
   */
  private isHeldBack(message: VnodeRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): boolean {
    const isForClients = message.type !== 'reap' && message.type !== 'discard' && message.type !== 'adopt';
    const isUnknown = !this.fence.isKnown || (message.type === 'mint' && this.isUnsure);
    const isWaitedFor = isUnknown && context.now() < this.waitsUntilMs;
    if (isForClients && (isWaitedFor || this.arrears.awaitsWord)) {
      if (this.waiting.length === 0) context.after(LOOK_MS, GO_ON);
      this.waiting.push({ message, incoming });
      return true;
    }
    if (!this.fence.isSetAside) return false;
    switch (message.type) {
      case 'mint':
      case 'write':
      case 'hand-off':
        context.reply(incoming, { type: 'not-ready' });
        return true;
      case 'read':
        context.reply(incoming, { type: 'corrupt' });
        return true;
      case 'list':
        context.reply(incoming, { type: 'listed', entries: [], more: false, corrupt: 0, behind: true });
        return true;
      default:
        return false;
    }
  }

  /** True while the writer's name is from an earlier life, and may have been used in one that is not known here. */
  private get isUnsure(): boolean {
    return !this.isFreshName && this.arrears.isUnheard;
  }

  /**
   * Takes another name if the node was told since that a later life of it has had this one; and before it mints while
   * too few have said that there was none.
   */
  private followIdentity(context: ActorContext, mints: boolean): void {
    if (this.disowned === this.identity.disowned && !(mints && this.isUnsure)) return;
    this.disowned = this.identity.disowned;
    this.isFreshName = true;
    this.minter.renew(this.writer, context);
  }

  private mint(put: ObjectPut, durable: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const { minter, writer } = this;
    const isNew = minter.see(put);
    this.followIdentity(context, true);
    const local = this.objects.get(put.key);
    if (local !== undefined && !isSoundRecord(local)) {
      // What this writer minted for the key is unknown now; another replica knows it all the same.
      if (this.isCorrupt(local)) minter.renew(writer, context);
      this.rotten?.note(put.key);
      context.reply(incoming, { type: 'not-minted', why: 'corrupt' });
      return;
    }
    const known = minter.recall(put, isNew, local, this.fence.tag);
    if (known !== undefined) {
      if (known.type === 'repeated') context.reply(incoming, known, durable ? 'durable' : 'stored');
      else context.reply(incoming, known);
      return;
    }
    if (this.guard.refuses(incoming, context)) return;
    const minted = minter.mint(put, local, writer, this.fence.tag, context);
    if (minted.type === 'not-minted') {
      context.reply(incoming, minted);
      return;
    }
    this.put(put.key, local, minted.record);
    // A dot needs no commit before it travels: if the commit fails, this vnode changes its writerId.
    context.notice(incoming, minted);
    this.replyWrote(durable, incoming, context);
  }

  private write(
    { key, record, durable, tag }: VnodeRequest & { type: 'write' },
    incoming: Incoming<VnodeAnswer>,
    context: ActorContext,
  ): void {
    this.counters.replicated++;
    if (tag < this.fence.floor) {
      this.counters.staleRefused++;
      context.reply(incoming, { type: 'stale-fence' });
      return;
    }
    const stored = this.objects.get(key);
    // Equal digests are equal objects, if what stands under the digest is still what it was.
    if (stored !== undefined && sameDigest(stored, record) && isSoundRecord(stored)) {
      this.replyWrote(durable, incoming, context);
      return;
    }
    if (this.guard.refuses(incoming, context)) return;
    if (this.merge(key, stored, record, context)) this.replyWrote(durable, incoming, context);
    else context.reply(incoming, { type: 'corrupt' });
  }

  /** Merges hints into the replica. What cannot be merged is left to its holder, and does not hold the others up. */
  private handOff(entries: readonly TaggedEntry[], incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    if (this.guard.refuses(incoming, context)) return;
    const stale: number[] = [];
    const unmerged: number[] = [];
    for (let place = 0; place < entries.length; place++) {
      const { key, record, tag } = entries[place]!;
      if (tag < this.fence.floor) stale.push(place);
      else if (partitionOf(key) !== this.partition || !isSoundRecord(record)) unmerged.push(place);
      else if (this.merge(key, this.objects.get(key), record, context)) this.counters.hintsTaken++;
      else unmerged.push(place);
    }
    this.counters.staleRefused += stale.length;
    context.reply(
      incoming,
      { type: 'took', durable: this.lasting === 'durable' || this.objects.commitIsDurable, stale, unmerged },
      this.lasting,
    );
  }

  /**
   * Merges `record` into what is stored under `key`.
   * @param stored - what that is, as the storage has lent it
   * @returns false if that is of a newer format, and was left as it is
   */
  private merge(key: Uint8Array, stored: Uint8Array | undefined, record: Uint8Array, context: ActorContext): boolean {
    const { minter, writer } = this;
    checkRecord(record);
    minter.noteContext(record, writer, context);
    minter.observeAll(record, context);
    const isSound = stored !== undefined && isSoundRecord(stored);
    if (stored === undefined || (isSound && replacesRecord(record, stored))) {
      this.put(key, stored, record);
    } else if (isSound) {
      const merged = mergeRecords(stored, record);
      if (merged !== stored) this.put(key, stored, merged);
    } else if (this.isCorrupt(stored)) {
      minter.renew(writer, context);
      // A tree that was built since it rotted lacks it; another has what cannot be known any more.
      this.put(key, undefined, record);
      this.tree?.rebuild();
    } else return false;
    return true;
  }

  /** @param stored - what stands there, as the storage has lent it */
  private put(key: Uint8Array, stored: Uint8Array | undefined, record: Uint8Array): void {
    this.trees?.note(this.partition, key, stored, record);
    this.objects.put(key, record);
  }

  private read(key: Uint8Array, digestOnly: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    this.counters.reads++;
    const behind = this.arrears.behind(this.partition);
    const record = this.objects.get(key);
    // What this turn has written may yet fail to be stored: whoever was shown it would have seen what never was.
    const release: Release = this.objects.isPending(key) ? 'stored' : 'now';
    if (record === undefined) context.reply(incoming, { type: 'nothing', behind }, release);
    else if (!this.isSound(key, record)) context.reply(incoming, { type: 'corrupt' });
    else if (digestOnly) {
      const answer = { type: 'digest', high: digestHigh(record), low: digestLow(record), behind } as const;
      context.reply(incoming, answer, release);
    } else context.reply(incoming, { type: 'object', record: copyOf(record), tag: this.fence.tag, behind }, release);
  }

  private list(message: VnodeRequest & { type: 'list' }, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const { lt, limit, limitBytes, values } = message;
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
        if (this.isSound(key, value)) {
          entries.push({ key, record: values ? value : outlineOf(value) });
          bytes += key.length + value.length;
        } else corrupt++;
      }
      if (more || found.length < from.limit) break;
      // As many as find room if they are no larger than those before; and one, to know whether there are more.
      const room = Math.min(LISTED_AT_ONCE, limit - entries.length, Math.floor((limitBytes - bytes) / largest));
      from = { gt: found[found.length - 1]!.key, lt, limit: Math.max(0, room) + 1 };
    }
    const behind = this.arrears.behind(this.partition);
    context.reply(
      incoming,
      { type: 'listed', entries, more, corrupt, behind },
      this.objects.pending ? 'stored' : 'now',
    );
  }

  private replyWrote(durable: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const release: Release = durable ? 'durable' : 'stored';
    context.reply(incoming, { type: 'wrote', durable: durable || this.objects.commitIsDurable }, release);
  }

  private isSound(key: Uint8Array, record: Uint8Array): boolean {
    if (isSoundRecord(record)) return true;
    this.counters.corruptRecords++;
    this.rotten?.note(key);
    return false;
  }

  /** Of a record that is not sound: false if it is whole, and of a newer format. */
  private isCorrupt(record: Uint8Array): boolean {
    try {
      checkRecord(record);
    } catch (error) {
      if (error instanceof UnknownRecordVersionError) return false;
      if (!(error instanceof CorruptRecordError)) throw error;
    }
    this.counters.corruptRecords++;
    return true;
  }
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}
