/**
 * Quorum put: decides when a replicated write has succeeded, or can no longer succeed.
 *
 *     mint at one slot ──noticed──▶ write to the other slots ──wrote──▶ W slots, DW of them durable ──▶ reply
 *          │ not minted, for certain                             └─failed──▶ W out of reach ──▶ reply: failed
 *          └──▶ mint at the next slot                   (the rest is still awaited after the reply)
 *
 * Pure: `actors/coordinator.ts` feeds it what happened and does what its verdict says. A slot counts once, whatever it
 * answers. A slot that could not mint may still store: it is written to like the others.
 * Source: Dynamo (SOSP 2007), §4.5 (quorums), §6.1 (durable writes).
 */
import { assert } from '../base/assert.js';
import { countSlots, firstSlotOutside, hasSlot, MAX_SLOTS, NO_SLOTS, type SlotSet, withSlot } from './slots.js';

/** What the coordinator must do next. */
export type PutVerdict =
  /** Wait. */
  | 'pending'
  /** Ask `minter` to mint. */
  | 'mint'
  /** Send the minted object to every slot but `minter`. */
  | 'replicate'
  /** Reply: success. */
  | 'succeeded'
  /** Reply: failure. `definite` tells whether it is certain that nothing was stored. */
  | 'failed';

export interface PutNeeds {
  readonly w: number;
  readonly pw: number;
  readonly dw: number;
}

export class PutQuorum {
  /** The slot that mints, or minted. */
  minter: number;
  /** True once the outcome was told; later answers only complete the replication. */
  replied = false;
  private readonly n: number;
  private readonly w: number;
  private readonly dw: number;
  private minted = false;
  /** Slots that may hold the write although they have not acknowledged it. */
  private uncertain: SlotSet = NO_SLOTS;
  private acked: SlotSet = NO_SLOTS;
  private durable: SlotSet = NO_SLOTS;
  private failedSlots: SlotSet = NO_SLOTS;
  /** Slots that were asked to mint and did not, whether or not they can store. */
  private cannotMint: SlotSet = NO_SLOTS;

  /** `minter`: the slot that is asked first. In a strict quorum every slot is a primary, so PW only raises W. */
  constructor(n: number, minter: number, needs: PutNeeds) {
    assert(n >= 1 && n <= MAX_SLOTS && minter >= 0 && minter < n, 'a put has 1 to 32 slots, one of which mints');
    this.n = n;
    this.minter = minter;
    this.w = Math.max(needs.w, needs.pw);
    this.dw = needs.dw;
    assert(this.w >= 1 && this.w <= n && this.dw >= 0 && this.dw <= n, 'a put waits for 1 to n slots');
  }

  /** The minter has given the minted object; it is stored there once `wrote` says so. */
  onMinted(): PutVerdict {
    if (this.minted) return 'pending';
    this.minted = true;
    this.uncertain = withSlot(this.uncertain, this.minter);
    // The slots that could not mint are asked anew, to store.
    this.failedSlots = NO_SLOTS;
    return this.n > 1 ? 'replicate' : 'pending';
  }

  /**
   * The minter did not mint when it was asked this time.
   * @param canStore - true if it answered, and will take the object that another slot mints
   */
  onNotMinted(canStore = false): PutVerdict {
    assert(!this.minted, 'a minted put cannot become unminted');
    // It had minted before and has forgotten: another slot would mint the attempt a second time.
    if (this.uncertain !== NO_SLOTS) return this.onMinterLost();
    this.cannotMint = withSlot(this.cannotMint, this.minter);
    if (!canStore) this.failedSlots = withSlot(this.failedSlots, this.minter);
    // With too few slots left it is better to stop here: so far nothing is stored anywhere.
    if (this.hopeless() === 'failed') return 'failed';
    const next = firstSlotOutside(this.cannotMint, this.n);
    if (next === -1) return this.tell('failed');
    this.minter = next;
    return 'mint';
  }

  /** The minter may or may not have minted, and will not say: only the client can try again, under a new attempt. */
  onMinterLost(): PutVerdict {
    if (this.minted) return this.onFailed(this.minter, true);
    this.failedSlots = withSlot(this.failedSlots, this.minter);
    this.uncertain = withSlot(this.uncertain, this.minter);
    return this.tell('failed');
  }

  /** `slot` has stored the write. */
  onWrote(slot: number, durable: boolean): PutVerdict {
    if (hasSlot(this.failedSlots, slot)) return 'pending';
    if (!this.minted) {
      // The minted object was overtaken by this, and is lost: the minter, asked again, gives it as a repeated attempt.
      this.uncertain = withSlot(this.uncertain, slot);
      if (durable) this.durable = withSlot(this.durable, slot);
      return this.replied ? 'pending' : 'mint';
    }
    this.acked = withSlot(this.acked, slot);
    if (durable) this.durable = withSlot(this.durable, slot);
    if (countSlots(this.acked) < this.w || countSlots(this.durable) < this.dw) return this.hopeless();
    return this.tell('succeeded');
  }

  /** `slot` will not acknowledge; `mayHold` if the write may be there all the same. */
  onFailed(slot: number, mayHold: boolean): PutVerdict {
    if (hasSlot(this.acked, slot)) return 'pending';
    this.failedSlots = withSlot(this.failedSlots, slot);
    if (mayHold) this.uncertain = withSlot(this.uncertain, slot);
    return this.hopeless();
  }

  onDeadline(): PutVerdict {
    if (!this.minted) this.uncertain = withSlot(this.uncertain, this.minter);
    return this.tell('failed');
  }

  /** True once every slot has answered for good. */
  get settled(): boolean {
    return countSlots(this.acked | this.failedSlots) === this.n;
  }

  get ackedSlots(): SlotSet {
    return this.acked;
  }

  isDurable(slot: number): boolean {
    return hasSlot(this.durable, slot);
  }

  /** How many acknowledgements count so far. */
  get got(): number {
    return countSlots(this.acked);
  }

  get wanted(): number {
    return Math.max(this.w, this.dw);
  }

  /** Of a failure: true if it is certain that nothing was stored anywhere. */
  get definite(): boolean {
    return !this.minted && this.uncertain === NO_SLOTS && this.acked === NO_SLOTS;
  }

  /** 'failed' as soon as too few slots are left to reach W and DW. */
  private hopeless(): PutVerdict {
    const alive = this.n - countSlots(this.failedSlots);
    // An acknowledged slot that is not durable will not become so for this put.
    const durableAtBest = alive - countSlots(this.acked & ~this.durable);
    return alive < this.w || durableAtBest < this.dw ? this.tell('failed') : 'pending';
  }

  private tell(verdict: 'succeeded' | 'failed'): PutVerdict {
    if (this.replied) return 'pending';
    this.replied = true;
    return verdict;
  }
}
