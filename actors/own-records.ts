/**
 * Records that a node keeps for itself (fences, writers' markers, lives, how its last run ended) lie under checksums. One that
 * has rotted is held for lost, for which there is a way back; but its disk is failing, and the operator must know.
 */
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { Storage } from '../src/storage/storage.js';

/** Told of a record that cannot be read: what it was, and what is done without it. */
export type OnUnreadable = (what: string, instead: string) => void;

export function countUnreadable(counters: NodeCounters, report: (what: string, error: Error) => void): OnUnreadable {
  return (what, instead) => {
    counters.corruptOwnRecords++;
    report('storage', new Error(`cannot read ${what} any more (its checksum does not hold): ${instead}`));
  };
}

/** What is known of a record under its key. @returns undefined if there is none, or it cannot be read: `unreadable` tells of that */
export function readOwn<Own>(
  storage: Storage,
  key: Uint8Array,
  decode: (stored: Uint8Array) => Own | undefined,
  unreadable: () => void,
): Own | undefined {
  const stored = storage.get(key);
  if (stored === undefined) return undefined;
  const own = decode(stored);
  if (own === undefined) unreadable();
  return own;
}
