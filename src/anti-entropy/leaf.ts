/**
 * The leaf of a key in a Merkle tree: a hash of the key and of the whole causal state that a replica keeps for it.
 *
 *     leaf = xxHash64( xxHash64(type, bucket, key) · the digest at the front of the record )
 *
 * The digest is taken over the canonical form of the object (`codec/record.ts`): context, sorted dots, and what stands
 * under them. So replicas whose objects merged to the same have the same leaf, whatever came first and whenever it came;
 * and a leaf costs eight bytes of the record, which need not be decoded, nor read in full where it is large.
 * It says nothing of the record's soundness: whoever builds a tree from records checks them (`hash-records.ts`).
 *
 * A hash is two unsigned halves, as in `base/hash.ts`: the high one is returned, the low one left in a variable.
 */
import { hash64, hashLow } from '../base/hash.js';
import { keyHash } from '../codec/key.js';
import { digestHigh, digestLow } from '../codec/record.js';

const words = new Uint32Array(4);
const bytes = new Uint8Array(words.buffer);

/** The low half of the last leaf; valid until the next one is taken. */
export let leafLow = 0;

/** The leaf of a key's hash and a record's digest; returns its high half, and leaves the low one in `leafLow`. */
export function leafOf(keyHigh: number, keyLow: number, digestHighHalf: number, digestLowHalf: number): number {
  words[0] = keyLow;
  words[1] = keyHigh;
  words[2] = digestLowHalf;
  words[3] = digestHighHalf;
  const high = hash64(bytes);
  leafLow = hashLow;
  return high;
}

/** The leaf of the record under a located key. As `leafOf`. */
export function leafOfRecord(located: Uint8Array, record: Uint8Array): number {
  const { high, low } = keyHash(located);
  return leafOf(high, low, digestHigh(record), digestLow(record));
}
