/**
 * The fences of a node's vnodes, as they are kept in its fully synced system storage. Shared by the vnodes, whose votes
 * and commits raise them, and by the node's reaper, which compares them with those of other nodes.
 *
 * A fence is written with the turn's commit; what may only follow once it is durable waits until `commitEnded` says so.
 * A replica that was taken back to an older state is *set aside*: that, too, is durable, until it was emptied and has
 * adopted its peers' fence. So is, until its peers have told theirs, one whose fence was lost with the node's disk or memory:
 * what it might take or mint meanwhile would bear no tag that means anything. Fences stay 0 until tombstones are reaped.
 * Source: the store's reaping protocol.
 */
import { Fence, type FenceState } from '../src/anti-entropy/fence.js';
import { decodeFence, encodeFence, entryKey, FENCE_PREFIX } from '../src/codec/system-entries.js';
import type { Storage } from '../src/storage/storage.js';
import { type OnUnreadable, readOwn } from './own-records.js';

const OPEN: FenceState = { tag: 0, floor: 0 };

/** The fence of one vnode, over all of its incarnations. */
export class VnodeFence extends Fence {
  /** True if the replica gives and takes nothing: it was taken back to an older state, or its fence is not known. */
  isSetAside: boolean;
  isKnown: boolean;
  private readonly fences: NodeFences;
  private readonly partition: number;
  /** What was written and is not known to be durable. */
  private written: FenceState | undefined;

  constructor(
    fences: NodeFences,
    partition: number,
    state: FenceState,
    how: { isKnown: boolean; isSetAside: boolean },
  ) {
    super(state);
    this.fences = fences;
    this.partition = partition;
    this.isSetAside = how.isSetAside;
    this.isKnown = how.isKnown;
  }

  /** True while it is unknown whether what was written is durable. */
  get isPending(): boolean {
    return this.written !== undefined;
  }

  /** Stored with the turn's commit. */
  write(state: FenceState): void {
    this.written = state;
    this.fences.write(this.partition, this, state);
  }

  /** Stored with the turn's commit; whoever asks the vnode is refused from now on. */
  setAside(): void {
    this.isSetAside = true;
    this.write({ tag: this.raised, floor: this.floor });
  }

  /** The storage's commit has ended. A fence that may not be stored stays as it is: to be refused more is no harm. */
  commitEnded(succeeded: boolean): void {
    if (succeeded && this.written !== undefined) this.stored(this.written);
    this.written = undefined;
  }
}

export class NodeFences {
  private readonly system: Storage;
  private readonly fences = new Map<number, VnodeFence>();
  private readonly pending = new Set<VnodeFence>();
  private readonly isNew: boolean;
  private readonly onUnreadable: OnUnreadable;

  /** @param isNew - true if there has been no system storage of this node before: then its fences are the first ones */
  constructor(system: Storage, isNew: boolean, onUnreadable: OnUnreadable) {
    this.system = system;
    this.isNew = isNew;
    this.onUnreadable = onUnreadable;
  }

  /** The fence of a partition's vnode. */
  of(partition: number): VnodeFence {
    let fence = this.fences.get(partition);
    if (fence === undefined) {
      fence = this.read(partition);
      this.fences.set(partition, fence);
    }
    return fence;
  }

  /** For `VnodeFence`. */
  write(partition: number, fence: VnodeFence, { tag, floor }: FenceState): void {
    this.system.put(entryKey(FENCE_PREFIX, partition), encodeFence({ tag, floor, isSetAside: fence.isSetAside }));
    this.pending.add(fence);
  }

  /** A commit of the system storage has ended. */
  commitEnded(failure: { readonly cause: unknown } | undefined): void {
    for (const fence of this.pending) fence.commitEnded(failure === undefined);
    this.pending.clear();
  }

  private read(partition: number): VnodeFence {
    const entry = readOwn(this.system, entryKey(FENCE_PREFIX, partition), decodeFence, () => {
      this.onUnreadable(`the fence of partition ${partition}`, 'it is learnt from the other replicas');
    });
    if (entry === undefined) {
      const fence = new VnodeFence(this, partition, OPEN, { isKnown: this.isNew, isSetAside: !this.isNew });
      if (this.isNew) fence.write(OPEN);
      return fence;
    }
    return new VnodeFence(this, partition, entry, { isKnown: true, isSetAside: entry.isSetAside });
  }
}
