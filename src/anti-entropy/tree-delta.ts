/**
 * What changes in a Merkle tree: for each segment that is touched, the sum of the leaves that come less the sum of those
 * that go, and how many keys more it has. Deltas add up in any order: a worker makes them, a tree takes them.
 */
import { nodeOf, nodesAt } from './merkle-tree.js';

export interface TreeDelta {
  /** Of the tree whose segments it names; a shallower tree can take it, too. */
  readonly depth: number;
  /** `[segment, low half, high half, keys more (two's complement)]` for each segment, in no order. */
  readonly words: Uint32Array;
}

/** Numbers for one segment in a delta. */
const STRIDE = 4;
/** A table is worth it up to so many segments for each leaf: clearing one costs a fiftieth of an entry in a map. */
const TABLE_PER_LEAF = 32;

/** Collects leaves into a delta. */
export class DeltaBuilder {
  readonly depth: number;
  private words: Uint32Array;
  private length = 0;
  /** Where a segment's numbers begin: in a table of all segments, if enough of them are expected to be touched. */
  private readonly places: Map<number, number> | undefined;
  private readonly table: Int32Array | undefined;

  /** @param expected - about how many leaves will be given */
  constructor(depth: number, expected = 256) {
    this.depth = depth;
    const segments = nodesAt(depth);
    this.words = new Uint32Array(STRIDE * Math.min(segments, expected));
    if (segments <= TABLE_PER_LEAF * expected) this.table = new Int32Array(segments).fill(-1);
    else this.places = new Map();
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
    let at = this.table === undefined ? (this.places!.get(segment) ?? -1) : this.table[segment]!;
    if (at === -1) {
      at = this.length;
      this.length += STRIDE;
      if (this.length > this.words.length) this.enlarge();
      if (this.table === undefined) this.places!.set(segment, at);
      else this.table[segment] = at;
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
