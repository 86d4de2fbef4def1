/**
 * What an exchange asks of both replicas, and what a replica answers: from its tree at once, from its records by
 * whoever may read them.
 */
import { isSoundRecord } from '../codec/record.js';
import { leafLow, leafOfRecord } from './leaf.js';
import { type MerkleTree, WIDTH } from './merkle-tree.js';
import { packedKeyBytes } from './packed-keys.js';
import { packedBytes } from './packed-nodes.js';

export type ExchangeAsk =
  | { readonly type: 'root' }
  /** The sums of all children of these nodes of `level`. Here and below nodes are in ascending order, each once. */
  | { readonly type: 'branches'; readonly level: number; readonly parents: Uint32Array }
  /** The sums of these nodes of `level`. */
  | { readonly type: 'sums'; readonly level: number; readonly nodes: Uint32Array }
  /** The leaves of the keys under these nodes, in key order, from `from` on (empty: from the first). */
  | { readonly type: 'keys'; readonly level: number; readonly segments: Uint32Array; readonly from: Uint8Array }
  /** The leaves of these keys as they are now. Any order; in key order they take the fewest bytes. */
  | { readonly type: 'leaves'; readonly keys: readonly Uint8Array[] };

export type ExchangeAnswer =
  | {
      readonly type: 'root';
      readonly depth: number;
      readonly keys: number;
      readonly high: number;
      readonly low: number;
    }
  /** Low and high half of each, in the order in which they were asked for. */
  | { readonly type: 'sums'; readonly sums: Uint32Array }
  /** `key-leaves.ts`. `next`: where they go on; empty: that was all. */
  | { readonly type: 'keys'; readonly leaves: Uint8Array; readonly next: Uint8Array }
  /** `[1 or 0 (no record that can be read), low half, high half]` for each key. */
  | { readonly type: 'leaves'; readonly leaves: Uint32Array }
  /** The tree is less deep than the question: it was built anew meanwhile. */
  | { readonly type: 'resized' }
  /** There is no tree yet. */
  | { readonly type: 'not-ready' }
  /** The replica is in an exchange that another node leads. */
  | { readonly type: 'busy' };

/** Numbers for one key in the answer to 'leaves'. */
export const LEAF_STRIDE = 3;

/** What the tree says. It must have what was written before the question came: `TreeKeeper.isFresh`. */
export function answerFromTree(
  tree: MerkleTree,
  ask: ExchangeAsk & { type: 'root' | 'branches' | 'sums' },
): ExchangeAnswer {
  switch (ask.type) {
    case 'root':
      return { type: 'root', depth: tree.depth, keys: tree.keys, high: tree.high(0, 0), low: tree.low(0, 0) };
    case 'branches': {
      if (ask.level >= tree.depth) return { type: 'resized' };
      const sums = new Uint32Array(2 * WIDTH * ask.parents.length);
      let at = 0;
      for (const parent of ask.parents) {
        for (let child = parent * WIDTH; child < (parent + 1) * WIDTH; child++) {
          sums[at++] = tree.low(ask.level + 1, child);
          sums[at++] = tree.high(ask.level + 1, child);
        }
      }
      return { type: 'sums', sums };
    }
    case 'sums': {
      if (ask.level > tree.depth) return { type: 'resized' };
      const sums = new Uint32Array(2 * ask.nodes.length);
      for (let i = 0; i < ask.nodes.length; i++) {
        sums[2 * i] = tree.low(ask.level, ask.nodes[i]!);
        sums[2 * i + 1] = tree.high(ask.level, ask.nodes[i]!);
      }
      return { type: 'sums', sums };
    }
  }
}

/** The leaves of a few keys, given how to read a record. */
export function leavesOf(
  keys: readonly Uint8Array[],
  get: (key: Uint8Array) => Uint8Array | undefined,
): ExchangeAnswer & { type: 'leaves' } {
  const leaves = new Uint32Array(LEAF_STRIDE * keys.length);
  for (let i = 0; i < keys.length; i++) {
    const record = get(keys[i]!);
    if (record === undefined || !isSoundRecord(record)) continue;
    const high = leafOfRecord(keys[i]!, record);
    leaves[LEAF_STRIDE * i] = 1;
    leaves[LEAF_STRIDE * i + 1] = leafLow;
    leaves[LEAF_STRIDE * i + 2] = high;
  }
  return { type: 'leaves', leaves };
}

/** How many bytes an ask takes, but for the lengths of its lists. */
export function askBytes(ask: ExchangeAsk): number {
  switch (ask.type) {
    case 'root':
      return 1;
    case 'branches':
      return 5 + packedBytes(ask.parents);
    case 'sums':
      return 5 + packedBytes(ask.nodes);
    case 'keys':
      return 9 + packedBytes(ask.segments) + ask.from.length;
    case 'leaves':
      return 5 + packedKeyBytes(ask.keys);
  }
}

/** How many bytes an answer takes at most. */
export function answerBytes(answer: ExchangeAnswer): number {
  switch (answer.type) {
    case 'root':
      return 18;
    case 'sums':
      return 5 + answer.sums.byteLength;
    case 'keys':
      return 9 + answer.leaves.length + answer.next.length;
    case 'leaves':
      return 5 + answer.leaves.byteLength;
    default:
      return 1;
  }
}
