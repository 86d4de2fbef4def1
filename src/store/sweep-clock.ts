/**
 * When the client sweeps: looks how the nodes are, and what takes too long. It does so while something is in flight.
 *
 * An application may hold its thread for as long as it likes, and finds answers and deadlines side by side when it lets
 * go. Answers are heard first: a sweep that comes late only asks for the next one at once, behind the mail that waits, and
 * what nobody answered in all that time has a little longer.
 *
 * Pure: the client reads the time, and sets the timer.
 */
import { SLACK_MS } from './pending-request.js';

/** From one sweep to the next, in milliseconds. */
const SWEEP_MS = 5;
/** Every so many sweeps, deadlines are looked at: that costs something for every request. */
const DEADLINE_SWEEPS = 4;
/** A sweep that comes so late shows that the application held the thread, in milliseconds. */
const LATE_MS = 8;

export class SweepClock {
  private running = false;
  private due = 0;
  private sweeps = 0;
  private deferred = false;
  private lenientUntil = Number.NEGATIVE_INFINITY;

  /** A request begins. @returns in how many milliseconds the first sweep is due; −1 if it stands already */
  begin(now: number): number {
    if (this.running) return -1;
    this.running = true;
    return this.after(SWEEP_MS, now);
  }

  /** A sweep begins. */
  swept(now: number): void {
    // Much too late: the application has held the thread.
    if (now > this.due + SLACK_MS) this.lenientUntil = now + SLACK_MS;
    // Only once in a row: where the thread is always late, requests are to be hedged, too.
    this.deferred = now > this.due + LATE_MS && !this.deferred;
    this.sweeps++;
  }

  /** Whether this sweep may send elsewhere what takes too long: not before answers that may be waiting are heard. */
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
