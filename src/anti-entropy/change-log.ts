/**
 * What has changed in a partition and is not in its tree yet: for each write the key, and the digest of the record before
 * and after, one behind the other in one buffer. A vnode only copies them here; the leaves are hashed by a
 * worker (`foldChanges`). Buffers are used again: making one costs more than filling it. It holds what it takes to fold a
 * change in without a look at the storage, and in any order: what a key's changes take away and add cancels out but for
 * the first and the last.
 *
 *     2 length of the key · the located key · 1 which of the two records there are · 8 digest before · 8 digest after
 */
import { assert } from '../base/assert.js';
import { uint32At, viewOf } from '../codec/byte-reader.js';
import { hashKeyIn, keyLow, leafLow, leafOf } from './leaf.js';
import { DeltaBuilder, type TreeDelta } from './tree-delta.js';

/** A part of a log, to be folded into a tree. */
export interface ChangeBatch {
  /** May be in shared memory. */
  readonly bytes: Uint8Array;
  readonly changes: number;
}

const BEFORE = 1;
const AFTER = 2;
const DIGEST_BYTES = 8;
const FIXED_BYTES = 2 + 1 + 2 * DIGEST_BYTES;
const FIRST_BYTES = 4_096;

export class ChangeLog {
  /** How many changes it holds. */
  changes = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  private length = 0;
  /** The buffer of a batch that was folded in. */
  private spare: Uint8Array | undefined;

  /** Bytes that it holds. */
  get size(): number {
    return this.length;
  }

  /** The record under `located` was `before` and is `after`; undefined: there was, or is, none. Copies what it needs. */
  note(located: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    const keyLength = located.length;
    let at = this.room(FIXED_BYTES + keyLength);
    const { bytes } = this;
    bytes[at] = keyLength;
    bytes[at + 1] = keyLength >>> 8;
    bytes.set(located, at + 2);
    at += 2 + keyLength;
    bytes[at] = (before === undefined ? 0 : BEFORE) | (after === undefined ? 0 : AFTER);
    if (before !== undefined) copyDigest(bytes, at + 1, before);
    if (after !== undefined) copyDigest(bytes, at + 1 + DIGEST_BYTES, after);
    this.changes++;
  }

  /** All that it holds, in memory that stays the batch's until `reuse`; it is empty afterwards. */
  take(): ChangeBatch {
    const batch = { bytes: this.bytes.subarray(0, this.length), changes: this.changes };
    this.bytes = this.spare ?? new Uint8Array(0);
    this.spare = undefined;
    this.clear();
    return batch;
  }

  /** A batch that was taken from here has been folded in: nobody reads it any more. */
  reuse({ bytes }: ChangeBatch): void {
    this.spare = new Uint8Array(bytes.buffer);
  }

  clear(): void {
    this.length = 0;
    this.changes = 0;
  }

  /** Moves each change of which `wanted` says so, given its key and its number since `take` or `clear`, to `other`. */
  moveTo(other: ChangeLog, wanted: (located: Uint8Array, index: number) => boolean): void {
    let index = 0;
    for (let at = 0; at < this.length; index++) {
      const end = at + FIXED_BYTES + keyLengthAt(this.bytes, at);
      if (wanted(keyAt(this.bytes, at), index)) other.copy(viewOf(this.bytes, at, end));
      at = end;
    }
    this.clear();
  }

  private copy(change: Uint8Array): void {
    const at = this.room(change.length);
    this.bytes.set(change, at);
    this.changes++;
  }

  /** Makes room for so many bytes; returns where they begin. */
  private room(size: number): number {
    const at = this.length;
    this.length += size;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(Math.max(FIRST_BYTES, 2 * this.length));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
    }
    return at;
  }
}

/** What the changes of a batch do to a tree. */
export function foldChanges(batch: ChangeBatch, depth: number): TreeDelta {
  const delta = new DeltaBuilder(depth, batch.changes);
  const { bytes } = batch;
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + 2 + keyLengthAt(bytes, at);
    const keyHigh = hashKeyIn(bytes, at + 2, keyEnd);
    at = keyEnd;
    const flags = bytes[at]!;
    const before = at + 1;
    const after = before + DIGEST_BYTES;
    at = after + DIGEST_BYTES;
    assert(at <= bytes.length, 'a batch ends with a whole change');
    if ((flags & BEFORE) !== 0) delta.subtract(keyLow, leafAt(bytes, before, keyHigh), leafLow);
    if ((flags & AFTER) !== 0) delta.add(keyLow, leafAt(bytes, after, keyHigh), leafLow);
  }
  return delta.finish();
}

/** The leaf of the last key, with the digest that stands at `at`; its low half is left in `leafLow`. */
function leafAt(bytes: Uint8Array, at: number, keyHigh: number): number {
  return leafOf(keyHigh, keyLow, uint32At(bytes, at + 4), uint32At(bytes, at));
}

function keyLengthAt(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

function keyAt(bytes: Uint8Array, at: number): Uint8Array {
  return viewOf(bytes, at + 2, at + 2 + keyLengthAt(bytes, at));
}

/** The digest is the front of a record. Where there is none nothing is copied: the flags say so. */
function copyDigest(into: Uint8Array, at: number, record: Uint8Array): void {
  for (let i = 0; i < DIGEST_BYTES; i++) into[at + i] = record[i]!;
}
