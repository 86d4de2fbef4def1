/**
 * The leaf of a key in a Merkle tree: a hash of the key and of the whole causal state that a replica keeps for it.
 *
 *     leaf = murmur3( xxHash64(type, bucket, key) · the digest at the front of the record ), under two seeds
 *
 * The digest is taken over the canonical form of the object (`codec/record.ts`): context, sorted dots, and what stands
 * under them. So replicas whose objects merged to the same have the same leaf, whatever came first and whenever it came;
 * and a leaf costs eight bytes of the record, which need not be decoded, nor read in full where it is large.
 * The two hashes have to be bound to each other, so that no sum of leaves is the same when two keys exchange their digests. That
 * takes a few multiplications, 32 bits at a time. xxHash64 once more would cost more than twice as much (84 and 37 ns), most of
 * it for the BigInt that a call returns, and there are two leaves a write.
 * It says nothing of the record's soundness: whoever builds a tree from records checks them (`hash-task.ts`).
 *
 * Source of the mixing: Austin Appleby's MurmurHash3 (x86, 32 bits), over the sixteen bytes.
 *
 * A hash is two unsigned halves, as in `base/hash.ts`: the high one is returned, the low one left in a variable.
 */
import { hash64, hashLow } from '../base/hash.js';
import { MAX_KEY_BYTES, PARTITION_BYTES } from '../codec/key.js';
import { digestHigh, digestLow } from '../codec/record.js';

/** Of the two halves: 64 bits of the fraction of π. */
const LOW_SEED = 0x243f_6a88;
const HIGH_SEED = 0x85a3_08d3;

/** The low half of the last leaf; valid until the next one is taken. */
export let leafLow = 0;

/** The low half of the hash of the last key; valid until the next one is hashed. */
export let keyLow = 0;

/** The leaf of a key's hash and a record's digest; returns its high half, and leaves the low one in `leafLow`. */
export function leafOf(keyHighHalf: number, keyLowHalf: number, digestHighHalf: number, digestLowHalf: number): number {
  leafLow = mixed(LOW_SEED, keyLowHalf, keyHighHalf, digestLowHalf, digestHighHalf);
  return mixed(HIGH_SEED, keyLowHalf, keyHighHalf, digestLowHalf, digestHighHalf);
}

function mixed(seed: number, a: number, b: number, c: number, d: number): number {
  let hash = withWord(withWord(withWord(withWord(seed, a), b), c), d) ^ 16;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function withWord(hash: number, word: number): number {
  const product = Math.imul(word, 0xcc9e_2d51);
  const mixedIn = hash ^ Math.imul((product << 15) | (product >>> 17), 0x1b87_3593);
  return (Math.imul((mixedIn << 13) | (mixedIn >>> 19), 5) + 0xe654_6b64) | 0;
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
  copied.set(located);
  return hashCopied(located.length);
}

/** The same of the located key that stands in `bytes` from `start` up to `end`: without a view, which costs 50 ns. */
export function hashKeyIn(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > SHORT_KEY) copied.set(bytes.subarray(start, end));
  else for (let i = 0; i < length; i++) copied[i] = bytes[start + i]!;
  return hashCopied(length);
}

function hashCopied(length: number): number {
  views[length] ??= copied.subarray(PARTITION_BYTES, length);
  const high = hash64(views[length]);
  keyLow = hashLow;
  return high;
}

/** Up to so many bytes a loop costs less than a view. */
const SHORT_KEY = 64;
const copied = new Uint8Array(MAX_KEY_BYTES + 64);
/** Of what was copied, by the length of the key. */
const views: Uint8Array[] = [];
