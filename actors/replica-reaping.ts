/**
 * What a vnode does in rounds of reaping: it votes for what it holds, and upon a commit removes it, or reduces its
 * context. What a round may do, and when, is decided in `src/anti-entropy`.
 *
 *     vote ──▶ fence written, objects flushed ──durable──▶ voted
 *     commit ──▶ floor written ──durable, in a later turn──▶ removed, reduced ──stored──▶ reaped
 *
 * And how a replica begins anew that was taken back to an older state, and may hold what has been reaped since: set
 * aside, it is emptied in slices, flushed, adopts the fence of its peers under a new name, and is refilled by exchanges.
 */
import { FIRST_SLICE, nextSliceLimit } from '../src/admission/slice-limit.js';
import type { WriteGate } from '../src/admission/write-gate.js';
import { heldOf } from '../src/anti-entropy/fence.js';
import type { ReapAsk, ReapCandidate } from '../src/anti-entropy/reaping.js';
import { partitionOf, partitionRange } from '../src/codec/key.js';
import { isSoundRecord } from '../src/codec/record.js';
import { reducedRecord } from '../src/codec/record-update.js';
import type { VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { ActorContext, Incoming, Release } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import type { VnodeFence } from './fence.js';
import type { NodeIdentity } from './node-identity.js';
import type { ReplicaTree } from './replica-tree.js';

export interface ReplicaReapingOptions {
  readonly partition: number;
  readonly objects: Storage;
  readonly fence: VnodeFence;
  readonly identity: NodeIdentity;
  readonly counters: NodeCounters;
  readonly tree: ReplicaTree | undefined;
  /** Of the objects: shut while their commits fail. */
  readonly gate: WriteGate;
  /** As late as an answer can be released: what it tells of is as durable then as it will be. */
  readonly lasting: Release;
  /** The vnode takes another name. */
  renew(context: ActorContext): void;
  /** The vnode hears of a failed commit of its own. */
  commitFailed(context: ActorContext): void;
  /** Has it found out when the objects can be written again. */
  probe(context: ActorContext): void;
}

export type ReapingRequest = VnodeRequest & { readonly type: 'reap' | 'discard' | 'adopt' };
type Commit = ReapAsk & { readonly type: 'commit' };

interface Removal {
  readonly commit: Commit;
  readonly incoming: Incoming<VnodeAnswer>;
}

/** Timers of the vnode that are meant for this. */
export const GO_ON_REAPING = 'go on reaping';

export class ReplicaReaping {
  private readonly options: ReplicaReapingOptions;
  /** Commits whose floor is on its way to the disk. */
  private removals: Removal[] = [];
  private discarding: Incoming<VnodeAnswer> | undefined;
  private discardLimit = FIRST_SLICE;
  /** True if a slice was removed in a turn of whose commit nothing was heard. */
  private isUnheard = false;

  constructor(options: ReplicaReapingOptions) {
    this.options = options;
  }

  receive(message: ReapingRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    switch (message.type) {
      case 'reap':
        if (message.ask.type === 'vote') this.vote(message.ask, incoming, context);
        else this.commit(message.ask, incoming, context);
        return;
      case 'discard':
        this.discard(incoming, context);
        return;
      case 'adopt':
        this.adopt(message, incoming, context);
        return;
    }
  }

  timer(context: ActorContext): void {
    const { removals } = this;
    this.removals = [];
    for (const removal of removals) this.remove(removal, context);
    if (this.discarding !== undefined) this.discardSome(this.discarding, context);
  }

  private vote(ask: ReapAsk & { type: 'vote' }, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const { fence, lasting } = this.options;
    const state = fence.isSetAside ? 'behind' : fence.vote(ask.g, ask.floor);
    if (state === 'behind' && !fence.isSetAside) fence.setAside();
    if (state === 'behind' || state === 'late') {
      context.reply(incoming, { type: 'reap', answer: { type: state } });
      return;
    }
    fence.write(state);
    const held = heldOf(ask.candidates, (key) => this.soundRecord(key));
    context.reply(incoming, { type: 'reap', answer: { type: 'voted', held } }, lasting);
  }

  /** The floor first; nothing is removed in a turn whose commit may store the one without the other. */
  private commit(ask: Commit, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const { fence } = this.options;
    const state = fence.isSetAside ? undefined : fence.commit(ask.g);
    if (state === undefined) {
      if (!fence.isSetAside) fence.setAside();
      context.reply(incoming, { type: 'reap', answer: { type: 'behind' } });
      return;
    }
    fence.write(state);
    this.removals.push({ commit: ask, incoming });
    context.after(0, GO_ON_REAPING);
  }

  private remove(removal: Removal, context: ActorContext): void {
    const { fence, objects, counters, tree } = this.options;
    const { commit, incoming } = removal;
    if (fence.isPending) {
      this.removals.push(removal);
      context.after(1, GO_ON_REAPING);
      return;
    }
    // The floor may not be stored: all stays as it is, and another round takes it.
    const may = fence.mayRemove(commit.g) && !fence.isSetAside;
    const due: ReapCandidate[] = may ? fence.due(commit.g, commit.candidates, (key) => this.soundRecord(key)) : [];
    let gone = 0;
    for (const { key, verb } of due) {
      const stored = objects.get(key)!;
      if (verb === 'remove') {
        tree?.note(key, stored, undefined);
        objects.remove(key);
        gone++;
        continue;
      }
      const reduced = reducedRecord(stored, verb === 'reduce-but-attempts');
      tree?.note(key, stored, reduced);
      objects.put(key, reduced);
    }
    counters.tombstonesReaped += gone;
    counters.contextsReduced += due.length - gone;
    context.reply(incoming, { type: 'reap', answer: { type: 'reaped', count: due.length } }, 'stored');
  }

  /** What this vnode holds under a key of its own, if it can be read. */
  private soundRecord(key: Uint8Array): Uint8Array | undefined {
    const { objects, partition } = this.options;
    if (partitionOf(key) !== partition) return undefined;
    const record = objects.get(key);
    return record !== undefined && isSoundRecord(record) ? record : undefined;
  }

  private discard(incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    if (!this.options.fence.isSetAside || this.discarding !== undefined) {
      // It has adopted a fence since this was asked, or is at it.
      context.reply(incoming, { type: 'not-ready' });
      return;
    }
    this.discarding = incoming;
    // Whatever happens from here on, it is not whole before it was compared with the others.
    this.options.identity.mustBeRefilled(this.options.partition);
    this.discardSome(incoming, context);
  }

  private discardSome(incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    const { objects, partition, tree, counters, lasting, gate } = this.options;
    if (!gate.open) {
      // A turn that removes a slice holds no reply, by which its vnode would be told.
      if (this.isUnheard) this.options.commitFailed(context);
      this.isUnheard = false;
      this.options.probe(context);
      context.after(gate.nextProbeMs, GO_ON_REAPING);
      return;
    }
    this.isUnheard = false;
    const found = objects.range({ ...partitionRange(partition), limit: this.discardLimit });
    if (found.length === 0) {
      this.discarding = undefined;
      counters.replicasDiscarded++;
      this.options.renew(context);
      tree?.rebuild();
      context.reply(incoming, { type: 'discarded' }, lasting);
      return;
    }
    this.discardLimit = nextSliceLimit(found);
    for (const { key, value } of found) {
      tree?.note(key, value, undefined);
      objects.remove(key);
    }
    this.isUnheard = true;
    context.after(1, GO_ON_REAPING);
  }

  private adopt(
    { tag, floor }: VnodeRequest & { type: 'adopt' },
    incoming: Incoming<VnodeAnswer>,
    context: ActorContext,
  ): void {
    const { fence, lasting } = this.options;
    if (fence.isSetAside) {
      const state = fence.adopt({ tag, floor });
      fence.isSetAside = false;
      fence.isKnown = true;
      fence.write(state);
    }
    context.reply(incoming, { type: 'adopted' }, lasting);
  }
}
