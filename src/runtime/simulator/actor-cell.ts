/** The place of one actor on a simulated thread: what outlives its incarnations, and the context each of them is given. */
import type { Random } from '../../base/random.js';
import type {
  Actor,
  ActorContext,
  ActorFactory,
  ActorRef,
  Conversation,
  Incoming,
  Release,
  TimerId,
} from '../actor.js';
import type { Supervision } from '../supervision.js';
import type { Request, Timer } from './mail.js';

/** What a context passes its actor's wishes on to. */
export interface CellHost {
  nowFor(cell: ActorCell, incarnation: number): number;
  wallClockFor(cell: ActorCell, incarnation: number): number;
  request(cell: ActorCell, incarnation: number, to: ActorRef<unknown, unknown>, message: unknown, id: number): void;
  notice(cell: ActorCell, incarnation: number, incoming: Request, answer: unknown): void;
  reply(cell: ActorCell, incarnation: number, incoming: Request, answer: unknown, release: Release): void;
  after(cell: ActorCell, incarnation: number, delayMs: number, message: unknown): TimerId;
  cancel(cell: ActorCell, incarnation: number, timer: TimerId): void;
  pulseFor(cell: ActorCell, incarnation: number, thread: number): number;
  committingFor(cell: ActorCell, incarnation: number, thread: number): boolean;
}

export interface ActorCell {
  readonly slot: number;
  readonly conversation: Conversation<unknown, unknown>;
  readonly factory: ActorFactory<Actor<unknown, unknown, unknown>>;
  /** How many requests it may hold unanswered. */
  readonly mailbox: number;
  readonly supervision: Supervision;
  /** The current incarnation, or the last one. 0 before the first start. */
  incarnation: number;
  /** False from a crash to the restart: nobody lives here. */
  alive: boolean;
  /** Undefined until started. */
  actor: Actor<unknown, unknown, unknown> | undefined;
  context: ActorContext | undefined;
  /** What it was asked and has not answered: waiting in the mailbox or in its hand. */
  readonly unanswered: Set<Request>;
  readonly timers: Map<TimerId, Timer>;
}

/** What one incarnation of an actor gets from its host. */
export class CellContext implements ActorContext {
  readonly random: Random;
  readonly incarnation: number;
  readonly #host: CellHost;
  readonly #cell: ActorCell;

  constructor(host: CellHost, cell: ActorCell, random: Random) {
    this.#host = host;
    this.#cell = cell;
    this.incarnation = cell.incarnation;
    this.random = random;
  }

  now(): number {
    return this.#host.nowFor(this.#cell, this.incarnation);
  }

  wallClock(): number {
    return this.#host.wallClockFor(this.#cell, this.incarnation);
  }

  request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    this.#host.request(this.#cell, this.incarnation, to, message, correlation);
  }

  notice<Answer>(incoming: Incoming<Answer>, answer: Answer): void {
    this.#host.notice(this.#cell, this.incarnation, incoming as Request, answer);
  }

  reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release: Release = 'now'): void {
    this.#host.reply(this.#cell, this.incarnation, incoming as Request, answer, release);
  }

  after(delayMs: number, message: unknown): TimerId {
    return this.#host.after(this.#cell, this.incarnation, delayMs, message);
  }

  cancel(timer: TimerId): void {
    this.#host.cancel(this.#cell, this.incarnation, timer);
  }

  pulse(thread: number): number {
    return this.#host.pulseFor(this.#cell, this.incarnation, thread);
  }

  committing(thread: number): boolean {
    return this.#host.committingFor(this.#cell, this.incarnation, thread);
  }
}
