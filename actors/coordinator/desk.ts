/**
 * What the operations of one coordinator share: the table of what is under way, the addresses of vnodes and hint keepers,
 * how the other nodes are, the counters; and what an operation is to the coordinator that keeps it.
 */
import type { BackgroundBudget } from '../../src/admission/background-budget.js';
import { DueQueue } from '../../src/base/due-queue.js';
import { InFlight } from '../../src/base/in-flight.js';
import { FailureDetector } from '../../src/membership/failure-detector.js';
import { hintKeeperRef, vnodeRef } from '../../src/messages/addresses.js';
import type { CoordinatorAnswer, OperationFailure } from '../../src/messages/coordinator-messages.js';
import type { HintRequest } from '../../src/messages/hint-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import type { NodeCounters } from '../../src/metrics/node-counters.js';
import type { OperationLatencies } from '../../src/metrics/operation-latencies.js';
import { type Hedging, Peers } from '../../src/quorum/peers.js';
import type { Reach } from '../../src/quorum/reach.js';
import { firstSlots, hasSlot, NO_SLOTS, type PlaceSet, withSlot } from '../../src/quorum/slots.js';
import type { PreferenceList } from '../../src/ring/preference-list.js';
import { type ActorContext, type ActorRef, type Failure, type Incoming, wasLost } from '../../src/runtime/actor.js';
import type { HintFences } from '../hint-fences.js';

/** One put, get or page under way. */
export interface Operation {
  /** Monotonic milliseconds. */
  readonly deadline: number;
  /** About how much memory it holds. */
  readonly bytes: number;
  /** An answer came from `place` of the preference list. */
  answered(place: number, answer: VnodeAnswer, context: ActorContext): void;
  /** What was asked of `place` gets no answer. */
  failed(place: number, failure: Failure, context: ActorContext): void;
  /** True if an answer of `place` is awaited, and nobody was asked in its stead. */
  awaits(place: number): boolean;
  /** The node of a place. */
  nodeAt(place: number): number;
  /** True once the client has its reply: what is still awaited is not urgent. */
  readonly isReplied: boolean;
  /** `place` takes longer than it should: somebody else is to be asked, if somebody can be. */
  silent(place: number, context: ActorContext): void;
  /** What `place` had no room for is to be sent again. */
  retry(place: number, context: ActorContext): void;
  /** The deadline has passed: the operation ends, or gives itself a later one. */
  expired(context: ActorContext): void;
}

/** A correlation is a ticket and a place below this; a put's last resort takes the upper half of the places. */
const PLACES = 64;
/** Of repairs, which belong to no operation any more. */
const REPAIR = Number.MAX_SAFE_INTEGER;
/** Kinds of requests, each of which takes its own time. */
export const READ = 0;
export const WRITE = 1;
export const LIST = 2;
const KINDS = 3;
/**
 * When a request is hedged, in milliseconds, by kind: after the 99th percentile of what its node takes, within these. The
 * least is above what a busy thread takes for a turn; the most leaves room for a client that waits for a tenth of a second.
 * A write that is hedged becomes a hint: a commit that is always flushed, and a delivery later.
 */
const HEDGING: readonly Hedging[] = [
  { leastMs: 3, mostMs: 25, cost: 1 },
  { leastMs: 4, mostMs: 30, cost: 8 },
  { leastMs: 20, mostMs: 200, cost: 1 },
];
/**
 * How long a replica that does nothing may take once the client has its reply, in milliseconds, until somebody else keeps a
 * hint for it. A pause that is over by then leaves no hints behind. A replica that is merely slow has until the deadline:
 * where all are slow, hints would make them slower.
 */
const PATIENCE_MS = 500;
/** When objects of so many bytes wait so, the oldest are not waited for any longer; nor beyond a part of all operations. */
const MAX_PATIENT_BYTES = 32 * 2 ** 20;
/** How long a replica that lacked something is read after the others, in milliseconds. */
const LACKING_MS = 1_000;
/** When a request that was refused for want of room is sent again, in milliseconds. */
const RETRY_MS = 5;
/**
 * So many repairs are under way at a time, and a slice of the background budget is good for so many; more are shed. The next
 * read that finds the replica stale repairs it.
 */
const MAX_REPAIRS = 64;
const REPAIRS_PER_SLICE = 16;

export function ticketOf(correlation: number): number {
  return Math.floor(correlation / PLACES);
}

export function placeOf(correlation: number): number {
  return correlation % PLACES;
}

export interface DeskOptions {
  /** This node's index in the ring. */
  readonly node: number;
  /** By partition, its preference list: the nodes of the primaries, and of the fallbacks behind them. */
  readonly preferenceLists: readonly PreferenceList[];
  /** Operations under way at a time; more are refused. */
  readonly maxOperations: number;
  readonly counters: NodeCounters;
  /** Told how long operations took that succeeded. */
  readonly latencies: OperationLatencies;
  /** Of the node: told how long clients wait; repairs take slices of it. */
  readonly budget: BackgroundBudget;
  /** What the node keeps for others. It knows what was counted before anything was forgotten. */
  readonly hints: { readonly fences: Pick<HintFences, 'refuseBelow'> };
}

export class Desk {
  readonly node: number;
  readonly counters: NodeCounters;
  readonly latencies: OperationLatencies;
  readonly budget: BackgroundBudget;
  private readonly hints: { readonly fences: Pick<HintFences, 'refuseBelow'> };
  readonly operations: InFlight<Operation>;
  /** By partition: by place, its node. The primaries come first, before them all this node, if it is one. */
  readonly orders: readonly (readonly number[])[];
  /** How many primaries a partition has. */
  readonly n: number;
  /** By node, by partition: made once, for every message. */
  private readonly vnodes: ActorRef<VnodeRequest, VnodeAnswer>[][] = [];
  /** By node. */
  private readonly keepers: ActorRef<HintRequest, VnodeAnswer>[] = [];
  private readonly nodes: number;
  private readonly peers: Peers;
  /** Replicas that have not acknowledged by the time of the reply, as correlations. */
  private readonly patient = new DueQueue();
  private readonly patientBytes = new DueQueue();
  private bytesHeld = 0;
  private readonly maxPatient: number;
  private readonly retries = new DueQueue();
  /** Nodes that are up, or only suspected, as bit masks. */
  private up: number;
  private suspect = NO_SLOTS;
  private preferred: number;
  /** By partition, as of the present health; made when asked for. */
  private reaches: (Reach | undefined)[] = [];
  /** By partition: the places of replicas that lack what others have, and know it; until when that is remembered. */
  private readonly lacking: PlaceSet[];
  private lackingUntilMs = Number.POSITIVE_INFINITY;
  private repairs = 0;
  /** Of the slice that was taken for them. */
  private repairsLeft = 0;

  constructor({ node, preferenceLists, maxOperations, counters, latencies, budget, hints }: DeskOptions) {
    this.node = node;
    this.counters = counters;
    this.latencies = latencies;
    this.budget = budget;
    this.hints = hints;
    this.operations = new InFlight(maxOperations);
    this.orders = preferenceLists.map(({ primaries, fallbacks }) => [...ownFirst(primaries, node), ...fallbacks]);
    this.lacking = preferenceLists.map(() => NO_SLOTS);
    this.n = preferenceLists[0]!.primaries.length;
    this.nodes = this.orders[0]!.length;
    this.maxPatient = Math.floor(maxOperations / 2);
    this.peers = new Peers({
      nodes: this.nodes,
      own: node,
      detector: new FailureDetector(this.nodes),
      hedging: HEDGING,
    });
    this.up = this.peers.up;
    this.preferred = this.peers.preferred;
    for (let other = 0; other < this.nodes; other++) {
      this.keepers.push(hintKeeperRef(other));
      this.vnodes.push([]);
    }
    preferenceLists.forEach(({ primaries }, partition) => {
      for (const primary of primaries) this.vnodes[primary]![partition] = vnodeRef(primary, partition);
    });
  }

  /** Looks how the other nodes are. */
  look(context: ActorContext): void {
    const { peers } = this;
    peers.look(context, context.now());
    if (context.now() >= this.lackingUntilMs) this.forgetLacking();
    if (peers.up === this.up && peers.suspect === this.suspect && peers.preferred === this.preferred) return;
    this.up = peers.up;
    this.suspect = peers.suspect;
    this.preferred = peers.preferred;
    this.reaches = [];
  }

  /**
   * The replica at this place is behind, and had nothing where others have an object: it was lost, and is being refilled. It
   * would have most reads ask twice, and repair it, which the refill does anyway: for a while the other primaries are read
   * first.
   */
  lacks(partition: number, place: number, context: ActorContext): void {
    if (hasSlot(this.lacking[partition]!, place)) return;
    this.lacking[partition] = withSlot(this.lacking[partition]!, place);
    this.reaches[partition] = undefined;
    this.lackingUntilMs = Math.min(this.lackingUntilMs, context.now() + LACKING_MS);
  }

  /** Whoever still lacks much is soon found out again. */
  private forgetLacking(): void {
    this.lackingUntilMs = Number.POSITIVE_INFINITY;
    this.lacking.fill(NO_SLOTS);
    this.reaches = [];
  }

  /** Backs up what takes too long, and sends again what was refused. */
  hedge(context: ActorContext): void {
    const now = context.now();
    for (let node = 0; node < this.nodes; node++) {
      if (node === this.node) continue;
      for (let kind = 0; kind < KINDS; kind++) this.hedgeNode(kind, node, now, context);
    }
    this.hintForSilent(now, context);
    while (this.retries.firstTime + RETRY_MS <= now) {
      const correlation = this.retries.shift();
      this.operations.get(ticketOf(correlation))?.retry(placeOf(correlation), context);
    }
  }

  private hedgeNode(kind: number, node: number, now: number, context: ActorContext): void {
    const { peers } = this;
    for (;;) {
      const correlation = peers.nextDue(kind, node, now);
      if (correlation === -1) return;
      const operation = this.operations.get(ticketOf(correlation));
      const place = placeOf(correlation);
      if (operation?.awaits(place) !== true) continue;
      if (operation.isReplied) this.waitPatiently(correlation, operation.bytes, now);
      else if (peers.mayHedge(kind, node, correlation, now)) {
        this.counters.hedges++;
        operation.silent(place, context);
      }
    }
  }

  private waitPatiently(correlation: number, bytes: number, now: number): void {
    this.patient.push(correlation, now);
    this.patientBytes.push(bytes, now);
    this.bytesHeld += bytes;
  }

  /** Gives those up that have not acknowledged long after the reply. */
  private hintForSilent(now: number, context: ActorContext): void {
    const { patient } = this;
    for (;;) {
      const isTooMuch = patient.size > this.maxPatient || this.bytesHeld > MAX_PATIENT_BYTES;
      if (!isTooMuch && patient.firstTime + PATIENCE_MS > now) return;
      const correlation = patient.shift();
      const bytes = this.patientBytes.shift();
      this.bytesHeld -= bytes;
      const operation = this.operations.get(ticketOf(correlation));
      const place = placeOf(correlation);
      if (operation?.awaits(place) !== true) continue;
      if (isTooMuch || !this.isAtWork(operation.nodeAt(place))) operation.silent(place, context);
      else this.waitPatiently(correlation, bytes, now);
    }
  }

  private isAtWork(node: number): boolean {
    return hasSlot(this.peers.up, node) && !this.peers.standsStill(node);
  }

  retryLater(ticket: number, place: number, context: ActorContext): void {
    this.retries.push(ticket * PLACES + place, context.now());
  }

  /** `node` has answered. `sinceMs`: when it was asked, if it was the first to be asked; else −1. */
  answered(kind: number, node: number, sinceMs: number, context: ActorContext): void {
    if (node !== this.node) this.peers.answered(kind, node, sinceMs < 0 ? -1 : context.now() - sinceMs);
  }

  /** A request to `node` has failed. */
  lost(node: number, failure: Failure, context: ActorContext): void {
    if (failure === 'unreachable') this.peers.unreachable(node, context.now());
    else if (wasLost(failure)) this.peers.unanswered(node, context.now());
  }

  /** `node` has not answered in time. */
  unanswered(node: number, context: ActorContext): void {
    this.peers.unanswered(node, context.now());
  }

  /** Whom an operation of this partition may ask. */
  reachOf(partition: number): Reach {
    let reach = this.reaches[partition];
    if (reach === undefined) {
      reach = this.findReach(partition);
      this.reaches[partition] = reach;
    }
    return reach;
  }

  /** The same of its primaries alone. */
  primaryReachOf(partition: number): Reach {
    const { n, up, suspect, slow } = this.reachOf(partition);
    const primaries = firstSlots(n);
    return { n, places: n, up: up & primaries, suspect: suspect & primaries, slow: slow & primaries };
  }

  /**
   * True if a round of reaping may have made a partition's replicas forget something: every node has counted its hints
   * before. A node that does not know it any more says no.
   */
  mayBeForgotten(partition: number): boolean {
    return this.hints.fences.refuseBelow(partition) > 0;
  }

  askVnode(
    kind: number,
    node: number,
    partition: number,
    message: VnodeRequest,
    ticket: number,
    place: number,
    context: ActorContext,
  ): void {
    context.request(this.vnodes[node]![partition]!, message, this.asking(kind, node, ticket, place, context));
  }

  askKeeper(
    kind: number,
    node: number,
    message: HintRequest,
    ticket: number,
    place: number,
    context: ActorContext,
  ): void {
    context.request(this.keepers[node]!, message, this.asking(kind, node, ticket, place, context));
  }

  /** Notes that `node` is asked now. @returns the correlation of the request */
  private asking(kind: number, node: number, ticket: number, place: number, context: ActorContext): number {
    const correlation = ticket * PLACES + place;
    if (node !== this.node) this.peers.asked(kind, node, correlation, context.now());
    return correlation;
  }

  /** Sends a replica what it lacks, if background work has room for it. Nobody awaits the outcome. */
  repair(node: number, partition: number, message: VnodeRequest, context: ActorContext): void {
    if (!this.mayRepair(context)) {
      this.counters.readRepairsShed++;
      return;
    }
    this.repairsLeft--;
    this.repairs++;
    this.counters.readRepairs++;
    context.request(this.vnodes[node]![partition]!, message, REPAIR);
  }

  private mayRepair(context: ActorContext): boolean {
    if (this.repairs >= MAX_REPAIRS) return false;
    if (this.repairsLeft === 0 && this.budget.take(context.now())) this.repairsLeft = REPAIRS_PER_SLICE;
    return this.repairsLeft > 0;
  }

  /** True if what has ended under this correlation was a repair. */
  endsRepair(correlation: number): boolean {
    if (correlation !== REPAIR) return false;
    this.repairs--;
    return true;
  }

  /** There are too many operations under way for one more. */
  refuse(incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    this.counters.refused++;
    const failure: OperationFailure = { why: 'overloaded', quorum: 'r', got: 0, wanted: 0, definite: true };
    context.reply(incoming, { type: 'failed', failure });
  }

  private findReach(partition: number): Reach {
    const order = this.orders[partition]!;
    let up = NO_SLOTS;
    let suspect = NO_SLOTS;
    let slow = this.lacking[partition]!;
    for (let place = 0; place < order.length; place++) {
      const node = order[place]!;
      if (node === this.node) up = withSlot(up, place);
      else if (hasSlot(this.up, node)) {
        up = withSlot(up, place);
        if (!hasSlot(this.preferred, node)) slow = withSlot(slow, place);
      } else if (hasSlot(this.suspect, node)) suspect = withSlot(suspect, place);
    }
    return { n: this.n, places: order.length, up, suspect, slow };
  }
}

function ownFirst(primaries: readonly number[], node: number): readonly number[] {
  if (!primaries.includes(node)) return primaries;
  return [node, ...primaries.filter((primary) => primary !== node)];
}
