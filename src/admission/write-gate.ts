/**
 * The write gate: whether a node whose commits fail is given further writes. Pure: it is told how commits end.
 *
 *     open ──commit fails──▶ shut ──due──▶ a probe is written ──its commit holds──▶ open
 *                              ▲                    └──fails──┐
 *                              └── a back-off, doubled up to 1 s
 *
 * A write that meets a shut gate is refused for certain, so that its coordinator tries another replica at once; one that
 * is let through to a full disk ends indefinite, and costs its vnode its writerId, whose dots stay in contexts: at
 * thousands of puts a second a full disk would fill the contexts of every key. Only one commit in a back-off is risked,
 * and it holds nothing of a client's.
 */

const FIRST_BACKOFF_MS = 10;
const MAX_BACKOFF_MS = 1_000;

export class WriteGate {
  /** True if writes may pass. */
  open = true;
  /** While shut: true if the disk was full, false if it failed otherwise. */
  full = false;
  /** Failures since two commits held, one after the other: the probe's alone does not speak for larger ones. */
  private failures = 0;
  private lastProbeMs = Number.NEGATIVE_INFINITY;
  private probing = false;

  /** A commit has ended. @param failure - why it failed, or undefined */
  commitEnded(failure: 'full' | 'failed' | undefined): void {
    if (failure === undefined) {
      if (this.failures > 0) this.held();
      return;
    }
    this.failures++;
    this.open = false;
    this.full = failure === 'full';
    this.probing = false;
  }

  /**
   * Asked by whoever met the shut gate: true if it is time for a probe. Whoever asked then writes it, and asks again
   * after `nextProbeMs`: so a disk that is well again is found so without a write that would have to be refused.
   */
  probeDue(nowMs: number): boolean {
    if (this.open || this.probing) return false;
    if (nowMs < this.lastProbeMs + backoffMs(this.failures - 1)) return false;
    this.probing = true;
    this.lastProbeMs = nowMs;
    return true;
  }

  /** While a probe is under way: how long after it the next one is due, should it fail. */
  get nextProbeMs(): number {
    return backoffMs(this.failures);
  }

  private held(): void {
    if (!this.open) {
      // A commit of something else, a repair that was under way say, is as good as a probe.
      this.open = true;
      this.probing = false;
    } else this.failures = 0;
  }
}

function backoffMs(doublings: number): number {
  return Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** doublings);
}
