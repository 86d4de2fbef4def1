/** How an operation stands towards its quorums, and for which of them it has failed. */
import type { QuorumName } from '../base/errors.js';

export interface Tally {
  readonly quorum: QuorumName;
  readonly wanted: number;
  /** Replicas that did what was asked. */
  readonly got: number;
  /** As many as may have done so in the end. */
  readonly possible: number;
}

/** What a failure is for: the first quorum that can no longer be met, else the first that is not, else the first. */
export function unmetOf(tallies: readonly Tally[]): Tally {
  return (
    tallies.find(({ possible, wanted }) => possible < wanted) ??
    tallies.find(({ got, wanted }) => got < wanted) ??
    tallies[0]!
  );
}

/**
 * How many replicas there were, as a failure tells: those that can be reached where that is what is wrong, else those that
 * did what was asked.
 */
export function toldOf(
  { quorum, wanted, got, possible }: Tally,
  isUnavailable: boolean,
): { readonly quorum: QuorumName; readonly got: number; readonly wanted: number } {
  return { quorum, got: isUnavailable && possible < wanted ? possible : got, wanted };
}
