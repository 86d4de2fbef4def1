/**
 * The place of one actor on its thread: what outlives its incarnations, what it has in hand, and the context it is given.
 */
import { assert } from '../../base/assert.js';
import type { Random } from '../../base/random.js';
import type {
  Actor,
  ActorContext,
  ActorFactory,
  ActorRef,
  Conversation,
  Incoming,
  Release,
  SupervisionPolicy,
  TimerId,
} from '../actor.js';
import { Supervision } from '../supervision.js';
import { Envelope } from './envelope.js';

// biome-ignore lint/suspicious/noExplicitAny: a host keeps actors of all conversations; each is typed where it is spawned.
export type AnyActor = Actor<any, any, any>;

export class ActorCell {
  readonly slot: number;
  readonly conversation: Conversation<unknown, unknown>;
  readonly factory: ActorFactory;
  /** Requests that it may hold unanswered, those still queued on its thread included. */
  readonly mailbox: number;
  readonly supervision: Supervision;
  /** Undefined before its start and while it waits to be restarted. */
  actor: AnyActor | undefined = undefined;
  context: CellContext | undefined = undefined;
  incarnation = 1;
  /** Requests in hand or queued. */
  held = 0;
  /** The requests in hand, linked. */
  inHand: Envelope | undefined = undefined;

  constructor(
    slot: number,
    conversation: Conversation<unknown, unknown>,
    factory: ActorFactory,
    mailbox: number,
    policy: SupervisionPolicy,
  ) {
    this.slot = slot;
    this.conversation = conversation;
    this.factory = factory;
    this.mailbox = mailbox;
    this.supervision = new Supervision(policy);
  }

  /** Puts a request into the actor's hand. It has been counted in `held` before. */
  take(request: Envelope): void {
    request.inHand = true;
    request.next = this.inHand;
    if (this.inHand !== undefined) this.inHand.previous = request;
    this.inHand = request;
  }

  /** Takes a request out of the actor's hand, because it is replied to or has failed. */
  settle(request: Envelope): void {
    if (request.previous === undefined) this.inHand = request.next;
    else request.previous.next = request.next;
    if (request.next !== undefined) request.next.previous = request.previous;
    request.previous = undefined;
    request.next = undefined;
    request.inHand = false;
    this.held--;
  }
}

/** What contexts call: the host of the thread. */
export interface CellHost {
  readonly nowMs: number;
  /** Milliseconds since 1970. */
  readonly wallClockMs: number;
  readonly random: Random;
  request<Request, Answer>(
    requester: ActorCell,
    incarnation: number,
    to: ActorRef<Request, Answer>,
    message: Request,
    correlation: number,
  ): void;
  notice(request: Envelope, answer: unknown): void;
  reply(request: Envelope, answer: unknown, release: Release): void;
  after(cell: ActorCell, incarnation: number, delayMs: number, message: unknown): TimerId;
  cancel(timer: TimerId): void;
  pulse(thread: number): number;
  committing(thread: number): boolean;
}

/** What one incarnation of an actor gets from its host. */
export class CellContext implements ActorContext {
  readonly random: Random;
  readonly incarnation: number;
  private readonly host: CellHost;
  private readonly cell: ActorCell;

  constructor(host: CellHost, cell: ActorCell) {
    this.host = host;
    this.cell = cell;
    this.random = host.random;
    this.incarnation = cell.incarnation;
  }

  now(): number {
    return this.host.nowMs;
  }

  wallClock(): number {
    return this.host.wallClockMs;
  }

  request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    this.host.request(this.cell, this.incarnation, to, message, correlation);
  }

  notice<Answer>(incoming: Incoming<Answer>, answer: Answer): void {
    const request = this.own(incoming);
    assert(!request.noticed, 'a request is noticed at most once');
    request.noticed = true;
    this.host.notice(request, answer);
  }

  reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release: Release = 'now'): void {
    const request = this.own(incoming);
    // In this order: if the answer cannot be encoded, the request is still in hand, and fails with the crash.
    this.host.reply(request, answer, release);
    this.cell.settle(request);
  }

  after(delayMs: number, message: unknown): TimerId {
    return this.host.after(this.cell, this.incarnation, delayMs, message);
  }

  cancel(timer: TimerId): void {
    this.host.cancel(timer);
  }

  pulse(thread: number): number {
    return this.host.pulse(thread);
  }

  committing(thread: number): boolean {
    return this.host.committing(thread);
  }

  private own(incoming: unknown): Envelope {
    assert(
      incoming instanceof Envelope && incoming.inHand && incoming.cell === this.cell,
      'only a request in hand can be answered, once, by the actor that received it',
    );
    assert(incoming.incarnation === this.incarnation, 'a request is answered by the incarnation that received it');
    return incoming;
  }
}
