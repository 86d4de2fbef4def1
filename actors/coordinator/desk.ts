/**
 * What the operations of one coordinator share: the table of what is under way, the vnodes' addresses, the counters; and
 * what an operation is to the coordinator that keeps it.
 */
import { InFlight } from '../../src/base/in-flight.js';
import { vnodeRef } from '../../src/messages/addresses.js';
import type { CoordinatorAnswer, OperationFailure } from '../../src/messages/coordinator-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import type { NodeCounters } from '../../src/metrics/node-counters.js';
import type { PreferenceList } from '../../src/ring/preference-list.js';
import type { ActorContext, ActorRef, Failure, Incoming } from '../../src/runtime/actor.js';

/** One put, get or page under way. */
export interface Operation {
  /** Monotonic milliseconds. */
  readonly deadline: number;
  /** An answer came from the replica in `slot`. */
  answered(slot: number, answer: VnodeAnswer, context: ActorContext): void;
  /** What was asked of the replica in `slot` gets no answer. */
  failed(slot: number, failure: Failure, context: ActorContext): void;
  /** The deadline has passed: the operation is told to end, and is put away then. */
  expired(context: ActorContext): void;
}

/** A correlation is a ticket and a slot below this. */
const SLOTS = 64;
/** The correlation of repairs, whose outcome nobody awaits: no operation has this slot. */
const REPAIR = 63;

export function ticketOf(correlation: number): number {
  return Math.floor(correlation / SLOTS);
}

export function slotOf(correlation: number): number {
  return correlation % SLOTS;
}

export function isRepair(correlation: number): boolean {
  return correlation === REPAIR;
}

export class Desk {
  readonly counters: NodeCounters;
  readonly operations: InFlight<Operation>;
  /** By partition: the primaries with this node first, if it is one of them. */
  readonly orders: readonly (readonly number[])[];
  /** By node, by partition: made once, for every message. */
  private readonly vnodes: ActorRef<VnodeRequest, VnodeAnswer>[][] = [];

  constructor(node: number, preferenceLists: readonly PreferenceList[], maxOperations: number, counters: NodeCounters) {
    this.counters = counters;
    this.operations = new InFlight(maxOperations);
    this.orders = preferenceLists.map(({ primaries }) => ownFirst(primaries, node));
    preferenceLists.forEach(({ primaries }, partition) => {
      for (const primary of primaries) {
        let row = this.vnodes[primary];
        if (row === undefined) {
          row = [];
          this.vnodes[primary] = row;
        }
        row[partition] = vnodeRef(primary, partition);
      }
    });
  }

  ask(
    node: number,
    partition: number,
    message: VnodeRequest,
    ticket: number,
    slot: number,
    context: ActorContext,
  ): void {
    context.request(this.vnodes[node]![partition]!, message, ticket * SLOTS + slot);
  }

  /** Sends a replica what it lacks. A repair that is lost is made again by the next read that finds it stale. */
  repair(node: number, partition: number, message: VnodeRequest, context: ActorContext): void {
    this.counters.readRepairs++;
    context.request(this.vnodes[node]![partition]!, message, REPAIR);
  }

  /** There are too many operations under way for one more. */
  refuse(incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    this.counters.refused++;
    const failure: OperationFailure = { why: 'overloaded', got: 0, wanted: 0, definite: true };
    context.reply(incoming, { type: 'failed', failure });
  }
}

function ownFirst(primaries: readonly number[], node: number): readonly number[] {
  if (!primaries.includes(node)) return primaries;
  return [node, ...primaries.filter((primary) => primary !== node)];
}
