/**
 * A put under way at a coordinator: one vnode mints, the minted object goes to the others while that vnode's commit runs,
 * and the reply leaves when `quorum/put-quorum.ts` says so.
 */
import { sameEvent } from '../../src/clocks/event-id.js';
import { type Timestamp, ZERO_TIMESTAMP } from '../../src/clocks/timestamp.js';
import { partitionOf } from '../../src/codec/key.js';
import type {
  Ack,
  CoordinatorAnswer,
  CoordinatorRequest,
  OperationFailure,
} from '../../src/messages/coordinator-messages.js';
import type { ObjectPut } from '../../src/messages/object-request.js';
import type { MintedVersion, NotMinted, VnodeAnswer, VnodeRequest } from '../../src/messages/vnode-messages.js';
import type { MintedDot } from '../../src/objects/mint.js';
import type { AttemptWindow } from '../../src/quorum/attempt-window.js';
import { PutQuorum, type PutVerdict } from '../../src/quorum/put-quorum.js';
import { hasSlot } from '../../src/quorum/slots.js';
import { type ActorContext, type Failure, type Incoming, neverReceived } from '../../src/runtime/actor.js';
import type { Desk, Operation } from './desk.js';

type PutRequest = CoordinatorRequest & { readonly type: 'put' };

export class PutOperation implements Operation {
  readonly deadline: number;
  private readonly desk: Desk;
  private readonly incoming: Incoming<CoordinatorAnswer>;
  private readonly partition: number;
  /** Slot → node. */
  private readonly order: readonly number[];
  private readonly put: ObjectPut;
  private readonly durable: boolean;
  private readonly quorum: PutQuorum;
  private ticket = -1;
  /** Further copies of the request, which get the same answer. */
  private copies: Incoming<CoordinatorAnswer>[] | null = null;
  private record: Uint8Array | null = null;
  /** The minter's tag when it read the object. */
  private tag = 0;
  private dot: MintedDot | null = null;
  private timestamp: Timestamp = ZERO_TIMESTAMP;
  /** Slots that refused for lack of room in a mailbox. */
  private refusals = 0;
  /** Times that a slot could not store it, and how many of them for lack of room on its disk. */
  private storageFailures = 0;
  private fullDisks = 0;
  /** Slots that could not mint because their record of the key is unreadable. */
  private corrupt = 0;

  private constructor(desk: Desk, message: PutRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext) {
    this.desk = desk;
    this.incoming = incoming;
    this.deadline = context.now() + message.timeoutMs;
    this.partition = partitionOf(message.put.key);
    this.order = desk.orders[this.partition]!;
    this.put = message.put;
    this.durable = message.dw > 0;
    this.quorum = new PutQuorum(this.order.length, 0, message);
  }

  /** @param attempts - the puts that came to this coordinator before */
  static begin(
    desk: Desk,
    attempts: AttemptWindow,
    message: PutRequest,
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ): void {
    if (attempts.see(message.put.attempt) !== 'new') {
      PutOperation.join(desk, message, incoming, context);
      return;
    }
    const operation = new PutOperation(desk, message, incoming, context);
    operation.ticket = desk.operations.add(operation);
    if (operation.ticket === -1) {
      desk.refuse(incoming, context);
      return;
    }
    desk.counters.puts++;
    operation.askToMint(context);
  }

  /**
   * A transport that resends has delivered this put before. Acting on it again could mint it at a second vnode, or after
   * it had failed for certain.
   */
  private static join(
    desk: Desk,
    { put }: PutRequest,
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ): void {
    let joined = false;
    desk.operations.forEach((operation) => {
      if (!(operation instanceof PutOperation) || operation.quorum.replied) return;
      if (!sameEvent(operation.put.attempt, put.attempt)) return;
      operation.copies ??= [];
      operation.copies.push(incoming);
      joined = true;
    });
    if (joined) return;
    // The first copy has had the outcome; should that answer be lost, this one claims nothing.
    const failure: OperationFailure = { why: 'timeout', got: 0, wanted: 0, definite: false };
    context.reply(incoming, { type: 'failed', failure });
  }

  answered(slot: number, answer: VnodeAnswer, context: ActorContext): void {
    const { quorum } = this;
    switch (answer.type) {
      case 'minted':
        this.keep(answer);
        this.act(quorum.onMinted(), context);
        return;
      case 'wrote':
        this.act(quorum.onWrote(slot, answer.durable), context);
        return;
      case 'repeated':
        // Minted by an earlier copy of this message: what the replica has now goes to the others all the same.
        this.keep(answer);
        this.act(quorum.onMinted(), context);
        this.act(quorum.onWrote(slot, false), context);
        return;
      case 'not-minted':
        this.notMinted(answer.why, context);
        return;
      case 'corrupt':
        this.act(quorum.onFailed(slot, false), context);
        return;
      case 'no-storage':
        this.noteStorageFailure(answer.full);
        this.act(this.wasToMint(slot) ? quorum.onNotMinted() : quorum.onFailed(slot, false), context);
        return;
      default:
        throw new TypeError(`a put was answered with '${answer.type}'`);
    }
  }

  failed(slot: number, failure: Failure, context: ActorContext): void {
    const { quorum } = this;
    if (failure === 'refused') this.refusals++;
    if (failure === 'commit-failed' || failure === 'commit-full') this.noteStorageFailure(failure === 'commit-full');
    let verdict: PutVerdict;
    if (this.wasToMint(slot)) verdict = neverReceived(failure) ? quorum.onNotMinted() : quorum.onMinterLost();
    else verdict = quorum.onFailed(slot, !neverReceived(failure));
    this.act(verdict, context);
  }

  expired(context: ActorContext): void {
    this.act(this.quorum.onDeadline(), context, 'timeout');
  }

  private askToMint(context: ActorContext): void {
    this.ask(this.quorum.minter, { type: 'mint', put: this.put, durable: this.durable }, context);
  }

  private wasToMint(slot: number): boolean {
    return this.record === null && slot === this.quorum.minter;
  }

  private keep(minted: MintedVersion): void {
    this.record = minted.record;
    this.tag = minted.tag;
    this.dot = minted.dot;
    this.timestamp = minted.timestamp;
  }

  private notMinted(why: NotMinted, context: ActorContext): void {
    const { quorum } = this;
    switch (why) {
      case 'late':
        this.act(quorum.onNotMinted(), context);
        return;
      case 'corrupt':
        this.corrupt++;
        this.act(quorum.onNotMinted(true), context);
        return;
      case 'doubtful':
        this.act(quorum.onMinterLost(), context);
        return;
      case 'too-many-siblings':
      case 'object-too-large':
      case 'precondition-failed':
      case 'voided':
        // Another replica is not asked to overrule it. But if this one may have minted when it was asked before, nobody
        // can tell what came of that.
        if (quorum.definite) this.fail(why, true, context);
        else this.act(quorum.onMinterLost(), context);
        return;
    }
  }

  private act(verdict: PutVerdict, context: ActorContext, cause?: 'timeout'): void {
    const { quorum } = this;
    switch (verdict) {
      case 'mint':
        this.askToMint(context);
        return;
      case 'replicate':
        this.replicate(context);
        return;
      case 'succeeded':
        this.reply({ type: 'put-done', dot: this.dot!, timestamp: this.timestamp, acks: this.acks() }, context);
        break;
      case 'failed': {
        const { got, wanted } = quorum;
        this.fail(this.whyFailed(got, cause), quorum.definite, context, got, wanted);
        break;
      }
      case 'pending':
        break;
    }
    if (quorum.replied && quorum.settled) this.desk.operations.remove(this.ticket);
  }

  private replicate(context: ActorContext): void {
    const message: VnodeRequest = {
      type: 'write',
      key: this.put.key,
      record: this.record!,
      durable: this.durable,
      tag: this.tag,
    };
    for (let slot = 0; slot < this.order.length; slot++) {
      if (slot !== this.quorum.minter) this.ask(slot, message, context);
    }
  }

  private ask(slot: number, message: VnodeRequest, context: ActorContext): void {
    this.desk.ask(this.order[slot]!, this.partition, message, this.ticket, slot, context);
  }

  private fail(why: OperationFailure['why'], definite: boolean, context: ActorContext, got = 0, wanted = 0): void {
    this.desk.counters.failed++;
    this.reply({ type: 'failed', failure: { why, got, wanted, definite } }, context);
    if (definite) this.desk.operations.remove(this.ticket);
  }

  private reply(answer: CoordinatorAnswer, context: ActorContext): void {
    context.reply(this.incoming, answer);
    if (this.copies === null) return;
    for (const copy of this.copies) context.reply(copy, answer);
    this.copies = null;
  }

  private acks(): Ack[] {
    const { quorum, order } = this;
    const acks: Ack[] = [];
    for (let slot = 0; slot < order.length; slot++) {
      if (hasSlot(quorum.ackedSlots, slot)) acks.push({ node: order[slot]!, durable: quorum.isDurable(slot) });
    }
    return acks;
  }

  private noteStorageFailure(full: boolean): void {
    this.storageFailures++;
    if (full) this.fullDisks++;
  }

  private whyFailed(got: number, cause: 'timeout' | undefined): OperationFailure['why'] {
    if (this.corrupt === this.order.length) return 'corrupt';
    if (cause === 'timeout') return got === 0 ? 'timeout' : 'not-met';
    if (this.refusals > 0) return 'overloaded';
    if (this.storageFailures > 0) return this.fullDisks === this.storageFailures ? 'storage-full' : 'storage';
    return got === 0 ? 'unavailable' : 'not-met';
  }
}
