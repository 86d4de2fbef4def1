/**
 * What waits in a thread's own queue, and what an actor has in hand: a request, an answer, a failure, a timer.
 * One class for all keeps the queue's code monomorphic; the request that an actor has answered becomes the answer itself.
 */
import type { Failure, Incoming, Release } from '../actor.js';
import type { ActorCell } from './actor-cell.js';
import type { Link } from './link.js';

export const REQUEST = 1;
export const NOTICE = 2;
export const REPLY = 3;
export const FAILURE = 4;

/** The failures, by their number in a frame; none says 'cut-off'. */
export const FAILURES: readonly Failure[] = ['refused', 'unreachable', 'stale', 'died', 'commit-failed', 'commit-full'];
/** Where it stands in a frame's flags. */
export const CODE_SHIFT = 1;

export class Envelope implements Incoming<never> {
  declare readonly __answer?: never;
  kind: number;
  /** Whom it goes to; for a request in hand, who has it. */
  cell: ActorCell;
  /** The incarnation that it is meant for. */
  incarnation: number;
  /** The message, answer or `Failure`. */
  payload: unknown;
  /** Where the request came from, if from another thread, and its number there. */
  link: Link | undefined = undefined;
  requestId = 0;
  /** Who asked, if on this thread; for an answer or failure, the correlation it goes by. */
  requester: ActorCell | undefined = undefined;
  requesterIncarnation = 0;
  correlation = 0;
  /** True once its actor has it in hand, until it is replied to. */
  inHand = false;
  noticed = false;
  release: Release = 'now';
  /** Where a held answer lies in the memory that `payload` then is. */
  start = 0;
  length = 0;
  /** Neighbours among what the same actor has in hand. */
  previous: Envelope | undefined = undefined;
  next: Envelope | undefined = undefined;

  constructor(kind: number, cell: ActorCell, incarnation: number, payload: unknown) {
    this.kind = kind;
    this.cell = cell;
    this.incarnation = incarnation;
    this.payload = payload;
  }
}

/** A first-in first-out queue on a growing ring: no allocation once it is wide enough. */
export class EnvelopeQueue {
  private items: (Envelope | undefined)[] = new Array(256).fill(undefined);
  private first = 0;
  private count = 0;

  get size(): number {
    return this.count;
  }

  push(envelope: Envelope): void {
    if (this.count === this.items.length) this.grow();
    this.items[(this.first + this.count) & (this.items.length - 1)] = envelope;
    this.count++;
  }

  /** The next one. Only if there is one. */
  shift(): Envelope {
    const envelope = this.items[this.first]!;
    this.items[this.first] = undefined;
    this.first = (this.first + 1) & (this.items.length - 1);
    this.count--;
    return envelope;
  }

  private grow(): void {
    const wider: (Envelope | undefined)[] = new Array(this.items.length * 2).fill(undefined);
    for (let i = 0; i < this.count; i++) wider[i] = this.items[(this.first + i) & (this.items.length - 1)];
    this.items = wider;
    this.first = 0;
  }
}
