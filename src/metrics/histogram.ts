/**
 * A histogram of durations: buckets of equal width within each power of two, as HdrHistogram has them, so that a quantile
 * is never too low, and too high by a 32nd at most, or by a microsecond. Recording costs a few nanoseconds and no memory.
 */

/** Buckets in each power of two. */
const SUB_BUCKETS = 32;
/** Microseconds 0 … 2^40: twelve days. */
const POWERS = 40;

export interface HistogramSummary {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

/** What a histogram holds, for the way between threads. */
export interface HistogramData {
  readonly count: number;
  readonly buckets: Float64Array;
  readonly sumUs: number;
  readonly maxUs: number;
}

export class Histogram {
  count = 0;
  private readonly buckets = new Float64Array(SUB_BUCKETS * POWERS);
  private sumUs = 0;
  private maxUs = 0;

  /** @param ms - milliseconds, 0 or more */
  record(ms: number): void {
    const us = ms * 1_000;
    this.count++;
    this.sumUs += us;
    if (us > this.maxUs) this.maxUs = us;
    this.buckets[bucketOf(us)]!++;
  }

  /** The duration that a share `q` (0 … 1) of all does not exceed, in milliseconds; 0 if there are none. */
  quantile(q: number): number {
    let left = Math.ceil(q * this.count);
    if (left === 0) return 0;
    for (let bucket = 0; bucket < this.buckets.length; bucket++) {
      left -= this.buckets[bucket]!;
      if (left <= 0) return Math.min(upperBoundOf(bucket), this.maxUs) / 1_000;
    }
    return this.maxUs / 1_000;
  }

  summary(): HistogramSummary {
    return {
      count: this.count,
      meanMs: this.count === 0 ? 0 : this.sumUs / this.count / 1_000,
      p50Ms: this.quantile(0.5),
      p99Ms: this.quantile(0.99),
      p999Ms: this.quantile(0.999),
      maxMs: this.maxUs / 1_000,
    };
  }

  data(): HistogramData {
    const { count, buckets, sumUs, maxUs } = this;
    return { count, buckets, sumUs, maxUs };
  }

  /** Adds what another has recorded. */
  add({ count, buckets, sumUs, maxUs }: HistogramData): void {
    this.count += count;
    this.sumUs += sumUs;
    this.maxUs = Math.max(this.maxUs, maxUs);
    for (const [bucket, durations] of buckets.entries()) this.buckets[bucket]! += durations;
  }

  reset(): void {
    this.buckets.fill(0);
    this.count = 0;
    this.sumUs = 0;
    this.maxUs = 0;
  }
}

function bucketOf(us: number): number {
  // Below 32 µs a bucket is one microsecond; above, a 32nd of its power of two.
  if (us < SUB_BUCKETS) return Math.max(0, Math.floor(us));
  // By the bits of the integer: logarithms and powers took ten times as long. 2^31 µs are 36 minutes.
  if (us >= 2 ** 31) return bucketOfLong(us);
  const whole = us | 0;
  const power = 31 - Math.clz32(whole);
  return SUB_BUCKETS * (power - 5) + (whole >>> (power - 5));
}

function bucketOfLong(us: number): number {
  const power = Math.min(Math.floor(Math.log2(us)), POWERS + 3);
  const within = Math.min(SUB_BUCKETS - 1, Math.floor(us / 2 ** (power - 5)) - SUB_BUCKETS);
  return SUB_BUCKETS * (power - 4) + within;
}

function upperBoundOf(bucket: number): number {
  if (bucket < SUB_BUCKETS) return bucket + 1;
  const power = Math.floor(bucket / SUB_BUCKETS) + 4;
  return 2 ** (power - 5) * (SUB_BUCKETS + (bucket % SUB_BUCKETS) + 1);
}
