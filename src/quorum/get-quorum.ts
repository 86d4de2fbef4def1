/**
 * Quorum get: asks R slots, one for the full object and the others for its digest, and decides when their answers
 * suffice.
 *
 *     ask slot 0 for the object, slots 1 … R−1 for digests
 *       all digests agree            ──▶ reply with the object
 *       a digest differs             ──▶ fetch that slot's object; only then does it count
 *       a slot fails or is corrupt   ──▶ ask the next slot
 *       R readable ones out of reach ──▶ reply: failed; but first, if any is corrupt, hear out the others
 *       nothing is there             ──▶ that is an answer; but without notfoundOk it does not count: ask the next slot,
 *                                        and once R objects are out of reach, reply: nothing, if nobody had one or failed
 *     after the reply: every asked replica whose object differs from the merged one is repaired
 *
 * Pure: `actors/coordinator.ts` keeps the objects, merges them and sends what the verdict says. Digests are compared as
 * two 32-bit halves.
 * Sources: Dynamo (SOSP 2007), §4.5 (quorums), §5 (read coordination, read repair); notfoundOk and basicQuorum as in
 * Riak's riak_kv_get_core, but for two things: slots are asked one after the other where Riak asks all at once, and a
 * read that fails with objects and absences hears out the others, so that the replicas can be healed.
 */
import { assert } from '../base/assert.js';
import {
  countSlots,
  firstSlotOutside,
  hasSlot,
  MAX_SLOTS,
  NO_SLOTS,
  type SlotSet,
  withoutSlot,
  withSlot,
} from './slots.js';

/** What the coordinator must do next. */
export type GetVerdict =
  | 'pending'
  /** Ask `slotToAsk` for the full object. */
  | 'fetch'
  /** Reply with the merge of every object that came. */
  | 'succeeded'
  /** Reply: failure. */
  | 'failed';

export interface GetNeeds {
  readonly r: number;
  readonly pr: number;
  /** False: a replica that has nothing does not count towards R. Default true. */
  readonly notfoundOk?: boolean;
  /** True: without notfoundOk, a majority that has nothing or fails is enough to say so. Default false. */
  readonly basicQuorum?: boolean;
}

export class GetQuorum {
  /** The slot that a 'fetch' verdict is about. */
  slotToAsk = 0;
  /** True once the outcome was told. */
  replied = false;
  /** Replicas whose record is unreadable: they never count, and are repaired. */
  corruptSlots: SlotSet = NO_SLOTS;
  private readonly n: number;
  private readonly r: number;
  private asked: SlotSet = NO_SLOTS;
  /** Slots whose object, or its absence, is known to the coordinator in full. */
  private full: SlotSet = NO_SLOTS;
  private failedSlots: SlotSet = NO_SLOTS;
  /** Slots that have nothing, where that does not count. */
  private absent: SlotSet = NO_SLOTS;
  private readonly notfoundOk: boolean;
  /** So many slots that fail or have nothing end the read. */
  private readonly failThreshold: number;
  /** Digests that wait for a full object to be compared with, two halves a slot. */
  private digests: number[] | null = null;
  private waiting: SlotSet = NO_SLOTS;
  /** Slots whose digest equals the reference's: as good as full. */
  private agreeing: SlotSet = NO_SLOTS;
  /** The slot whose object came first: what digests are compared with. */
  referenceSlot = -1;
  private referenceHigh = 0;
  private referenceLow = 0;

  /** In a strict quorum every slot is a primary, so PR only raises R. Slots 0 … R−1 count as asked from the start. */
  constructor(n: number, needs: GetNeeds) {
    this.n = n;
    this.r = Math.max(needs.r, needs.pr);
    this.notfoundOk = needs.notfoundOk !== false;
    // Where absences count for R, a majority of them has no further say.
    const outOfReach = n - this.r + 1;
    const majority = Math.floor(n / 2) + 1;
    this.failThreshold = needs.basicQuorum === true && !this.notfoundOk ? Math.min(majority, outOfReach) : outOfReach;
    assert(n >= 1 && n <= MAX_SLOTS && this.r >= 1 && this.r <= n, 'a get asks 1 to n of at most 32 slots');
    for (let slot = 0; slot < this.r; slot++) this.asked = withSlot(this.asked, slot);
  }

  /** `slot` has nothing. Answers a request for the object and one for its digest alike. */
  onNothing(slot: number): GetVerdict {
    if (this.notfoundOk) return this.onObject(slot, 0, 0);
    if (hasSlot(this.absent | this.full | this.failedSlots, slot)) return 'pending';
    this.absent = withSlot(this.absent, slot);
    return this.afterLoss();
  }

  /** The full object of `slot` came. */
  onObject(slot: number, digestHigh: number, digestLow: number): GetVerdict {
    if (hasSlot(this.full | this.absent, slot)) return 'pending';
    this.full = withSlot(this.full, slot);
    if (this.referenceSlot === -1) {
      this.referenceSlot = slot;
      this.referenceHigh = digestHigh;
      this.referenceLow = digestLow;
      const mismatch = this.compareWaiting();
      if (mismatch !== 'pending') return mismatch;
    }
    return this.enough();
  }

  /** Only the digest of `slot`'s object came. */
  onDigest(slot: number, digestHigh: number, digestLow: number): GetVerdict {
    if (this.referenceSlot === -1) {
      this.digests ??= new Array<number>(2 * this.n).fill(0);
      this.digests[2 * slot] = digestHigh;
      this.digests[2 * slot + 1] = digestLow;
      this.waiting = withSlot(this.waiting, slot);
      // The slot that was asked for the object may be gone: then a waiting one must give it.
      if (!this.fullIsComing()) return this.fetch(slot);
      return this.hopeless ? this.hearOut() : 'pending';
    }
    if (digestHigh === this.referenceHigh && digestLow === this.referenceLow) {
      this.agreeing = withSlot(this.agreeing, slot);
      return this.enough();
    }
    return this.fetch(slot);
  }

  /** `slot` has an unreadable record. */
  onCorrupt(slot: number): GetVerdict {
    this.corruptSlots = withSlot(this.corruptSlots, slot);
    return this.onFailed(slot);
  }

  /** `slot` gives no answer. */
  onFailed(slot: number): GetVerdict {
    if (hasSlot(this.full | this.failedSlots | this.absent, slot)) return 'pending';
    this.failedSlots = withSlot(this.failedSlots, slot);
    this.waiting = withoutSlot(this.waiting, slot);
    this.agreeing = withoutSlot(this.agreeing, slot);
    return this.afterLoss();
  }

  onDeadline(): GetVerdict {
    return this.tell('failed');
  }

  /** A slot will not count: another takes its place, or the read is over. */
  private afterLoss(): GetVerdict {
    if (this.hopeless) return this.giveUp();
    for (let next = 0; next < this.n; next++) {
      if (hasSlot(this.asked, next)) continue;
      this.asked = withSlot(this.asked, next);
      return this.fetch(next);
    }
    // Nobody is left to ask anew, but a waiting digest's slot may have to give the object now.
    if (this.referenceSlot === -1 && !this.fullIsComing() && this.waiting !== NO_SLOTS)
      return this.fetch(lowest(this.waiting));
    return 'pending';
  }

  /** How many answers count so far. */
  get got(): number {
    return countSlots(this.full | this.agreeing | this.waiting);
  }

  get wanted(): number {
    return this.r;
  }

  /** True if `slot` is known by its digest to hold what the reference slot holds. */
  agreesWithReference(slot: number): boolean {
    return hasSlot(this.agreeing, slot);
  }

  private fetching: SlotSet = NO_SLOTS;

  /** True if the replicas asked are to be healed although the read has failed: some lack what others have. */
  get healsWhenFailed(): boolean {
    return (this.corruptSlots | this.absent) !== NO_SLOTS;
  }

  private get hopeless(): boolean {
    return countSlots(this.failedSlots | this.absent) >= this.failThreshold;
  }

  /** Enough slots are lost to end the read. */
  private giveUp(): GetVerdict {
    const exists = (this.full | this.agreeing | this.waiting) !== NO_SLOTS;
    // Nobody has anything, and nobody failed: that is what is told, not a failure.
    if (!exists && this.failedSlots === NO_SLOTS) return this.tell('succeeded');
    if (this.corruptSlots !== NO_SLOTS || (exists && this.absent !== NO_SLOTS)) return this.hearOut();
    return this.tell('failed');
  }

  /**
   * The read has failed because replicas are unreadable, or lack what others have. Whoever is readable is asked all the
   * same: its object heals them, and without it nobody knows whether the value still exists.
   */
  private hearOut(): GetVerdict {
    const known = this.full | this.failedSlots | this.absent | this.agreeing;
    // The object of these, or at least their digest, is still under way.
    const underWay = this.fetching | (this.asked & ~this.waiting);
    const next = firstSlotOutside(known | underWay, this.n);
    if (next !== -1) {
      this.asked = withSlot(this.asked, next);
      return this.fetch(next);
    }
    return countSlots(known) === this.n ? this.tell('failed') : 'pending';
  }

  /** True while the object of some slot is on its way: slot 0's, unless it failed, or one that was fetched. */
  private fullIsComing(): boolean {
    const coming = withSlot(this.fetching, 0) & ~(this.failedSlots | this.full | this.absent);
    return coming !== NO_SLOTS;
  }

  private fetch(slot: number): GetVerdict {
    if (this.replied) return 'pending';
    this.fetching = withSlot(this.fetching, slot);
    this.waiting = withoutSlot(this.waiting, slot);
    this.slotToAsk = slot;
    return 'fetch';
  }

  /** Compares the digests that waited for the first full object. One may differ at a time: the verdict names the first. */
  private compareWaiting(): GetVerdict {
    let mismatch = -1;
    for (let slot = 0; slot < this.n; slot++) {
      if (!hasSlot(this.waiting, slot)) continue;
      const digests = this.digests!;
      if (digests[2 * slot] === this.referenceHigh && digests[2 * slot + 1] === this.referenceLow) {
        this.waiting = withoutSlot(this.waiting, slot);
        this.agreeing = withSlot(this.agreeing, slot);
      } else if (mismatch === -1) mismatch = slot;
    }
    return mismatch === -1 ? 'pending' : this.fetch(mismatch);
  }

  private enough(): GetVerdict {
    if (countSlots(this.full | this.agreeing) >= this.r && this.referenceSlot !== -1) return this.tell('succeeded');
    if (this.hopeless) return this.hearOut();
    // A further digest that differs is fetched when the one before it has come.
    if (this.referenceSlot !== -1 && this.waiting !== NO_SLOTS) return this.fetch(lowest(this.waiting));
    return 'pending';
  }

  private tell(verdict: 'succeeded' | 'failed'): GetVerdict {
    if (this.replied) return 'pending';
    this.replied = true;
    return verdict;
  }
}

function lowest(set: SlotSet): number {
  return 31 - Math.clz32(set & -set);
}
