/**
 * The client: knows the ring, sends each request to a primary's node, keeps requests in flight, and settles each
 * exactly once. An actor like the others, so that it runs on the application's thread and, unchanged, in the simulator.
 *
 *     put ─▶ first primary that is up ─ no room, not there ─▶ the next one, same attempt (it was never received)
 *                                     └ died with it in hand ─▶ the next one, a new attempt that covers the earlier ones
 *
 * Source: Dynamo §6.4 (client-driven coordination).
 */

import { InFlight } from '../base/in-flight.js';
import type { Attempt, WriterId } from '../clocks/event-id.js';
import type { Timestamp } from '../clocks/timestamp.js';
import { partitionOf } from '../codec/key.js';
import { coordinatorRef } from '../messages/addresses.js';
import type {
  Ack,
  CoordinatorAnswer,
  CoordinatorRequest,
  HintPlace,
  OperationFailure,
} from '../messages/coordinator-messages.js';
import type { ObjectPut } from '../messages/object-request.js';
import type { ListedEntry } from '../messages/vnode-messages.js';
import type { MintedDot } from '../objects/mint.js';
import type { PreferenceList } from '../ring/preference-list.js';
import { type Actor, type ActorContext, type ActorRef, type Failure, neverReceived } from '../runtime/actor.js';

export interface ClientOptions {
  /** By partition, its preference list: the nodes of the primaries, and of the fallbacks behind them. */
  readonly preferenceLists: readonly PreferenceList[];
  readonly nodes: number;
  readonly maxInFlight: number;
}

/** A put as the client is handed it: what it lacks is the attempt, which the client numbers. */
export interface ClientPut
  extends Omit<ObjectPut, 'attempt' | 'earlier' | 'expiresAtMs'>,
    Omit<CoordinatorRequest & { type: 'put' }, 'type' | 'put'> {}

export type PutOutcome =
  | {
      readonly ok: true;
      readonly dot: MintedDot;
      readonly timestamp: Timestamp;
      readonly acks: readonly Ack[];
      readonly hints: readonly HintPlace[];
      /** Every try of this put, the last one last. */
      readonly attempts: readonly Attempt[];
    }
  | { readonly ok: false; readonly failure: OperationFailure };

export type GetOutcome =
  /** `record` is empty if no replica has one. */
  | { readonly ok: true; readonly record: Uint8Array; readonly mayMissHints: boolean }
  | { readonly ok: false; readonly failure: OperationFailure };

export type PageOutcome =
  | { readonly ok: true; readonly entries: readonly ListedEntry[]; readonly more: boolean }
  | { readonly ok: false; readonly failure: OperationFailure };

/** Settles one request: called exactly once, never before the call that made the request has returned. */
export interface Settle<Outcome> {
  settle(outcome: Outcome): void;
}

interface Pending {
  request: CoordinatorRequest;
  readonly partition: number;
  readonly deadline: number;
  readonly caller: Settle<PutOutcome> | Settle<GetOutcome> | Settle<PageOutcome>;
  /** Primaries that this request was sent to, as a bit mask of their places in the preference list. */
  tried: number;
  /** The place that it was sent to last. */
  place: number;
  askedAgain: boolean;
  /** Of a put: an earlier attempt may have been minted. */
  indefinite: boolean;
  /** The last refusal was for lack of room. */
  refused: boolean;
}

const NONE: readonly Attempt[] = [];
const SWEEP = 'sweep';
const SWEEP_MS = 20;
/** The coordinator's own deadline comes first; only its silence makes the client's count. In milliseconds. */
const SLACK_MS = 250;
/** How far clocks may be apart before an attempt is taken for late, in milliseconds. */
const CLOCK_ALLOWANCE_MS = 10_000;

export class Client implements Actor<never, never, CoordinatorAnswer> {
  /** By partition. */
  private readonly primaries: readonly (readonly number[])[];
  private readonly coordinators: ActorRef<CoordinatorRequest, CoordinatorAnswer>[] = [];
  private readonly pending: InFlight<Pending>;
  private readonly up: boolean[] = [];
  private readonly context: ActorContext;
  private readonly id: WriterId;
  private sequence = 0;
  private sweeping = false;
  private sweepDue = 0;
  private onIdle: (() => void) | null = null;

  constructor(options: ClientOptions, context: ActorContext) {
    this.primaries = options.preferenceLists.map((list) => list.primaries);
    this.pending = new InFlight(options.maxInFlight);
    this.context = context;
    this.id = { high: context.random.uint32(), low: context.random.uint32() };
    for (let node = 0; node < options.nodes; node++) {
      this.coordinators.push(coordinatorRef(node));
      this.up.push(true);
    }
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.pending.size;
  }

  /** Whoever watches the nodes tells which are up; requests avoid the others. */
  setUp(node: number, up: boolean): void {
    this.up[node] = up;
  }

  isUp(node: number): boolean {
    return this.up[node] === true;
  }

  /** Calls `then` once nothing is in flight. */
  whenIdle(then: () => void): void {
    if (this.pending.size === 0) then();
    else this.onIdle = then;
  }

  /** Begins a put. @returns its ticket, or why it was refused at once (then `caller` is not called). */
  put(request: ClientPut, caller: Settle<PutOutcome>): number | OperationFailure {
    const { w, pw, dw, timeoutMs } = request;
    // Spelt out: spreading the fields took a twentieth of this thread's time.
    const put: ObjectPut = {
      key: request.key,
      causalContext: request.causalContext,
      attempt: this.nextAttempt(),
      earlier: NONE,
      expiresAtMs: this.context.wallClock() + timeoutMs + CLOCK_ALLOWANCE_MS,
      minting: request.minting,
      condition: request.condition,
      ifMatch: request.ifMatch,
      maxSiblings: request.maxSiblings,
      tombstone: request.tombstone,
      ttlMs: request.ttlMs,
      body: request.body,
    };
    const message: CoordinatorRequest = { type: 'put', put, w, pw, dw, timeoutMs };
    return this.begin(message, partitionOf(put.key), Math.max(w, pw, dw), caller);
  }

  /** Begins a get. @returns as `put` does. */
  get(request: CoordinatorRequest & { type: 'get' }, caller: Settle<GetOutcome>): number | OperationFailure {
    return this.begin(request, partitionOf(request.key), Math.max(request.r, request.pr), caller);
  }

  /** Begins a page of a scan. @returns as `put` does. */
  page(request: CoordinatorRequest & { type: 'page' }, caller: Settle<PageOutcome>): number | OperationFailure {
    return this.begin(request, request.partition, request.r, caller);
  }

  receive(): never {
    throw new TypeError('a client is never asked anything');
  }

  answered(ticket: number, answer: CoordinatorAnswer): void {
    const pending = this.pending.get(ticket);
    // Settled by its deadline before.
    if (pending === undefined) return;
    switch (answer.type) {
      case 'put-done': {
        const { put } = pending.request as CoordinatorRequest & { type: 'put' };
        const attempts = put.earlier.length === 0 ? [put.attempt] : [...put.earlier, put.attempt];
        const outcome: PutOutcome = {
          ok: true,
          dot: answer.dot,
          timestamp: answer.timestamp,
          acks: answer.acks,
          hints: answer.hints,
          attempts,
        };
        this.settle(ticket, pending, outcome);
        return;
      }
      case 'got':
        this.settle(ticket, pending, { ok: true, record: answer.record, mayMissHints: answer.mayMissHints });
        return;
      case 'page-done':
        this.settle(ticket, pending, { ok: true, entries: answer.entries, more: answer.more });
        return;
      case 'failed':
        this.failOrGoOn(ticket, pending, answer.failure);
        return;
    }
  }

  failed(ticket: number, failure: Failure): void {
    const pending = this.pending.get(ticket);
    if (pending === undefined) return;
    pending.refused = failure === 'refused';
    // Its coordinator was restarted, and is known under its new incarnation now: once, it is asked again.
    if (failure === 'stale' && !pending.askedAgain) {
      pending.askedAgain = true;
      pending.tried &= ~(1 << pending.place);
    }
    if (pending.request.type === 'put' && !neverReceived(failure)) {
      pending.indefinite = true;
      // If it was minted, others may have built on it since: minted again elsewhere, it would undo what they did.
      if (pending.request.put.condition !== 'none') {
        this.fail(ticket, pending, 'not-met', false);
        return;
      }
      this.renewAttempt(pending);
    }
    this.send(ticket, pending);
  }

  timer(): void {
    const now = this.context.now();
    // Much too late: the application has held the thread. What was answered meanwhile is heard first.
    if (now > this.sweepDue + SLACK_MS) {
      this.sweepAfter(SLACK_MS);
      return;
    }
    this.pending.forEach((pending, ticket) => {
      if (now >= pending.deadline) this.fail(ticket, pending, 'timeout', pending.request.type !== 'put');
    });
    this.sweeping = this.pending.size > 0;
    if (this.sweeping) this.sweepAfter(SWEEP_MS);
  }

  /** Gives up a request, as its caller wished. @returns false if it had been settled. */
  abandon(ticket: number): boolean {
    if (this.pending.get(ticket) === undefined) return false;
    this.remove(ticket);
    return true;
  }

  private begin(
    request: CoordinatorRequest,
    partition: number,
    wanted: number,
    caller: Pending['caller'],
  ): number | OperationFailure {
    const reachable = this.reachable(partition);
    if (reachable < wanted) return { why: 'unavailable', got: reachable, wanted, definite: true };
    const pending: Pending = {
      request,
      partition,
      deadline: this.context.now() + request.timeoutMs + SLACK_MS,
      caller,
      tried: 0,
      place: 0,
      askedAgain: false,
      indefinite: false,
      refused: false,
    };
    const ticket = this.pending.add(pending);
    if (ticket === -1) return { why: 'overloaded', got: 0, wanted, definite: true };
    this.send(ticket, pending);
    if (!this.sweeping) {
      this.sweeping = true;
      this.sweepAfter(SWEEP_MS);
    }
    return ticket;
  }

  private sweepAfter(delayMs: number): void {
    this.sweepDue = this.context.now() + delayMs;
    this.context.after(delayMs, SWEEP);
  }

  private reachable(partition: number): number {
    let count = 0;
    for (const node of this.primaries[partition]!) if (this.up[node]) count++;
    return count;
  }

  /** Sends to the first primary that is up and was not tried; without one, the request has failed. */
  private send(ticket: number, pending: Pending): void {
    const primaries = this.primaries[pending.partition]!;
    for (let place = 0; place < primaries.length; place++) {
      const node = primaries[place]!;
      if ((pending.tried & (1 << place)) !== 0 || !this.up[node]) continue;
      pending.tried |= 1 << place;
      pending.place = place;
      this.context.request(this.coordinators[node]!, pending.request, ticket);
      return;
    }
    const definite = !pending.indefinite;
    this.fail(ticket, pending, pending.refused ? 'overloaded' : 'unavailable', definite);
  }

  /** A coordinator's failure is final, unless it is certain that nothing happened and another may do better. */
  private failOrGoOn(ticket: number, pending: Pending, failure: OperationFailure): void {
    const elsewhere = failure.definite && (failure.why === 'unavailable' || failure.why === 'overloaded');
    // The vnode that was to mint is gone with the put in hand: only a new attempt can void what may have come of it.
    // Not where a condition was to hold: see `failed`.
    const lost =
      pending.request.type === 'put' &&
      pending.request.put.condition === 'none' &&
      !failure.definite &&
      failure.why === 'unavailable';
    if ((elsewhere || lost) && this.context.now() < pending.deadline - SLACK_MS) {
      pending.refused = failure.why === 'overloaded';
      if (lost) {
        pending.indefinite = true;
        this.renewAttempt(pending);
      }
      this.send(ticket, pending);
      return;
    }
    this.settle(ticket, pending, {
      ok: false,
      failure: { ...failure, definite: failure.definite && !pending.indefinite },
    });
  }

  private renewAttempt(pending: Pending): void {
    const request = pending.request as CoordinatorRequest & { type: 'put' };
    const { put } = request;
    pending.request = {
      ...request,
      put: { ...put, attempt: this.nextAttempt(), earlier: [...put.earlier, put.attempt] },
    };
  }

  private nextAttempt(): Attempt {
    this.sequence++;
    return { high: this.id.high, low: this.id.low, counter: this.sequence };
  }

  private fail(ticket: number, pending: Pending, why: OperationFailure['why'], definite: boolean): void {
    const wanted = wantedOf(pending.request);
    this.settle(ticket, pending, { ok: false, failure: { why, got: 0, wanted, definite } });
  }

  private settle(ticket: number, pending: Pending, outcome: PutOutcome | GetOutcome | PageOutcome): void {
    this.remove(ticket);
    (pending.caller as Settle<unknown>).settle(outcome);
  }

  private remove(ticket: number): void {
    this.pending.remove(ticket);
    if (this.pending.size > 0 || this.onIdle === null) return;
    const then = this.onIdle;
    this.onIdle = null;
    then();
  }
}

function wantedOf(request: CoordinatorRequest): number {
  return request.type === 'put' ? Math.max(request.w, request.pw, request.dw) : request.r;
}
