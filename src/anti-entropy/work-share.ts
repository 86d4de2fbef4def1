/**
 * How a thread that may take only a share of a core spreads its work: a moment of it, and then so long a rest that threads which
 * serve clients never wait for it for longer than that moment.
 *
 *     ▌▁▁▁▁▁▁▁▁▁▌▁▁▁▁▁▁▁▁▁▌        a tenth of a core: for a tenth of a millisecond, and then nine times as long asleep
 *
 * Pure: it is told the time. It goes by the clock and not by what the thread has used, so that one who had to wait for a core
 * itself rests the longer.
 */

/** How long it works at a time, in milliseconds: less than what an event loop is late anyway. */
const WORK_MS = 0.1;
/** How long it rests at most, whatever kept it from working, in milliseconds. */
const MAX_REST_MS = 25;

export class WorkShare {
  private readonly share: number;
  private sinceMs: number;

  /** @param share - of a core: above 0, and at most 1 */
  constructor(share: number, nowMs: number) {
    this.share = share;
    this.sinceMs = nowMs;
  }

  /** How long to rest now, in milliseconds; 0: not yet. To be asked every few microseconds of work. */
  restMs(nowMs: number): number {
    const workedMs = nowMs - this.sinceMs;
    return workedMs < WORK_MS ? 0 : Math.min(MAX_REST_MS, workedMs * (1 / this.share - 1));
  }

  /** It has rested until now. */
  rested(nowMs: number): void {
    this.sinceMs = nowMs;
  }
}
