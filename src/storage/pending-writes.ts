/**
 * What a storage was given since its last commit, by key: so that reads see it, and the commit can write it out.
 * A small open-addressing table over the bytes of the keys; every engine keeps one in front of what it has committed.
 *
 * It is on the path of every get and put of a turn: looking for a key of 20 bytes and setting it took 68 ns of CPU time
 * here, and 235 ns with a `Map` by a string made of the key.
 */
import { assert, InvariantError } from '../base/assert.js';
import { compareBytes, EMPTY } from '../base/bytes.js';
import { MAX_KEY_BYTES, type RangeOptions, type StorageEntry } from './storage.js';

/** Slots of an idle table; a power of two. A table that had to grow goes back to it at the next `clear`. */
const IDLE_SLOTS = 1_024;

/** Entries keep their place from their first write to `clear`, and are read by index: 0 … `count` − 1. */
export class PendingWrites {
  /** Keys written; each has one entry, however often it was written. */
  count = 0;
  /** The keys, in the order of their first write. */
  readonly keys: Uint8Array[] = [];
  /** The value of the key at the same index, or undefined if the key is to be removed. */
  readonly values: (Uint8Array | undefined)[] = [];
  private hashes = new Int32Array(IDLE_SLOTS / 2);
  /** Index + 1 of the entry that lives in a slot; 0: free. At most half of them are taken, so that runs stay short. */
  private slots = new Int32Array(IDLE_SLOTS);

  /** Sets what `key` is going to be: a value, or undefined for none. Keeps references to both. */
  set(key: Uint8Array, value: Uint8Array | undefined): void {
    requireKey(key);
    const hash = hashOf(key);
    const slot = this.slotOf(key, hash);
    const taken = this.slots[slot]!;
    if (taken !== 0) {
      this.keys[taken - 1] = key;
      this.values[taken - 1] = value;
      return;
    }
    const index = this.count++;
    this.keys[index] = key;
    this.values[index] = value;
    this.hashes[index] = hash;
    this.slots[slot] = index + 1;
    if (this.count === this.hashes.length) this.grow();
  }

  /** The index of `key`'s entry, or −1. */
  find(key: Uint8Array): number {
    return this.slots[this.slotOf(key, hashOf(key))]! - 1;
  }

  /** Forgets everything, and lets go of all keys and values. */
  clear(): void {
    if (this.slots.length > IDLE_SLOTS) {
      this.hashes = new Int32Array(IDLE_SLOTS / 2);
      this.slots = new Int32Array(IDLE_SLOTS);
      this.keys.length = 0;
      this.values.length = 0;
    } else {
      this.slots.fill(0);
      this.keys.fill(EMPTY, 0, this.count);
      this.values.fill(undefined, 0, this.count);
    }
    this.count = 0;
  }

  /**
   * A range over committed entries and these. `committed(limit)` gives the first `limit` committed entries of the range.
   */
  range(options: RangeOptions, committed: (limit: number) => StorageEntry[]): StorageEntry[] {
    const { limit } = options;
    assert(limit >= 0, 'A range has a limit of 0 or more');
    assert(options.gte === undefined || options.gt === undefined, 'A range begins at `gte` or after `gt`, not both');
    if (limit === 0 || options.lt?.length === 0) return [];
    const own = this.count === 0 ? [] : this.within(options);
    // Each pending entry hides at most one committed one.
    const stored = committed(limit + own.length);
    if (own.length === 0) return stored;

    const result: StorageEntry[] = [];
    let next = 0;
    for (const index of own) {
      const key = this.keys[index]!;
      while (next < stored.length && compareBytes(stored[next]!.key, key) < 0 && result.length < limit) {
        result.push(stored[next++]!);
      }
      if (result.length >= limit) return result;
      if (next < stored.length && compareBytes(stored[next]!.key, key) === 0) next++;
      const value = this.values[index];
      if (value !== undefined) result.push({ key: Buffer.from(key), value: Buffer.from(value) });
    }
    while (next < stored.length && result.length < limit) result.push(stored[next++]!);
    return result;
  }

  /** The indices of the entries in a range, ordered by key. */
  private within({ gte, gt, lt }: RangeOptions): number[] {
    const indices: number[] = [];
    for (let index = 0; index < this.count; index++) {
      const key = this.keys[index]!;
      if (gte !== undefined && compareBytes(key, gte) < 0) continue;
      if (gt !== undefined && compareBytes(key, gt) <= 0) continue;
      if (lt !== undefined && compareBytes(key, lt) >= 0) continue;
      indices.push(index);
    }
    return indices.sort((a, b) => compareBytes(this.keys[a]!, this.keys[b]!));
  }

  /** The slot that `key` lives in, or the free one that it would go to. */
  private slotOf(key: Uint8Array, hash: number): number {
    const mask = this.slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const taken = this.slots[slot]!;
      if (taken === 0 || (this.hashes[taken - 1] === hash && sameBytes(this.keys[taken - 1]!, key))) return slot;
      slot = (slot + 1) & mask;
    }
  }

  private grow(): void {
    const hashes = new Int32Array(this.hashes.length * 2);
    hashes.set(this.hashes);
    this.hashes = hashes;
    this.slots = new Int32Array(this.slots.length * 2);
    const mask = this.slots.length - 1;
    for (let index = 0; index < this.count; index++) {
      let slot = hashes[index]! & mask;
      while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
      this.slots[slot] = index + 1;
    }
  }
}

/** Every engine asks it of a key that it is given. Not by `assert`, whose message would be put together every time. */
export function requireKey(key: Uint8Array): void {
  if (key.length > 0 && key.length <= MAX_KEY_BYTES) return;
  throw new InvariantError(`A key has 1 to ${MAX_KEY_BYTES} bytes, not ${key.length}`);
}

/** FNV-1a with a last mix, since slots are taken from its low bits. Keys are short: a call out of JavaScript costs more. */
function hashOf(key: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, 0x01000193);
  hash ^= hash >>> 15;
  return Math.imul(hash, 0x2c1b3c6d) ^ (hash >>> 12);
}

/** As `equalBytes`, without its call out of JavaScript: 27 ns instead of 60 for keys of 20 bytes. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  // From the end: keys of one bucket have their beginning in common.
  for (let i = a.length - 1; i >= 0; i--) if (a[i] !== b[i]) return false;
  return true;
}
