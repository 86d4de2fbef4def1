/** Reads entries of a hint storage a page at a time, however large they are: a part of `HintStore`. */
import type { Storage, StorageEntry } from '../src/storage/storage.js';

/** Entries that a page takes from the storage: before it knows how large they are, and at a time. */
const READ_AT_FIRST = 4;
const READ_AT_ONCE = 32;

/** Where a page begins and what it ends before. */
export interface PageRange {
  readonly gte: Uint8Array;
  /** Undefined: it begins at `gte`; else after this key, which is in the range. */
  readonly after: Uint8Array | undefined;
  readonly lt: Uint8Array;
}

/** Entries in byte order: at most `limit`, and of about `limitBytes`. None: there is none left. The caller's own. */
export function readPage(
  storage: Storage,
  { gte, after, lt }: PageRange,
  limit: number,
  limitBytes: number,
): StorageEntry[] {
  const page: StorageEntry[] = [];
  let bytes = 0;
  let largest = 1;
  let wanted = Math.min(READ_AT_FIRST, limit);
  let last = after;
  while (wanted > 0) {
    const found = storage.range(last === undefined ? { gte, lt, limit: wanted } : { gt: last, lt, limit: wanted });
    for (const entry of found) {
      page.push(entry);
      bytes += entry.value.length;
      largest = Math.max(largest, entry.value.length);
    }
    if (found.length < wanted) break;
    // As many as find room if they are no larger than those before.
    wanted = Math.min(READ_AT_ONCE, limit - page.length, Math.floor((limitBytes - bytes) / largest));
    last = page[page.length - 1]!.key;
  }
  return page;
}
