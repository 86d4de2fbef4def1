/**
 * Fences: keep what was sent before a deletion was forgotten from bringing the deleted value back (`reaping.ts`).
 *
 * A vnode's:
 *
 *     tag     goes with every object that it sends, as of the moment when the object was read;
 *             an object made of several carries the lowest
 *     floor   what comes with a tag below it is answered 'stale-fence', and never acknowledged
 *
 * A vote raises the tag: what is read from then on has the tombstones in it. A commit raises the floor to the same
 * height, before the first tombstone goes: whatever was read without them stays out, for good.
 * Pure: whoever holds a fence makes durable what is returned, in the fully synced storage, before anything else is done.
 */
import { assert } from '../base/assert.js';
import { isCandidate, type ReapCandidate } from './reaping.js';

export interface FenceState {
  readonly tag: number;
  readonly floor: number;
}

export class Fence implements FenceState {
  /** Goes with what is sent: durable, or a crash could have two reads, one with and one without a tombstone, bear it. */
  tag: number;
  floor: number;
  /** What the tag was raised to, durable or not: what a round is to go above. */
  private raisedTag: number;
  /** The floor as it is known to be durable. */
  private durableFloor: number;

  /** @param state - as it was made durable last; of a new vnode, the highest of its peers' */
  constructor(state: FenceState = { tag: 0, floor: 0 }) {
    this.tag = state.tag;
    this.floor = state.floor;
    this.raisedTag = state.tag;
    this.durableFloor = state.floor;
  }

  /** The highest tag that this vnode has, or may have on its disk. */
  get raised(): number {
    return this.raisedTag;
  }

  /** True if an object that came with this tag may be merged. */
  admits(tag: number): boolean {
    return tag >= this.floor;
  }

  /**
   * True if this vnode's tag is below a peer's floor: its data was taken back to an older state (a restored copy), and
   * may hold what was deleted and reaped since. It must be set aside, and the vnode refilled under a new identity.
   */
  isBehind(peerFloor: number): boolean {
    return this.raisedTag < peerFloor;
  }

  /**
   * A vote: what is to be durable, in one with the objects that are voted for, before it is answered, and told to
   * `stored` when it is. Or why there is none:
   *
   * - 'behind' the highest `floor` of the peers: see `isBehind`.
   * - 'late': the tag is above `g` already. It would not rise, and what was sent since it last rose was read without
   *   these tombstones: two rounds that overlapped would have one of them vote for nothing.
   */
  vote(g: number, floor: number): FenceState | 'behind' | 'late' {
    if (this.isBehind(floor)) return 'behind';
    if (this.raisedTag > g) return 'late';
    this.raisedTag = g + 1;
    return { tag: this.raisedTag, floor: this.floor };
  }

  /**
   * A commit: to be durable, and told to `stored`, before anything is removed. Undefined if this vnode has not
   * voted so high, as far as it knows: then it was taken back to an older state since, as `isBehind` tells of.
   */
  commit(g: number): FenceState | undefined {
    if (this.raisedTag <= g) return undefined;
    this.floor = Math.max(this.floor, g + 1);
    return { tag: this.raisedTag, floor: this.floor };
  }

  /** Of a vnode that was emptied, and has yet to be refilled: its peers' heights, to be durable before it is filled. */
  adopt({ tag, floor }: FenceState): FenceState {
    this.raisedTag = Math.max(this.raisedTag, tag, floor);
    this.floor = Math.max(this.floor, floor);
    return { tag: this.raisedTag, floor: this.floor };
  }

  /** This is durable now: what `vote`, `commit` or `adopt` gave. */
  stored({ tag, floor }: FenceState): void {
    this.tag = Math.max(this.tag, tag);
    this.durableFloor = Math.max(this.durableFloor, floor);
  }

  /** True if what was voted for above `g` may be removed or reduced: what is older stays out, whatever fails now. */
  mayRemove(g: number): boolean {
    return this.durableFloor > g;
  }

  /** Of a commit's candidates, those to be removed or reduced: their records are still the ones that were voted for. */
  due(
    g: number,
    candidates: readonly ReapCandidate[],
    get: (key: Uint8Array) => Uint8Array | undefined,
  ): ReapCandidate[] {
    assert(this.mayRemove(g), 'nothing is forgotten before the floor is durable');
    return candidates.filter((candidate) => isCandidate(candidate, get(candidate.key)));
  }
}

/** For each candidate 1 if the very record is there, else 0: what a vote is answered with, once it is flushed. */
export function heldOf(
  candidates: readonly ReapCandidate[],
  get: (key: Uint8Array) => Uint8Array | undefined,
): Uint8Array {
  return Uint8Array.from(candidates, (candidate) => (isCandidate(candidate, get(candidate.key)) ? 1 : 0));
}

/**
 * The fence of a node's hints, one for each partition: below `refuseBelow` no hint is taken. A hint that is minted here
 * is new, and bears `mintTag`; merged with a hint that is there, the lower of the two.
 */
export class HintFence {
  private readonly refuseBelow = new Map<number, number>();

  constructor(durable: Iterable<readonly [partition: number, refuseBelow: number]> = []) {
    for (const [partition, below] of durable) this.refuseBelow.set(partition, below);
  }

  /** True if a hint that came with this tag may be taken; else it is answered 'stale-fence'. */
  admits(partition: number, tag: number): boolean {
    return tag >= this.mintTag(partition);
  }

  mintTag(partition: number): number {
    return this.refuseBelow.get(partition) ?? 0;
  }

  /**
   * A census.
   * @param lowest - the lowest tag of the partition's hints that are here now; undefined if there are none
   * @returns 'deliver': hints up to `g` are to be delivered first; else what is to be durable before 'clear' is said
   */
  census(partition: number, g: number, lowest: number | undefined): 'deliver' | { readonly refuseBelow: number } {
    if (lowest !== undefined && lowest <= g) return 'deliver';
    const below = Math.max(this.mintTag(partition), g + 1);
    this.refuseBelow.set(partition, below);
    return { refuseBelow: below };
  }
}
