/**
 * When a client or a coordinator sweeps: looks how the nodes are, and what takes too long. It does so while something is
 * under way.
 *
 * Its thread may have stood still, and finds answers and deadlines side by side when it goes on. Answers are heard first:
 * a sweep that comes late hedges nothing, and asks for the next one at once, behind the mail that waits.
 *
 * Pure: its owner reads the time, and sets the timer.
 */

/** From one sweep to the next, in milliseconds. */
const SWEEP_MS = 5;
/** Every so many sweeps, deadlines are looked at: that costs something for all that is under way. */
const DEADLINE_SWEEPS = 4;
/** A sweep that comes so late shows that its thread stood still, in milliseconds. */
const LATE_MS = 8;

export class SweepClock {
  private running = false;
  private due = 0;
  private sweeps = 0;
  private deferred = false;
  private lenientUntil = Number.NEGATIVE_INFINITY;
  private readonly lenientMs: number;

  /**
   * @param lenientMs - a sweep that comes later than that, in milliseconds, puts deadlines off by as much: one held the
   *   thread for so long, an application say, and what nobody was heard of in that time is heard first. Default: never
   */
  constructor(lenientMs = Number.POSITIVE_INFINITY) {
    this.lenientMs = lenientMs;
  }

  /** True while a sweep is due. */
  get isRunning(): boolean {
    return this.running;
  }

  /** Something is under way. @returns in how many milliseconds the first sweep is due; −1 if it stands already */
  begin(now: number): number {
    if (this.running) return -1;
    this.running = true;
    return this.after(SWEEP_MS, now);
  }

  /** A sweep begins. */
  swept(now: number): void {
    if (now > this.due + this.lenientMs) this.lenientUntil = now + this.lenientMs;
    // Only once in a row: where the thread is always late, requests are to be hedged, too.
    this.deferred = now > this.due + LATE_MS && !this.deferred;
    this.sweeps++;
  }

  /** Whether this sweep may back up what takes too long. */
  get mayHedge(): boolean {
    return !this.deferred;
  }

  /** Whether this sweep looks at deadlines. */
  looksAtDeadlines(now: number): boolean {
    return this.sweeps % DEADLINE_SWEEPS === 0 && now >= this.lenientUntil;
  }

  /** A sweep has ended. @returns in how many milliseconds the next one is due; −1 if none is needed */
  next(isNeeded: boolean, now: number): number {
    this.running = isNeeded;
    return isNeeded ? this.after(this.deferred ? 0 : SWEEP_MS, now) : -1;
  }

  private after(delayMs: number, now: number): number {
    this.due = now + delayMs;
    return delayMs;
  }
}
