/**
 * How long a node usually takes: the 99th percentile of its latest answers. Counts in buckets, four to each power of two of
 * microseconds, so that the estimate is at most a quarter too high; now and then all counts are halved, so that it follows
 * what changes. An observation costs a few nanoseconds, and no memory.
 *
 * Answers that were not waited for must be counted, too, as having taken at least as long as they were waited for: else
 * the slow ones are missing, the estimate sinks, more are given up, and so on.
 */
const BUCKETS = 4 * 29;
/** The estimate is made anew after so many observations. */
const FRESH = 64;
/** The counts are halved at so many observations. */
const WINDOW = 4_096;
/** This share is slower than the estimate. */
const TAIL = 0.01;

export class LatencyEstimate {
  /** Milliseconds; Infinity until enough is known. */
  p99Ms = Number.POSITIVE_INFINITY;
  private readonly counts = new Uint32Array(BUCKETS);
  private total = 0;
  private fresh = 0;

  /** @param ms - milliseconds, 0 or more */
  observe(ms: number): void {
    const us = ms < 1_000_000 ? (ms * 1_000) | 0 : 1_000_000_000;
    const power = us < 4 ? 2 : 31 - Math.clz32(us);
    this.counts[4 * (power - 2) + ((us >>> (power - 2)) & 3)]!++;
    this.total++;
    if (++this.fresh >= FRESH) this.estimate();
  }

  private estimate(): void {
    this.fresh = 0;
    const { counts } = this;
    let left = Math.floor(this.total * TAIL);
    let bucket = BUCKETS - 1;
    for (; bucket > 0; bucket--) {
      left -= counts[bucket]!;
      if (left < 0) break;
    }
    this.p99Ms = ((5 + (bucket & 3)) * 2 ** (bucket >>> 2)) / 1_000;
    if (this.total < WINDOW) return;
    this.total = 0;
    for (let i = 0; i < BUCKETS; i++) {
      counts[i] = counts[i]! >>> 1;
      this.total += counts[i]!;
    }
  }
}
