/** What lies in a simulated thread's mailbox, and what travels between two of them. */
import type { Conversation, Failure, Incoming } from '../actor.js';
import type { ActorCell } from './actor-cell.js';
import type { ScheduledEvent } from './event-queue.js';

/** By their number in a trace. */
export const FAILURES: readonly Failure[] = [
  ...(['refused', 'unreachable', 'stale', 'died', 'commit-failed', 'commit-full', 'cut-off'] as const),
];

export const FRAME_REQUEST = 0;
export const FRAME_NOTICE = 1;
export const FRAME_REPLY = 2;
export const FRAME_FAILURE = 3;
export type FrameKind = typeof FRAME_REQUEST | typeof FRAME_NOTICE | typeof FRAME_REPLY | typeof FRAME_FAILURE;

/** What became of the copies of one request that the network duplicated: only their joint fate may be told. */
export interface Copies {
  underWay: number;
  admitted: boolean;
}

/** A message on its way between two threads; belongs to one connection, hence to one incarnation of either. */
export interface Frame {
  readonly kind: FrameKind;
  readonly from: number;
  readonly fromIncarnation: number;
  readonly to: number;
  readonly toIncarnation: number;
  /** Names the request at its requester's thread. */
  readonly requestId: number;
  /** Of a request: whose it is, the incarnation being the last known one. Of a failure 'stale': the present one. */
  readonly slot: number;
  readonly actorIncarnation: number;
  /** Of a request: the name of what is spoken. */
  readonly conversation: string;
  readonly body: Uint8Array;
  /** Of a failure: which, else undefined. */
  readonly failure: Failure | undefined;
  /** Of a request that was duplicated. */
  copies: Copies | undefined;
}

/** A request that was sent and has no outcome yet. Kept by the requester's thread, by its id. */
export interface Outstanding {
  readonly id: number;
  readonly cell: ActorCell;
  readonly incarnation: number;
  readonly correlation: number;
  readonly conversation: Conversation<unknown, unknown>;
  readonly to: number;
  readonly toIncarnation: number;
  /** True once a notice came: a second one (of a duplicate) is dropped. */
  noticed: boolean;
  /** True once its actor was told the outcome: a notice that was overtaken is dropped. */
  concluded: boolean;
}

export const MAIL_REQUEST = 0;
export const MAIL_ANSWER = 1;
export const MAIL_FAILURE = 2;
export const MAIL_TIMER = 3;
export const MAIL_START = 4;
export const MAIL_COMMIT_FAILED = 5;

/** A request that was admitted to an actor's mailbox: waits there, then is in its hand until answered. */
export class Request implements Incoming<never> {
  declare readonly __answer?: never;
  readonly kind = MAIL_REQUEST;
  readonly cell: ActorCell;
  readonly incarnation: number;
  readonly fromThread: number;
  readonly fromIncarnation: number;
  readonly requestId: number;
  /** The message as it is, of a requester on the same thread. */
  readonly message: unknown;
  /** Its bytes, of one on another thread. */
  readonly body: Uint8Array | undefined;
  readonly copies: Copies | undefined;
  /** True once its actor has it in hand. */
  received = false;
  noticed = false;
  answered = false;

  constructor(
    cell: ActorCell,
    fromThread: number,
    fromIncarnation: number,
    requestId: number,
    message: unknown,
    body: Uint8Array | undefined,
    copies: Copies | undefined,
  ) {
    this.cell = cell;
    this.incarnation = cell.incarnation;
    this.fromThread = fromThread;
    this.fromIncarnation = fromIncarnation;
    this.requestId = requestId;
    this.message = message;
    this.body = body;
    this.copies = copies;
  }
}

export interface AnswerMail {
  readonly kind: typeof MAIL_ANSWER;
  readonly to: Outstanding;
  readonly interim: boolean;
  readonly message: unknown;
  readonly body: Uint8Array | undefined;
}

export interface FailureMail {
  readonly kind: typeof MAIL_FAILURE;
  readonly to: Outstanding;
  readonly failure: Failure;
}

/** A timer: scheduled, then mail, then delivered or cancelled at any stage. */
export interface Timer {
  readonly kind: typeof MAIL_TIMER;
  readonly id: number;
  readonly cell: ActorCell;
  readonly message: unknown;
  event: ScheduledEvent | undefined;
}

/** The start of an actor's next incarnation. */
export interface StartMail {
  readonly kind: typeof MAIL_START;
  readonly cell: ActorCell;
}

export interface CommitFailedMail {
  readonly kind: typeof MAIL_COMMIT_FAILED;
  readonly cell: ActorCell;
  readonly incarnation: number;
  readonly error: unknown;
}

export type Mail = Request | AnswerMail | FailureMail | Timer | StartMail | CommitFailedMail;

/** A first-in first-out list that gives its room back. */
export class MailQueue {
  #items: (Mail | undefined)[] = [];
  #first = 0;

  get size(): number {
    return this.#items.length - this.#first;
  }

  push(mail: Mail): void {
    this.#items.push(mail);
  }

  /** The next one. Only if there is one. */
  shift(): Mail {
    const mail = this.#items[this.#first]!;
    this.#items[this.#first++] = undefined;
    if (this.#first === this.#items.length) this.clear();
    else if (this.#first > 4_096 && this.#first > this.#items.length / 2) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return mail;
  }

  /** Reorders what waits by drawing pairs to exchange. */
  shuffle(below: (bound: number) => number): void {
    const items = this.#items;
    for (let i = items.length - 1; i > this.#first; i--) {
      const j = this.#first + below(i - this.#first + 1);
      const moved = items[i];
      items[i] = items[j];
      items[j] = moved;
    }
  }

  clear(): void {
    this.#items.length = 0;
    this.#first = 0;
  }
}
