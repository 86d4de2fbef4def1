/**
 * What one observer, a coordinator or a client, knows of the nodes: who is up, who is suspected, whose thread stands
 * still at this moment, how long each usually takes, and so when a request to it is to be hedged.
 *
 * Two clocks of doubt run side by side. Suspicion grows slowly and keeps requests away from a node; a hedge comes at once
 * and only backs up the requests that are under way. Those are few, by a budget, unless the thread's pulse stands still
 * while the others' go on: then all that it has in hand is backed up. Where many stand still there is not enough of the
 * machine for all of them, and more work would not help.
 *
 * Pure: its owner reads the pulses and the time. The failure detector is handed in.
 * Sources: Dynamo (SOSP 2007), §4.8.3 (local notion of failure); Dean and Barroso, "The Tail at Scale" (CACM 2013).
 */
import { DueQueue } from '../base/due-queue.js';
import { Easing } from './easing.js';
import { HedgeBudget } from './hedge-budget.js';
import { LatencyEstimate } from './latency-estimate.js';
import { countSlots, firstSlots, hasSlot, NO_SLOTS, type PlaceSet, withSlot } from './slots.js';

/** What is wanted of a failure detector (`membership/failure-detector.ts`). */
export interface Detector {
  observe(node: number, pulse: number, nowMs: number): void;
  ended(node: number): void;
  answered(node: number): void;
  unanswered(node: number, nowMs: number): void;
  unreachable(node: number, nowMs: number): void;
  state(node: number, nowMs: number): 'up' | 'suspect' | 'down';
}

export interface PeersOptions {
  readonly nodes: number;
  /** This node is up whatever its pulse says; −1: none of them is one's own. */
  readonly own: number;
  readonly detector: Detector;
  /** By kind of request. */
  readonly hedging: readonly Hedging[];
}

/** When requests of a kind are hedged, and what that costs. */
export interface Hedging {
  /** Not sooner than after so many milliseconds, and not later. */
  readonly leastMs: number;
  readonly mostMs: number;
  /** What a hedge takes from the budget: 1 if it costs what the request does. */
  readonly cost: number;
}

/** What a look is made with: a thread's pulse, and whether it is within a commit. */
export interface Sight {
  pulse(node: number): number;
  committing(node: number): boolean;
}

/**
 * A pulse that has not moved for so long may stand still, in milliseconds: reads are backed up, and who need not be asked is
 * not. With its two cores at two thirds, a machine of ours let a running thread wait for 15 ms now and then.
 */
const SILENT_MS = 20;
/** One that has not moved for so long stands still, in milliseconds: writes are backed up, too. */
const STANDSTILL_MS = 25;
/**
 * The same of a thread that is seen within a commit: it is well, and its disk slow. A write that is backed up becomes a
 * hint, which is a commit, too, most likely on the same disk.
 */
const SLOW_COMMIT_MS = 150;
/** One node may stand still, and one more for each so many, before it is the machine that is overloaded. */
const STILL_SHARE = 8;
/** Who has not looked for so long knows nothing of what was between, in milliseconds. */
const BLIND_MS = 60;
/**
 * Of the time between two looks so much is held against a pulse at most, in milliseconds: twice what lies between looks.
 * Where looks come late, this thread waits for a core itself, and most likely so does the other. But after `CERTAIN_MS` by
 * the clock it stands still all the same: requests are not to wait for much longer than that.
 */
const WATCHED_MS = 10;
const CERTAIN_MS = 80;

export class Peers {
  /** Nodes, as bit masks, as of the last look. */
  up: PlaceSet = NO_SLOTS;
  suspect: PlaceSet = NO_SLOTS;
  /** Those of `up` that are to be asked before the others of them. */
  preferred: PlaceSet = NO_SLOTS;
  private readonly nodes: number;
  private readonly own: number;
  private readonly detector: Detector;
  private readonly hedging: readonly Hedging[];
  private readonly budget = new HedgeBudget();
  /** Of those that someone is certain of. */
  private knownDown: PlaceSet = NO_SLOTS;
  private readonly pulses: number[] = [];
  private readonly movedMs: number[] = [];
  /** How long each pulse has been watched to stand still, in milliseconds. */
  private readonly silenceMs: number[] = [];
  private lookedMs = Number.NEGATIVE_INFINITY;
  /** Nodes whose threads stand still, as of the last look. */
  private still: PlaceSet = NO_SLOTS;
  /** Nodes that have only just gone on, or come back. */
  private readonly easing: Easing;
  /** The silent, and those that have only just gone on. */
  private readsBackedUp: PlaceSet = NO_SLOTS;
  private readonly mostStill: number;
  /** By kind and node. */
  private readonly latencies: LatencyEstimate[] = [];
  private readonly queues: DueQueue[] = [];

  constructor({ nodes, own, detector, hedging }: PeersOptions) {
    this.nodes = nodes;
    this.own = own;
    this.detector = detector;
    this.hedging = hedging;
    this.mostStill = 1 + Math.floor(nodes / STILL_SHARE);
    this.easing = new Easing(nodes);
    for (let node = 0; node < nodes; node++) {
      this.up = withSlot(this.up, node);
      this.pulses.push(-1);
      this.movedMs.push(0);
      this.silenceMs.push(0);
    }
    for (let i = 0; i < nodes * hedging.length; i++) {
      this.latencies.push(new LatencyEstimate());
      this.queues.push(new DueQueue());
    }
    this.preferred = this.up;
  }

  /** Somebody who is certain of it says that the node is down, or not any more. */
  setDown(node: number, down: boolean): void {
    const bit = withSlot(NO_SLOTS, node);
    this.knownDown = down ? this.knownDown | bit : this.knownDown & ~bit;
    if (down) {
      // Who does not look meanwhile would take its next thread for this one.
      this.detector.ended(node);
      this.up &= ~bit;
      this.suspect &= ~bit;
      this.preferred &= ~bit;
    } else this.up |= bit;
  }

  isKnownDown(node: number): boolean {
    return hasSlot(this.knownDown, node);
  }

  /** Every node of which nobody is certain that it is down. */
  get reachable(): PlaceSet {
    return firstSlots(this.nodes) & ~this.knownDown;
  }

  /** Looks at everybody: every few milliseconds while something is under way. */
  look(sight: Sight, nowMs: number): void {
    const stepMs = nowMs - this.lookedMs;
    const blind = stepMs > BLIND_MS;
    this.lookedMs = nowMs;
    let up = NO_SLOTS;
    let suspect = NO_SLOTS;
    let still = NO_SLOTS;
    let silent = NO_SLOTS;
    for (let node = 0; node < this.nodes; node++) {
      if (node === this.own) {
        up = withSlot(up, node);
        continue;
      }
      const pulse = sight.pulse(node);
      if (blind || pulse !== this.pulses[node]) {
        if (!blind) this.noteReturn(node, pulse, nowMs);
        this.pulses[node] = pulse;
        this.movedMs[node] = nowMs;
        this.silenceMs[node] = 0;
      } else this.silenceMs[node]! += Math.min(stepMs, WATCHED_MS);
      // Who is down is another matter: what was asked of it fails by itself.
      if (pulse >= 0 && nowMs - this.movedMs[node]! >= SILENT_MS) {
        silent = withSlot(silent, node);
        if (this.isStill(node, nowMs, sight)) still = withSlot(still, node);
      }
      this.detector.observe(node, pulse, nowMs);
      if (hasSlot(this.knownDown, node)) continue;
      const state = this.detector.state(node, nowMs);
      if (state === 'up') up = withSlot(up, node);
      else if (state === 'suspect') suspect = withSlot(suspect, node);
    }
    this.up = up;
    this.suspect = suspect;
    this.still = this.unlessMany(still);
    this.easing.look(nowMs);
    // Where many are slow, it is not they, and there is nobody to be preferred.
    const slow = this.unlessMany(silent);
    const eased = this.unlessMany(this.easing.nodes);
    // One that was started again has no mail to go through, and to do its work twice would only take cores from it.
    this.readsBackedUp = slow | (eased & this.easing.behind);
    this.preferred = up & ~(slow | eased);
  }

  private unlessMany(nodes: PlaceSet): PlaceSet {
    return countSlots(nodes) <= this.mostStill ? nodes : NO_SLOTS;
  }

  /** Its pulse moves: it may have been away until now. */
  private noteReturn(node: number, pulse: number, nowMs: number): void {
    if (pulse < 0) return;
    if (this.pulses[node]! < 0) this.easing.started(node, nowMs);
    else if (this.silenceMs[node]! >= STANDSTILL_MS) this.easing.wentOn(node, nowMs - this.movedMs[node]!, nowMs);
  }

  /** True if a node that is not preferred is to have a request that could go elsewhere: it counts as given. */
  takesShare(node: number, nowMs: number): boolean {
    return this.easing.takes(node, nowMs);
  }

  private isStill(node: number, nowMs: number, sight: Sight): boolean {
    const sinceMs = nowMs - this.movedMs[node]!;
    if (sight.committing(node)) return sinceMs >= SLOW_COMMIT_MS;
    return this.silenceMs[node]! >= STANDSTILL_MS || sinceMs >= CERTAIN_MS;
  }

  /** A request of this kind was sent; `correlation` is given back when it is to be hedged. */
  asked(kind: number, node: number, correlation: number, nowMs: number): void {
    this.budget.earn();
    this.queues[kind * this.nodes + node]!.push(correlation, nowMs);
  }

  /** A request was answered after so long; a negative `ms`: it is not known how long it took. */
  answered(kind: number, node: number, ms: number): void {
    this.detector.answered(node);
    if (ms >= 0) this.latencies[kind * this.nodes + node]!.observe(ms);
  }

  unanswered(node: number, nowMs: number): void {
    this.detector.unanswered(node, nowMs);
  }

  unreachable(node: number, nowMs: number): void {
    this.detector.unreachable(node, nowMs);
  }

  /** True if the node's thread does nothing at this moment, as far as one can see, while the others go on. */
  standsStill(node: number): boolean {
    return hasSlot(this.still, node);
  }

  /** The next request of this kind that the node has had for longer than it usually takes; −1 if there is none. */
  nextDue(kind: number, node: number, nowMs: number): number {
    const queue = this.queues[kind * this.nodes + node]!;
    // What was put back before it stood still need not wait as long again.
    const afterMs = this.isBackedUp(kind, node) ? this.hedging[kind]!.leastMs : this.hedgeAfterMs(kind, node);
    return queue.firstTime + afterMs <= nowMs ? queue.shift() : -1;
  }

  /** True if a request that is due may be hedged now. If not, it is due once more after the same time. */
  mayHedge(kind: number, node: number, correlation: number, nowMs: number): boolean {
    if (this.isBackedUp(kind, node)) return true;
    if (!this.budget.spend(this.hedging[kind]!.cost)) {
      this.queues[kind * this.nodes + node]!.push(correlation, nowMs);
      return false;
    }
    // It takes at least so long, and who knows how much longer.
    this.latencies[kind * this.nodes + node]!.observe(2 * this.hedgeAfterMs(kind, node));
    return true;
  }

  /**
   * True if all requests of this kind that the node has are backed up. A read that is backed up for nothing costs a read; a
   * write leaves a hint, or a second attempt, so that one looks closer.
   */
  private isBackedUp(kind: number, node: number): boolean {
    return hasSlot(this.hedging[kind]!.cost > 1 ? this.still : this.readsBackedUp, node);
  }

  private hedgeAfterMs(kind: number, node: number): number {
    const { leastMs, mostMs } = this.hedging[kind]!;
    return Math.min(mostMs, Math.max(leastMs, this.latencies[kind * this.nodes + node]!.p99Ms));
  }
}
