/**
 * A get under way at a coordinator: one replica gives the object, the others its digest, and what they hold is merged;
 * `quorum/get-quorum.ts` says when. Replicas that were asked and hold less are repaired after the reply.
 */
import { partitionOf } from '../../src/codec/key.js';
import { digestHigh, digestLow, sameDigest } from '../../src/codec/record.js';
import { mergeRecords } from '../../src/codec/record-update.js';
import type { CoordinatorAnswer, CoordinatorRequest } from '../../src/messages/coordinator-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import { GetQuorum, type GetVerdict } from '../../src/quorum/get-quorum.js';
import { hasSlot } from '../../src/quorum/slots.js';
import type { ActorContext, Failure, Incoming } from '../../src/runtime/actor.js';
import type { Desk, Operation } from './desk.js';
import { readFailure } from './read-failure.js';

type GetRequest = CoordinatorRequest & { readonly type: 'get' };

const NOTHING_STORED = new Uint8Array(0);

export class GetOperation implements Operation {
  readonly deadline: number;
  private readonly desk: Desk;
  private readonly incoming: Incoming<CoordinatorAnswer>;
  private readonly partition: number;
  /** Slot → node. */
  private readonly order: readonly number[];
  private readonly key: Uint8Array;
  private readonly quorum: GetQuorum;
  private ticket = -1;
  /** By slot: its object, null if it has none, undefined if unknown. */
  private readonly records: (Uint8Array | null | undefined)[] = [];
  /** The lowest tag of the objects that came. */
  private tag = Number.MAX_SAFE_INTEGER;
  private refusals = 0;

  private constructor(desk: Desk, message: GetRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext) {
    this.desk = desk;
    this.incoming = incoming;
    this.deadline = context.now() + message.timeoutMs;
    this.partition = partitionOf(message.key);
    this.order = desk.orders[this.partition]!;
    this.key = message.key;
    this.quorum = new GetQuorum(this.order.length, message);
  }

  static begin(desk: Desk, message: GetRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    const operation = new GetOperation(desk, message, incoming, context);
    operation.ticket = desk.operations.add(operation);
    if (operation.ticket === -1) {
      desk.refuse(incoming, context);
      return;
    }
    desk.counters.gets++;
    const { wanted } = operation.quorum;
    operation.ask(0, false, context);
    for (let slot = 1; slot < wanted; slot++) operation.ask(slot, true, context);
  }

  answered(slot: number, answer: VnodeAnswer, context: ActorContext): void {
    const { quorum } = this;
    let verdict: GetVerdict;
    switch (answer.type) {
      case 'object':
        this.records[slot] = answer.record;
        this.tag = Math.min(this.tag, answer.tag);
        verdict = quorum.onObject(slot, digestHigh(answer.record), digestLow(answer.record));
        break;
      case 'nothing':
        this.records[slot] = null;
        verdict = quorum.onNothing(slot);
        break;
      case 'digest':
        verdict = quorum.onDigest(slot, answer.high, answer.low);
        if (verdict === 'fetch') this.desk.counters.digestMismatches++;
        break;
      case 'corrupt':
        verdict = quorum.onCorrupt(slot);
        break;
      default:
        throw new TypeError(`a read was answered with '${answer.type}'`);
    }
    this.act(verdict, context);
  }

  failed(slot: number, failure: Failure, context: ActorContext): void {
    if (failure === 'refused') this.refusals++;
    this.act(this.quorum.onFailed(slot), context);
  }

  expired(context: ActorContext): void {
    this.act(this.quorum.onDeadline(), context, true);
  }

  private act(verdict: GetVerdict, context: ActorContext, late = false): void {
    const { quorum } = this;
    switch (verdict) {
      case 'pending':
        return;
      case 'fetch':
        this.ask(quorum.slotToAsk, false, context);
        return;
      case 'succeeded': {
        const merged = mergeAll(this.records);
        this.end({ type: 'got', record: merged ?? NOTHING_STORED }, context);
        if (merged !== null) this.repair(merged, context);
        return;
      }
      case 'failed': {
        this.desk.counters.failed++;
        this.end(readFailure(quorum, this.order.length, this.refusals, late), context);
        // Too few were readable: what there is heals the others, and the next read may succeed.
        const readable = quorum.healsWhenFailed ? mergeAll(this.records) : null;
        if (readable !== null) this.repair(readable, context);
        return;
      }
    }
  }

  private ask(slot: number, digestOnly: boolean, context: ActorContext): void {
    const message: VnodeRequest = { type: 'read', key: this.key, digestOnly };
    this.desk.ask(this.order[slot]!, this.partition, message, this.ticket, slot, context);
  }

  private end(answer: CoordinatorAnswer, context: ActorContext): void {
    context.reply(this.incoming, answer);
    this.desk.operations.remove(this.ticket);
  }

  /** Sends the merged object to every asked replica that is known to hold something else. After the reply. */
  private repair(merged: Uint8Array, context: ActorContext): void {
    const { quorum, records, order } = this;
    let message: VnodeRequest | null = null;
    for (let slot = 0; slot < order.length; slot++) {
      const record = records[quorum.agreesWithReference(slot) ? quorum.referenceSlot : slot];
      const corrupt = hasSlot(quorum.corruptSlots, slot);
      if (record === undefined && !corrupt) continue;
      if (!corrupt && record !== null && record !== undefined && sameDigest(record, merged)) continue;
      message ??= { type: 'write', key: this.key, record: merged, durable: false, tag: this.tag };
      this.desk.repair(order[slot]!, this.partition, message, context);
    }
  }
}

function mergeAll(records: readonly (Uint8Array | null | undefined)[]): Uint8Array | null {
  let merged: Uint8Array | null = null;
  for (const record of records) {
    if (record === null || record === undefined) continue;
    merged = merged === null ? record : mergeRecords(merged, record);
  }
  return merged;
}
