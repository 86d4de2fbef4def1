/**
 * When a client that is full may take more: an estimate of how long what it has in flight takes to drain, by Little's law.
 *
 *     wait = in flight / rate          rate: requests that ended in a millisecond, over windows of 20 ms, smoothed
 *
 * Only time with something in flight counts. A client that has been far from full has shown less than what it can do, so
 * that the first estimates of an overload are too long; it is down to a tenth of that error after 9 windows. Whoever is
 * refused by a node instead waits in the same queue as those requests of its own that were taken.
 * Source: Little, *A Proof for the Queuing Formula L = λW* (1961).
 */
const WINDOW_MS = 20;
const SMOOTHING = 4;
/** Before anything was measured. */
const UNKNOWN_MS = 100;
const LEAST_MS = 1;
/** Beyond it an estimate says more of what went wrong than of what will be. */
const MOST_MS = 1_000;

export class DrainEstimate {
  private ended = 0;
  private since = 0;
  /** Per millisecond; −1 until there is a window. */
  private rate = -1;

  /** From now on something is in flight. */
  begin(nowMs: number): void {
    this.ended = 0;
    this.since = nowMs;
  }

  /** A request has ended, otherwise than by being refused for want of room. */
  end(): void {
    this.ended++;
  }

  /** To be called every few milliseconds while something is in flight. */
  look(nowMs: number): void {
    const elapsed = nowMs - this.since;
    if (elapsed < WINDOW_MS) return;
    const measured = this.ended / elapsed;
    this.rate = this.rate === -1 ? measured : this.rate + (measured - this.rate) / SMOOTHING;
    this.begin(nowMs);
  }

  /** In milliseconds: a whole number from 1 to 1,000. */
  retryAfterMs(inFlight: number): number {
    if (this.rate === -1) return UNKNOWN_MS;
    return Math.max(LEAST_MS, Math.min(MOST_MS, Math.ceil(inFlight / this.rate)));
  }
}
