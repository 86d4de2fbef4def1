/**
 * A hybrid logical clock: gives timestamps that follow the wall clock and never repeat or go back.
 * It is told the time at every call and asks nobody. It distrusts two things, and counts both:
 * - timestamps from elsewhere that are more than 10 s ahead of local time do not move it;
 * - a wall clock that jumps by more than 10 s against the monotonic clock, between two calls, is not followed at once:
 *   local time goes on by the monotonic clock, until the wall clock is back within 10 s of it, or has stayed where it
 *   went for a minute, in step with the monotonic clock.
 *
 *     in step ──more than 10 s away──▶ jumped ──away from where it went──▶ jumped (the minute begins again)
 *        ▲                               │
 *        └──back within 10 s, or a minute in step: followed──┘
 *
 * A jump that lasts is a correction, or the end of a suspend (in which Linux's monotonic clock stands still): whoever
 * never followed it would be wrong until the restart. One that does not is the kind that the distrust is for.
 * Source: Kulkarni, Demirbas, Madeppa, Avva, Leone, "Logical Physical Clocks" (2014); the minute is ours.
 */
import { MAX_LOGICAL, MAX_MS, type Timestamp } from './timestamp.js';

/** How far, in milliseconds, other clocks may be ahead, and the wall clock may jump. */
export const MAX_SKEW_MS = 10_000;
/** How long, by the monotonic clock, a wall clock that has jumped must keep step with it until it is followed. */
export const FOLLOWED_AFTER_MS = 60_000;
/** How far the two may drift apart in that time: a clock that is being slewed is in step, too. */
const IN_STEP_MS = 1_000;

export class HybridLogicalClock {
  private ms = 0;
  private logical = 0;
  /** Wall clock minus monotonic clock, as last believed. */
  private offsetMs: number;
  private jumped = false;
  /** While `jumped`: where the wall clock went, as its offset, and since when, by the monotonic clock. */
  private jumpOffsetMs = 0;
  private jumpedSinceMs = 0;
  private aheadCount = 0;
  private jumpCount = 0;
  private followedCount = 0;

  /** @param wallMs - milliseconds since 1970 @param monotonicMs - milliseconds from any origin, of the same moment */
  constructor(wallMs: number, monotonicMs: number) {
    this.offsetMs = wallMs - monotonicMs;
  }

  /** How many timestamps were refused because they were too far ahead. */
  get refusedTimestamps(): number {
    return this.aheadCount;
  }

  /** How many times the wall clock has jumped away, and on from there. */
  get refusedJumps(): number {
    return this.jumpCount;
  }

  /** How many of these jumps lasted, so that they were followed in the end. */
  get followedJumps(): number {
    return this.followedCount;
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
    } else {
      this.distrust(offsetMs, monotonicMs);
    }
    return Math.min(MAX_MS, Math.max(0, Math.floor(monotonicMs + this.offsetMs)));
  }

  private distrust(offsetMs: number, monotonicMs: number): void {
    if (!this.jumped || Math.abs(offsetMs - this.jumpOffsetMs) > IN_STEP_MS) {
      this.jumped = true;
      this.jumpCount++;
      this.jumpOffsetMs = offsetMs;
      this.jumpedSinceMs = monotonicMs;
    } else if (monotonicMs - this.jumpedSinceMs >= FOLLOWED_AFTER_MS) {
      this.jumped = false;
      this.followedCount++;
      this.offsetMs = offsetMs;
    }
  }
}
