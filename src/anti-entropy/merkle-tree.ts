/**
 * The Merkle tree of one replica of a partition: tells whether two replicas are equal by one number, and where they
 * differ by a few more.
 *
 *     level 0                          root                         = the sum of all leaves
 *                          ┌────────────┴───── … ─────┐
 *     level 1            0x0                         0xf            16 branches
 *                    ┌────┴── … ──┐              ┌────┴── … ──┐
 *     level 2      0x00         0x0f           0xf0         0xff    16² segments, if the tree's depth is 2
 *                   ▲▲▲                           ▲
 *     leaves      three keys                   one key              found in the storage when a segment differs
 *
 * - A key belongs to the segment that the first hex digits of the low half of its hash name (the high half's first bits
 *   already chose the partition).
 * - A segment is the **sum** of its keys' leaves (`leaf.ts`) modulo 2^64. The order in which keys came does not matter,
 *   and a write needs no look at the segment's other keys: the old leaf is taken away and the new one added.
 * - A branch is the sum of its 16 children, and so of all leaves below it. It is the same number in a tree of any depth:
 *   trees of different depths are compared down to the last level that both have, and a tree shrinks by dropping its
 *   last level. It grows by being built anew, beside the old one.
 * - Two different sets of leaves have equal sums by chance once in 2^64. An adversary could search for such sets, but
 *   leaves hold writers' random ids, which are drawn on the servers.
 *
 * **Size.** 16^depth segments, so deep that a segment covers 2 to 32 keys on average when the tree is built
 * (`depthFor`), which costs 0.3 to 4.3 bytes of memory a key. So a differing segment costs few keys to look at, and
 * finding it 16 hashes a level: 2 levels for 1,000 keys, 5 for 10,000,000.
 * Source: Dynamo (SOSP 2007), §4.7; sums instead of hashes of hashes: Bellare and Micciancio, AdHash (1997).
 */
import { assert } from '../base/assert.js';
import type { TreeDelta } from './tree-delta.js';

/** Children of a branch. */
export const WIDTH = 16;
const BITS = 4;
/** 16,777,216 segments: enough for 500,000,000 keys in one partition. */
export const MAX_DEPTH = 6;
/** Keys in a segment, on average, above which a deeper tree is worth its memory. */
const MOST_KEYS = 32;
/** Below so many keys a segment of the shallower tree, on average, the last level is not worth its memory. */
const FEWEST_KEYS = 8;

/** How many nodes stand before those of each level. */
const FIRST_NODE: readonly number[] = [0, 1, 17, 273, 4_369, 69_905, 1_118_481, 17_895_697];

/** The node at `level` above the key whose hash has the low half `keyLow`. */
export function nodeOf(keyLow: number, level: number): number {
  return level === 0 ? 0 : keyLow >>> (32 - BITS * level);
}

/** How many nodes a level has. */
export function nodesAt(level: number): number {
  return 2 ** (BITS * level);
}

/**
 * The depth of a tree for so many keys. Between the bounds at which a tree of depth `present` would grow or shrink it
 * stays as it is, so that a few writes more or less do not have it built again and again.
 */
export function depthFor(keys: number, present = 0): number {
  let depth = Math.max(1, present);
  while (depth < MAX_DEPTH && keys > nodesAt(depth) * MOST_KEYS) depth++;
  while (depth > 1 && keys < nodesAt(depth - 1) * FEWEST_KEYS) depth--;
  return depth;
}

export class MerkleTree {
  readonly depth: number;
  /** How many keys it covers. */
  keys = 0;
  /** Low and high half of each node's sum: level after level, from the root. */
  private readonly sums: Uint32Array;
  /** One bit for each block of `BLOCK_SEGMENTS` segments: set if one of them has changed since it was last saved. */
  private readonly dirty: Uint8Array;

  /** An empty tree; all of it is yet to be saved. */
  constructor(depth: number) {
    assert(Number.isInteger(depth) && depth >= 1 && depth <= MAX_DEPTH, 'a tree has 1 to 6 levels below its root');
    this.depth = depth;
    this.sums = new Uint32Array(2 * FIRST_NODE[depth + 1]!);
    this.dirty = new Uint8Array(Math.ceil(this.blocks / 8)).fill(0xff);
  }

  /** Adds what has changed: to its segments, and to the branches above them. The delta is as deep as the tree, or deeper. */
  apply(delta: TreeDelta): void {
    const { words } = delta;
    const shift = BITS * (delta.depth - this.depth);
    assert(shift >= 0, 'a delta for a shallower tree does not tell which segments have changed');
    for (let at = 0; at < words.length; at += 4) {
      this.add(words[at]! >>> shift, words[at + 1]!, words[at + 2]!);
      this.keys += words[at + 3]! | 0;
    }
  }

  /** Half a node's sum. */
  low(level: number, node: number): number {
    return this.sums[2 * (FIRST_NODE[level]! + node)]!;
  }

  high(level: number, node: number): number {
    return this.sums[2 * (FIRST_NODE[level]! + node) + 1]!;
  }

  /** How deep it should be for the keys that it covers now. */
  get wantedDepth(): number {
    return depthFor(this.keys, this.depth);
  }

  /** The same tree less deep: no record has to be read for that. */
  shrunk(depth: number): MerkleTree {
    assert(depth <= this.depth, 'a tree grows only by being built anew');
    const tree = new MerkleTree(depth);
    tree.keys = this.keys;
    tree.sums.set(this.sums.subarray(0, tree.sums.length));
    return tree;
  }

  /** How many blocks of segments it is saved in. */
  get blocks(): number {
    return Math.ceil(nodesAt(this.depth) / BLOCK_SEGMENTS);
  }

  isDirty(block: number): boolean {
    return ((this.dirty[block >>> 3]! >>> (block & 7)) & 1) === 1;
  }

  /** Everything as it is now is saved. */
  markSaved(): void {
    this.dirty.fill(0);
  }

  /** The sums of a block's segments, low half first, in memory of their own. */
  blockSums(block: number): Uint32Array {
    const first = 2 * (FIRST_NODE[this.depth]! + block * BLOCK_SEGMENTS);
    return this.sums.slice(first, first + 2 * BLOCK_SEGMENTS);
  }

  /** Puts saved sums in the place of a block of an empty tree. */
  restoreBlock(block: number, sums: Uint32Array): void {
    const count = Math.min(BLOCK_SEGMENTS, nodesAt(this.depth));
    assert(sums.length === 2 * count, 'a block has all of its sums');
    for (let i = 0; i < count; i++) {
      const low = sums[2 * i]!;
      const high = sums[2 * i + 1]!;
      if (low !== 0 || high !== 0) this.add(block * BLOCK_SEGMENTS + i, low, high);
    }
  }

  private add(segment: number, low: number, high: number): void {
    const { sums, depth } = this;
    const block = Math.floor(segment / BLOCK_SEGMENTS);
    this.dirty[block >>> 3]! |= 1 << (block & 7);
    let node = segment;
    for (let level = depth; level >= 0; level--) {
      const at = 2 * (FIRST_NODE[level]! + node);
      const sum = sums[at]! + low;
      sums[at] = sum;
      sums[at + 1] = sums[at + 1]! + high + (sum > 0xffff_ffff ? 1 : 0);
      node >>>= BITS;
    }
  }
}

/** Segments that are saved together: 64 KiB of sums. */
export const BLOCK_SEGMENTS = 8_192;
