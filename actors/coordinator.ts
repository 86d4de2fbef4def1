/**
 * The coordinator: turns a client's put, get or page into requests to the vnodes of the preference list, and their
 * answers into one reply. It decides nothing: `src/quorum` does.
 *
 * Lives once per node. Hears `CoordinatorRequest`; asks vnodes, its own node's first, because that hop is free. What is
 * particular to a put, a get and a page stands in `coordinator/`, a file each.
 */
import type { CoordinatorAnswer, CoordinatorRequest } from '../src/messages/coordinator-messages.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import type { HotKeys } from '../src/metrics/hot-keys.js';
import { AttemptWindow } from '../src/quorum/attempt-window.js';
import { SweepClock } from '../src/quorum/sweep-clock.js';
import type { Actor, ActorContext, Failure, Incoming } from '../src/runtime/actor.js';
import { Desk, type DeskOptions, placeOf, ticketOf } from './coordinator/desk.js';
import { GetOperation } from './coordinator/get-operation.js';
import { PageOperation } from './coordinator/page-operation.js';
import { PutOperation } from './coordinator/put-operation.js';

const SWEEP = 'sweep';

export interface CoordinatorOptions extends DeskOptions {
  /** Of the node: hears of which keys it is asked. */
  readonly hotKeys: HotKeys;
}

export class Coordinator implements Actor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer> {
  private readonly desk: Desk;
  private readonly hotKeys: HotKeys;
  /** The puts that came before. */
  private readonly attempts = new AttemptWindow();
  private readonly sweeps = new SweepClock();

  constructor(options: CoordinatorOptions) {
    this.desk = new Desk(options);
    this.hotKeys = options.hotKeys;
  }

  receive(message: CoordinatorRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    const { desk } = this;
    // After a time of idleness it is not known how the nodes are: what the last look saw may be hours old.
    if (!this.sweeps.isRunning) desk.look(context);
    switch (message.type) {
      case 'put':
        this.hotKeys.see(message.put.key, context.now());
        PutOperation.begin(desk, this.attempts, message, incoming, context);
        break;
      case 'get':
        this.hotKeys.see(message.key, context.now());
        GetOperation.begin(desk, message, incoming, context);
        break;
      case 'page':
        PageOperation.begin(desk, message, incoming, context);
        break;
    }
    if (desk.operations.size > 0) this.sweepAfter(this.sweeps.begin(context.now()), context);
  }

  answered(correlation: number, answer: VnodeAnswer, _interim: boolean, context: ActorContext): void {
    if (this.desk.endsRepair(correlation)) return;
    // Late answers find nothing: the operation had its reply and has been put away.
    this.desk.operations.get(ticketOf(correlation))?.answered(placeOf(correlation), answer, context);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    if (this.desk.endsRepair(correlation)) return;
    this.desk.operations.get(ticketOf(correlation))?.failed(placeOf(correlation), failure, context);
  }

  timer(_message: unknown, context: ActorContext): void {
    const { desk } = this;
    const { operations } = desk;
    const now = context.now();
    desk.look(context);
    this.sweeps.swept(now);
    if (this.sweeps.mayHedge) desk.hedge(context);
    if (this.sweeps.looksAtDeadlines(now)) {
      operations.forEach((operation) => {
        if (now >= operation.deadline) operation.expired(context);
      });
    }
    this.sweepAfter(this.sweeps.next(operations.size > 0, now), context);
  }

  private sweepAfter(delayMs: number, context: ActorContext): void {
    if (delayMs !== -1) context.after(delayMs, SWEEP);
  }
}
