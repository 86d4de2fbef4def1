/**
 * A hybrid logical clock: gives timestamps that follow the wall clock and never repeat or go back.
 * It is told the time at every call and asks nobody. It distrusts two things, and counts both:
 * - timestamps from elsewhere that are more than 10 s ahead of local time do not move it;
 * - a wall clock that jumps by more than 10 s against the monotonic clock, between two calls, is not followed:
 *   local time then goes on by the monotonic clock, until the wall clock is back within 10 s of it.
 * Source: Kulkarni, Demirbas, Madeppa, Avva, Leone, "Logical Physical Clocks" (2014).
 */
import { MAX_LOGICAL, MAX_MS, type Timestamp } from './timestamp.js';

/** How far, in milliseconds, other clocks may be ahead, and the wall clock may jump. */
export const MAX_SKEW_MS = 10_000;

export class HybridLogicalClock {
  private ms = 0;
  private logical = 0;
  /** Wall clock minus monotonic clock, as last believed. */
  private offsetMs: number;
  private jumped = false;
  private aheadCount = 0;
  private jumpCount = 0;

  /** @param wallMs - milliseconds since 1970 @param monotonicMs - milliseconds from any origin, of the same moment */
  constructor(wallMs: number, monotonicMs: number) {
    this.offsetMs = wallMs - monotonicMs;
  }

  /** How many timestamps were refused because they were too far ahead. */
  get refusedTimestamps(): number {
    return this.aheadCount;
  }

  /** How many times the wall clock has jumped away. */
  get refusedJumps(): number {
    return this.jumpCount;
  }

  /** A timestamp above all given before. */
  tick(wallMs: number, monotonicMs: number): Timestamp {
    const nowMs = this.localMs(wallMs, monotonicMs);
    if (nowMs > this.ms) {
      this.ms = nowMs;
      this.logical = 0;
    } else if (this.logical < MAX_LOGICAL) {
      this.logical++;
    } else if (this.ms < MAX_MS) {
      this.ms++;
      this.logical = 0;
    }
    return { ms: this.ms, logical: this.logical };
  }

  /** Takes note of a timestamp from elsewhere: the next `tick` is above it. False if it is too far ahead to be believed. */
  observe(timestamp: Timestamp, wallMs: number, monotonicMs: number): boolean {
    const { ms, logical } = timestamp;
    if (ms < this.ms || (ms === this.ms && logical <= this.logical)) return true;
    if (ms > this.localMs(wallMs, monotonicMs) + MAX_SKEW_MS) {
      this.aheadCount++;
      return false;
    }
    this.ms = ms;
    this.logical = logical;
    return true;
  }

  /** Local time, whole milliseconds: the wall clock, as long as it keeps step with the monotonic one. */
  localMs(wallMs: number, monotonicMs: number): number {
    const offsetMs = wallMs - monotonicMs;
    if (Math.abs(offsetMs - this.offsetMs) <= MAX_SKEW_MS) {
      this.offsetMs = offsetMs;
      this.jumped = false;
    } else if (!this.jumped) {
      this.jumped = true;
      this.jumpCount++;
    }
    return Math.min(MAX_MS, Math.max(0, Math.floor(monotonicMs + this.offsetMs)));
  }
}
