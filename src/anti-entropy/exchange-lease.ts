/**
 * A replica takes part in one leader's exchanges at a time. The lease is renewed by each of the leader's questions, and
 * runs out by itself: a leader that died holds up nobody for long.
 */
export class ExchangeLease {
  private leader = -1;
  private untilMs = Number.NEGATIVE_INFINITY;
  private readonly durationMs: number;

  /** @param durationMs - from a question until another leader's is heard (default 10,000) */
  constructor(durationMs = 10_000) {
    this.durationMs = durationMs;
  }

  /** True if the leader may ask, and has the lease; else the answer is 'busy'. */
  admits(leader: number, nowMs: number): boolean {
    if (leader !== this.leader && nowMs < this.untilMs) return false;
    this.leader = leader;
    this.untilMs = nowMs + this.durationMs;
    return true;
  }
}
