/**
 * Quorum get: asks R replicas, one for the full object and the others for its digest, and decides when their answers
 * suffice.
 *
 *     ask the first R places that are up: one for the object, the others for digests
 *       all digests agree            ──▶ reply with the object
 *       a digest differs             ──▶ fetch that place's object; only then does it count
 *       a place fails or is corrupt  ──▶ ask the next place, beyond the primaries a stand-in
 *       a place is silent            ──▶ ask the next place as well
 *       R readable ones out of reach ──▶ reply: failed; but first, if any is corrupt, hear out the others
 *       nothing is there             ──▶ that is an answer; but without notfoundOk it does not count: ask the next place,
 *                                        and once R objects are out of reach, reply: nothing, if nobody had one or failed
 *     after the reply: every asked primary whose object differs from the merged one is repaired
 *
 * Two kinds of nothing prove little, and do not count by themselves. A stand-in has nothing of what went to the
 * primaries: its nothing counts once a primary has answered. A replica that is *behind* may lack what stand-ins keep for
 * it: before such a nothing is told, everybody who may have something is asked.
 *
 * Pure: `actors/coordinator/get-operation.ts` keeps the objects, merges them and sends what the verdict says. Digests are
 * compared as two 32-bit halves.
 * Sources: Dynamo (SOSP 2007), §4.5 (quorums), §4.6 (the first N healthy nodes), §5 (read coordination, read repair);
 * notfoundOk and basicQuorum as in Riak's riak_kv_get_core, but for two things: places are asked one after the other
 * where Riak asks all at once, and a read that fails with objects and absences hears out the others, so that the replicas
 * can be healed.
 */
import { assert } from '../base/assert.js';
import { firstChoice, type Reach } from './reach.js';
import {
  countSlots,
  firstSlots,
  hasSlot,
  lowestSlot,
  MAX_SLOTS,
  NO_SLOTS,
  type PlaceSet,
  withoutSlot,
  withSlot,
} from './slots.js';
import { type Tally, unmetOf } from './tally.js';

/** What the coordinator must do next. */
export type GetVerdict =
  | 'pending'
  /** Ask `placeToAsk` for the full object. */
  | 'fetch'
  /** Reply with the merge of every object that came; or `reopen`, if that is not enough. */
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
  /** The place that a 'fetch' verdict is about. */
  placeToAsk = -1;
  /** True once the outcome was told. */
  replied = false;
  /** Replicas whose record is unreadable: they never count, and are repaired. */
  corrupt: PlaceSet = NO_SLOTS;
  /** The places to ask first, and the one of them to ask for the full object. */
  readonly firstAsked: PlaceSet;
  readonly firstFull: number;
  /** The place whose object came first: what digests are compared with. */
  reference = -1;
  private readonly n: number;
  /** As asked for; `r` is at least `pr`. */
  private readonly ownR: number;
  private readonly r: number;
  private readonly pr: number;
  private readonly primaries: PlaceSet;
  private readonly up: PlaceSet;
  private readonly usable: PlaceSet;
  /** Primaries that are up, and not slow. */
  private readonly first: PlaceSet;
  private readonly notfoundOk: boolean;
  /** So many slots that fail or have nothing end the read. */
  private readonly failThreshold: number;
  private asked: PlaceSet;
  /** Places whose object, or its absence, is known to the coordinator in full. */
  private full: PlaceSet = NO_SLOTS;
  /** Those of `full` that have nothing. */
  private empty: PlaceSet = NO_SLOTS;
  private failedPlaces: PlaceSet = NO_SLOTS;
  /** Places that have nothing, where that does not count. */
  private absent: PlaceSet = NO_SLOTS;
  /** Places that answered, and may lack what stand-ins keep for them. */
  private behind: PlaceSet = NO_SLOTS;
  /** Places that are asked for their object. */
  private fetching: PlaceSet;
  /** Digests that wait for a full object to be compared with, two halves a place. */
  private digests: number[] | null = null;
  private waiting: PlaceSet = NO_SLOTS;
  /** Places whose digest equals the reference's: as good as full. */
  private agreeing: PlaceSet = NO_SLOTS;
  private referenceHigh = 0;
  private referenceLow = 0;
  private hearingAll = false;

  constructor(reach: Reach, needs: GetNeeds) {
    const { n, places } = reach;
    this.n = n;
    this.ownR = needs.r;
    this.r = Math.max(needs.r, needs.pr);
    this.pr = needs.pr;
    assert(
      n >= 1 && n <= places && places <= MAX_SLOTS && this.r >= 1 && this.r <= n,
      'a get asks 1 to n of 32 places',
    );
    this.primaries = firstSlots(n);
    this.notfoundOk = needs.notfoundOk !== false;
    // Where absences count for R, a majority of them has no further say.
    const outOfReach = n - this.r + 1;
    const majority = Math.floor(n / 2) + 1;
    this.failThreshold = needs.basicQuorum === true && !this.notfoundOk ? Math.min(majority, outOfReach) : outOfReach;
    this.up = firstChoice(reach, this.r, this.pr);
    this.usable = this.up | reach.suspect;
    this.first = this.up & this.primaries & ~reach.slow;
    let asked = NO_SLOTS;
    for (let count = 0; count < this.r; count++) {
      const next = this.nextAfter(asked);
      asked = withSlot(asked, next);
    }
    this.asked = asked;
    this.firstAsked = asked;
    this.firstFull = lowestSlot(asked);
    this.fetching = withSlot(NO_SLOTS, this.firstFull);
  }

  // ── What happened ──────────────────────────────────────────────────────────────────────────────────────────────

  /** `place` has nothing. Answers a request for the object and one for its digest alike. */
  onNothing(place: number, behind = false): GetVerdict {
    if (hasSlot(this.full | this.absent | this.failedPlaces, place)) return 'pending';
    if (behind) this.behind = withSlot(this.behind, place);
    if (!this.notfoundOk) {
      this.absent = withSlot(this.absent, place);
      return this.afterLoss();
    }
    this.full = withSlot(this.full, place);
    this.empty = withSlot(this.empty, place);
    return this.enough();
  }

  /** The full object of `place` came. */
  onObject(place: number, digestHigh: number, digestLow: number, behind = false): GetVerdict {
    if (hasSlot(this.full | this.absent, place)) return 'pending';
    if (behind) this.behind = withSlot(this.behind, place);
    this.full = withSlot(this.full, place);
    this.waiting = withoutSlot(this.waiting, place);
    if (this.reference === -1) {
      this.reference = place;
      this.referenceHigh = digestHigh;
      this.referenceLow = digestLow;
      this.compareWaiting();
    }
    return this.enough();
  }

  /** Only the digest of `place`'s object came. */
  onDigest(place: number, digestHigh: number, digestLow: number, behind = false): GetVerdict {
    if (hasSlot(this.full | this.absent | this.agreeing, place)) return 'pending';
    if (behind) this.behind = withSlot(this.behind, place);
    if (this.reference !== -1 && digestHigh === this.referenceHigh && digestLow === this.referenceLow) {
      this.agreeing = withSlot(this.agreeing, place);
    } else {
      if (this.reference === -1) {
        this.digests ??= [];
        this.digests[2 * place] = digestHigh;
        this.digests[2 * place + 1] = digestLow;
      }
      this.waiting = withSlot(this.waiting, place);
    }
    return this.enough();
  }

  /** `place` has an unreadable record. */
  onCorrupt(place: number): GetVerdict {
    this.corrupt = withSlot(this.corrupt, place);
    return this.onFailed(place);
  }

  /** `place` gives no answer. */
  onFailed(place: number): GetVerdict {
    if (hasSlot(this.full | this.failedPlaces | this.absent, place)) return 'pending';
    this.failedPlaces = withSlot(this.failedPlaces, place);
    this.waiting = withoutSlot(this.waiting, place);
    this.agreeing = withoutSlot(this.agreeing, place);
    return this.afterLoss();
  }

  /** `place` is slower than it should be: the next one is asked, too, and whichever answers counts. */
  onSilent(place: number): GetVerdict {
    if (!this.isAwaited(place)) return 'pending';
    const next = this.nextAfter(this.asked);
    return next === -1 ? 'pending' : this.fetch(next);
  }

  onDeadline(): GetVerdict {
    // Whoever could have known better has not answered.
    return this.tell(this.isEnough && !this.hearingAll ? 'succeeded' : 'failed');
  }

  /**
   * What suffices for R is not enough for the caller: everybody is asked for the object, and each answer is told as
   * 'succeeded' anew, until `failed`. Ask `nextToHear` then.
   */
  reopen(): void {
    this.replied = false;
    this.hearingAll = true;
  }

  /** The next place whose object is not known and not under way; −1 if there is none. It is to be asked in full. */
  nextToHear(): number {
    const known = this.full | this.absent | this.failedPlaces | this.agreeing | this.fetching;
    const next = lowestSlot(this.usable & ~known);
    if (next !== -1) this.fetch(next);
    return next;
  }

  /** True if some answer is still to come. */
  get awaits(): boolean {
    return this.outstanding !== NO_SLOTS;
  }

  // ── What is known ──────────────────────────────────────────────────────────────────────────────────────────────

  /** How many answers count so far. */
  get got(): number {
    return countSlots(this.counting | this.waiting);
  }

  get wanted(): number {
    return this.r;
  }

  /** Of a failure: the quorum that is lacking. */
  get unmet(): Tally {
    const counted = this.counting | this.waiting;
    return unmetOf([
      { quorum: 'r', wanted: this.ownR, got: countSlots(counted), possible: this.n - this.lostSlots },
      { quorum: 'pr', wanted: this.pr, got: countSlots(counted & this.primaries), possible: this.possiblePrimaries },
    ]);
  }

  /** True if `place` is known by its digest to hold what the reference holds. */
  agreesWithReference(place: number): boolean {
    return hasSlot(this.agreeing, place);
  }

  /** True if `place` has said that it may lack what stand-ins keep for it, or what it has lost. */
  isBehind(place: number): boolean {
    return hasSlot(this.behind, place);
  }

  /** True if an answer of `place` is to come. */
  isAwaited(place: number): boolean {
    return !this.replied && hasSlot(this.outstanding, place);
  }

  /** True if an answer that counts came from a replica that may lack what stand-ins keep for it. */
  get mayMissHints(): boolean {
    return (this.behind & (this.counting | this.absent)) !== NO_SLOTS;
  }

  /** True if the replicas asked are to be healed although the read has failed: some lack what others have. */
  get healsWhenFailed(): boolean {
    return (this.corrupt | this.absent) !== NO_SLOTS;
  }

  // ── Within ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private get outstanding(): PlaceSet {
    const answered = this.full | this.absent | this.failedPlaces | this.agreeing;
    // Of those whose digest differs, the object is to come once it is asked for.
    return this.asked & ~answered & ~(this.waiting & ~this.fetching);
  }

  /** The answers that count towards R. */
  private get counting(): PlaceSet {
    const heard = this.full | this.agreeing;
    // A stand-in's nothing by itself says nothing.
    return (heard & this.primaries) === NO_SLOTS ? heard & ~this.empty : heard;
  }

  private get isEnough(): boolean {
    const { counting } = this;
    return countSlots(counting) >= this.r && (this.pr === 0 || countSlots(counting & this.primaries) >= this.pr);
  }

  private get hopeless(): boolean {
    return this.lostSlots >= this.failThreshold || (this.pr > 0 && this.possiblePrimaries < this.pr);
  }

  /** Slots that will not count, or have nothing where that does not count. */
  private get lostSlots(): number {
    const left = countSlots(this.usable & ~this.failedPlaces);
    return this.n - Math.min(this.n, left) + countSlots(this.absent);
  }

  private get possiblePrimaries(): number {
    return countSlots(this.usable & this.primaries & ~(this.failedPlaces | this.absent));
  }

  private enough(): GetVerdict {
    if (this.hearingAll) return this.tell('succeeded');
    if (this.isEnough) return this.succeed();
    if (this.hopeless) return this.hearOut();
    // Digests that differ are fetched one after the other; those that wait for an object, if none is to come.
    const stuck = this.waiting & ~this.fetching;
    if (stuck !== NO_SLOTS && (this.reference !== -1 || !this.fullIsComing)) return this.fetch(lowestSlot(stuck));
    if (this.outstanding !== NO_SLOTS) return 'pending';
    const next = this.nextAfter(this.asked);
    return next === -1 ? this.giveUp() : this.fetch(next);
  }

  /** Enough have answered; but a nothing that may only be ignorance is held back until everybody was asked. */
  private succeed(): GetVerdict {
    const nothing = this.empty | this.absent;
    const heard = this.full | this.agreeing | nothing;
    const found = (heard & ~nothing) !== NO_SLOTS;
    const certain = (heard & this.behind) === NO_SLOTS || (heard & this.primaries & ~this.behind) !== NO_SLOTS;
    if (found || certain) return this.tell('succeeded');
    const next = this.nextAfter(this.asked);
    if (next !== -1) return this.fetch(next);
    return this.outstanding === NO_SLOTS ? this.tell('succeeded') : 'pending';
  }

  /** A place will not count: another is asked in its stead, or the read is over. */
  private afterLoss(): GetVerdict {
    if (this.hearingAll) return this.outstanding === NO_SLOTS ? this.tell('failed') : 'pending';
    if (this.isEnough) return this.enough();
    if (this.hopeless) return this.giveUp();
    const next = this.nextAfter(this.asked);
    return next === -1 ? this.enough() : this.fetch(next);
  }

  /** Enough slots are lost to end the read. */
  private giveUp(): GetVerdict {
    const exists = ((this.full & ~this.empty) | this.agreeing | this.waiting) !== NO_SLOTS;
    // Nobody has anything, and nobody failed: that is what is told, not a failure.
    if (!exists && !this.notfoundOk && this.failedPlaces === NO_SLOTS) {
      // A stand-in's nothing by itself says nothing: while a primary may answer, it is waited for.
      if ((this.absent & this.primaries) === NO_SLOTS && this.outstanding !== NO_SLOTS) return 'pending';
      return this.succeed();
    }
    if (this.corrupt !== NO_SLOTS || (exists && this.absent !== NO_SLOTS)) return this.hearOut();
    return this.tell('failed');
  }

  /**
   * The read has failed because replicas are unreadable, or lack what others have. Whoever is readable is asked all the
   * same: its object heals them, and without it nobody knows whether the value still exists.
   */
  private hearOut(): GetVerdict {
    const known = this.full | this.failedPlaces | this.absent | this.agreeing;
    const next = lowestSlot(this.usable & ~(known | this.fetching) & (~this.asked | this.waiting));
    if (next !== -1) return this.fetch(next);
    return this.outstanding === NO_SLOTS ? this.tell('failed') : 'pending';
  }

  /** True while an object is on its way. */
  private get fullIsComing(): boolean {
    return (this.fetching & ~(this.failedPlaces | this.full | this.absent)) !== NO_SLOTS;
  }

  /**
   * The first place that is not in `asked`: among the primaries that are not slow, else among all that are up, else among
   * those that are only suspected; −1 if there is none.
   */
  private nextAfter(asked: PlaceSet): number {
    const left = this.usable & ~asked;
    if ((left & this.first) !== NO_SLOTS) return lowestSlot(left & this.first);
    const next = lowestSlot(left & this.up);
    return next === -1 ? lowestSlot(left) : next;
  }

  private fetch(place: number): GetVerdict {
    if (this.replied) return 'pending';
    this.asked = withSlot(this.asked, place);
    this.fetching = withSlot(this.fetching, place);
    this.waiting = withoutSlot(this.waiting, place);
    this.placeToAsk = place;
    return 'fetch';
  }

  /** Compares the digests that waited for the first full object. */
  private compareWaiting(): void {
    const digests = this.digests!;
    let left = this.waiting;
    while (left !== NO_SLOTS) {
      const place = lowestSlot(left);
      left = withoutSlot(left, place);
      if (digests[2 * place] !== this.referenceHigh || digests[2 * place + 1] !== this.referenceLow) continue;
      this.waiting = withoutSlot(this.waiting, place);
      this.agreeing = withSlot(this.agreeing, place);
    }
  }

  private tell(verdict: 'succeeded' | 'failed'): GetVerdict {
    if (this.replied) return 'pending';
    this.replied = true;
    return verdict;
  }
}
