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
import { MAX_KEY_BYTES, PARTITION_BYTES } from '../codec/key.js';
import { digestHigh, digestLow } from '../codec/record.js';

const words = new Uint32Array(4);
const bytes = new Uint8Array(words.buffer);

/** The low half of the last leaf; valid until the next one is taken. */
export let leafLow = 0;

/** The low half of the hash of the last key; valid until the next one is hashed. */
export let keyLow = 0;

/** The leaf of a key's hash and a record's digest; returns its high half, and leaves the low one in `leafLow`. */
export function leafOf(keyHighHalf: number, keyLowHalf: number, digestHighHalf: number, digestLowHalf: number): number {
  words[0] = keyLowHalf;
  words[1] = keyHighHalf;
  words[2] = digestLowHalf;
  words[3] = digestHighHalf;
  const high = hash64(bytes);
  leafLow = hashLow;
  return high;
}

/** The leaf of the record under a located key. As `leafOf`; leaves the low half of the key's hash in `keyLow`. */
export function leafOfRecord(located: Uint8Array, record: Uint8Array): number {
  const high = hashKey(located);
  return leafOf(high, keyLow, digestHigh(record), digestLow(record));
}

/**
 * The hash of type, bucket and key, as `keyHash` of `codec/key.ts`; returns its high half, leaves the low one in `keyLow`.
 * For keys as lmdb hands them out: the `buffer` of such a small array, which a view needs, costs 600 ns, a copy 40.
 */
export function hashKey(located: Uint8Array): number {
  const { length } = located;
  copied.set(located);
  views[length] ??= copied.subarray(PARTITION_BYTES, length);
  const high = hash64(views[length]);
  keyLow = hashLow;
  return high;
}

const copied = new Uint8Array(MAX_KEY_BYTES + 64);
/** Of what was copied, by the length of the key. */
const views: Uint8Array[] = [];
