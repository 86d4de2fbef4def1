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
import type { Actor, ActorContext, Failure, Incoming } from '../src/runtime/actor.js';
import { Desk, type DeskOptions, placeOf, ticketOf } from './coordinator/desk.js';
import { GetOperation } from './coordinator/get-operation.js';
import { PageOperation } from './coordinator/page-operation.js';
import { PutOperation } from './coordinator/put-operation.js';

/** How often it is looked how the nodes are, and what takes too long, in milliseconds, while operations are under way. */
const SWEEP_MS = 5;
/** Every so many sweeps, deadlines are looked at: that costs something for every operation. */
const DEADLINE_SWEEPS = 4;
/** A sweep that comes so late shows that this thread stood still itself, in milliseconds: its mail is read first. */
const LATE_MS = 8;
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
  private sweeping = false;
  private sweeps = 0;
  private sweepDue = 0;
  private deferred = false;

  constructor(options: CoordinatorOptions) {
    this.desk = new Desk(options);
    this.hotKeys = options.hotKeys;
  }

  receive(message: CoordinatorRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    const { desk } = this;
    // After a time of idleness it is not known how the nodes are: what the last look saw may be hours old.
    if (!this.sweeping) desk.look(context);
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
    if (!this.sweeping && desk.operations.size > 0) {
      this.sweeping = true;
      this.sweepLater(context, SWEEP_MS);
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
    const { desk } = this;
    const { operations } = desk;
    const now = context.now();
    desk.look(context);
    // Only once in a row: a thread that is always late must hedge, too.
    const late = now > this.sweepDue + LATE_MS && !this.deferred;
    this.deferred = late;
    if (!late) desk.hedge(context);
    if (++this.sweeps % DEADLINE_SWEEPS === 0) {
      operations.forEach((operation) => {
        if (now >= operation.deadline) operation.expired(context);
      });
    }
    this.sweeping = operations.size > 0;
    if (this.sweeping) this.sweepLater(context, late ? 0 : SWEEP_MS);
  }

  private sweepLater(context: ActorContext, delayMs: number): void {
    this.sweepDue = context.now() + delayMs;
    context.after(delayMs, SWEEP);
  }
}
