/**
 * Where hints stand in a node's hint storage: those of one owner together, in them those of a partition, in byte order.
 *
 *     2 owner · located key (codec/key.ts)      (big-endian; at most 1,908 bytes)
 *     0xfffe · key of the hint                  a hint that became unreadable, set aside
 *     0xffff · what the hint store keeps for itself
 */
import { viewOf } from '../codec/byte-reader.js';
import type { KeyRange } from '../codec/key.js';
import { PARTITION_BYTES } from '../codec/key.js';

const OWNER_BYTES = 2;
export const SET_ASIDE = 0xfffe;
export const OWN = 0xffff;
/** By owner: `hint-ledger.ts`. */
export const LEDGER = 'o';
/** By partition: hints whose tag is lower are refused (`hint-fence.ts`). */
export const REFUSE_BELOW = 'f';
/** By partition, where it differs from that: below which tag a replica is surely an older copy. */
export const SURELY_BELOW = 's';
/** What is written to learn whether it can be. */
export const PROBE = 'p';
/** There since the store was new, or has learnt what it lost. */
export const KNOWS_FENCES = 'k';
/** There since the ledgers tell of the hints that stand beside them. */
export const COUNTED = 'c';
/** Owners are below this. */
export const MAX_OWNERS = SET_ASIDE;

export function hintKey(owner: number, located: Uint8Array): Uint8Array {
  return prefixed(owner, located);
}

/** The owner of a hint's key. */
export function ownerOf(key: Uint8Array): number {
  return (key[0]! << 8) | key[1]!;
}

/** The located key within a hint's key: a view. */
export function locatedKeyOf(key: Uint8Array): Uint8Array {
  return viewOf(key, OWNER_BYTES, key.length);
}

/** The partition of a hint's key. */
export function partitionOfHint(key: Uint8Array): number {
  return (key[OWNER_BYTES]! << 8) | key[OWNER_BYTES + 1]!;
}

/** The keys of all hints of an owner. */
export function ownerRange(owner: number): KeyRange {
  return { gte: number16(owner), lt: number16(owner + 1) };
}

/** Where a hint goes that cannot be read. */
export function setAsideKey(key: Uint8Array): Uint8Array {
  return prefixed(SET_ASIDE, key);
}

/** The key of something of the hint store's own; `letter` tells what. */
export function ownKey(letter: string, number: number): Uint8Array {
  const key = new Uint8Array(OWNER_BYTES + 1 + PARTITION_BYTES);
  write16(key, 0, OWN);
  key[OWNER_BYTES] = letter.charCodeAt(0);
  write16(key, OWNER_BYTES + 1, number);
  return key;
}

/** The number in a key made by `ownKey`. */
export function numberOf(key: Uint8Array): number {
  return (key[OWNER_BYTES + 1]! << 8) | key[OWNER_BYTES + 2]!;
}

/** All keys made by `ownKey` with this letter. */
export function ownRange(letter: string): KeyRange {
  const gte = ownKey(letter, 0).slice(0, OWNER_BYTES + 1);
  const lt = gte.slice();
  lt[OWNER_BYTES]!++;
  return { gte, lt };
}

function prefixed(prefix: number, rest: Uint8Array): Uint8Array {
  const key = Buffer.allocUnsafe(OWNER_BYTES + rest.length);
  write16(key, 0, prefix);
  key.set(rest, OWNER_BYTES);
  return key;
}

function number16(value: number): Uint8Array {
  const bytes = new Uint8Array(OWNER_BYTES);
  write16(bytes, 0, value);
  return bytes;
}

function write16(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 8;
  into[at + 1] = value;
}
