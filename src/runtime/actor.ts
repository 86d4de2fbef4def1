/**
 * What an actor is, and what its host gives it. Two hosts run the same actors: `threads/` on worker threads in
 * production, `simulator/` in one thread with virtual time and faults. `test/conformance` holds both to this file.
 *
 * The model in short:
 *
 *     request ──▶ receive(message, incoming, context)          one turn of the thread
 *                   │  context.notice(incoming, …)   0 or 1      ─┐ sent before the commit, if released 'now'
 *                   │  context.reply(incoming, …)    exactly 1   ─┘ or held until what the turn wrote is stored or durable
 *     requester ◀── answered(correlation, answer)  |  failed(correlation, failure)
 *
 * - An actor is single-threaded and synchronous: none of its methods awaits.
 * - Every request ends in exactly one reply or one failure, whatever dies in between.
 * - A mailbox is bounded. What does not fit is refused to the sender at once, as the failure 'refused'.
 *   Answers, notices and timers are never refused: their room is reserved when the request is admitted.
 * - No order is promised between two messages, not even of one pair of actors.
 * - A turn is one pass of a thread over its mail: drain, receive, send what is released 'now', commit, send the rest.
 * - An actor that throws is restarted by its supervisor with a new incarnation: what was asked of the old one fails with
 *   'died', answers and timers of the old one are dropped, and a request sent to the old incarnation fails with 'stale'.
 */
import type { Random } from '../base/random.js';

/** Reads the fields of one message from its frame, in the order in which they were written. */
export interface FrameReader {
  u8(): number;
  u32(): number;
  /** An integer up to 2^53, or any double. */
  f64(): number;
  /** A length-prefixed byte string. A view on memory that stays as it is; copy it to outlive the frame cheaply. */
  bytes(): Uint8Array;
  /** A length-prefixed UTF-8 string. */
  text(): string;
}

/** Writes the fields of one message into its frame. */
export interface FrameWriter {
  u8(value: number): void;
  u32(value: number): void;
  f64(value: number): void;
  bytes(value: Uint8Array): void;
  text(value: string): void;
}

/** The binary form of one family of messages, used only when a message leaves its thread. */
export interface MessageCodec<M> {
  /** An upper bound of what `write` will write: 1 per u8, 4 per u32, 8 per f64, 4 + length per byte string or text (3 bytes a char). */
  size(message: M): number;
  write(message: M, out: FrameWriter): void;
  /** Throws `FrameError` on a malformed frame. */
  read(from: FrameReader): M;
}

/** What one kind of actor can be asked, and what it answers. Answers and notices share one family. */
export interface Conversation<Request, Answer> {
  readonly name: string;
  readonly request: MessageCodec<Request>;
  readonly answer: MessageCodec<Answer>;
}

/** Addresses an actor without telling where it lives. Obtained from a host or a context; `place` is the runtime's own. */
export interface ActorRef<Request, Answer> {
  readonly conversation: Conversation<Request, Answer>;
  readonly place: number;
}

/** Why a request got no reply. */
export type Failure =
  /** No room in a mailbox or lane: the request was not delivered. */
  | 'refused'
  /** No actor lives there, or its thread is known to be down: not delivered. */
  | 'unreachable'
  /** Sent to an incarnation that is no more: not delivered. */
  | 'stale'
  /** The actor or its thread died with the request in hand: it may have acted. */
  | 'died'
  /** The way to it was cut, or has broken: it may have acted, and live on. */
  | 'cut-off'
  /** The turn's commit failed: what the request wrote may or may not be stored. */
  | 'commit-failed'
  /** As 'commit-failed'; the reason was that the disk is full. */
  | 'commit-full';

/** True if it is certain that the request was never received. */
export function neverReceived(failure: Failure): boolean {
  return failure === 'refused' || failure === 'unreachable' || failure === 'stale';
}

/** True if nobody is left to answer it: the recipient died, or the way to it is cut. */
export function wasLost(failure: Failure): boolean {
  return failure === 'died' || failure === 'cut-off';
}

/** A request in an actor's hand: what `reply` and `notice` answer. Opaque to actors; valid until replied to. */
export interface Incoming<Answer> {
  readonly __answer?: Answer;
}

/** When a reply may leave: at once, when what the turn wrote is committed, or when it is flushed to disk. */
export type Release = 'now' | 'stored' | 'durable';

/** Identifies a timer, to cancel it. */
export type TimerId = number;

/** What the host gives an actor. Valid for the actor's whole incarnation, but only to be used inside its methods. */
export interface ActorContext {
  /** Monotonic milliseconds, from any origin; read once per turn. */
  now(): number;
  /** Wall-clock milliseconds since 1970; may jump. */
  wallClock(): number;
  readonly random: Random;
  /** This actor's incarnation: 1, 2, … over the life of its thread. */
  readonly incarnation: number;
  /** Asks `to`. The outcome comes as `answered` or `failed` with this `correlation` (an integer below 2^53), never before this call returns. */
  request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void;
  /** Sends an interim answer, at once; at most one per request, before its reply. */
  notice<Answer>(incoming: Incoming<Answer>, answer: Answer): void;
  /**
   * Answers a request for good. If released 'stored' or 'durable' and the turn's commit fails, the requester gets
   * the failure 'commit-failed' or 'commit-full' instead, and the actor `commitFailed`.
   */
  reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void;
  /** Delivers `message` to this actor's `timer` after `delayMs`. Gone with the incarnation. */
  after(delayMs: number, message: unknown): TimerId;
  cancel(timer: TimerId): void;
  /**
   * How far a thread's event loop has come: a count (0 … 2^31 − 1, then again from 0), to be compared with what this
   * thread read before. If they are equal, and at least `PULSE_MS` lie between, the thread has stood still since soon
   * after the first reading: it is within a long turn or commit, in a collection of garbage, or paused, or it is on the
   * other side of a split, across which nothing is seen of it. If they differ, it ran in between; that says nothing of now.
   * −1 once the thread is known to be down, until it is known to be up again.
   *
   * Costs a thread that is busy nothing, and one that is idle a pass of its loop.
   */
  pulse(thread: number): number;
  /**
   * True while a thread that is up is seen to be within a commit: if its pulse stands still, that is why. False for one
   * on the other side of a split.
   */
  committing(thread: number): boolean;
}

/** Two readings of a running thread's pulse differ if they are so far apart, in milliseconds. */
export const PULSE_MS = 25;

/**
 * An actor: hears `Request`s, gives `Answer`s, gets `Answers` to its own requests.
 * `receive` must reply to every request sooner or later; the host asserts at a stop that none was forgotten.
 */
export interface Actor<Request, Answer, Answers = never> {
  /** Called once, before anything else; may read storage. A throw here counts as a crash. */
  start?(context: ActorContext): void;
  receive(message: Request, incoming: Incoming<Answer>, context: ActorContext): void;
  /** An answer to a request of this actor. `interim` is true for a notice, of which the reply is still to come. */
  answered?(correlation: number, answer: Answers, interim: boolean, context: ActorContext): void;
  failed?(correlation: number, failure: Failure, context: ActorContext): void;
  timer?(message: unknown, context: ActorContext): void;
  /** The commit of a turn in which this actor held a reply failed: nothing it wrote in that turn may be taken as stored, nor as not stored. */
  commitFailed?(error: unknown, context: ActorContext): void;
  /** Called in a clean stop, between turns, after the last message. Not called on a crash. */
  stop?(context: ActorContext): void;
}

/** Makes an actor, anew for every incarnation. */
// biome-ignore lint/suspicious/noExplicitAny: a host keeps actors of all conversations; each is typed where it is spawned.
export type ActorFactory<A extends Actor<any, any, any> = Actor<any, any, any>> = (context: ActorContext) => A;

/**
 * What a turn ends with: the storages that its actors wrote to. Structural, so that storage does not know the runtime.
 * A host commits its committers in the order in which they were added.
 */
export interface Committer {
  /** True if something was written since the last commit. */
  readonly pending: boolean;
  /** True if `commit` also makes durable; else `flush` does. */
  readonly commitIsDurable: boolean;
  /** Stores all pending writes, or throws and drops them all; after a throw it is unknown whether they are stored. */
  commit(): void;
  /** Makes everything committed durable, or throws. */
  flush(): void;
  /** Where disks are simulated: draws how many virtual milliseconds the commit that is due takes (default: none). */
  commitMs?(): number;
  flushMs?(): number;
}

/** Hears how a commit ended: `failure` has what it threw. */
export type CommitEnded = (failure: { readonly cause: unknown } | undefined) => void;

/** How a host brings a failing actor back. */
export interface SupervisionPolicy {
  /** The first wait before a restart, doubled at every restart that follows within `windowMs` (default 10). */
  readonly backoffMs: number;
  /** The longest wait (default 1,000). */
  readonly maxBackoffMs: number;
  /** So many restarts within `windowMs` escalate: the whole thread fails, as if it had thrown (default 5). */
  readonly maxRestarts: number;
  /** Milliseconds (default 10,000). */
  readonly windowMs: number;
}

export const DEFAULT_SUPERVISION: SupervisionPolicy = {
  backoffMs: 10,
  maxBackoffMs: 1_000,
  maxRestarts: 5,
  windowMs: 10_000,
};

/** One thread's worth of actors, in either runtime. */
export interface ActorHost {
  /** The index of this host's thread among the system's threads. */
  readonly thread: number;
  /**
   * Puts an actor into `slot` (0 … 65,535, free) of this thread. `mailbox` bounds the requests that it holds
   * unanswered at a time (default 4,096).
   */
  spawn<Request, Answer, Answers>(
    slot: number,
    conversation: Conversation<Request, Answer>,
    factory: ActorFactory<Actor<Request, Answer, Answers>>,
    options?: { readonly mailbox?: number },
  ): ActorRef<Request, Answer>;
  /**
   * Adds a storage that every turn ends by committing.
   * @param ended - called after each of its commits, before any actor hears of it; with what it threw, or undefined
   */
  addCommitter(committer: Committer, ended?: CommitEnded): void;
}

const SLOTS = 0x1_0000;

/** The ref of the actor in `slot` of `thread`: the one place where an address is put together. */
export function refAt<Request, Answer>(
  conversation: Conversation<Request, Answer>,
  thread: number,
  slot: number,
): ActorRef<Request, Answer> {
  return { conversation, place: thread * SLOTS + slot };
}

export function threadOf(place: number): number {
  return Math.floor(place / SLOTS);
}

export function slotOf(place: number): number {
  return place % SLOTS;
}

/** A frame that does not hold what its codec expects. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}
