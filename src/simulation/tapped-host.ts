/**
 * A host that lets someone listen to, or meddle with, what its actors do: the simulation listens to learn which dots
 * were minted, and tests of the checkers plant mistakes without a line in the actors.
 */
import type { Random } from '../base/random.js';
import type {
  Actor,
  ActorContext,
  ActorFactory,
  ActorHost,
  ActorRef,
  CommitEnded,
  Committer,
  Conversation,
  Failure,
  Incoming,
  Release,
  TimerId,
} from '../runtime/actor.js';

/** Passes everything on to a context; override what is to be heard or changed. */
export class TappedContext implements ActorContext {
  protected readonly inner: ActorContext;

  constructor(inner: ActorContext) {
    this.inner = inner;
  }

  get random(): Random {
    return this.inner.random;
  }

  get incarnation(): number {
    return this.inner.incarnation;
  }

  now(): number {
    return this.inner.now();
  }

  wallClock(): number {
    return this.inner.wallClock();
  }

  request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    this.inner.request(to, message, correlation);
  }

  notice<Answer>(incoming: Incoming<Answer>, answer: Answer): void {
    this.inner.notice(incoming, answer);
  }

  reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release: Release = 'now'): void {
    this.inner.reply(incoming, answer, release);
  }

  after(delayMs: number, message: unknown): TimerId {
    return this.inner.after(delayMs, message);
  }

  cancel(timer: TimerId): void {
    this.inner.cancel(timer);
  }

  pulse(thread: number): number {
    return this.inner.pulse(thread);
  }

  committing(thread: number): boolean {
    return this.inner.committing(thread);
  }
}

/** Passes everything on to an actor, with another context; override what is to be heard or changed. */
export class TappedActor<Request, Answer, Answers> implements Actor<Request, Answer, Answers> {
  protected readonly inner: Actor<Request, Answer, Answers>;
  protected readonly context: ActorContext;

  constructor(inner: Actor<Request, Answer, Answers>, context: ActorContext) {
    this.inner = inner;
    this.context = context;
  }

  start(_context: ActorContext): void {
    this.inner.start?.(this.context);
  }

  receive(message: Request, incoming: Incoming<Answer>, _context: ActorContext): void {
    this.inner.receive(message, incoming, this.context);
  }

  answered(correlation: number, answer: Answers, interim: boolean, _context: ActorContext): void {
    this.inner.answered?.(correlation, answer, interim, this.context);
  }

  failed(correlation: number, failure: Failure, _context: ActorContext): void {
    this.inner.failed?.(correlation, failure, this.context);
  }

  timer(message: unknown, _context: ActorContext): void {
    this.inner.timer?.(message, this.context);
  }

  commitFailed(error: unknown, _context: ActorContext): void {
    this.inner.commitFailed?.(error, this.context);
  }

  stop(_context: ActorContext): void {
    this.inner.stop?.(this.context);
  }
}

/** What taps an actor: the context that it is given instead of its own, and the actor that is hosted in its stead. */
export interface Tap {
  // biome-ignore lint/suspicious/noExplicitAny: a tap takes actors of all conversations.
  context(conversation: Conversation<any, any>, slot: number, inner: ActorContext): ActorContext;
  actor?(
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    conversation: Conversation<any, any>,
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    make: ActorFactory<Actor<any, any, any>>,
    context: ActorContext,
    // biome-ignore lint/suspicious/noExplicitAny: as above.
  ): Actor<any, any, any>;
  committer?(inner: Committer): Committer;
}

export class TappedHost implements ActorHost {
  readonly thread: number;
  private readonly inner: ActorHost;
  private readonly tap: Tap;

  constructor(inner: ActorHost, tap: Tap) {
    this.inner = inner;
    this.tap = tap;
    this.thread = inner.thread;
  }

  spawn<Request, Answer, Answers>(
    slot: number,
    conversation: Conversation<Request, Answer>,
    factory: ActorFactory<Actor<Request, Answer, Answers>>,
    options?: { readonly mailbox?: number },
  ): ActorRef<Request, Answer> {
    const make: ActorFactory<Actor<Request, Answer, Answers>> = (own) => {
      const context = this.tap.context(conversation, slot, own);
      const actor = this.tap.actor?.(conversation, factory, context) ?? factory(context);
      return new TappedActor(actor, context);
    };
    return this.inner.spawn(slot, conversation, make, options);
  }

  addCommitter(committer: Committer, ended?: CommitEnded): void {
    this.inner.addCommitter(this.tap.committer?.(committer) ?? committer, ended);
  }
}
