/**
 * How long it usually takes until a node is heard of again, and how surprising its present silence is:
 *
 *     φ = −log10(probability that a silence lasts at least so long)
 *
 * φ = 1: one silence in ten lasts longer; φ = 8: one in a hundred million. Intervals are taken as normally distributed,
 * with mean and deviation of the last ones; the distribution's tail by the logistic approximation that Akka uses too.
 *
 * Source: Hayashibara, Défago, Yared, Katayama: The φ accrual failure detector (SRDS 2004), §4.2.
 */

/** Intervals that are remembered. */
const WINDOW = 100;
/** What a node that was never heard of is credited with: so many intervals of this length, in milliseconds. */
const FIRST_INTERVALS = 10;
const FIRST_MS = 25;
/**
 * The deviation is taken for at least so much, in milliseconds: what collections of garbage and busy cores do now and
 * then. Five and a bit of them make φ = 8, so that a silence of 300 ms never does, whatever went before.
 */
const LEAST_DEVIATION_MS = 60;
/** A longer interval counts as one of so much: an outage must not make the next one go unseen. In milliseconds. */
const LONGEST_MS = 500;

/** Below so much silence φ is less than 8, in milliseconds. */
export const NEVER_SUSPICIOUS_MS = 300;

export class Arrivals {
  /** Whole milliseconds, so that the sums stay exact. */
  private readonly intervals = new Uint16Array(WINDOW);
  private next = 0;
  private count = 0;
  private sum = 0;
  private sumOfSquares = 0;

  constructor() {
    for (let i = 0; i < FIRST_INTERVALS; i++) this.add(FIRST_MS);
  }

  /** Remembers that the node was heard of again after `ms`. */
  add(ms: number): void {
    const interval = Math.min(Math.round(ms), LONGEST_MS);
    if (this.count === WINDOW) {
      const oldest = this.intervals[this.next]!;
      this.sum -= oldest;
      this.sumOfSquares -= oldest * oldest;
    } else {
      this.count++;
    }
    this.intervals[this.next] = interval;
    this.next = (this.next + 1) % WINDOW;
    this.sum += interval;
    this.sumOfSquares += interval * interval;
  }

  /** How surprising a silence of `ms` is. Grows with it without bound. */
  phi(ms: number): number {
    const mean = this.sum / this.count;
    const variance = Math.max(0, this.sumOfSquares / this.count - mean * mean);
    const y = (ms - mean) / Math.max(LEAST_DEVIATION_MS, Math.sqrt(variance));
    const exponent = y * (1.5976 + 0.070566 * y * y);
    // The probability of a longer silence is 1 / (1 + e^exponent); where that overflows, the 1 does not matter.
    return exponent > 500 ? exponent * Math.LOG10E : Math.log10(1 + Math.exp(exponent));
  }
}
