/**
 * Failure detection: what one observer (a coordinator, a client, a deliverer of hints) thinks of the nodes. There is no
 * global verdict, and nobody believes what another has heard.
 * Pure: its owner feeds it with pulses (`ActorContext.pulse`) and with the outcomes of its own requests.
 *
 *     up ──φ ≥ 8, or requests of one's own stay unanswered──▶ suspect ──pulse moves, or the time of probation comes──▶ up
 *      └──no pulse, or nothing can be delivered──▶ down ──pulse moves────────────────────────────────────────────────▶ up
 *
 * - **What counts is watched silence.** Its owner looks while it has something in flight, and not at all for the rest.
 *   Between two looks at most `MAX_STEP_MS` of silence are counted: neither a pause of the observer itself nor its
 *   idleness makes others suspect, and a thread that stands still is found out soon after somebody looks again.
 * - **No flapping.** A silence of 200 ms, as of a long garbage collection, is never suspicious; pauses that come again and
 *   again make the detector more patient. Who is back is up with the first movement of its pulse; who was suspected
 *   several times within 10 s must move 2, 4, … 32 times. Who was dead is up with the first pulse: supervision sees to
 *   it that a thread which dies again and again comes back ever more slowly, or not at all.
 * - **No lag.** A thread without a pulse is down at once. Answers say nothing of silence: they may be old ones that were
 *   delayed on the way (scylladb#8488). An outage counts in the window as half a second, so that the next one is seen.
 * - **A pulse is not all.** A node whose pulse goes on, but which answers nothing, is avoided for a time, then tried
 *   again: one request that stays unanswered is enough then, and the time doubles (a circuit breaker, half open).
 *
 * Sources: Dynamo §4.8.3; Hayashibara et al. (SRDS 2004).
 */
import { Arrivals, NEVER_SUSPICIOUS_MS } from './arrivals.js';

/**
 * 'up': to be asked. 'suspect': to be asked only if there are not enough others; it may answer. 'down': not to be asked;
 * nothing would be delivered.
 */
export type NodeHealth = 'up' | 'suspect' | 'down';

/** So much suspicion, and a node is avoided. */
const THRESHOLD = 8;
/** Looks that follow sooner are not counted, in milliseconds: who looks with every message need not mind. */
const MIN_STEP_MS = 10;
/** The most silence that may lie between two looks, in milliseconds. */
const MAX_STEP_MS = 100;
/** Suspicions within so much are flapping, in milliseconds. */
const FLAPPING_MS = 10_000;
/** The most movements that a node which flaps must show. */
const MAX_MOVES = 32;
/** So many unanswered requests make a node suspect, each at least `STRIKE_MS` after the last: a burst is one. */
const STRIKES = 3;
const STRIKE_MS = 100;
/** How long a node is avoided that answered nothing: at first, and at most. In milliseconds. */
const FIRST_PROBATION_MS = 200;
const MAX_PROBATION_MS = 10_000;
/** The same of one to which nothing could be delivered: a try costs nothing then. */
const FIRST_UNREACHABLE_MS = 50;
const MAX_UNREACHABLE_MS = 1_000;

/** What is known of one node. */
class Watched {
  readonly arrivals = new Arrivals();
  /** The last reading; undefined before the first one of a thread. */
  pulse: number | undefined = undefined;
  seenMs = 0;
  /** How long the pulse has not moved, as far as it was watched. */
  silenceMs = 0;
  /** True from a suspicion until the node has moved as often as it must. */
  doubted = false;
  /** True while it has no pulse. */
  dead = false;
  moves = 0;
  movesNeeded = 1;
  suspicions = 0;
  suspectedMs = -Infinity;
  strikes = 0;
  struckMs = -Infinity;
  /** Avoided until then, for what became of one's own requests; and for how long the next time. */
  avoidUntilMs = -Infinity;
  probationMs = FIRST_PROBATION_MS;
  unreachableMs = FIRST_UNREACHABLE_MS;
  unreachable = false;
}

export class FailureDetector {
  private readonly watched: Watched[] = [];

  /** @param nodes - how many there are: 0 … nodes − 1. All count as up until something is known */
  constructor(nodes: number) {
    for (let node = 0; node < nodes; node++) this.watched.push(new Watched());
  }

  /**
   * A look at a node's pulse: every 10 to 100 ms while something is in flight, and before a node is chosen after a time
   * of idleness. In longer intervals it is right, too, but slower.
   * @param nowMs - monotonic milliseconds
   */
  observe(node: number, pulse: number, nowMs: number): void {
    const watched = this.watched[node]!;
    if (pulse < 0) {
      this.ended(node);
      return;
    }
    if (watched.pulse === undefined) {
      watched.pulse = pulse;
      watched.seenMs = nowMs;
      watched.silenceMs = 0;
      // A thread has a pulse again only once it is ready, and what was held against it concerns its predecessor.
      if (watched.dead) trust(watched);
      return;
    }
    const step = nowMs - watched.seenMs;
    if (step < MIN_STEP_MS) return;
    watched.seenMs = nowMs;
    const silence = watched.silenceMs + Math.min(step, MAX_STEP_MS);
    const moved = watched.pulse !== pulse;
    if (!watched.doubted && isSuspicious(watched, silence)) doubt(watched, nowMs);
    if (!moved) {
      watched.silenceMs = silence;
      return;
    }
    watched.pulse = pulse;
    watched.silenceMs = 0;
    if (step <= MAX_STEP_MS) watched.arrivals.add(silence);
    if (watched.doubted && ++watched.moves >= watched.movesNeeded) trust(watched);
  }

  /** Its thread has no pulse any more, or somebody is certain that it ends: the next pulse is that of another thread. */
  ended(node: number): void {
    const watched = this.watched[node]!;
    watched.pulse = undefined;
    watched.dead = true;
  }

  /** A request of one's own was answered. */
  answered(node: number): void {
    const watched = this.watched[node]!;
    if (watched.strikes > 0 || watched.unreachable) forgive(watched);
  }

  /**
   * A request of one's own got no answer in time, or was lost (`runtime/actor.ts`). Not to be told of a hedge: that an answer is
   * late says nothing yet.
   */
  unanswered(node: number, nowMs: number): void {
    const watched = this.watched[node]!;
    if (nowMs < watched.struckMs + STRIKE_MS) return;
    watched.struckMs = nowMs;
    if (++watched.strikes < STRIKES) return;
    watched.unreachable = false;
    watched.avoidUntilMs = nowMs + watched.probationMs;
    watched.probationMs = Math.min(watched.probationMs * 2, MAX_PROBATION_MS);
  }

  /** A request of one's own failed with 'unreachable': for a time, none can be delivered. */
  unreachable(node: number, nowMs: number): void {
    const watched = this.watched[node]!;
    if (watched.unreachable && nowMs < watched.avoidUntilMs) return;
    watched.unreachable = true;
    watched.avoidUntilMs = nowMs + watched.unreachableMs;
    watched.unreachableMs = Math.min(watched.unreachableMs * 2, MAX_UNREACHABLE_MS);
  }

  state(node: number, nowMs: number): NodeHealth {
    const watched = this.watched[node]!;
    if (watched.dead) return 'down';
    if (nowMs < watched.avoidUntilMs) return watched.unreachable ? 'down' : 'suspect';
    if (watched.doubted || isSuspicious(watched, silenceOf(watched, nowMs))) return 'suspect';
    return 'up';
  }

  /** How surprising a node's silence is; Infinity if it is known to be down. */
  phi(node: number, nowMs: number): number {
    const watched = this.watched[node]!;
    return watched.dead ? Infinity : watched.arrivals.phi(silenceOf(watched, nowMs));
  }
}

function silenceOf({ pulse, seenMs, silenceMs }: Watched, nowMs: number): number {
  return pulse === undefined ? 0 : silenceMs + Math.min(nowMs - seenMs, MAX_STEP_MS);
}

function isSuspicious(watched: Watched, silenceMs: number): boolean {
  return silenceMs > NEVER_SUSPICIOUS_MS && watched.arrivals.phi(silenceMs) >= THRESHOLD;
}

function doubt(watched: Watched, nowMs: number): void {
  watched.suspicions = nowMs - watched.suspectedMs <= FLAPPING_MS ? watched.suspicions + 1 : 1;
  watched.suspectedMs = nowMs;
  watched.doubted = true;
  watched.moves = 0;
  watched.movesNeeded = Math.min(MAX_MOVES, 2 ** (watched.suspicions - 1));
}

function trust(watched: Watched): void {
  watched.doubted = false;
  watched.dead = false;
  forgive(watched);
}

function forgive(watched: Watched): void {
  watched.strikes = 0;
  watched.unreachable = false;
  watched.avoidUntilMs = -Infinity;
  watched.probationMs = FIRST_PROBATION_MS;
  watched.unreachableMs = FIRST_UNREACHABLE_MS;
}
