/**
 * How much background work a node does beside its clients' requests: slices of time, so many in each interval, shared by
 * all of it. Pure: it is told how long requests took, and is asked for slices.
 *
 *     p99 of requests ≤ 1.25 × that of quiet times ──▶ one step more slices, up to MAX_SLICES_BESIDE
 *                     > ─────────────────────────────▶ half as many, down to MIN_SLICES
 *     hardly any requests ───────────────────────────▶ as many as there are: MAX_SLICES
 *
 * What is normal is learnt from the intervals in which no slice was taken, and slowly from those with the fewest, since a
 * preset latency would be wrong on any other disk. Background work never starves: a slice in each interval is its own,
 * whatever clients feel, and some more are for what is urgent; a system that cannot repair itself under load would have no
 * good end.
 * Source: Dynamo (SOSP 2007), §6.5 (the admission controller of background tasks); additive increase, multiplicative
 * decrease: Chiu and Jain, 1989.
 */

/** The slices of an interval; how long that is. */
const INTERVAL_MS = 100;
const MIN_SLICES = 1;
const MAX_SLICES = 64;
/**
 * While there are more than a few requests: more slices close together would be felt before the interval is over, and so before
 * there can be fewer.
 */
const MAX_SLICES_BESIDE = 16;
/**
 * Beside them, for each kind of urgent work alone: a holder is rid of 100 batches of hints within a second at the worst, and
 * a replica that was lost goes on being refilled, whatever read repairs take. And so many at most, where it would take more to
 * be done in time.
 */
const LEAST_URGENT: Readonly<Record<UrgentWork, number>> = { hints: 10, refill: 3 };
const MOST_URGENT: Readonly<Record<UrgentWork, number>> = { hints: 32, refill: 3 };
const FIRST_SLICES = 16;
const STEP = 4;
/**
 * So much slower requests may be than in quiet times, less than they may become (1.5 ×): clients feel an interval before it is
 * told. And below so many milliseconds nothing is slow.
 */
const TOLERANCE = 1.25;
const NEVER_SLOW_MS = 3;
/** Fewer requests than these in an interval say nothing of latency, and leave room. */
const FEW_REQUESTS = 20;
/** How far a new quiet interval moves what is held for normal. */
const LEARNING = 0.2;
/** The same of an interval with the least background work there is. */
const LEARNING_AT_LEAST = 0.02;
/** So many quiet intervals at most count as such, one after the other. */
const MOST_QUIET = 1_000;
/** What is held for normal before any quiet interval, in milliseconds. */
const FIRST_NORMAL_MS = 10;

/** How much of a core hashing may take beside clients, which wait for that core. */
const HASHING_SHARE = 1 / 16;

/** Latencies are counted in buckets, each a quarter of a doubling wide, from 1/64 ms up. */
const BUCKETS_PER_DOUBLING = 4;
const LOWEST_DOUBLING = -6;
const BUCKETS = 26 * BUCKETS_PER_DOUBLING;

/**
 * What clients wait for in the end: until hints are delivered, reads may miss what they hold; until a lost replica is
 * refilled, its partition has one replica less that a failure may take.
 */
export type UrgentWork = 'hints' | 'refill';

export class BackgroundBudget {
  private readonly counts = new Uint32Array(BUCKETS);
  private requests = 0;
  private intervalEndsMs = Number.NEGATIVE_INFINITY;
  private slices = FIRST_SLICES;
  private taken = 0;
  private readonly urgent: Record<UrgentWork, number> = { hints: 0, refill: 0 };
  /** True if a client asked for anything in the interval before. */
  private serving = false;
  private normalMs = FIRST_NORMAL_MS;

  /** A client's request was answered after so many milliseconds. */
  requestTook(ms: number): void {
    this.counts[bucketOf(ms)]!++;
    this.requests++;
  }

  /** Takes a slice: a piece of work of a few milliseconds. False if there is none left in this interval. */
  take(nowMs: number): boolean {
    this.advance(nowMs);
    if (this.taken >= this.slices) return false;
    this.taken++;
    return true;
  }

  /**
   * As `take`, for work that has slices of its own.
   * @param perSecond - how many it takes to be done in time, if that is known: while clients are served it gets no more then,
   *   however many nobody else takes
   */
  takeUrgent(nowMs: number, work: UrgentWork, perSecond?: number): boolean {
    this.advance(nowMs);
    const wanted = perSecond === undefined || !this.serving ? undefined : (perSecond * INTERVAL_MS) / 1_000;
    const own = ownSlices(work, wanted ?? 0);
    if (this.urgent[work] < own) {
      this.urgent[work]++;
      return true;
    }
    return wanted !== undefined && wanted <= own ? false : this.take(nowMs);
  }

  /** How far apart the slices of urgent work's own lie, in milliseconds; 0 while no client asks for anything. */
  paceMs(work: UrgentWork, perSecond: number): number {
    return this.serving ? INTERVAL_MS / ownSlices(work, (perSecond * INTERVAL_MS) / 1_000) : 0;
  }

  /** When there are slices again, if there are none now: monotonic milliseconds. */
  get nextMs(): number {
    return this.intervalEndsMs;
  }

  /**
   * How far apart the slices of an interval lie if they are spread evenly over it, in milliseconds; 0 while no client asks for
   * anything. All at once they would make requests wait that come with them.
   * @param isUrgent - for a refill, which has slices of its own
   */
  distanceMs(isUrgent: boolean): number {
    return this.serving ? INTERVAL_MS / (this.slices + (isUrgent ? LEAST_URGENT.refill : 0)) : 0;
  }

  /** How much of a core a slice may take that is hashed by another thread: above 0, 1 while no client asks for anything. */
  get hashingShare(): number {
    return this.serving ? HASHING_SHARE : 1;
  }

  /** True if a client has asked for anything lately. */
  get isServing(): boolean {
    return this.serving;
  }

  /** How many slices there are in an interval now. */
  get perInterval(): number {
    return this.slices;
  }

  /** What is held for normal of the p99 of clients' requests, in milliseconds. */
  get usualMs(): number {
    return this.normalMs;
  }

  private advance(nowMs: number): void {
    if (nowMs < this.intervalEndsMs) return;
    // Where nobody asked for a time, what was counted is of all of it, and known so much better.
    this.serving = this.requests > 0;
    this.decide(1 + Math.min(MOST_QUIET, Math.floor((nowMs - this.intervalEndsMs) / INTERVAL_MS)));
    this.counts.fill(0);
    this.requests = 0;
    this.taken = 0;
    this.urgent.hints = 0;
    this.urgent.refill = 0;
    this.intervalEndsMs = nowMs + INTERVAL_MS;
  }

  /** @param intervals - how long it was counted */
  private decide(intervals: number): void {
    if (this.requests < FEW_REQUESTS) {
      this.slices = Math.min(MAX_SLICES, this.slices * 2);
      return;
    }
    const p99 = this.percentile(0.99);
    const taken = this.taken + this.urgent.hints + this.urgent.refill;
    if (taken === 0) {
      this.normalMs += (1 - (1 - LEARNING) ** intervals) * (p99 - this.normalMs);
      this.slices = Math.min(MAX_SLICES_BESIDE, this.slices);
      return;
    }
    // It is slow without background work, too: less and less is that to blame for it.
    if (taken <= MIN_SLICES) this.normalMs += LEARNING_AT_LEAST * (p99 - this.normalMs);
    const isSlow = p99 > TOLERANCE * Math.max(this.normalMs, NEVER_SLOW_MS);
    const next = isSlow ? Math.max(MIN_SLICES, this.slices >>> 1) : this.slices + STEP;
    this.slices = Math.min(MAX_SLICES_BESIDE, next);
  }

  /** The upper bound of the bucket in which the percentile lies, in milliseconds. */
  private percentile(share: number): number {
    let left = Math.ceil(this.requests * share);
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.counts[bucket]!;
      if (left <= 0) return 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING + LOWEST_DOUBLING);
    }
    return Infinity;
  }
}

/** Of an interval in which so many are wanted. */
function ownSlices(work: UrgentWork, wanted: number): number {
  return Math.max(LEAST_URGENT[work], Math.min(MOST_URGENT[work], Math.ceil(wanted)));
}

function bucketOf(ms: number): number {
  if (!(ms > 0)) return 0;
  const bucket = Math.floor((Math.log2(ms) - LOWEST_DOUBLING) * BUCKETS_PER_DOUBLING);
  return Math.max(0, Math.min(BUCKETS - 1, bucket));
}
