/** A key in the form in which it travels, placed on the ring. */
import { type KeyHash, keyHash, setPartition } from '../codec/key.js';
import { partitionOf } from '../ring/token.js';

export interface PlacedKey {
  readonly located: Uint8Array;
  readonly hash: KeyHash;
}

/**
 * Finds the partition of a located key, and writes it into it.
 * @param partitions - of the ring
 */
export function placeKey(located: Uint8Array, partitions: number): PlacedKey {
  const hash = keyHash(located);
  setPartition(located, partitionOf(hash.high, partitions));
  return { located, hash };
}
