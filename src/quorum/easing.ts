/**
 * Easing in: a node that has just come back is given requests little by little, and others are preferred meanwhile. Pure.
 *
 *     share of what it would be given  1 ┤            ╭────
 *                                        │         ╭──╯
 *                                      0 ┼────────╯
 *                                        back                as it was
 *
 * A thread that stood still has the mail of all that time before it; what would be asked of it now waits behind. One that
 * was started again runs code that is not compiled yet: its first hundreds of requests take ten times as long, and given
 * all at once each waits for all before it (39 ms a turn were seen, of 88 requests). Who need not be asked is not: the
 * other primaries coordinate and are read. Writes go to it all the same, since it is to have them, and warm it.
 *
 * Sources: "slow start" of load balancers (nginx, HAProxy, Envoy); Dynamo (SOSP 2007), §6.4: clients choose coordinators
 * by how they do.
 */
import { hasSlot, NO_SLOTS, type PlaceSet, withoutSlot, withSlot } from './slots.js';

/** How long a node is eased in that was started again, in milliseconds: code is compiled by then. */
const STARTED_MS = 2_000;
/** The same of one that stood still: half as long as it did, within these. */
const LEAST_MS = 60;
const MOST_MS = 500;
const SHARE_OF_STANDSTILL = 0.5;

export class Easing {
  /** Nodes that are eased in, as of the last look. */
  nodes: PlaceSet = NO_SLOTS;
  /** Those of them that stood still, and have their mail of that time before them. */
  behind: PlaceSet = NO_SLOTS;
  private readonly sinceMs: Float64Array;
  private readonly untilMs: Float64Array;
  /** What a node has saved up of its share: it is given a request for each whole one. */
  private readonly saved: Float64Array;

  constructor(nodes: number) {
    this.sinceMs = new Float64Array(nodes);
    this.untilMs = new Float64Array(nodes);
    this.saved = new Float64Array(nodes);
  }

  /** It was down, and has been started again. */
  started(node: number, nowMs: number): void {
    this.behind = withoutSlot(this.behind, node);
    this.begin(node, nowMs, STARTED_MS);
  }

  /** It goes on after it stood still for so long. */
  wentOn(node: number, stoodStillMs: number, nowMs: number): void {
    const forMs = Math.min(MOST_MS, Math.max(LEAST_MS, stoodStillMs * SHARE_OF_STANDSTILL));
    if (hasSlot(this.nodes, node) && this.untilMs[node]! >= nowMs + forMs) return;
    this.behind = withSlot(this.behind, node);
    this.begin(node, nowMs, forMs);
  }

  /** To be called before `nodes` is read. */
  look(nowMs: number): void {
    if (this.nodes === NO_SLOTS) return;
    for (let node = 0; node < this.untilMs.length; node++) {
      if (nowMs >= this.untilMs[node]!) this.nodes = withoutSlot(this.nodes, node);
    }
    this.behind &= this.nodes;
  }

  /** True if a request that could go elsewhere goes to this node all the same: it counts as given. */
  takes(node: number, nowMs: number): boolean {
    if (!hasSlot(this.nodes, node)) return false;
    const since = this.sinceMs[node]!;
    const share = Math.min(1, Math.max(0, (nowMs - since) / (this.untilMs[node]! - since)));
    this.saved[node]! += share * share;
    if (this.saved[node]! < 1) return false;
    this.saved[node]! -= 1;
    return true;
  }

  private begin(node: number, nowMs: number, forMs: number): void {
    this.nodes = withSlot(this.nodes, node);
    this.sinceMs[node] = nowMs;
    this.untilMs[node] = nowMs + forMs;
    this.saved[node] = 0;
  }
}
