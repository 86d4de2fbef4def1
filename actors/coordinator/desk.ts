/**
 * What the operations of one coordinator share: the table of what is under way, the addresses of vnodes and hint keepers,
 * how the other nodes are, the counters; and what an operation is to the coordinator that keeps it.
 */
import { InFlight } from '../../src/base/in-flight.js';
import { hintKeeperRef, vnodeRef } from '../../src/messages/addresses.js';
import type { CoordinatorAnswer, OperationFailure } from '../../src/messages/coordinator-messages.js';
import type { HintRequest } from '../../src/messages/hint-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import type { NodeCounters } from '../../src/metrics/node-counters.js';
import type { Reach } from '../../src/quorum/reach.js';
import { firstSlots, hasSlot, NO_SLOTS, withSlot } from '../../src/quorum/slots.js';
import type { PreferenceList } from '../../src/ring/preference-list.js';
import type { ActorContext, ActorRef, Failure, Incoming } from '../../src/runtime/actor.js';

/** One put, get or page under way. */
export interface Operation {
  /** Monotonic milliseconds. */
  readonly deadline: number;
  /** An answer came from `place` of the preference list. */
  answered(place: number, answer: VnodeAnswer, context: ActorContext): void;
  /** What was asked of `place` gets no answer. */
  failed(place: number, failure: Failure, context: ActorContext): void;
  /** The deadline has passed: the operation ends, or gives itself a later one. */
  expired(context: ActorContext): void;
}

/** A correlation is a ticket and a place below this; a put's last resort takes the upper half of the places. */
const PLACES = 64;
/** Of repairs, which belong to no operation any more. */
const REPAIR = Number.MAX_SAFE_INTEGER;
/** So many repairs are under way at a time; more are shed. The next read that finds the replica stale repairs it. */
const MAX_REPAIRS = 64;

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
}

export class Desk {
  readonly node: number;
  readonly counters: NodeCounters;
  readonly operations: InFlight<Operation>;
  /** By partition: by place, its node. The primaries come first, before them all this node, if it is one. */
  readonly orders: readonly (readonly number[])[];
  /** How many primaries a partition has. */
  readonly n: number;
  /** By node, by partition: made once, for every message. */
  private readonly vnodes: ActorRef<VnodeRequest, VnodeAnswer>[][] = [];
  /** By node. */
  private readonly keepers: ActorRef<HintRequest, VnodeAnswer>[] = [];
  /** Nodes that are up, or only suspected, as bit masks. */
  private up: number;
  private suspect = 0;
  /** By partition, as of the present health; made when asked for. */
  private reaches: (Reach | undefined)[] = [];
  private repairs = 0;

  constructor({ node, preferenceLists, maxOperations, counters }: DeskOptions) {
    this.node = node;
    this.counters = counters;
    this.operations = new InFlight(maxOperations);
    this.orders = preferenceLists.map(({ primaries, fallbacks }) => [...ownFirst(primaries, node), ...fallbacks]);
    this.n = preferenceLists[0]!.primaries.length;
    const nodes = this.orders[0]!.length;
    this.up = nodes >= 32 ? -1 : (1 << nodes) - 1;
    for (let other = 0; other < nodes; other++) {
      this.keepers.push(hintKeeperRef(other));
      this.vnodes.push([]);
    }
    preferenceLists.forEach(({ primaries }, partition) => {
      for (const primary of primaries) this.vnodes[primary]![partition] = vnodeRef(primary, partition);
    });
  }

  /** Tells which nodes are up and which are suspected, as bit masks; the others are down. */
  setHealth(up: number, suspect: number): void {
    if (up === this.up && suspect === this.suspect) return;
    this.up = up;
    this.suspect = suspect;
    this.reaches = [];
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
    const { n, up, suspect } = this.reachOf(partition);
    const primaries = firstSlots(n);
    return { n, places: n, up: up & primaries, suspect: suspect & primaries };
  }

  askVnode(
    node: number,
    partition: number,
    message: VnodeRequest,
    ticket: number,
    place: number,
    context: ActorContext,
  ): void {
    context.request(this.vnodes[node]![partition]!, message, ticket * PLACES + place);
  }

  askKeeper(node: number, message: HintRequest, ticket: number, place: number, context: ActorContext): void {
    context.request(this.keepers[node]!, message, ticket * PLACES + place);
  }

  /** Sends a replica what it lacks, unless too much of that is under way. Nobody awaits the outcome. */
  repair(node: number, partition: number, message: VnodeRequest, context: ActorContext): void {
    if (this.repairs >= MAX_REPAIRS) {
      this.counters.readRepairsShed++;
      return;
    }
    this.repairs++;
    this.counters.readRepairs++;
    context.request(this.vnodes[node]![partition]!, message, REPAIR);
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
    const failure: OperationFailure = { why: 'overloaded', got: 0, wanted: 0, definite: true };
    context.reply(incoming, { type: 'failed', failure });
  }

  private findReach(partition: number): Reach {
    const order = this.orders[partition]!;
    let up = NO_SLOTS;
    let suspect = NO_SLOTS;
    for (let place = 0; place < order.length; place++) {
      const node = order[place]!;
      if (node === this.node || hasSlot(this.up, node)) up = withSlot(up, place);
      else if (hasSlot(this.suspect, node)) suspect = withSlot(suspect, place);
    }
    return { n: this.n, places: order.length, up, suspect };
  }
}

function ownFirst(primaries: readonly number[], node: number): readonly number[] {
  if (!primaries.includes(node)) return primaries;
  return [node, ...primaries.filter((primary) => primary !== node)];
}
