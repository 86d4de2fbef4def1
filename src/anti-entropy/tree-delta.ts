/**
 * What changes in a Merkle tree: for each segment that is touched, the sum of the leaves that come less the sum of those
 * that go, and how many keys more it has. Deltas add up in any order: a worker makes them, a tree takes them.
 */
import { nodeOf } from './merkle-tree.js';

export interface TreeDelta {
  /** Of the tree whose segments it names; a shallower tree can take it, too. */
  readonly depth: number;
  /** `[segment, low half, high half, keys more (two's complement)]` for each segment, in no order. */
  readonly words: Uint32Array;
}

/** Numbers for one segment in a delta. */
const STRIDE = 4;

/** Collects leaves into a delta. */
export class DeltaBuilder {
  readonly depth: number;
  private words = new Uint32Array(256 * STRIDE);
  private length = 0;
  /** Where a segment's numbers begin. */
  private readonly places = new Map<number, number>();

  constructor(depth: number) {
    this.depth = depth;
  }

  /** A leaf comes, of the key whose hash has the low half `keyLow`. */
  add(keyLow: number, leafHigh: number, leafLow: number): void {
    this.sum(keyLow, leafHigh, leafLow, 1);
  }

  /** A leaf goes. */
  subtract(keyLow: number, leafHigh: number, leafLow: number): void {
    // The negative of a number of 64 bits: its complement and 1.
    const low = (~leafLow + 1) >>> 0;
    const high = (~leafHigh + (low === 0 ? 1 : 0)) >>> 0;
    this.sum(keyLow, high, low, -1);
  }

  /** All that was collected; the builder is not to be used again. */
  finish(): TreeDelta {
    return { depth: this.depth, words: this.words.slice(0, this.length) };
  }

  private sum(keyLow: number, high: number, low: number, keys: number): void {
    const segment = nodeOf(keyLow, this.depth);
    let at = this.places.get(segment);
    if (at === undefined) {
      at = this.length;
      this.length += STRIDE;
      if (this.length > this.words.length) this.enlarge();
      this.places.set(segment, at);
      this.words[at] = segment;
    }
    const { words } = this;
    const sum = words[at + 1]! + low;
    words[at + 1] = sum;
    words[at + 2] = words[at + 2]! + high + (sum > 0xffff_ffff ? 1 : 0);
    words[at + 3] = words[at + 3]! + keys;
  }

  private enlarge(): void {
    const larger = new Uint32Array(2 * this.words.length);
    larger.set(this.words);
    this.words = larger;
  }
}
