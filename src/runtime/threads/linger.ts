/**
 * How long a thread rests when it has no more mail, before it parks: not at all while cores are free, up to a millisecond
 * while threads wait for them.
 *
 *     turn ─▶ no mail ─┬─▶ cores are free ─────────────▶ parks: whoever sends wakes it, at once
 *                      └─▶ threads wait for a core ────▶ rests ─▶ looks again: a turn of all that came, or parks
 *
 * A parked thread is woken by the first message, and takes a turn, with a commit, for that alone. While cores are free
 * that is the shortest way. While they are not, the thread waits for a core all the same, every such turn keeps another
 * one waiting, and senders pay for waking it. One that rests takes what has come meanwhile in one turn, and is not rung
 * for: networks' drivers moderate their interrupts so. At 24,000 operations a second on two cores, five nodes' threads
 * wait for a core a fifth as long, and capacity is a third higher (benchmarks/README.md).
 *
 * Whether threads wait for a core is told by the rests themselves: by how much later one ends than it should. While none
 * is called for, a short one in so many parkings is taken for that alone. Pure: times are given to it.
 *
 * Source: Mogul and Ramakrishnan, Eliminating receive livelock in an interrupt-driven kernel (1997), on moderation.
 */

/** No rest is longer, in milliseconds: a request passes three or four threads. */
const MOST_MS = 1;
/** Nor longer than so many turns take: threads that do little with each message would do nothing but rest. */
const MOST_TURNS = 4;
/** So much longer than its ends are late, as a mean, a rest is. */
const GAIN = 6;
/** Shorter rests than this are not taken: parking and being woken costs about as much. */
const LEAST_MS = 0.15;
/** Rests that are taken to see how late they end: how long, and one in how many parkings. */
const PROBE_MS = 0.05;
const PARKINGS_PER_PROBE = 32;
/**
 * Where even the least late rest ends so late, the system's timers are too coarse for this; or else a core was waited for
 * in each rest so far: so one is taken now and then all the same.
 */
const COARSE_MS = 0.4;
const PARKINGS_PER_COARSE_PROBE = 4_096;
/** After so many rests the least late is believed. */
const PROBES_BELIEVED = 8;
/** Threads whose turns are further apart do not rest: they leave the cores alone as it is. */
const SPARSE_MS = 3;
/** Shares of the newest reading in the means. */
const OF_TURN = 0.1;
const OF_REST = 0.1;
const OF_PROBE = 0.3;
/** A single reading counts for no more: standstills of the process, or one long commit, are no measure of all. */
const MOST_APART_MS = 20;
const MOST_TURN_MS = 2;
const MOST_LATE_MS = 5;

export class Linger {
  /** Means, in milliseconds: between the ends of turns, of a turn, and of how late rests end. */
  private apartMs = MOST_APART_MS;
  private turnMs = 0;
  private lateMs = 0;
  /** How late the least late rest has ended: what the system's timers add. */
  private slackMs = Number.POSITIVE_INFINITY;
  private rests = 0;
  private lastEndMs = Number.NEGATIVE_INFINITY;
  private parkings = 0;
  private restIsProbe = false;

  /** A turn ended at `nowMs`, having taken `tookMs`. */
  turnEnded(tookMs: number, nowMs: number): void {
    this.turnMs += OF_TURN * (Math.min(MOST_TURN_MS, tookMs) - this.turnMs);
    this.apartMs += OF_TURN * (Math.min(MOST_APART_MS, nowMs - this.lastEndMs) - this.apartMs);
    this.lastEndMs = nowMs;
  }

  /** Called when the thread is about to park. @returns for how many milliseconds to rest before; 0: park at once */
  nextRest(): number {
    if (this.apartMs > SPARSE_MS) {
      this.lateMs = 0;
      return 0;
    }
    const wantedMs = Math.min(MOST_MS, GAIN * this.lateMs, MOST_TURNS * this.turnMs);
    this.restIsProbe = wantedMs < LEAST_MS;
    if (!this.restIsProbe) return wantedMs;
    if (++this.parkings < (this.isCoarse ? PARKINGS_PER_COARSE_PROBE : PARKINGS_PER_PROBE)) return 0;
    this.parkings = 0;
    return PROBE_MS;
  }

  /** The rest that was called for took `tookMs` instead of `wantedMs`. */
  rested(wantedMs: number, tookMs: number): void {
    const overMs = Math.max(0, tookMs - wantedMs);
    this.slackMs = Math.min(this.slackMs, overMs);
    this.rests++;
    if (this.isCoarse) {
      this.lateMs = 0;
      return;
    }
    const lateMs = Math.min(MOST_LATE_MS, overMs - this.slackMs);
    this.lateMs += (this.restIsProbe ? OF_PROBE : OF_REST) * (lateMs - this.lateMs);
  }

  private get isCoarse(): boolean {
    return this.rests >= PROBES_BELIEVED && this.slackMs > COARSE_MS;
  }
}
