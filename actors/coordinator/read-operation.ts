/**
 * What a get and a page have in common: they ask replicas, hear them out as `quorum/get-quorum.ts` says, and end with
 * their reply. What their answers are, and what becomes of them, is each one's own.
 */
import type { CoordinatorAnswer, OperationFailure } from '../../src/messages/coordinator-messages.js';
import type { VnodeAnswer } from '../../src/messages/vnode-messages.js';
import type { GetQuorum, GetVerdict } from '../../src/quorum/get-quorum.js';
import { countSlots } from '../../src/quorum/slots.js';
import { toldOf } from '../../src/quorum/tally.js';
import type { ActorContext, Failure, Incoming } from '../../src/runtime/actor.js';
import type { Desk, Operation } from './desk.js';

export abstract class ReadOperation implements Operation {
  readonly deadline: number;
  /** It ends with its reply. */
  readonly isReplied = false;
  readonly bytes = 0;
  protected readonly desk: Desk;
  protected readonly incoming: Incoming<CoordinatorAnswer>;
  protected readonly partition: number;
  /** Place → node. */
  protected readonly order: readonly number[];
  protected readonly beganAt: number;
  protected ticket = -1;
  /** More than the first replicas were asked. */
  protected more = false;
  protected abstract readonly quorum: GetQuorum;
  private refusals = 0;

  protected constructor(
    desk: Desk,
    partition: number,
    timeoutMs: number,
    incoming: Incoming<CoordinatorAnswer>,
    context: ActorContext,
  ) {
    this.desk = desk;
    this.incoming = incoming;
    this.beganAt = context.now();
    this.deadline = this.beganAt + timeoutMs;
    this.partition = partition;
    this.order = desk.orders[partition]!;
  }

  abstract answered(place: number, answer: VnodeAnswer, context: ActorContext): void;

  /** Does what the quorum says is next. @param late - the deadline has passed */
  protected abstract act(verdict: GetVerdict, context: ActorContext, late?: boolean): void;

  nodeAt(place: number): number {
    return this.order[place]!;
  }

  awaits(place: number): boolean {
    return this.quorum.isAwaited(place);
  }

  failed(place: number, failure: Failure, context: ActorContext): void {
    if (failure === 'refused') this.refusals++;
    this.desk.lost(this.order[place]!, failure, context);
    this.act(this.quorum.onFailed(place), context);
  }

  silent(place: number, context: ActorContext): void {
    this.act(this.quorum.onSilent(place), context);
  }

  retry(): void {
    throw new TypeError('a read that was refused is not sent again: another replica is asked');
  }

  expired(context: ActorContext): void {
    for (let place = 0; place < this.order.length; place++) {
      if (this.awaits(place)) this.desk.unanswered(this.order[place]!, context);
    }
    this.act(this.quorum.onDeadline(), context, true);
  }

  /**
   * What a read that has failed is answered; counts it.
   * @param late - the deadline has passed
   * @param stale - enough was read, and did not cover the session
   */
  protected failure(late: boolean, stale = false): CoordinatorAnswer {
    this.desk.counters.failed++;
    const why = stale ? 'stale-read' : this.whyFailed(late);
    const told = toldOf(this.quorum.unmet, why === 'unavailable');
    return { type: 'failed', failure: { why, ...told, definite: true } };
  }

  private whyFailed(late: boolean): OperationFailure['why'] {
    const { quorum, refusals } = this;
    const { got } = quorum;
    // 'corrupt' says that nobody has a readable record; while one has not been asked, that is not known.
    if (countSlots(quorum.corrupt) === this.desk.n) return 'corrupt';
    if (late) return got === 0 ? 'timeout' : 'not-met';
    if (refusals > 0) return 'overloaded';
    return got === 0 && !quorum.healsWhenFailed ? 'unavailable' : 'not-met';
  }
}
