/**
 * Quorum put: decides who is to hold a replicated write, when it has succeeded, and when it can no longer succeed.
 *
 *     mint at the first place that is up ──▶ store at the holder of every other slot ──▶ W slots, PW of them by primaries,
 *          │ not minted, for certain              │ fails, or is silent                   DW durable ──▶ reply: success
 *          └──▶ mint at the next place            └──▶ the next fallback holds it      W out of reach ──▶ reply: failure
 *
 *     after a success it goes on until every slot is stored, or somebody keeps a hint for it; the last resort is a hint on
 *     the coordinator's own node, which counts for nothing
 *
 * A sloppy quorum: slot i is held by primary i or by a stand-in. A slot counts once, whoever acknowledges it; nobody
 * holds two slots that count. A fallback mints only if no primary can.
 *
 * Pure: `actors/coordinator/put-operation.ts` tells it what happened, and then does what `next` says until there is
 * nothing to do.
 * Sources: Dynamo (SOSP 2007), §4.5 (quorums), §4.6 (sloppy quorum, hinted handoff), §6.1 (durable writes).
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
  type SlotSet,
  withoutSlot,
  withSlot,
} from './slots.js';
import { type Tally, unmetOf } from './tally.js';

/** What the coordinator must do next. */
export type PutVerdict =
  /** Wait. */
  | 'pending'
  /** Ask `place` to mint; as a hint for `slot` if it is a fallback. */
  | 'mint'
  /** Have `place` store the minted object for `slot`: `LAST_RESORT` is the coordinator's own hint store. */
  | 'store'
  /** Reply: success. */
  | 'succeeded'
  /** Reply: failure. `definite` tells whether it is certain that nothing was stored. */
  | 'failed';

export interface PutNeeds {
  readonly w: number;
  readonly pw: number;
  readonly dw: number;
}

/** Not a place of the list. What it answers is told as of place `LAST_RESORT + slot`. */
export const LAST_RESORT = 32;

export class PutQuorum {
  /** Whom a 'mint' or 'store' verdict is about, and which slot he holds. */
  place = 0;
  slot = 0;
  /** The place that mints, or minted. */
  minter = -1;
  /** True once the outcome was told; later answers only complete the replication. */
  replied = false;
  private readonly n: number;
  /** As asked for; `w` is at least `pw`. */
  private readonly ownW: number;
  private readonly w: number;
  private readonly pw: number;
  private readonly dw: number;
  private readonly slots: SlotSet;
  private readonly up: PlaceSet;
  private readonly usable: PlaceSet;
  private minted = false;
  private mintDue = false;
  private failDue = false;
  private succeeded = false;
  /** Places that were asked to store, or minted. */
  private asked: PlaceSet = NO_SLOTS;
  private acked: PlaceSet = NO_SLOTS;
  /** Places that will not acknowledge. */
  private lost: PlaceSet = NO_SLOTS;
  /** Places that may hold the write although they have not acknowledged it. */
  private uncertain: PlaceSet = NO_SLOTS;
  /** Places that were asked to mint and did not, whether or not they can store. */
  private cannotMint: PlaceSet = NO_SLOTS;
  /** Places that cannot be reached at all. */
  private gone: PlaceSet = NO_SLOTS;
  private ackedSlots: SlotSet = NO_SLOTS;
  private durableSlots: SlotSet = NO_SLOTS;
  /** Slots whose present holder is waited for. */
  private hoped: SlotSet = NO_SLOTS;
  /** Slots for which nobody is left to be asked. */
  private parked: SlotSet = NO_SLOTS;
  /** Slots for which the last resort was asked, and those for which it keeps a hint. */
  private resorted: SlotSet = NO_SLOTS;
  private hinted: SlotSet = NO_SLOTS;
  /** From the first stand-in on, who was asked for which slot, as place × 32 + slot. Mostly there is none. */
  private standIns: number[] | null = null;

  constructor(reach: Reach, needs: PutNeeds) {
    const { n, places, suspect } = reach;
    assert(n >= 1 && n <= places && places <= MAX_SLOTS, 'a put has 1 to 32 places, and a primary for each slot');
    this.n = n;
    this.ownW = needs.w;
    this.w = Math.max(needs.w, needs.pw);
    this.pw = needs.pw;
    this.dw = needs.dw;
    assert(this.w >= 1 && this.w <= n && this.dw >= 0 && this.dw <= n, 'a put waits for 1 to n slots');
    this.slots = firstSlots(n);
    this.up = firstChoice(reach, Math.max(this.w, this.dw), this.pw);
    this.usable = this.up | suspect;
    this.chooseMinter();
  }

  // ── What happened ──────────────────────────────────────────────────────────────────────────────────────────────

  /** The minter has given the minted object; it is stored there once `onWrote` says so. */
  onMinted(): void {
    if (this.minted) return;
    this.minted = true;
    this.asked = withSlot(NO_SLOTS, this.minter);
    this.uncertain = withSlot(this.uncertain, this.minter);
    this.hoped = withSlot(NO_SLOTS, this.slotOf(this.minter));
    // Those that could not mint are asked anew, to store.
    this.lost = this.gone;
  }

  /**
   * The minter did not mint when it was asked this time.
   * @param canStore - it answered, and will take the object that another mints
   * @param canBeReplaced - false: it refused for want of room; a fallback is not to take over from an overloaded primary
   */
  onNotMinted(canStore = false, canBeReplaced = true): void {
    assert(!this.minted, 'a minted put cannot become unminted');
    // It had minted before and has forgotten: another would mint the attempt a second time.
    if (this.uncertain !== NO_SLOTS) {
      this.onMinterLost();
      return;
    }
    this.cannotMint = withSlot(this.cannotMint, this.minter);
    if (!canStore) this.lost = withSlot(this.lost, this.minter);
    if (!canBeReplaced) this.cannotMint |= ~this.slots;
    // With too few left it is better to stop here: so far nothing is stored anywhere.
    const left = this.usable & ~this.lost;
    const out =
      countSlots(left) < Math.max(this.w, this.dw) ||
      countSlots(left & this.slots) < this.pw ||
      (this.cannotMint & ~this.lost & this.slots) === this.slots;
    if (out) this.failDue = true;
    else this.chooseMinter();
  }

  /** The minter may or may not have minted, and will not say: only the client can try again, under a new attempt. */
  onMinterLost(): void {
    if (this.minted) {
      this.onFailed(this.minter, true);
      return;
    }
    this.lost = withSlot(this.lost, this.minter);
    this.uncertain = withSlot(this.uncertain, this.minter);
    this.failDue = true;
  }

  /** `place` has stored the write. */
  onWrote(place: number, durable: boolean): void {
    if (place >= LAST_RESORT) {
      this.hinted = withSlot(this.hinted, place - LAST_RESORT);
      return;
    }
    if (hasSlot(this.lost, place)) return;
    const slot = this.slotOf(place);
    if (durable) this.durableSlots = withSlot(this.durableSlots, slot);
    if (!this.minted) {
      // The minted object was overtaken by this, and is lost: the minter, asked again, gives it as a repeated attempt.
      this.uncertain = withSlot(this.uncertain, place);
      this.mintDue = !this.replied;
      return;
    }
    this.acked = withSlot(this.acked, place);
    this.ackedSlots = withSlot(this.ackedSlots, slot);
  }

  /** `place` will not acknowledge; `mayHold` if the write may be there all the same. */
  onFailed(place: number, mayHold: boolean): void {
    if (place >= LAST_RESORT) {
      this.parked = withSlot(this.parked, place - LAST_RESORT);
      return;
    }
    if (hasSlot(this.acked | this.lost, place)) return;
    this.noLongerHoped(place);
    this.lost = withSlot(this.lost, place);
    if (mayHold) this.uncertain = withSlot(this.uncertain, place);
  }

  /** `place` cannot be reached: it is not asked again. */
  onUnreachable(place: number): void {
    if (place < LAST_RESORT) this.gone = withSlot(this.gone, place);
  }

  /** `place` is slower than it should be: somebody else is asked for its slot, but its acknowledgement is welcome. */
  onSilent(place: number): void {
    if (this.minted && place < LAST_RESORT && !hasSlot(this.acked, place)) this.noLongerHoped(place);
  }

  onDeadline(): void {
    if (!this.minted) this.uncertain = withSlot(this.uncertain, this.minter);
    this.failDue = !this.replied;
  }

  // ── What is to be done ─────────────────────────────────────────────────────────────────────────────────────────

  /** To be called, and to be obeyed, after each of the above until it says 'pending'. */
  next(): PutVerdict {
    if (this.failDue) return this.fail();
    if (!this.minted) {
      if (!this.mintDue) return 'pending';
      this.mintDue = false;
      this.place = this.minter;
      this.slot = this.slotOf(this.minter);
      return 'mint';
    }
    if (this.replied && !this.succeeded) return 'pending';
    if (!this.replied && this.isMet()) {
      this.replied = true;
      this.succeeded = true;
      // Who is merely slow gets time now; for the others there is the last resort.
      this.hoped |= this.parked & this.outstanding();
      this.parked = NO_SLOTS;
      return 'succeeded';
    }
    for (;;) {
      const slot = lowestSlot(this.slots & ~(this.ackedSlots | this.hoped | this.hinted | this.parked));
      if (slot === -1) break;
      if (this.findHolder(slot)) return 'store';
      this.parked = withSlot(this.parked, slot);
    }
    return !this.replied && this.isHopeless() ? this.fail() : 'pending';
  }

  // ── What is known ──────────────────────────────────────────────────────────────────────────────────────────────

  /** True once nothing is to be awaited any more: of each slot it is known who holds it, or that nobody will. */
  get settled(): boolean {
    const open = this.slots & ~(this.ackedSlots | this.hinted);
    return open === NO_SLOTS || (open & ~(this.parked & ~this.outstanding())) === NO_SLOTS;
  }

  /** The places that acknowledged, one for each slot that counts: its primary, if that did. */
  get holders(): PlaceSet {
    let holders = this.acked & this.slots;
    if (this.standIns === null) return holders;
    let filled = holders;
    for (const standIn of this.standIns) {
      if (!hasSlot(this.acked, standIn >>> 5) || hasSlot(filled, standIn & 31)) continue;
      holders = withSlot(holders, standIn >>> 5);
      filled = withSlot(filled, standIn & 31);
    }
    return holders;
  }

  /** The fallbacks that keep a hint, whether or not the primary has acknowledged since. */
  get hintHolders(): PlaceSet {
    return this.acked & ~this.slots;
  }

  /** True if the holder of the slot that `place` has, or had to fill, has flushed the write. */
  isDurable(place: number): boolean {
    return hasSlot(this.durableSlots, this.slotOf(place));
  }

  /** The slot that `place` holds or was asked to hold. */
  slotOf(place: number): number {
    if (place < this.n) return place;
    for (const standIn of this.standIns!) if (standIn >>> 5 === place) return standIn & 31;
    throw new RangeError(`place ${place} was not asked`);
  }

  /** True if an answer of `place` is still awaited, and nobody else was asked in its stead. */
  isHopedFor(place: number): boolean {
    if (!this.minted) return place === this.minter && !this.replied;
    if (!hasSlot(this.asked & ~(this.acked | this.lost), place)) return false;
    const slot = this.slotOf(place);
    return hasSlot(this.hoped & ~this.ackedSlots, slot) && this.holderOf(slot) === place;
  }

  /** How many slots count so far. */
  get got(): number {
    return countSlots(this.ackedSlots);
  }

  /** Of a failure: the quorum that is lacking. */
  get unmet(): Tally {
    const { slots, minted, ackedSlots, durableSlots } = this;
    const left = this.usable & ~(this.lost | this.gone);
    const open = this.outstanding() & ~ackedSlots;
    const possible = (counted: SlotSet) => (minted ? countSlots(counted | open) : Math.min(this.n, countSlots(left)));
    return unmetOf([
      { quorum: 'w', wanted: this.ownW, got: this.got, possible: possible(ackedSlots) },
      {
        quorum: 'pw',
        wanted: this.pw,
        got: countSlots(this.acked & slots),
        possible: countSlots(slots & (minted ? this.asked & ~this.lost : left)),
      },
      { quorum: 'dw', wanted: this.dw, got: countSlots(durableSlots), possible: possible(durableSlots) },
    ]);
  }

  get isMinted(): boolean {
    return this.minted;
  }

  /** Of a failure: true if it is certain that nothing was stored anywhere. */
  get definite(): boolean {
    return !this.minted && this.uncertain === NO_SLOTS && this.acked === NO_SLOTS;
  }

  /**
   * Of a 'store' verdict about a stand-in: true if the put does not wait for it, because it has succeeded, or will with
   * the holders of the other slots as things stand.
   */
  get isSpare(): boolean {
    if (this.replied) return true;
    if (this.dw > 0) return false;
    let sure = this.ackedSlots;
    for (let left = this.slots & this.up & ~(this.lost | sure); left !== NO_SLOTS; ) {
      const slot = lowestSlot(left);
      left = withoutSlot(left, slot);
      if (slot !== this.slot && this.holderOf(slot) === slot) sure = withSlot(sure, slot);
    }
    return countSlots(sure) >= this.w;
  }

  // ── Within ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The next primary that is up, else the next fallback, else somebody who is only suspected. */
  private chooseMinter(): void {
    const left = this.usable & ~(this.cannotMint | this.gone);
    const { slots, up } = this;
    let place = lowestSlot(left & up & slots);
    if (place === -1) place = lowestSlot(left & up);
    if (place === -1) place = lowestSlot(left);
    if (place === -1) {
      this.failDue = true;
      return;
    }
    this.minter = place;
    this.mintDue = true;
    // Others that were asked to mint before hold nothing.
    this.standIns = null;
    if (place < this.n) return;
    // It stands in for the first primary that is out of reach, or at least cannot store.
    let slot = lowestSlot(slots & (this.gone | ~this.usable));
    if (slot === -1) slot = lowestSlot(slots & ~up);
    if (slot === -1) slot = lowestSlot(slots & this.lost);
    if (slot === -1) slot = 0;
    this.standIns = [place * 32 + slot];
  }

  /** Finds who is to hold `slot`: its primary, the next fallback, whoever is only suspected, the last resort. */
  private findHolder(slot: number): boolean {
    const free = this.usable & ~(this.asked | this.lost | this.gone);
    const fallbacks = free & ~this.slots;
    let place: number;
    if (hasSlot(free & this.up, slot)) place = slot;
    else {
      place = lowestSlot(fallbacks & this.up);
      if (place === -1) place = hasSlot(free, slot) ? slot : lowestSlot(fallbacks);
    }
    this.slot = slot;
    this.hoped = withSlot(this.hoped, slot);
    if (place === -1) {
      if (!this.succeeded || hasSlot(this.resorted, slot)) {
        this.hoped = withoutSlot(this.hoped, slot);
        return false;
      }
      this.resorted = withSlot(this.resorted, slot);
      this.place = LAST_RESORT;
      return true;
    }
    this.place = place;
    this.asked = withSlot(this.asked, place);
    if (place >= this.n) this.standIns ??= [];
    this.standIns?.push(place * 32 + slot);
    return true;
  }

  /** Whoever was asked last to hold `slot`, and may still do so. */
  private holderOf(slot: number): number {
    const { standIns } = this;
    if (standIns !== null) {
      const candidates = this.asked & ~this.lost;
      for (let i = standIns.length - 1; i >= 0; i--) {
        if ((standIns[i]! & 31) === slot && hasSlot(candidates, standIns[i]! >>> 5)) return standIns[i]! >>> 5;
      }
    }
    return slot;
  }

  private noLongerHoped(place: number): void {
    const slot = this.slotOf(place);
    if (this.holderOf(slot) === place && !hasSlot(this.resorted, slot)) this.hoped = withoutSlot(this.hoped, slot);
  }

  /** Slots that somebody may still acknowledge. */
  private outstanding(): SlotSet {
    const places = this.asked & ~(this.acked | this.lost);
    let slots = places & this.slots;
    if (this.standIns !== null) {
      for (const standIn of this.standIns) if (hasSlot(places, standIn >>> 5)) slots = withSlot(slots, standIn & 31);
    }
    return slots;
  }

  private isMet(): boolean {
    return (
      countSlots(this.ackedSlots) >= this.w &&
      (this.pw === 0 || countSlots(this.acked & this.slots) >= this.pw) &&
      (this.dw === 0 || countSlots(this.durableSlots) >= this.dw)
    );
  }

  /** Too few are left to reach W, PW and DW. */
  private isHopeless(): boolean {
    const open = this.outstanding() & ~this.ackedSlots;
    if (countSlots(this.ackedSlots | open) < this.w) return true;
    // A slot that was acknowledged and is not durable will not become so for this put.
    if (this.dw > 0 && countSlots(this.durableSlots | open) < this.dw) return true;
    return this.pw > 0 && countSlots(this.slots & this.asked & ~this.lost) < this.pw;
  }

  private fail(): PutVerdict {
    this.failDue = false;
    if (this.replied) return 'pending';
    this.replied = true;
    return 'failed';
  }
}
