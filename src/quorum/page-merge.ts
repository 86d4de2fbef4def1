/**
 * Merges the pages that several replicas give of one range into one page.
 *
 * A replica's page is complete up to its last key if it stopped at a limit, and to the end of the range otherwise. The
 * merged page is complete as far as all of them are: beyond that, a key could be missing from one replica's answer only
 * because its page was full.
 */
import { assert } from '../base/assert.js';
import { compareBytes } from '../base/bytes.js';

export interface PageEntry {
  readonly key: Uint8Array;
  readonly record: Uint8Array;
}

export interface Page {
  /** Ascending by key. */
  readonly entries: readonly PageEntry[];
  /** True if it stopped at a limit, after its last entry, of which there is then at least one. */
  readonly more: boolean;
}

/** `mergeRecords` merges two records of one key. At least one page. */
export function mergePages(
  pages: readonly Page[],
  mergeRecords: (a: Uint8Array, b: Uint8Array) => Uint8Array,
): { entries: PageEntry[]; more: boolean } {
  const horizon = horizonOf(pages);
  const positions = new Array<number>(pages.length).fill(0);
  const entries: PageEntry[] = [];
  for (;;) {
    let least: Uint8Array | null = null;
    for (let i = 0; i < pages.length; i++) {
      const entry = pages[i]!.entries[positions[i]!];
      if (entry !== undefined && (least === null || compareBytes(entry.key, least) < 0)) least = entry.key;
    }
    if (least === null || (horizon !== null && compareBytes(least, horizon) > 0)) break;
    let record: Uint8Array | null = null;
    for (let i = 0; i < pages.length; i++) {
      const entry = pages[i]!.entries[positions[i]!];
      if (entry === undefined || compareBytes(entry.key, least) !== 0) continue;
      positions[i]!++;
      record = record === null ? entry.record : mergeRecords(record, entry.record);
    }
    entries.push({ key: least, record: record! });
  }
  return { entries, more: horizon !== null };
}

/** The last key up to which every page is complete; null if all are complete to the end of the range. */
function horizonOf(pages: readonly Page[]): Uint8Array | null {
  let horizon: Uint8Array | null = null;
  for (const page of pages) {
    if (!page.more) continue;
    const last = page.entries[page.entries.length - 1];
    assert(last !== undefined, 'a page that has more ends with an entry, or nothing tells how far it is complete');
    if (horizon === null || compareBytes(last.key, horizon) < 0) horizon = last.key;
  }
  return horizon;
}
