/**
 * Changes in one piece of memory, one behind the other: for each write the tree that it changes, the key, and the digest of the
 * record before and after. It holds what it takes to fold a change in without a look at the storage, and in any order: what a
 * key's changes take away and add cancels out but for the first and the last.
 *
 *     4 tree · 2 length of the key · 1 which of the two records there are · 8 digest before · 8 digest after · the located key
 */
import { assert } from '../base/assert.js';
import { uint32At, viewOf } from '../codec/byte-reader.js';
import { hashKeyIn, keyLow, leafLow, leafOf } from './leaf.js';
import type { DeltaBuilder } from './tree-delta.js';

const KEY_LENGTH = 4;
const FLAGS = 6;
const FIRST_DIGEST = 7;
const DIGEST_BYTES = 8;
const SECOND_DIGEST = FIRST_DIGEST + DIGEST_BYTES;
const KEY = SECOND_DIGEST + DIGEST_BYTES;
const BEFORE = 1;
const AFTER = 2;
/** Up to so many bytes a loop costs less than `set`. */
const SHORT_KEY = 20;

/** How many bytes the change of a key takes. */
export function changeBytes(located: Uint8Array): number {
  return KEY + located.length;
}

export class ChangeBuffer {
  /** Bytes of it that are in use, and changes in them. */
  length = 0;
  changes = 0;
  readonly bytes: Uint8Array;

  /** @param bytes - it is written into these; all may be shared memory */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** True if the change of a key has room. */
  fits(located: Uint8Array): boolean {
    return this.length + KEY + located.length <= this.bytes.length;
  }

  /**
   * The record under `located` was `before` and is `after`; undefined: there was, or is, none. Of a record only its front is
   * read, its digest. It must fit.
   */
  note(tree: number, located: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    const { bytes, length: at } = this;
    const { length } = located;
    bytes[at] = tree;
    bytes[at + 1] = tree >>> 8;
    bytes[at + 2] = tree >>> 16;
    bytes[at + 3] = tree >>> 24;
    bytes[at + KEY_LENGTH] = length;
    bytes[at + KEY_LENGTH + 1] = length >>> 8;
    bytes[at + FLAGS] = (before === undefined ? 0 : BEFORE) | (after === undefined ? 0 : AFTER);
    if (before !== undefined) copyDigest(bytes, at + FIRST_DIGEST, before);
    if (after !== undefined) copyDigest(bytes, at + SECOND_DIGEST, after);
    if (length > SHORT_KEY) bytes.set(located, at + KEY);
    else for (let i = 0; i < length; i++) bytes[at + KEY + i] = located[i]!;
    this.length = at + KEY + length;
    this.changes++;
  }

  clear(): void {
    this.length = 0;
    this.changes = 0;
  }

  /** Calls `visit` for each change, in order, with views. */
  forEach(
    visit: (located: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined, index: number) => void,
  ): void {
    const { bytes } = this;
    for (let at = 0, index = 0; at < this.length; index++) {
      const end = at + KEY + keyLengthAt(bytes, at);
      const flags = bytes[at + FLAGS]!;
      visit(
        viewOf(bytes, at + KEY, end),
        (flags & BEFORE) === 0 ? undefined : viewOf(bytes, at + FIRST_DIGEST, at + SECOND_DIGEST),
        (flags & AFTER) === 0 ? undefined : viewOf(bytes, at + SECOND_DIGEST, at + KEY),
        index,
      );
      at = end;
    }
  }
}

/**
 * Adds what the changes do to their trees. @param deltaOf - undefined for a tree that is not there any more: its changes
 * are left out
 */
export function foldChanges(bytes: Uint8Array, deltaOf: (tree: number) => DeltaBuilder | undefined): void {
  for (let at = 0; at < bytes.length; ) {
    const key = at + KEY;
    const end = key + keyLengthAt(bytes, at);
    assert(end <= bytes.length, 'a buffer ends with a whole change');
    const delta = deltaOf(uint32At(bytes, at));
    if (delta !== undefined) {
      const keyHigh = hashKeyIn(bytes, key, end);
      const flags = bytes[at + FLAGS]!;
      if ((flags & BEFORE) !== 0) delta.subtract(keyLow, leafAt(bytes, at + FIRST_DIGEST, keyHigh), leafLow);
      if ((flags & AFTER) !== 0) delta.add(keyLow, leafAt(bytes, at + SECOND_DIGEST, keyHigh), leafLow);
    }
    at = end;
  }
}

/** The leaf of the last key, with the digest that stands at `at`; its low half is left in `leafLow`. */
function leafAt(bytes: Uint8Array, at: number, keyHigh: number): number {
  return leafOf(keyHigh, keyLow, uint32At(bytes, at + 4), uint32At(bytes, at));
}

function keyLengthAt(bytes: Uint8Array, at: number): number {
  return bytes[at + KEY_LENGTH]! | (bytes[at + KEY_LENGTH + 1]! << 8);
}

/** The digest is the front of a record. */
function copyDigest(into: Uint8Array, at: number, record: Uint8Array): void {
  for (let i = 0; i < DIGEST_BYTES; i++) into[at + i] = record[i]!;
}
