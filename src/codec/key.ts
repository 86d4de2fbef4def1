/**
 * A *located key*: under what a record stands in a node's storage. The keys of a partition stand together, in it those
 * of a bucket, in byte order.
 *
 *     2 partition · 2 length of the type · type · 2 length of the bucket · bucket · key        (lengths big-endian)
 *
 * The hash that places a key on the ring is taken over all that follows the partition.
 */
import { isWellFormed, utf8 } from '../base/bytes.js';
import { InvalidArgumentError, KeyTooLongError } from '../base/errors.js';
import { hash64, hashLow } from '../base/hash.js';
import { viewOf } from './byte-reader.js';
import { CorruptRecordError } from './errors.js';

/** Type, bucket and key together. */
export const MAX_KEY_BYTES = 1_900;
export const PARTITION_BYTES = 2;

const LENGTH_BYTES = 2;
/** Up to so many characters a loop over them is faster than an encoder. */
const SHORT_TEXT = 64;
const OVERHEAD = PARTITION_BYTES + 2 * LENGTH_BYTES;

export interface KeyParts {
  readonly type: Uint8Array;
  readonly bucket: Uint8Array;
  readonly key: Uint8Array;
}

export interface LocatedKey extends KeyParts {
  readonly partition: number;
}

/** The 64-bit hash of type, bucket and key, in unsigned halves. */
export interface KeyHash {
  readonly high: number;
  readonly low: number;
}

/** A range of storage keys, as `Storage.range` takes it. */
export interface KeyRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

/** Bounds on the keys of a bucket; all that are given hold. */
export interface KeyBounds {
  readonly prefix?: Uint8Array | undefined;
  readonly gte?: Uint8Array | undefined;
  readonly gt?: Uint8Array | undefined;
  readonly lt?: Uint8Array | undefined;
  readonly lte?: Uint8Array | undefined;
}

/**
 * The located key, in memory of its own. Where the hash is yet to tell the partition, encode with 0 and `setPartition`.
 * @param partition - 0 to 65,535
 * @throws {KeyTooLongError} Type, bucket and key are together over 1,900 bytes.
 * @throws {InvalidArgumentError} One of them is empty.
 */
export function encodeLocatedKey(partition: number, parts: KeyParts): Uint8Array {
  const { type, bucket, key } = parts;
  checkBucket(type, bucket);
  const size = type.length + bucket.length + key.length;
  checkKey(key.length, size);
  const located = Buffer.allocUnsafe(OVERHEAD + size);
  located.set(key, writeBucket(located, partition, type, bucket));
  return located;
}

/**
 * The located key of a bucket's `key`, in memory of its own; text stands in it as UTF-8.
 * As `encodeLocatedKey`, for whoever has many keys of one bucket: a short text costs 60 ns here instead of 350, for it
 * goes straight to its place.
 * @param prefix - the bucket's, by `bucketPrefix`
 * @throws {KeyTooLongError} Type, bucket and key are together over 1,900 bytes.
 * @throws {InvalidArgumentError} It is empty, or a text that has no UTF-8: all such texts would be one key.
 */
export function locateKey(prefix: Uint8Array, key: string | Uint8Array): Uint8Array {
  if (typeof key === 'string' && key.length <= SHORT_TEXT) {
    const located = startKey(prefix, key.length);
    if (writeAscii(located, prefix.length, key)) return located;
  }
  if (typeof key === 'string' && !isWellFormed(key)) {
    throw new InvalidArgumentError('The key has half of a surrogate pair, which is no text: pass bytes, or mend it');
  }
  const bytes = typeof key === 'string' ? utf8(key) : key;
  const located = startKey(prefix, bytes.length);
  located.set(bytes, prefix.length);
  return located;
}

/**
 * Its parts, as views into `located`.
 * @throws {CorruptRecordError} The bytes are not those of a located key.
 */
export function decodeLocatedKey(located: Uint8Array): LocatedKey {
  const typeEnd = partEnd(located, PARTITION_BYTES);
  const bucketEnd = partEnd(located, typeEnd);
  if (bucketEnd >= located.length || located.length > OVERHEAD + MAX_KEY_BYTES) throw notAKey();
  return {
    partition: partitionOf(located),
    type: viewOf(located, PARTITION_BYTES + LENGTH_BYTES, typeEnd),
    bucket: viewOf(located, typeEnd + LENGTH_BYTES, bucketEnd),
    key: viewOf(located, bucketEnd, located.length),
  };
}

/** The partition of a located key. */
export function partitionOf(located: Uint8Array): number {
  return (located[0]! << 8) | located[1]!;
}

/** Writes the partition into a located key that nobody else holds yet. */
export function setPartition(located: Uint8Array, partition: number): void {
  located[0] = partition >>> 8;
  located[1] = partition;
}

/** What places the key on the ring, and binds its tokens: the same in whatever partition it is. */
export function keyHash(located: Uint8Array): KeyHash {
  const high = hash64(viewOf(located, PARTITION_BYTES, located.length));
  return { high, low: hashLow };
}

/** All keys of a partition; 65,535 is too high a partition to have an end, and no ring has so many. */
export function partitionRange(partition: number): KeyRange {
  const gte = new Uint8Array(PARTITION_BYTES);
  const lt = new Uint8Array(PARTITION_BYTES);
  setPartition(gte, partition);
  setPartition(lt, partition + 1);
  return { gte, lt };
}

/** All keys of a bucket type in a partition. @throws {InvalidArgumentError} The type is empty. */
export function typeRange(partition: number, type: Uint8Array): KeyRange {
  if (type.length === 0) throw emptyType();
  checkBounded(type.length);
  const gte = new Uint8Array(PARTITION_BYTES + LENGTH_BYTES + type.length);
  setPartition(gte, partition);
  gte[PARTITION_BYTES] = type.length >>> 8;
  gte[PARTITION_BYTES + 1] = type.length;
  gte.set(type, PARTITION_BYTES + LENGTH_BYTES);
  // Every located key begins with a partition below 65,535, so that its prefixes have a successor.
  return { gte, lt: successorOf(gte)! };
}

/** What all located keys of a bucket in a partition begin with. @throws {InvalidArgumentError} Type or bucket is empty. */
export function bucketPrefix(partition: number, type: Uint8Array, bucket: Uint8Array): Uint8Array {
  checkBucket(type, bucket);
  checkBounded(type.length + bucket.length);
  const prefix = new Uint8Array(OVERHEAD + type.length + bucket.length);
  writeBucket(prefix, partition, type, bucket);
  return prefix;
}

/**
 * The located keys of a bucket in a partition that are within `bounds`: from `gte` up to and without `lt`.
 * An empty range has `gte` at or above `lt`.
 * @throws {InvalidArgumentError} Type or bucket is empty. @throws {KeyTooLongError} A bound is longer than a key may be.
 */
export function bucketRange(partition: number, type: Uint8Array, bucket: Uint8Array, bounds: KeyBounds): KeyRange {
  const whole = bucketPrefix(partition, type, bucket);
  let gte = whole;
  // Every located key begins with a partition below 65,535, so that its prefixes have a successor.
  let lt = successorOf(whole)!;
  const { prefix } = bounds;
  if (prefix !== undefined) {
    gte = joined(whole, prefix, 0);
    lt = successorOf(gte)!;
  }
  if (bounds.gte !== undefined) gte = later(gte, joined(whole, bounds.gte, 0));
  if (bounds.gt !== undefined) gte = later(gte, joined(whole, bounds.gt, 1));
  if (bounds.lt !== undefined) lt = earlier(lt, joined(whole, bounds.lt, 0));
  if (bounds.lte !== undefined) lt = earlier(lt, joined(whole, bounds.lte, 1));
  return { gte, lt };
}

/** The least byte string above all that begin with `prefix`; undefined if there is none: it is empty, or all 0xff. */
export function successorOf(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  if (length === 0) return undefined;
  // Not `slice`, which on a Buffer copies nothing.
  const successor = new Uint8Array(prefix.subarray(0, length));
  successor[length - 1]!++;
  return successor;
}

/** The prefix, and room for a key. */
function startKey(prefix: Uint8Array, keyLength: number): Uint8Array {
  checkKey(keyLength, prefix.length - OVERHEAD + keyLength);
  const located = Buffer.allocUnsafe(prefix.length + keyLength);
  for (let i = 0; i < prefix.length; i++) located[i] = prefix[i]!;
  return located;
}

/** Writes `text` at `at`; false, with some of it written, if it is not ASCII. */
function writeAscii(into: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0x7f) return false;
    into[at + i] = code;
  }
  return true;
}

function checkKey(keyLength: number, size: number): void {
  if (keyLength === 0) throw new InvalidArgumentError('The key is empty: give it at least 1 byte');
  if (size <= MAX_KEY_BYTES) return;
  throw new KeyTooLongError(
    `type, bucket and key are ${size} bytes together: shorten them to at most ${MAX_KEY_BYTES}`,
  );
}

function checkBucket(type: Uint8Array, bucket: Uint8Array): void {
  if (type.length === 0) throw emptyType();
  if (bucket.length === 0) throw new InvalidArgumentError('The bucket is empty: give it a name of at least 1 byte');
}

function emptyType(): InvalidArgumentError {
  return new InvalidArgumentError("The bucket type is empty: leave it out for 'default'");
}

function checkBounded(size: number): void {
  if (size > MAX_KEY_BYTES) {
    throw new KeyTooLongError(`Type, bucket and bound are ${size} bytes together: no key is over ${MAX_KEY_BYTES}`);
  }
}

/** Writes all that stands before the key; returns where the key goes. */
function writeBucket(into: Uint8Array, partition: number, type: Uint8Array, bucket: Uint8Array): number {
  setPartition(into, partition);
  let at = PARTITION_BYTES;
  into[at] = type.length >>> 8;
  into[at + 1] = type.length;
  into.set(type, at + LENGTH_BYTES);
  at += LENGTH_BYTES + type.length;
  into[at] = bucket.length >>> 8;
  into[at + 1] = bucket.length;
  into.set(bucket, at + LENGTH_BYTES);
  return at + LENGTH_BYTES + bucket.length;
}

function partEnd(located: Uint8Array, at: number): number {
  if (at + LENGTH_BYTES > located.length) throw notAKey();
  const length = (located[at]! << 8) | located[at + 1]!;
  if (length === 0) throw notAKey();
  return at + LENGTH_BYTES + length;
}

function notAKey(): CorruptRecordError {
  return new CorruptRecordError('A storage key is not that of a record');
}

/** `whole` and `bound`, and as many zero bytes: with one, the least byte string above. */
function joined(whole: Uint8Array, bound: Uint8Array, zeros: number): Uint8Array {
  checkBounded(whole.length - OVERHEAD + bound.length);
  const bytes = new Uint8Array(whole.length + bound.length + zeros);
  bytes.set(whole);
  bytes.set(bound, whole.length);
  return bytes;
}

function later(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Buffer.compare(a, b) >= 0 ? a : b;
}

function earlier(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Buffer.compare(a, b) <= 0 ? a : b;
}
