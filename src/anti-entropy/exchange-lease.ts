/**
 * A replica takes part in one leader's exchanges at a time. The lease is renewed by each of the leader's questions, ends
 * with an exchange that found equal replicas, and runs out by itself: a leader that died holds up nobody for long.
 *
 * Leaders are told apart by their places among the partition's primaries, since the first that is up leads: one with an
 * earlier place has come back, or was taken for dead, and is given what a later one has. Else it would wait for the lease
 * of a node that no longer leads, and renews nothing, for as long as that runs: many intervals, where they are short
 * (simulated seeds 50, 148, 158).
 */
const NOBODY = Number.POSITIVE_INFINITY;

export class ExchangeLease {
  private place = NOBODY;
  private untilMs = Number.NEGATIVE_INFINITY;
  private readonly durationMs: number;

  /** @param durationMs - from a question until a later primary's is heard */
  constructor(durationMs: number) {
    this.durationMs = durationMs;
  }

  /** True if the leader may ask, and has the lease; else the answer is 'busy'. @param place - of the leader among the primaries */
  admits(place: number, nowMs: number): boolean {
    if (place > this.place && nowMs < this.untilMs) return false;
    this.place = place;
    this.untilMs = nowMs + this.durationMs;
    return true;
  }

  /** An exchange of this leader has come to its end. */
  ended(place: number): void {
    if (place === this.place) this.place = NOBODY;
  }
}
