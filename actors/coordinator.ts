/**
 * The coordinator: turns a client's put, get or page into requests to the vnodes of the preference list, and their
 * answers into one reply. It decides nothing: `src/quorum` does.
 *
 * Lives once per node. Hears `CoordinatorRequest`; asks vnodes, its own node's first, because that hop is free.
 */

import { InFlight } from '../src/base/in-flight.js';
import { type Attempt, sameEvent } from '../src/clocks/event-id.js';
import { type Timestamp, ZERO_TIMESTAMP } from '../src/clocks/timestamp.js';
import { partitionOf } from '../src/codec/key.js';
import { digestHigh, digestLow, sameDigest } from '../src/codec/record.js';
import { mergeRecords } from '../src/codec/record-update.js';
import { vnodeRef } from '../src/messages/addresses.js';
import type {
  Ack,
  CoordinatorAnswer,
  CoordinatorRequest,
  OperationFailure,
} from '../src/messages/coordinator-messages.js';
import type { ObjectPut } from '../src/messages/object-request.js';
import type { VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { MintedDot } from '../src/objects/mint.js';
import { AttemptWindow } from '../src/quorum/attempt-window.js';
import { GetQuorum, type GetVerdict } from '../src/quorum/get-quorum.js';
import { mergePages, type Page } from '../src/quorum/page-merge.js';
import { PutQuorum, type PutVerdict } from '../src/quorum/put-quorum.js';
import { countSlots, hasSlot } from '../src/quorum/slots.js';
import type { PreferenceList } from '../src/ring/preference-list.js';
import {
  type Actor,
  type ActorContext,
  type ActorRef,
  type Failure,
  type Incoming,
  neverReceived,
} from '../src/runtime/actor.js';

export interface CoordinatorOptions {
  /** This node's index in the ring. */
  readonly node: number;
  /** By partition, its preference list: the nodes of the primaries, and of the fallbacks behind them. */
  readonly preferenceLists: readonly PreferenceList[];
  /** Operations under way at a time; more are refused. */
  readonly maxOperations: number;
  readonly counters: NodeCounters;
}

/** How often deadlines are looked at, in milliseconds, while operations are under way. */
const SWEEP_MS = 10;
const SWEEP = 'sweep';
/** A correlation is a ticket and a slot below this; the highest slot marks repairs, whose outcome nobody awaits. */
const SLOTS = 64;
const REPAIR = 63;
/** Reasons not to mint that another replica is not asked to overrule. */
const REFUSALS: ReadonlySet<string> = new Set([
  'too-many-siblings',
  'object-too-large',
  'precondition-failed',
  'voided',
]);
const NOTHING_STORED = new Uint8Array(0);

interface PutOperation {
  readonly type: 'put';
  readonly incoming: Incoming<CoordinatorAnswer>;
  /** Further copies of the request, which get the same answer. */
  copies: Incoming<CoordinatorAnswer>[] | null;
  readonly deadline: number;
  /** Slot → node. */
  readonly order: readonly number[];
  readonly partition: number;
  readonly put: ObjectPut;
  readonly durable: boolean;
  readonly quorum: PutQuorum;
  record: Uint8Array | null;
  /** The minter's tag when it read the object. */
  tag: number;
  dot: MintedDot | null;
  timestamp: Timestamp;
  /** Slots that refused for lack of room in a mailbox. */
  refusals: number;
  /** Times that a slot could not store it, and how many of them for lack of room on its disk. */
  storageFailures: number;
  fullDisks: number;
  /** Slots that could not mint because their record of the key is unreadable. */
  corrupt: number;
}

interface GetOperation {
  readonly type: 'get';
  readonly incoming: Incoming<CoordinatorAnswer>;
  readonly deadline: number;
  readonly order: readonly number[];
  readonly partition: number;
  readonly key: Uint8Array;
  readonly quorum: GetQuorum;
  /** By slot: its object, null if it has none, undefined if unknown. */
  readonly records: (Uint8Array | null | undefined)[];
  /** The lowest tag of the objects that came. */
  tag: number;
  refusals: number;
}

interface PageOperation {
  readonly type: 'page';
  readonly incoming: Incoming<CoordinatorAnswer>;
  readonly deadline: number;
  readonly order: readonly number[];
  readonly partition: number;
  readonly list: VnodeRequest;
  readonly quorum: GetQuorum;
  readonly pages: Page[];
  refusals: number;
}

type Operation = PutOperation | GetOperation | PageOperation;

export class Coordinator implements Actor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer> {
  private readonly node: number;
  private readonly counters: NodeCounters;
  private readonly operations: InFlight<Operation>;
  /** The puts that came before. */
  private readonly attempts = new AttemptWindow();
  /** By partition: the primaries with this node first, if it is one of them. */
  private readonly orders: readonly (readonly number[])[];
  /** By node, by partition: made once, for every message. */
  private readonly vnodes: ActorRef<VnodeRequest, VnodeAnswer>[][] = [];
  private sweeping = false;

  constructor(options: CoordinatorOptions) {
    this.node = options.node;
    this.counters = options.counters;
    this.operations = new InFlight(options.maxOperations);
    this.orders = options.preferenceLists.map(({ primaries }) => this.ownFirst(primaries));
    options.preferenceLists.forEach(({ primaries }, partition) => {
      for (const node of primaries) {
        let row = this.vnodes[node];
        if (row === undefined) {
          row = [];
          this.vnodes[node] = row;
        }
        row[partition] = vnodeRef(node, partition);
      }
    });
  }

  receive(message: CoordinatorRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    switch (message.type) {
      case 'put':
        this.beginPut(message, incoming, context);
        break;
      case 'get':
        this.beginGet(message, incoming, context);
        break;
      case 'page':
        this.beginPage(message, incoming, context);
        break;
    }
    if (!this.sweeping && this.operations.size > 0) {
      this.sweeping = true;
      context.after(SWEEP_MS, SWEEP);
    }
  }

  answered(correlation: number, answer: VnodeAnswer, _interim: boolean, context: ActorContext): void {
    const ticket = Math.floor(correlation / SLOTS);
    const slot = correlation - ticket * SLOTS;
    if (slot === REPAIR) return;
    const operation = this.operations.get(ticket);
    // Late: the operation had its reply and has been put away.
    if (operation === undefined) return;
    if (operation.type === 'put') this.putAnswered(operation, ticket, slot, answer, context);
    else if (operation.type === 'get') this.getAnswered(operation, ticket, slot, answer, context);
    else this.pageAnswered(operation, ticket, slot, answer, context);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    const ticket = Math.floor(correlation / SLOTS);
    const slot = correlation - ticket * SLOTS;
    // A repair that is lost is made again by the next read that finds the replica stale.
    if (slot === REPAIR) return;
    const operation = this.operations.get(ticket);
    if (operation === undefined) return;
    if (failure === 'refused') operation.refusals++;
    if (operation.type === 'put') this.putFailed(operation, ticket, slot, failure, context);
    else if (operation.type === 'get') this.actOnGet(operation, ticket, operation.quorum.onFailed(slot), context);
    else this.actOnPage(operation, ticket, operation.quorum.onFailed(slot), context);
  }

  timer(_message: unknown, context: ActorContext): void {
    const now = context.now();
    this.operations.forEach((operation, ticket) => {
      if (now < operation.deadline) return;
      if (operation.type === 'put') this.actOnPut(operation, ticket, operation.quorum.onDeadline(), context, 'timeout');
      else if (operation.type === 'get') {
        this.actOnGet(operation, ticket, operation.quorum.onDeadline(), context, 'timeout');
      } else this.actOnPage(operation, ticket, operation.quorum.onDeadline(), context, 'timeout');
      this.operations.remove(ticket);
    });
    this.sweeping = this.operations.size > 0;
    if (this.sweeping) context.after(SWEEP_MS, SWEEP);
  }

  // ---- put

  private beginPut(
    message: CoordinatorRequest & { type: 'put' },
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ): void {
    if (this.attempts.see(message.put.attempt) !== 'new') {
      this.joinPut(message.put.attempt, incoming, context);
      return;
    }
    const partition = partitionOf(message.put.key);
    const order = this.orders[partition]!;
    const operation: PutOperation = {
      type: 'put',
      incoming,
      copies: null,
      deadline: context.now() + message.timeoutMs,
      order,
      partition,
      put: message.put,
      durable: message.dw > 0,
      quorum: new PutQuorum(order.length, 0, message),
      record: null,
      tag: 0,
      dot: null,
      timestamp: ZERO_TIMESTAMP,
      refusals: 0,
      storageFailures: 0,
      fullDisks: 0,
      corrupt: 0,
    };
    const ticket = this.operations.add(operation);
    if (ticket === -1) {
      this.refuse(incoming, context);
      return;
    }
    this.counters.puts++;
    this.askToMint(operation, ticket, context);
  }

  /**
   * A transport that resends has delivered this put before. Acting on it again could mint it at a second vnode, or after
   * it had failed for certain.
   */
  private joinPut(attempt: Attempt, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    let joined = false;
    this.operations.forEach((operation) => {
      if (operation.type !== 'put' || operation.quorum.replied || !sameEvent(operation.put.attempt, attempt)) return;
      operation.copies ??= [];
      operation.copies.push(incoming);
      joined = true;
    });
    if (joined) return;
    // The first copy has had the outcome; should that answer be lost, this one claims nothing.
    const failure: OperationFailure = { why: 'timeout', got: 0, wanted: 0, definite: false };
    context.reply(incoming, { type: 'failed', failure });
  }

  private replyToPut(operation: PutOperation, answer: CoordinatorAnswer, context: ActorContext): void {
    context.reply(operation.incoming, answer);
    if (operation.copies === null) return;
    for (const copy of operation.copies) context.reply(copy, answer);
    operation.copies = null;
  }

  private askToMint(operation: PutOperation, ticket: number, context: ActorContext): void {
    const slot = operation.quorum.minter;
    this.ask(operation, ticket, slot, { type: 'mint', put: operation.put, durable: operation.durable }, context);
  }

  private putAnswered(
    operation: PutOperation,
    ticket: number,
    slot: number,
    answer: VnodeAnswer,
    context: ActorContext,
  ): void {
    const { quorum } = operation;
    switch (answer.type) {
      case 'minted':
        operation.record = answer.record;
        operation.tag = answer.tag;
        operation.dot = answer.dot;
        operation.timestamp = answer.timestamp;
        this.actOnPut(operation, ticket, quorum.onMinted(), context);
        return;
      case 'wrote':
        this.actOnPut(operation, ticket, quorum.onWrote(slot, answer.durable), context);
        return;
      case 'repeated':
        // Minted by an earlier copy of this message: what the replica has now goes to the others all the same.
        operation.record = answer.record;
        operation.tag = answer.tag;
        operation.dot = answer.dot;
        operation.timestamp = answer.timestamp;
        this.actOnPut(operation, ticket, quorum.onMinted(), context);
        this.actOnPut(operation, ticket, quorum.onWrote(slot, false), context);
        return;
      case 'not-minted':
        if (answer.why === 'corrupt') operation.corrupt++;
        // Not if it may have been minted when it was asked before: then nobody can tell what came of it.
        if (REFUSALS.has(answer.why) && quorum.definite) {
          this.failPut(operation, ticket, answer.why as OperationFailure['why'], true, context);
          return;
        }
        this.actOnPut(
          operation,
          ticket,
          answer.why === 'doubtful' || REFUSALS.has(answer.why)
            ? quorum.onMinterLost()
            : quorum.onNotMinted(answer.why === 'corrupt'),
          context,
        );
        return;
      case 'corrupt':
        this.actOnPut(operation, ticket, quorum.onFailed(slot, false), context);
        return;
      case 'no-storage': {
        noteStorageFailure(operation, answer.full);
        const wasToMint = operation.record === null && slot === quorum.minter;
        this.actOnPut(operation, ticket, wasToMint ? quorum.onNotMinted() : quorum.onFailed(slot, false), context);
        return;
      }
      default:
        throw new TypeError(`a put was answered with '${answer.type}'`);
    }
  }

  private putFailed(
    operation: PutOperation,
    ticket: number,
    slot: number,
    failure: Failure,
    context: ActorContext,
  ): void {
    const { quorum } = operation;
    if (failure === 'commit-failed' || failure === 'commit-full') {
      noteStorageFailure(operation, failure === 'commit-full');
    }
    let verdict: PutVerdict;
    if (operation.record === null && slot === quorum.minter) {
      verdict = neverReceived(failure) ? quorum.onNotMinted() : quorum.onMinterLost();
    } else {
      verdict = quorum.onFailed(slot, !neverReceived(failure));
    }
    this.actOnPut(operation, ticket, verdict, context);
  }

  private actOnPut(
    operation: PutOperation,
    ticket: number,
    verdict: PutVerdict,
    context: ActorContext,
    cause?: 'timeout',
  ): void {
    const { quorum } = operation;
    switch (verdict) {
      case 'mint':
        this.askToMint(operation, ticket, context);
        return;
      case 'replicate':
        this.replicate(operation, ticket, context);
        return;
      case 'succeeded':
        this.replyToPut(
          operation,
          { type: 'put-done', dot: operation.dot!, timestamp: operation.timestamp, acks: acksOf(operation) },
          context,
        );
        break;
      case 'failed': {
        const { got, wanted } = quorum;
        this.failPut(operation, ticket, whyFailed(operation, got, cause), quorum.definite, context, got, wanted);
        break;
      }
      case 'pending':
        break;
    }
    if (quorum.replied && quorum.settled) this.operations.remove(ticket);
  }

  private replicate(operation: PutOperation, ticket: number, context: ActorContext): void {
    const message: VnodeRequest = {
      type: 'write',
      key: operation.put.key,
      record: operation.record!,
      durable: operation.durable,
      tag: operation.tag,
    };
    for (let slot = 0; slot < operation.order.length; slot++) {
      if (slot !== operation.quorum.minter) this.ask(operation, ticket, slot, message, context);
    }
  }

  private failPut(
    operation: PutOperation,
    ticket: number,
    why: OperationFailure['why'],
    definite: boolean,
    context: ActorContext,
    got = 0,
    wanted = 0,
  ): void {
    this.counters.failed++;
    this.replyToPut(operation, { type: 'failed', failure: { why, got, wanted, definite } }, context);
    if (definite) this.operations.remove(ticket);
  }

  // ---- get

  private beginGet(
    message: CoordinatorRequest & { type: 'get' },
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ): void {
    const partition = partitionOf(message.key);
    const order = this.orders[partition]!;
    const quorum = new GetQuorum(order.length, message);
    const operation: GetOperation = {
      type: 'get',
      incoming,
      deadline: context.now() + message.timeoutMs,
      order,
      partition,
      key: message.key,
      quorum,
      records: [],
      tag: Number.MAX_SAFE_INTEGER,
      refusals: 0,
    };
    const ticket = this.operations.add(operation);
    if (ticket === -1) {
      this.refuse(incoming, context);
      return;
    }
    this.counters.gets++;
    this.ask(operation, ticket, 0, { type: 'read', key: message.key, digestOnly: false }, context);
    if (quorum.wanted === 1) return;
    const digest: VnodeRequest = { type: 'read', key: message.key, digestOnly: true };
    for (let slot = 1; slot < quorum.wanted; slot++) this.ask(operation, ticket, slot, digest, context);
  }

  private getAnswered(
    operation: GetOperation,
    ticket: number,
    slot: number,
    answer: VnodeAnswer,
    context: ActorContext,
  ): void {
    const { quorum } = operation;
    let verdict: GetVerdict;
    switch (answer.type) {
      case 'object':
        operation.records[slot] = answer.record;
        operation.tag = Math.min(operation.tag, answer.tag);
        verdict = quorum.onObject(slot, digestHigh(answer.record), digestLow(answer.record));
        break;
      case 'nothing':
        operation.records[slot] = null;
        verdict = quorum.onNothing(slot);
        break;
      case 'digest':
        verdict = quorum.onDigest(slot, answer.high, answer.low);
        if (verdict === 'fetch') this.counters.digestMismatches++;
        break;
      case 'corrupt':
        verdict = quorum.onCorrupt(slot);
        break;
      default:
        throw new TypeError(`a read was answered with '${answer.type}'`);
    }
    this.actOnGet(operation, ticket, verdict, context);
  }

  private actOnGet(
    operation: GetOperation,
    ticket: number,
    verdict: GetVerdict,
    context: ActorContext,
    cause?: 'timeout',
  ): void {
    const { quorum } = operation;
    switch (verdict) {
      case 'pending':
        return;
      case 'fetch':
        this.ask(operation, ticket, quorum.slotToAsk, { type: 'read', key: operation.key, digestOnly: false }, context);
        return;
      case 'succeeded': {
        const merged = mergeAll(operation.records);
        context.reply(operation.incoming, { type: 'got', record: merged ?? NOTHING_STORED });
        this.operations.remove(ticket);
        if (merged !== null) this.repair(operation, merged, context);
        return;
      }
      case 'failed': {
        this.failRead(operation, ticket, context, cause);
        // Too few were readable: what there is heals the others, and the next read may succeed.
        const readable = quorum.healsWhenFailed ? mergeAll(operation.records) : null;
        if (readable !== null) this.repair(operation, readable, context);
        return;
      }
    }
  }

  /** Sends the merged object to every asked replica that is known to hold something else. After the reply. */
  private repair(operation: GetOperation, merged: Uint8Array, context: ActorContext): void {
    const { quorum, records, order } = operation;
    let message: VnodeRequest | null = null;
    for (let slot = 0; slot < order.length; slot++) {
      const record = records[quorum.agreesWithReference(slot) ? quorum.referenceSlot : slot];
      const corrupt = hasSlot(quorum.corruptSlots, slot);
      if (record === undefined && !corrupt) continue;
      if (!corrupt && record !== null && record !== undefined && sameDigest(record, merged)) continue;
      message ??= { type: 'write', key: operation.key, record: merged, durable: false, tag: operation.tag };
      this.counters.readRepairs++;
      context.request(this.vnodes[order[slot]!]![operation.partition]!, message, REPAIR);
    }
  }

  // ---- page

  private beginPage(
    message: CoordinatorRequest & { type: 'page' },
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ): void {
    const order = this.orders[message.partition]!;
    const { gte, lt, limit, limitBytes } = message;
    const operation: PageOperation = {
      type: 'page',
      incoming,
      deadline: context.now() + message.timeoutMs,
      order,
      partition: message.partition,
      list: { type: 'list', gte, lt, limit, limitBytes },
      quorum: new GetQuorum(order.length, { r: message.r, pr: 0 }),
      pages: [],
      refusals: 0,
    };
    const ticket = this.operations.add(operation);
    if (ticket === -1) {
      this.refuse(incoming, context);
      return;
    }
    this.counters.pages++;
    for (let slot = 0; slot < message.r; slot++) this.ask(operation, ticket, slot, operation.list, context);
  }

  private pageAnswered(
    operation: PageOperation,
    ticket: number,
    slot: number,
    answer: VnodeAnswer,
    context: ActorContext,
  ): void {
    if (answer.type !== 'listed') throw new TypeError(`a listing was answered with '${answer.type}'`);
    operation.pages.push(answer);
    // Pages are merged, not compared: each counts as it comes. One that had to leave records out does not: it may lack
    // what was acknowledged, and another replica is asked too.
    const { quorum } = operation;
    const verdict = answer.corrupt === 0 ? quorum.onObject(slot, 0, 0) : quorum.onCorrupt(slot);
    this.actOnPage(operation, ticket, verdict, context);
  }

  private actOnPage(
    operation: PageOperation,
    ticket: number,
    verdict: GetVerdict,
    context: ActorContext,
    cause?: 'timeout',
  ): void {
    switch (verdict) {
      case 'pending':
        return;
      case 'fetch':
        this.ask(operation, ticket, operation.quorum.slotToAsk, operation.list, context);
        return;
      case 'succeeded':
        this.replyWithPage(operation, ticket, context);
        return;
      case 'failed':
        // All were heard who could be: what none of them can read does not hide the rest.
        if (operation.pages.length >= operation.quorum.wanted) this.replyWithPage(operation, ticket, context);
        else this.failRead(operation, ticket, context, cause);
        return;
    }
  }

  private replyWithPage(operation: PageOperation, ticket: number, context: ActorContext): void {
    const { entries, more } = mergePages(operation.pages, mergeRecords);
    context.reply(operation.incoming, { type: 'page-done', entries, more });
    this.operations.remove(ticket);
  }

  // ---- shared

  private ask(operation: Operation, ticket: number, slot: number, message: VnodeRequest, context: ActorContext): void {
    const vnode = this.vnodes[operation.order[slot]!]![operation.partition]!;
    context.request(vnode, message, ticket * SLOTS + slot);
  }

  private failRead(
    operation: GetOperation | PageOperation,
    ticket: number,
    context: ActorContext,
    cause: 'timeout' | undefined,
  ): void {
    const { got, wanted, corruptSlots, healsWhenFailed } = operation.quorum;
    let why = whyFailed(operation, got, cause);
    // 'corrupt' says that nobody has a readable record; while one has not been asked, that is not known.
    if (countSlots(corruptSlots) === operation.order.length) why = 'corrupt';
    else if (healsWhenFailed && why === 'unavailable') why = 'not-met';
    this.counters.failed++;
    context.reply(operation.incoming, { type: 'failed', failure: { why, got, wanted, definite: true } });
    this.operations.remove(ticket);
  }

  private refuse(incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    this.counters.refused++;
    const failure: OperationFailure = { why: 'overloaded', got: 0, wanted: 0, definite: true };
    context.reply(incoming, { type: 'failed', failure });
  }

  private ownFirst(primaries: readonly number[]): readonly number[] {
    if (!primaries.includes(this.node)) return primaries;
    return [this.node, ...primaries.filter((node) => node !== this.node)];
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

function acksOf(operation: PutOperation): Ack[] {
  const { quorum, order } = operation;
  const acks: Ack[] = [];
  for (let slot = 0; slot < order.length; slot++) {
    if (hasSlot(quorum.ackedSlots, slot)) acks.push({ node: order[slot]!, durable: quorum.isDurable(slot) });
  }
  return acks;
}

function noteStorageFailure(operation: PutOperation, full: boolean): void {
  operation.storageFailures++;
  if (full) operation.fullDisks++;
}

function whyFailed(operation: Operation, got: number, cause: 'timeout' | undefined): OperationFailure['why'] {
  if (operation.type === 'put' && operation.corrupt === operation.order.length) return 'corrupt';
  if (cause === 'timeout') return got === 0 ? 'timeout' : 'not-met';
  if (operation.refusals > 0) return 'overloaded';
  if (operation.type === 'put' && operation.storageFailures > 0) {
    return operation.fullDisks === operation.storageFailures ? 'storage-full' : 'storage';
  }
  return got === 0 ? 'unavailable' : 'not-met';
}
