/**
 * Records that a node keeps for itself (fences, writers' markers, lives, how its last run ended) lie under checksums. One that
 * has rotted is held for lost, for which there is a way back; but its disk is failing, and the operator must know.
 */
import type { NodeCounters } from '../src/metrics/node-counters.js';

/** Told of a record that cannot be read: what it was, and what is done without it. */
export type OnUnreadable = (what: string, instead: string) => void;

export function countUnreadable(counters: NodeCounters, report: (what: string, error: Error) => void): OnUnreadable {
  return (what, instead) => {
    counters.corruptOwnRecords++;
    report('storage', new Error(`cannot read ${what} any more (its checksum does not hold): ${instead}`));
  };
}
