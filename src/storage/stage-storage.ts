/**
 * A storage for rehearsals: LMDB's in all but its files, upon a database in memory. What is compiled while it is in use is
 * the code of the real one, and holds when that is: a storage of another class in the same places would have it thrown away.
 */
import { type Database, storageUpon } from './lmdb-storage.js';
import { openMemoryStorage } from './memory-storage.js';
import type { Storage, StorageEntry } from './storage.js';

const LENT_BYTES = 65_536;
/** Entries that a range takes at a time. */
const AT_ONCE = 32;

/** @param path - a file of the disk that the real ones are on, which is asked for its room; nothing is written to it */
export function openStageStorage(path: string): Storage {
  return storageUpon(new MemoryDatabase(), { path, sync: 'none' });
}

class MemoryDatabase implements Database {
  private readonly memory = openMemoryStorage();
  /** As lmdb's: all values are given in it, with a `length` of their own. */
  private lent = lentBuffer(LENT_BYTES);

  getBinaryFast(key: Uint8Array): Uint8Array | undefined {
    const value = this.memory.get(key);
    if (value === undefined) return undefined;
    if (value.length > this.lent.byteLength) this.lent = lentBuffer(2 * value.length);
    Uint8Array.prototype.set.call(this.lent, value);
    (this.lent as { length: number }).length = value.length;
    return this.lent;
  }

  *getRange({ start, exclusiveStart, end }: Parameters<Database['getRange']>[0]): Iterable<StorageEntry> {
    const until = end === undefined ? {} : { lt: end };
    const from = start === undefined ? {} : exclusiveStart ? { gt: start } : { gte: start };
    let found = this.memory.range({ ...from, ...until, limit: AT_ONCE });
    while (found.length > 0) {
      yield* found;
      if (found.length < AT_ONCE) return;
      found = this.memory.range({ gt: found[found.length - 1]!.key, ...until, limit: AT_ONCE });
    }
  }

  transactionSync(work: () => void): void {
    work();
    this.memory.commit();
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.memory.put(key, value);
  }

  remove(key: Uint8Array): void {
    this.memory.remove(key);
  }

  getStats(): { readonly entryCount: number; readonly bytes: number } {
    const { entries, bytes } = this.memory.stats();
    return { entryCount: entries, bytes };
  }

  close(): void {
    this.memory.close();
  }
}

function lentBuffer(bytes: number): Uint8Array {
  const buffer = Buffer.alloc(bytes);
  return Object.defineProperty(buffer, 'length', { value: bytes, writable: true });
}
