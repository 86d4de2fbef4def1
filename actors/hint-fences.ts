/**
 * Below which tags a node refuses hints, by partition: kept in its hint storage. A census raises them, so that no hint which
 * is older than what is then reaped is left or comes. A part of `HintStore`.
 *
 * The file may have gone back to an older state: with a copy that was restored, or with the power where it is not synced.
 * Hints that were delivered are there again then, and what was reaped since is not known: nor is it to a store whose file
 * was lost, or whose fences have rotted. Until a primary has told, no hint of its partition is taken or shown.
 * Source: the store's reaping protocol.
 */
import type { PartitionFence } from '../src/anti-entropy/reaping.js';
import { decodeHintFence, encodeHintFence } from '../src/hinted-handoff/hint-fence.js';
import {
  KNOWS_FENCES,
  numberOf,
  ownKey,
  ownRange,
  REFUSE_BELOW,
  SURELY_BELOW,
} from '../src/hinted-handoff/hint-key.js';
import type { Storage } from '../src/storage/storage.js';
import { type OnUnreadable, readOwn } from './own-records.js';

const KNOWN = Uint8Array.of(1);
const LETTERS = [REFUSE_BELOW, SURELY_BELOW];

/** Written into a file whose fences may be too low: what was reaped meanwhile is to be learnt. */
export function distrustFences(storage: Storage): void {
  storage.remove(ownKey(KNOWS_FENCES, 0));
}

export class HintFences {
  private readonly storage: Storage;
  private readonly onUnreadable: OnUnreadable;
  /** While it learns: the partitions of which it has learnt below which tag hints are refused. */
  private learnt: Set<number> | undefined;
  /** True if something of that was learnt since the last commit, which may fail. */
  private hasJustLearnt = false;
  private doubtIsStored = true;
  /** By partition, as far as it was looked up. */
  private readonly stale = new Map<number, number>();

  /** @param options.isNew - true if there has been no hint store of this node before */
  constructor(options: { readonly storage: Storage; readonly isNew: boolean; readonly onUnreadable: OnUnreadable }) {
    this.storage = options.storage;
    this.onUnreadable = options.onUnreadable;
    if (this.storage.get(ownKey(KNOWS_FENCES, 0)) === undefined) {
      if (options.isNew) this.storage.put(ownKey(KNOWS_FENCES, 0), KNOWN);
      else this.learnt = new Set();
    }
    // Those that have rotted are to be known before anything is asked.
    for (const letter of LETTERS) {
      const kept = this.storage.range({ ...ownRange(letter), limit: Number.POSITIVE_INFINITY });
      for (const { key } of kept) this.tagUnder(letter, numberOf(key));
    }
  }

  /** Hints of this partition whose tag is lower are refused. */
  refuseBelow(partition: number): number {
    return this.tagUnder(REFUSE_BELOW, partition) ?? 0;
  }

  /**
   * Hints of this partition whose tag is lower are older than what was reaped, and refused by their owners. There are none
   * unless the file went back: each census has waited until they were gone, and none has come since.
   */
  staleBelow(partition: number): number {
    let tag = this.stale.get(partition);
    if (tag === undefined) {
      tag = this.surelyBelow(partition);
      this.stale.set(partition, tag);
    }
    return tag;
  }

  /**
   * True if it is known below which tag hints of the partition are refused. A store that was lost, or is old, does not know, until a
   * primary has told: a hint that it took before that might bear a tag that no replica takes any more.
   */
  isKnown(partition: number): boolean {
    return this.learnt === undefined || this.learnt.has(partition);
  }

  /** True while primaries are to be asked below which tags hints are refused. */
  get isLearning(): boolean {
    return this.learnt !== undefined;
  }

  /** What the file says may be too low: it was taken back to an older state, or has rotted. */
  mustLearn(): void {
    this.learnt = new Set();
    this.doubtIsStored = false;
    distrustFences(this.storage);
  }

  /** False after `mustLearn`, until the file tells the next store that is made of it the same, or what was learnt since. */
  get isDoubtStored(): boolean {
    return this.doubtIsStored;
  }

  /** Called at the beginning of each commit of the storage. */
  save(): void {
    // The commit that was to tell may have failed.
    if (!this.doubtIsStored && this.learnt !== undefined) distrustFences(this.storage);
  }

  /** The partition's hints were counted here in a round: none that is older than `tag` is left, or comes. */
  counted(partition: number, tag: number): void {
    this.raise(partition, tag, tag);
  }

  /**
   * By partition, below which tag a replica is surely an older copy, since a round has reached its end there; empty while
   * that is not known of all. A tag that was learnt from a primary refuses hints, and tells nothing of replicas: its round
   * may have been abandoned.
   */
  refusedBelow(partitions: number): number[] {
    const below = Array.from({ length: partitions }, (_, partition) => this.surelyBelow(partition));
    // What was found unreadable just now is among what must be learnt.
    return this.learnt === undefined ? below : [];
  }

  /**
   * Primaries of another node have told their fences.
   * @param partitions - how many there are to be learnt: of one whose only primary is this node there are no hints here
   */
  learn(told: readonly PartitionFence[], partitions: number): void {
    if (this.learnt === undefined) return;
    this.hasJustLearnt = true;
    for (const { partition, tag, floor, isKnown } of told) {
      // Of one that has lost its own fence nothing is to be learnt.
      if (!isKnown) continue;
      this.raise(partition, tag, floor);
      this.learnt.add(partition);
    }
    if (this.learnt.size < partitions) return;
    this.learnt = undefined;
    this.storage.put(ownKey(KNOWS_FENCES, 0), KNOWN);
  }

  /** That commit has ended. */
  commitEnded(succeeded: boolean): void {
    if (succeeded) this.doubtIsStored = true;
    else {
      this.stale.clear();
      // Without the tags, hints would be taken that their owners refuse for ever.
      if (this.hasJustLearnt) this.learnt = new Set();
    }
    this.hasJustLearnt = false;
  }

  private surelyBelow(partition: number): number {
    return this.tagUnder(SURELY_BELOW, partition) ?? this.refuseBelow(partition);
  }

  private tagUnder(what: string, partition: number): number | undefined {
    return readOwn(this.storage, ownKey(what, partition), decodeHintFence, () => {
      this.onUnreadable(`below which tag it refuses hints of partition ${partition}`, 'the primaries are asked');
      // Without the one the other would tell too much: both are learnt.
      for (const letter of LETTERS) this.storage.remove(ownKey(letter, partition));
      this.stale.delete(partition);
      this.mustLearn();
    });
  }

  /** @param surely - at most `refuse` */
  private raise(partition: number, refuse: number, surely: number): void {
    const wasRefused = this.refuseBelow(partition);
    const wasSurely = this.surelyBelow(partition);
    if (refuse <= wasRefused && surely <= wasSurely) return;
    const refused = Math.max(refuse, wasRefused);
    const sure = Math.max(surely, wasSurely);
    this.storage.put(ownKey(REFUSE_BELOW, partition), encodeHintFence(refused));
    if (sure === refused) this.storage.remove(ownKey(SURELY_BELOW, partition));
    else this.storage.put(ownKey(SURELY_BELOW, partition), encodeHintFence(sure));
    this.stale.delete(partition);
  }
}
