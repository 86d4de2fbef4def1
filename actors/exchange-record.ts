/**
 * What a node knows of the exchanges that it leads: which pairs were found equal, and since which call for it. Shared by
 * the exchanger and by whoever answers the application.
 */
import type { Pair } from '../src/anti-entropy/schedule.js';

export interface PairRecord extends Pair {
  /** Wall-clock milliseconds when the pair was last found equal; undefined: not in this run of the node. */
  readonly equalAtMs: number | undefined;
  /** The number of the last call before an exchange began that found it equal. */
  readonly equalSince: number;
}

export class ExchangeRecord {
  /** How often somebody has called for everything to be compared now. */
  calls = 0;
  /** When the last exchange that this node led ended, wall-clock milliseconds; undefined: none has. */
  endedAtMs: number | undefined;
  private readonly pairs = new Map<string, PairRecord>();

  /** Everything is to be compared now. @returns the number of this call */
  call(): number {
    return ++this.calls;
  }

  /** @param since - `calls`, when the exchange began */
  foundEqual({ partition, first, second }: Pair, since: number, nowMs: number): void {
    this.pairs.set(`${partition}:${first}:${second}`, {
      partition,
      first,
      second,
      equalAtMs: nowMs,
      equalSince: since,
    });
  }

  /** The pairs that exchanges led here have found equal. */
  get equal(): PairRecord[] {
    return [...this.pairs.values()];
  }
}
