/**
 * A sorted set of keys in memory: blocks of a few hundred, each sorted, in an array of blocks that is sorted, too.
 * Adding or removing one of a million moves a few hundred references at most, and no tree has to be balanced
 * (the sorted list of Python's `sortedcontainers`).
 *
 * Keys are byte strings held as latin1 text, one character a byte: text compares in the order of the bytes,
 * and is compared in 8 ns, where a call of `Buffer.compare` takes 58.
 */
import { assert } from '../base/assert.js';

/** A block is split when it has so many keys. 256 and 512 measured best of 128 to 2,048. */
const BLOCK = 512;

export class SortedKeys {
  /** None of them is empty, but for the only one of an empty set. */
  private readonly blocks: string[][] = [[]];

  /** Adds a key that is not in the set. */
  add(key: string): void {
    const at = this.blockOf(key);
    const block = this.blocks[at]!;
    const index = lowerBound(block, key);
    assert(block[index] !== key, 'A key is added once');
    block.splice(index, 0, key);
    // A block that was filled in order keeps most of its keys: sequential loads leave full blocks, not half-empty ones.
    if (block.length > BLOCK) this.blocks.splice(at + 1, 0, block.splice(index === BLOCK ? BLOCK - 8 : BLOCK / 2));
  }

  /** Removes a key that is in the set. */
  remove(key: string): void {
    const at = this.blockOf(key);
    const block = this.blocks[at]!;
    const index = lowerBound(block, key);
    assert(block[index] === key, 'A key is removed only if it is there');
    block.splice(index, 1);
    if (block.length === 0 && this.blocks.length > 1) this.blocks.splice(at, 1);
  }

  /** The first `limit` keys from `gte` (or just after `gt`) up to and without `lt`, in order. */
  range({ gte, gt, lt, limit }: { gte?: string; gt?: string; lt?: string; limit: number }): string[] {
    const result: string[] = [];
    const from = gt ?? gte ?? '';
    let at = this.blockOf(from);
    let index = lowerBound(this.blocks[at]!, from);
    for (; at < this.blocks.length; at++, index = 0) {
      const block = this.blocks[at]!;
      for (; index < block.length; index++) {
        const key = block[index]!;
        if (key === gt) continue;
        if (result.length >= limit || (lt !== undefined && key >= lt)) return result;
        result.push(key);
      }
    }
    return result;
  }

  /** The index of the last block whose first key is not above `key`, or 0. */
  private blockOf(key: string): number {
    let low = 0;
    let high = this.blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.blocks[middle]![0]! <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** The index of the first of `sorted` that is not below `key`. */
function lowerBound(sorted: readonly string[], key: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
