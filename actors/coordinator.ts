/**
 * The coordinator: turns a client's put, get or page into requests to the vnodes of the preference list, and their
 * answers into one reply. It decides nothing: `src/quorum` does.
 *
 * Lives once per node. Hears `CoordinatorRequest`; asks vnodes, its own node's first, because that hop is free. What is
 * particular to a put, a get and a page stands in `coordinator/`, a file each.
 */
import type { CoordinatorAnswer, CoordinatorRequest } from '../src/messages/coordinator-messages.js';
import type { VnodeAnswer } from '../src/messages/vnode-messages.js';
import { AttemptWindow } from '../src/quorum/attempt-window.js';
import type { Actor, ActorContext, Failure, Incoming } from '../src/runtime/actor.js';
import { Desk, type DeskOptions, placeOf, ticketOf } from './coordinator/desk.js';
import { GetOperation } from './coordinator/get-operation.js';
import { PageOperation } from './coordinator/page-operation.js';
import { PutOperation } from './coordinator/put-operation.js';

/** How often deadlines are looked at, in milliseconds, while operations are under way. */
const SWEEP_MS = 10;
const SWEEP = 'sweep';

export class Coordinator implements Actor<CoordinatorRequest, CoordinatorAnswer, VnodeAnswer> {
  private readonly desk: Desk;
  /** The puts that came before. */
  private readonly attempts = new AttemptWindow();
  private sweeping = false;

  constructor(options: DeskOptions) {
    this.desk = new Desk(options);
  }

  receive(message: CoordinatorRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    const { desk } = this;
    switch (message.type) {
      case 'put':
        PutOperation.begin(desk, this.attempts, message, incoming, context);
        break;
      case 'get':
        GetOperation.begin(desk, message, incoming, context);
        break;
      case 'page':
        PageOperation.begin(desk, message, incoming, context);
        break;
    }
    if (!this.sweeping && desk.operations.size > 0) {
      this.sweeping = true;
      context.after(SWEEP_MS, SWEEP);
    }
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
    const { operations } = this.desk;
    const now = context.now();
    operations.forEach((operation) => {
      if (now >= operation.deadline) operation.expired(context);
    });
    this.sweeping = operations.size > 0;
    if (this.sweeping) context.after(SWEEP_MS, SWEEP);
  }
}
