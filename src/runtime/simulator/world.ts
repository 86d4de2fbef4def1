/** What a simulated thread sees of the simulation around it. */
import type { EventReceiver, ScheduledEvent } from './event-queue.js';
import type { Frame } from './mail.js';
import type { Trace } from './trace.js';

/** How fast things go that are neither network nor disk, in virtual milliseconds. */
export interface Pace {
  /** A thread with mail begins its turn within so much. */
  readonly wakeMs: number;
  /** What a turn costs for each mail it takes. */
  readonly perMailMs: number;
  /** A timer fires up to so much late. */
  readonly timerLagMs: number;
  /** The others learn within so much that a thread died, or is back. */
  readonly detectionMs: number;
  /** A request of which a frame was lost has failed after at least so much, and at most twice that. */
  readonly connectionTimeoutMs: number;
}

export const DEFAULT_PACE: Pace = {
  wakeMs: 0.01,
  perMailMs: 0.001,
  timerLagMs: 0.2,
  detectionMs: 5,
  connectionTimeoutMs: 500,
};

/** The most mails that one turn takes. */
export const MAX_TURN = 256;

/** The most requests that one thread may have unanswered at another: beyond that they are refused. */
export const MAX_OUTSTANDING_PER_LINK = 32_768;

export interface World {
  /** Virtual milliseconds since the simulation began. */
  readonly time: number;
  readonly pace: Pace;
  readonly trace: Trace;
  readonly threads: number;
  schedule(time: number, receiver: EventReceiver, kind: number, subject: unknown): ScheduledEvent;
  cancel(event: ScheduledEvent): void;
  /** Puts a frame on the network at `departure`, which is not in the past. */
  transmit(frame: Frame, departure: number): void;
  /** The incarnation of a thread if it is up, else 0. For a thread that starts, and meets the others. */
  incarnationIfUp(thread: number): number;
  /** How far a thread's event loop has come. */
  pulseOf(thread: number): number;
  /** True while a thread is within a commit. */
  isCommitting(thread: number): boolean;
  /** True if frames from `from` to `to` are being cut off. */
  isCut(from: number, to: number): boolean;
  /** An actor failed. */
  actorFailed(report: CrashReport): void;
  /** A thread went down: by a crash, by an error that escalated, or by a clean stop. */
  threadWentDown(thread: number, why: Downfall): void;
}

/** An actor that threw, or a thread that failed with its last one. */
export interface CrashReport {
  readonly time: number;
  readonly thread: number;
  readonly slot: number;
  readonly error: unknown;
  readonly escalates: boolean;
}

export type Downfall =
  | { readonly type: 'failed'; readonly error: unknown }
  | { readonly type: 'crashed' }
  | { readonly type: 'stopped' };

/** At which point of its next turn a thread is to crash. */
export type CrashPoint =
  /** After some, but perhaps not all, of the turn's mails were received. */
  | 'mid-turn'
  /** After everything released 'now' was sent, before the commit. */
  | 'before-commit'
  /** After the commit, before the replies that were held for it. */
  | 'after-commit';
