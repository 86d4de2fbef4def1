/**
 * The hint keeper: stands in for primaries that are out of reach. It mints and merges as their vnodes would, keeps the
 * result for them in the node's hint store, and serves reads from it.
 *
 * Hints that nobody waits for are gathered for some milliseconds and written together: each commit of hints is one more
 * that holds up whatever else the node's thread has to do, by a flush where the store's mode syncs. The puts that they are
 * for are acknowledged meanwhile: so they count as held, and are written at once for whoever reads one.
 *
 * A file that may have gone back to an older state (`hint-fences.ts`) takes and shows nothing until it is known what was
 * reaped since.
 *
 * Lives once per node. Hears `HintRequest`; asks nobody.
 * Source: Dynamo (SOSP 2007), §4.6 (hinted handoff).
 */
import { equalBytes } from '../src/base/bytes.js';
import { partitionOf } from '../src/codec/key.js';
import { checkRecord, digestHigh, digestLow } from '../src/codec/record.js';
import { mergeRecords } from '../src/codec/record-update.js';
import type { Hint } from '../src/hinted-handoff/hint-record.js';
import type { HintRequest } from '../src/messages/hint-messages.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { Actor, ActorContext, Incoming, Release } from '../src/runtime/actor.js';
import type { Arrears } from './arrears.js';
import type { HintStore } from './hint-store.js';
import { drawWriterId, Minter, type MinterOptions, type Writer } from './minter.js';
import { Wakeup } from './wakeup.js';
import { WriteGuard } from './write-guard.js';

/** How long after a hint was written those are gathered that may wait, in milliseconds: there are so many commits at most. */
const GATHER_MS = 10;
const WRITE_GATHERED = 'write gathered';

type Keep = HintRequest & { readonly type: 'keep' };

export interface HintKeeperOptions extends MinterOptions {
  readonly hints: HintStore;
  readonly arrears: Arrears;
}

export class HintKeeper implements Actor<HintRequest, VnodeAnswer> {
  private readonly hints: HintStore;
  private readonly arrears: Arrears;
  private readonly counters: NodeCounters;
  private readonly guard: WriteGuard;
  private readonly minter: Minter;
  /** Hints that wait for each other, as many as the mailbox holds at most. */
  private gathered: { readonly message: Keep; readonly incoming: Incoming<VnodeAnswer> }[] = [];
  /** When they are written at the latest. */
  private readonly due = new Wakeup(WRITE_GATHERED);
  /** When a hint was last written, in monotonic milliseconds. */
  private wroteAtMs = Number.NEGATIVE_INFINITY;

  constructor(options: HintKeeperOptions, context: ActorContext) {
    this.hints = options.hints;
    this.arrears = options.arrears;
    this.counters = options.counters;
    const { hints, counters } = options;
    this.guard = new WriteGuard({ gate: hints.gate, counters, writeProbe: () => hints.writeProbe() });
    this.minter = new Minter(options, context);
    // Those of an earlier incarnation went with it.
    hints.noneGathered();
  }

  receive(message: HintRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    switch (message.type) {
      case 'mint':
        this.mint(message, incoming, context);
        return;
      case 'keep':
        if (!this.waits(message, incoming, context)) this.keep(message, incoming, context);
        return;
      case 'read':
        this.read(message.key, message.digestOnly, incoming, context);
        return;
    }
  }

  commitFailed(_error: unknown, context: ActorContext): void {
    this.counters.failedCommits++;
    this.guard.probe(context);
  }

  /** Gathered hints are due, or the next probe may be. */
  timer(message: unknown, context: ActorContext): void {
    if (message === WRITE_GATHERED) {
      this.due.came();
      this.writeGathered(context);
    } else this.guard.probe(context);
  }

  stop(context: ActorContext): void {
    this.writeGathered(context);
  }

  /** True if this hint waits for others. */
  private waits(message: Keep, incoming: Incoming<VnodeAnswer>, context: ActorContext): boolean {
    const untilMs = this.wroteAtMs + GATHER_MS;
    if (!message.mayWait || untilMs <= context.now()) return false;
    this.due.at(untilMs, context);
    this.gathered.push({ message, incoming });
    this.hints.gather(message.owner, context.wallClock());
    return true;
  }

  private writeGathered(context: ActorContext): void {
    const { gathered } = this;
    this.due.cancel(context);
    this.gathered = [];
    this.hints.noneGathered();
    for (const { message, incoming } of gathered) this.keep(message, incoming, context);
  }

  private mint(
    { owner, put, durable }: HintRequest & { type: 'mint' },
    incoming: Incoming<VnodeAnswer>,
    context: ActorContext,
  ): void {
    if (this.mayBeOld(put.key)) {
      context.reply(incoming, { type: 'not-ready' });
      return;
    }
    const isNew = this.minter.see(put);
    const kept = this.hints.get(owner, put.key);
    if (kept === 'newer') {
      context.reply(incoming, { type: 'not-minted', why: 'corrupt' });
      return;
    }
    const local = kept?.record;
    const tag = kept === undefined ? this.hints.fences.refuseBelow(partitionOf(put.key)) : kept.tag;
    const known = this.minter.recall(put, isNew, local, tag);
    if (known !== undefined) {
      if (known.type === 'repeated') context.reply(incoming, known, durable ? 'durable' : 'stored');
      else context.reply(incoming, known);
      return;
    }
    if (this.guard.refuses(incoming, context)) return;
    const writer = this.writerOf(kept, context);
    const minted = this.minter.mint(put, local, writer, tag, context);
    if (minted.type === 'not-minted') {
      context.reply(incoming, minted);
      return;
    }
    const hint = {
      tag,
      session: this.hints.session,
      writer: writer.id,
      counter: writer.counter,
      record: minted.record,
    };
    if (!this.store(owner, put.key, hint, incoming, context)) return;
    // A dot needs no commit before it travels: if the commit fails, the hint's writerId is not minted by again.
    context.notice(incoming, minted);
    this.replyWrote(durable, incoming, context);
  }

  private keep(
    { owner, key, record, durable, tag }: Keep,
    incoming: Incoming<VnodeAnswer>,
    context: ActorContext,
  ): void {
    if (this.mayBeOld(key)) {
      context.reply(incoming, { type: 'not-ready' });
      return;
    }
    if (tag < this.hints.fences.refuseBelow(partitionOf(key))) {
      context.reply(incoming, { type: 'stale-fence' });
      return;
    }
    const kept = this.hints.get(owner, key);
    if (kept === 'newer') {
      context.reply(incoming, { type: 'corrupt' });
      return;
    }
    const merged = kept === undefined ? record : mergeRecords(kept.record, record);
    if (kept !== undefined && merged === kept.record && kept.tag <= tag) {
      this.replyWrote(durable, incoming, context);
      return;
    }
    if (this.guard.refuses(incoming, context)) return;
    checkRecord(record);
    this.minter.observeAll(record, context);
    const { id, counter } = this.writerOf(kept, context);
    const hint: Hint = {
      tag: kept === undefined ? tag : Math.min(tag, kept.tag),
      session: this.hints.session,
      writer: id,
      counter,
      record: merged,
    };
    if (this.store(owner, key, hint, incoming, context)) this.replyWrote(durable, incoming, context);
  }

  private read(key: Uint8Array, digestOnly: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    if (this.mayBeOld(key)) {
      // What was delivered, and deleted since, would show again.
      context.reply(incoming, { type: 'corrupt' });
      return;
    }
    if (this.gathered.some(({ message }) => equalBytes(message.key, key))) this.writeGathered(context);
    let merged: Uint8Array | undefined;
    let tag = Number.MAX_SAFE_INTEGER;
    for (const owner of this.hints.owners.keys()) {
      const kept = this.hints.get(owner, key);
      if (kept === undefined) continue;
      if (kept === 'newer') {
        context.reply(incoming, { type: 'corrupt' });
        return;
      }
      // A copy: the bytes are lent only until the next hint is read.
      merged = merged === undefined ? Buffer.from(kept.record) : mergeRecords(merged, Buffer.from(kept.record));
      tag = Math.min(tag, kept.tag);
    }
    // What this turn has written may yet fail to be stored: whoever was shown it would have seen what never was.
    const release: Release = this.hints.pending ? 'stored' : 'now';
    if (merged === undefined) context.reply(incoming, { type: 'nothing', behind: false }, release);
    else if (digestOnly) {
      const answer = { type: 'digest', high: digestHigh(merged), low: digestLow(merged), behind: false } as const;
      context.reply(incoming, answer, release);
    } else context.reply(incoming, { type: 'object', record: merged, tag, behind: false }, release);
  }

  /** Who may mint on the hint: as its record says, unless that is of an earlier session, or there is none. */
  private writerOf(kept: Hint | undefined, context: ActorContext): Writer {
    const { session } = this.hints;
    if (kept !== undefined && kept.session.high === session.high && kept.session.low === session.low) {
      return { id: kept.writer, counter: kept.counter };
    }
    return { id: drawWriterId(context), counter: 0 };
  }

  /** False if there is no room: the write has had its answer, and is certain not to be here. */
  private store(
    owner: number,
    key: Uint8Array,
    hint: Hint,
    incoming: Incoming<VnodeAnswer>,
    context: ActorContext,
  ): boolean {
    if (this.hints.put(owner, key, hint, context.wallClock())) {
      this.counters.hintsKept++;
      this.wroteAtMs = context.now();
      // They are committed together with this one.
      if (this.gathered.length > 0) this.writeGathered(context);
      return true;
    }
    this.counters.hintsRefused++;
    context.reply(incoming, { type: 'no-storage', full: true });
    return false;
  }

  /** True while the key's hints, and what is known of what was reaped of its partition, may be of an older state of the file. */
  private mayBeOld(key: Uint8Array): boolean {
    return this.arrears.awaitsWord || !this.hints.fences.isKnown(partitionOf(key));
  }

  private replyWrote(durable: boolean, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const { commitIsDurable } = this.hints.storage;
    // Where each commit is synced, to be stored is to be durable, without a flush of anything else.
    const release = durable && !commitIsDurable ? 'durable' : 'stored';
    context.reply(incoming, { type: 'wrote', durable: durable || commitIsDurable }, release);
  }
}
