/**
 * A request that the client has in flight: where it was sent, whose answer would count, and under which attempt of a put.
 *
 *     round 0   place 0 ─ place 3 ─ …   each place of the preference list once
 *     rest
 *     round 1   place 0 ─ …             a put under another attempt; answers to round 0 are late from now on
 *
 * Pure: the client reads the clock, and sends.
 */
import { assert } from '../base/assert.js';
import type { Attempt } from '../clocks/event-id.js';
import type { CoordinatorRequest, OperationFailure } from '../messages/coordinator-messages.js';
import { hasSlot, NO_SLOTS, type PlaceSet, withoutSlot, withSlot } from '../quorum/slots.js';
import type { GetOutcome, PageOutcome, PutOutcome, Settle } from './client-outcomes.js';

/** Kinds of requests, each of which takes its own time. */
export const GET = 0;
export const PUT = 1;
export const PAGE = 2;
export const KINDS = 3;

/** The coordinator's own deadline comes first; only its silence makes the client's count. In milliseconds. */
export const SLACK_MS = 250;
/** How often a ticket's place is used before its tickets come again: so a correlation stays below 2^53. */
export const MOST_GENERATIONS = 2 ** 26;
/** A correlation is a ticket, a round below `ROUNDS`, and a place below `PLACES`. */
const PLACES = 32;
const ROUNDS = 64;
const SENDINGS = ROUNDS * PLACES;
/**
 * How long a request rests that nobody could take: at first, and at most, after doubling, in milliseconds; or at most this
 * share of its time. So there are fewer rounds than `ROUNDS`, and none is taken for another.
 */
const LEAST_REST_MS = 20;
const MOST_REST_MS = 250;
const MOST_REST_SHARE = 1 / 40;
/** A request that so many died with may be what they died of: it does not begin anew. Who was cut off does not count. */
const MAX_LOSSES = 3;
/** Nor does a put with so many attempts: a message has room for 255, and a round makes one for each node at most. */
const MAX_EARLIER = 200;

export type Caller = Settle<PutOutcome> | Settle<GetOutcome> | Settle<PageOutcome>;

/** The ticket of the request of which this correlation names one sending. */
export function ticketOf(correlation: number): number {
  return Math.floor(correlation / SENDINGS);
}

/** The place of the preference list to which it went. */
export function placeOf(correlation: number): number {
  return correlation % PLACES;
}

export class PendingRequest {
  request: CoordinatorRequest;
  readonly kind: number;
  readonly partition: number;
  /** When its caller is told that it took too long, in monotonic milliseconds. */
  readonly deadline: number;
  readonly caller: Caller;
  /** The store's own: the application did not ask for it, and its room is another. */
  readonly internal: boolean;
  /** When it was sent, in monotonic milliseconds; −1 once it was sent more than once. */
  sentAt: number;
  /** How often it was sent elsewhere because of silence. */
  hedges = 0;
  /** How often whoever had it in hand died. */
  losses = 0;
  /** Of a put: an earlier attempt may have been minted. */
  indefinite = false;
  /** The last refusal was for lack of room. */
  refused = false;
  /** What the last coordinator said of it, unless that was lost since. */
  verdict: OperationFailure | null = null;
  /** Places to which this round was sent. */
  private tried: PlaceSet = NO_SLOTS;
  /** Those of them whose answer is awaited and would count. */
  private open: PlaceSet = NO_SLOTS;
  private round = 0;
  private askedAgain = false;
  /** Of a put: its attempt was sent to somebody. */
  private attempted = false;
  /** While nobody has it: when it begins anew, in monotonic milliseconds; and how long it rests the next time. */
  private restsUntil = 0;
  private restMs = LEAST_REST_MS;

  constructor(request: CoordinatorRequest, partition: number, caller: Caller, internal: boolean, now: number) {
    this.request = request;
    this.kind = request.type === 'get' ? GET : request.type === 'put' ? PUT : PAGE;
    this.partition = partition;
    this.deadline = now + request.timeoutMs + SLACK_MS;
    this.caller = caller;
    this.internal = internal;
    this.sentAt = now;
  }

  /** Places whose answer is awaited and would count. */
  get awaited(): PlaceSet {
    return this.open;
  }

  /** True if a put holds only on a condition: nobody else may try it once it may have been minted. */
  get isConditional(): boolean {
    return this.request.type === 'put' && this.request.put.condition !== 'none';
  }

  /** True if so many died with it that it may be what they died of. */
  get isDeadly(): boolean {
    return this.losses >= MAX_LOSSES;
  }

  /** True if there is time to send it elsewhere. */
  hasTime(now: number): boolean {
    return now < this.deadline - SLACK_MS;
  }

  /** Whether the answer to this sending would count. */
  isAwaited(correlation: number): boolean {
    const isOfRound = Math.floor((correlation % SENDINGS) / PLACES) === this.round;
    return isOfRound && hasSlot(this.open, placeOf(correlation));
  }

  wasTried(place: number): boolean {
    return hasSlot(this.tried, place);
  }

  /** It is sent to this place. @returns the correlation of this sending */
  sentTo(place: number, ticket: number): number {
    if (this.tried !== NO_SLOTS) this.sentAt = -1;
    this.attempted = true;
    this.tried = withSlot(this.tried, place);
    this.open = withSlot(this.open, place);
    return ticket * SENDINGS + this.round * PLACES + place;
  }

  /** This place has answered, or will not any more. */
  ended(place: number): void {
    this.open = withoutSlot(this.open, place);
  }

  /** A place that did not know it under its name of that time: once, it may be asked again. */
  mayAskAgain(place: number): void {
    if (this.askedAgain) return;
    this.askedAgain = true;
    this.tried = withoutSlot(this.tried, place);
  }

  /**
   * Of a put: from now on only what comes of the new attempt counts.
   * @param covers - the one before may have been minted
   */
  renewAttempt(attempt: Attempt, covers: boolean): void {
    const { request } = this;
    assert(request.type === 'put', 'only puts are attempted');
    const { put } = request;
    this.open = NO_SLOTS;
    this.attempted = false;
    const earlier = covers ? [...put.earlier, put.attempt] : put.earlier;
    this.request = { ...request, put: { ...put, attempt, earlier } };
  }

  /** Nobody could take it: it rests, if it may. @returns false if it may not */
  rest(now: number): boolean {
    const { request } = this;
    if (this.isDeadly || !this.hasTime(now + this.restMs)) return false;
    if (request.type === 'put' && request.put.earlier.length >= MAX_EARLIER) return false;
    this.restsUntil = now + this.restMs;
    const mostMs = Math.max(MOST_REST_MS, request.timeoutMs * MOST_REST_SHARE);
    this.restMs = Math.min(mostMs, 2 * this.restMs);
    return true;
  }

  isRested(now: number): boolean {
    return this.open === NO_SLOTS && now >= this.restsUntil;
  }

  /** Every place may be asked again. @param attempt - gives a put's next one, if there must be another */
  beginAnew(now: number, attempt: () => Attempt): void {
    this.round++;
    assert(this.round < ROUNDS, 'a round has a number of its own');
    this.tried = NO_SLOTS;
    this.askedAgain = false;
    this.verdict = null;
    this.sentAt = -1;
    this.request = { ...this.request, timeoutMs: this.deadline - SLACK_MS - now };
    // Who has seen an attempt takes it for a copy when it comes again. What has failed for certain need not be covered.
    if (this.attempted && this.kind === PUT) this.renewAttempt(attempt(), this.indefinite);
  }
}
