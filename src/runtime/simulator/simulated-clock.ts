/**
 * The two clocks of one simulated thread. The monotonic one runs at its own pace and never jumps; the wall clock runs
 * at the same pace and can be set to any time. Both are functions of virtual time: nothing here asks the real time.
 */

/** 2026-01-01T00:00:00Z, in milliseconds since 1970: where every simulation's wall clocks begin. */
export const SIMULATION_EPOCH_MS = 1_767_225_600_000;

export class SimulatedClock {
  #rate = 1;
  /** Virtual time of the last change of pace, and what the monotonic clock showed then. */
  #since = 0;
  #shown: number;
  #wallOffsetMs: number;

  /** @param originMs - what the monotonic clock shows at virtual time 0 */
  constructor(originMs = 0) {
    this.#shown = originMs;
    this.#wallOffsetMs = SIMULATION_EPOCH_MS - originMs;
  }

  /** How much faster than virtual time the clocks run: 0.001 gains a second in 1,000. */
  get drift(): number {
    return this.#rate - 1;
  }

  monotonic(time: number): number {
    return this.#shown + (time - this.#since) * this.#rate;
  }

  wall(time: number): number {
    return Math.floor(this.monotonic(time) + this.#wallOffsetMs);
  }

  /** How much virtual time passes while the clocks advance by `durationMs`. */
  virtualDuration(durationMs: number): number {
    return durationMs / this.#rate;
  }

  /** Changes the pace from `time` on. `drift` is above -1. */
  setDrift(time: number, drift: number): void {
    this.#shown = this.monotonic(time);
    this.#since = time;
    this.#rate = 1 + drift;
  }

  /** Sets the wall clock forward, or back if negative; the monotonic clock takes no notice. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }
}
