/**
 * The client: knows the ring, sends each request to a primary's node, keeps requests in flight, and settles each
 * exactly once. An actor like the others, so that it runs on the application's thread and, unchanged, in the simulator.
 *
 *     put ─▶ first node that is up ─ no room, not there ─▶ the next one, same attempt (it was never received)
 *            of the preference list  └ gone with it in hand, or silent ───▶ the next one, a new attempt that covers the
 *                                                       earlier ones, whose answers are ignored from then on
 *     get ─▶ the same ───────────────┴ is silent ─▶ the next one as well; the first answer counts
 *
 * Where everybody was tried and nobody could take it, a request rests and begins anew, until its deadline: a node may be
 * on its way back, a split may end. Only what is certain ends it sooner: too few nodes are up at all. A get takes the
 * coordinators' word that too few replicas can be reached; a put does not, because anybody may hold it for the others.
 *
 * A coordinator that has died is replaced as soon as that is known. A silent one is replaced after the 99th percentile of
 * what it takes for such a request, held within `HEDGING`, as the next sweep finds; a budget pays for that
 * (`quorum/hedge-budget.ts`): two puts at once, and then one in 200 requests. All others wait until its thread is seen to
 * stand still while those of the others go on (`quorum/peers.ts`), which takes 25 to 35 ms as a rule.
 *
 * A put with a condition is not tried again after an outcome that is not definite: whoever minted it may have been built
 * upon since.
 * Sources: Dynamo §6.4 (client-driven coordination); Dean and Barroso, "The Tail at Scale" (CACM 2013; hedged requests).
 */
import { DrainEstimate } from '../admission/drain-estimate.js';
import { InFlight } from '../base/in-flight.js';
import type { Attempt, WriterId } from '../clocks/event-id.js';
import { partitionOf } from '../codec/key.js';
import { FailureDetector } from '../membership/failure-detector.js';
import { coordinatorRef } from '../messages/addresses.js';
import type { CoordinatorAnswer, CoordinatorRequest, OperationFailure } from '../messages/coordinator-messages.js';
import { CLOCK_ALLOWANCE_MS, type ObjectPut } from '../messages/object-request.js';
import { Histogram } from '../metrics/histogram.js';
import { type Hedging, Peers } from '../quorum/peers.js';
import { NO_SLOTS } from '../quorum/slots.js';
import { SweepClock } from '../quorum/sweep-clock.js';
import type { PreferenceList } from '../ring/preference-list.js';
import {
  type Actor,
  type ActorContext,
  type ActorRef,
  type Failure,
  neverReceived,
  wasLost,
} from '../runtime/actor.js';
import {
  type ClientPut,
  failureOf,
  type GetOutcome,
  outcomeOf,
  type PageOutcome,
  type PutOutcome,
  type Settle,
} from './client-outcomes.js';
import { CoordinatorChoice } from './coordinator-choice.js';
import {
  type Caller,
  KINDS,
  MOST_GENERATIONS,
  PendingRequest,
  PUT,
  placeOf,
  SLACK_MS,
  ticketOf,
} from './pending-request.js';

export interface ClientOptions {
  /** By partition, its preference list: the nodes of the primaries, and of the fallbacks behind them. */
  readonly preferenceLists: readonly PreferenceList[];
  readonly nodes: number;
  /** Of the application's requests; and so many of the store's own beside them. */
  readonly maxInFlight: number;
}

const NONE: readonly Attempt[] = [];
const SWEEP = 'sweep';
/** So often a request is sent elsewhere because of silence. */
const MAX_HEDGES = 2;
/**
 * When a request is sent elsewhere, too, in milliseconds, by kind: after the 99th percentile of what its coordinator takes,
 * within these; after the most until 64 of its answers are known. A coordinator backs up its replicas sooner than that. A second put costs all the replicas a write more.
 */
const HEDGING: readonly Hedging[] = [
  { leastMs: 6, mostMs: 50, cost: 1 },
  { leastMs: 8, mostMs: 55, cost: 4 },
  { leastMs: 50, mostMs: 400, cost: 1 },
];

export class Client implements Actor<never, never, CoordinatorAnswer> {
  private readonly nodes: number;
  private readonly peers: Peers;
  private readonly choice: CoordinatorChoice;
  private readonly coordinators: ActorRef<CoordinatorRequest, CoordinatorAnswer>[] = [];
  private readonly pending: InFlight<PendingRequest>;
  private readonly maxInFlight: number;
  /** How many of those in flight are the store's own. */
  private internal = 0;
  private readonly context: ActorContext;
  private readonly id: WriterId;
  private sequence = 0;
  private onIdle: (() => void) | null = null;
  private readonly drain = new DrainEstimate();
  private readonly sweeps = new SweepClock(SLACK_MS);
  /** How long requests had been silent when they were first sent elsewhere for that, in milliseconds. */
  readonly secondAttempts = new Histogram();

  constructor(options: ClientOptions, context: ActorContext) {
    const { preferenceLists, nodes } = options;
    this.nodes = nodes;
    this.peers = new Peers({ nodes, own: -1, detector: new FailureDetector(nodes), hedging: HEDGING });
    this.choice = new CoordinatorChoice(preferenceLists, nodes, this.peers);
    this.maxInFlight = options.maxInFlight;
    this.pending = new InFlight(2 * options.maxInFlight, MOST_GENERATIONS);
    this.context = context;
    this.id = { high: context.random.uint32(), low: context.random.uint32() };
    for (let node = 0; node < nodes; node++) this.coordinators.push(coordinatorRef(node));
  }

  /** Requests in flight. */
  get inFlight(): number {
    return this.pending.size;
  }

  /** About how long what is in flight takes to end, in milliseconds: when a request that was refused may come again. */
  get retryAfterMs(): number {
    return this.drain.retryAfterMs(this.pending.size);
  }

  /** Whoever watches the nodes' threads tells which are up; requests avoid the others. */
  setUp(node: number, up: boolean): void {
    this.peers.setDown(node, !up);
  }

  isUp(node: number): boolean {
    return !this.peers.isKnownDown(node);
  }

  /** Calls `then` once nothing is in flight. */
  whenIdle(then: () => void): void {
    if (this.pending.size === 0) then();
    else this.onIdle = then;
  }

  /**
   * Begins a put.
   * @param internal - it is the store's own, and takes none of the room that the application has
   * @returns its ticket, or why it was refused at once (then `caller` is not called)
   */
  put(request: ClientPut, caller: Settle<PutOutcome>, internal = false): number | OperationFailure {
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
    return this.begin(message, partitionOf(put.key), caller, internal);
  }

  /** Begins a get. @returns as `put` does. */
  get(
    request: CoordinatorRequest & { type: 'get' },
    caller: Settle<GetOutcome>,
    internal = false,
  ): number | OperationFailure {
    return this.begin(request, partitionOf(request.key), caller, internal);
  }

  /** Begins a page of a scan. @returns as `put` does. */
  page(request: CoordinatorRequest & { type: 'page' }, caller: Settle<PageOutcome>): number | OperationFailure {
    return this.begin(request, request.partition, caller, false);
  }

  receive(): never {
    throw new TypeError('a client is never asked anything');
  }

  answered(correlation: number, answer: CoordinatorAnswer): void {
    const ticket = ticketOf(correlation);
    const pending = this.pending.get(ticket);
    // Settled before.
    if (pending === undefined) return;
    const place = placeOf(correlation);
    const { kind, partition, sentAt } = pending;
    const node = this.choice.nodeAt(partition, place);
    this.peers.answered(kind, node, sentAt < 0 ? -1 : this.context.now() - sentAt);
    // To an earlier attempt, which the present one covers: whatever became of it is undone.
    if (!pending.isAwaited(correlation)) return;
    pending.ended(place);
    if (answer.type !== 'failed') {
      this.settle(ticket, pending, outcomeOf(pending.request, answer));
      return;
    }
    if (answer.failure.why === 'overloaded') this.choice.noteFull(node, this.context.now());
    this.failOrGoOn(ticket, pending, answer.failure);
  }

  failed(correlation: number, failure: Failure): void {
    const ticket = ticketOf(correlation);
    const pending = this.pending.get(ticket);
    if (pending === undefined) return;
    const place = placeOf(correlation);
    const node = this.choice.nodeAt(pending.partition, place);
    const now = this.context.now();
    if (failure === 'unreachable') this.peers.unreachable(node, now);
    else if (wasLost(failure)) this.peers.unanswered(node, now);
    else if (failure === 'refused') this.choice.noteFull(node, now);
    if (failure === 'died') pending.losses++;
    if (!pending.isAwaited(correlation)) return;
    pending.ended(place);
    // Another coordinator has it, too.
    if (pending.awaited !== NO_SLOTS) return;
    pending.refused = failure === 'refused';
    pending.verdict = null;
    // Its coordinator was restarted, and is known under its new incarnation now: once, it is asked again.
    if (failure === 'stale') pending.mayAskAgain(place);
    if (pending.request.type === 'put' && !neverReceived(failure)) {
      pending.indefinite = true;
      // If it was minted, others may have built on it since: minted again elsewhere, it would undo what they did.
      if (pending.isConditional) {
        this.fail(ticket, pending, 'not-met', false);
        return;
      }
      pending.renewAttempt(this.nextAttempt(), true);
    }
    this.send(ticket, pending, now);
  }

  timer(): void {
    const now = this.context.now();
    this.sweeps.swept(now);
    this.peers.look(this.context, now);
    this.drain.look(now);
    if (this.sweeps.mayHedge) this.hedge(now);
    if (this.sweeps.looksAtDeadlines(now)) this.lookAtDeadlines(now);
    this.sweepAfter(this.sweeps.next(this.pending.size > 0, now));
  }

  private lookAtDeadlines(now: number): void {
    this.pending.forEach((pending, ticket) => {
      if (now >= pending.deadline) {
        this.choice.noteSilence(pending, now);
        this.fail(ticket, pending, 'timeout', pending.kind !== PUT);
      } else if (pending.isRested(now)) {
        pending.beginAnew(now, () => this.nextAttempt());
        this.send(ticket, pending, now);
      }
    });
  }

  private sweepAfter(delayMs: number): void {
    if (delayMs !== -1) this.context.after(delayMs, SWEEP);
  }

  /** Sends elsewhere what takes too long. */
  private hedge(now: number): void {
    for (let node = 0; node < this.nodes; node++) {
      for (let kind = 0; kind < KINDS; kind++) {
        for (let due = this.peers.nextDue(kind, node, now); due !== -1; due = this.peers.nextDue(kind, node, now)) {
          this.hedgeOne(due, kind, node, now);
        }
      }
    }
  }

  private hedgeOne(correlation: number, kind: number, node: number, now: number): void {
    const ticket = ticketOf(correlation);
    const pending = this.pending.get(ticket);
    if (pending === undefined || !pending.isAwaited(correlation)) return;
    if (pending.isConditional) return;
    // Each new attempt gives up what has come of the one before: where everybody is slow, that would end nowhere.
    if (pending.hedges >= MAX_HEDGES) return;
    const next = this.choice.nextForHedge(pending, now);
    if (next === -1 || !this.peers.mayHedge(kind, node, correlation, now)) return;
    pending.hedges++;
    // One that was sent before for another reason has no time of its own.
    if (pending.sentAt >= 0) this.secondAttempts.record(now - pending.sentAt);
    if (pending.kind === PUT) {
      pending.indefinite = true;
      pending.renewAttempt(this.nextAttempt(), true);
    }
    this.sendTo(next, ticket, pending, now);
  }

  /** Gives up a request, as its caller wished. @returns false if it had been settled. */
  abandon(ticket: number): boolean {
    const pending = this.pending.get(ticket);
    if (pending === undefined) return false;
    this.remove(ticket, pending);
    return true;
  }

  private begin(
    request: CoordinatorRequest,
    partition: number,
    caller: Caller,
    internal: boolean,
  ): number | OperationFailure {
    const outOfReach = this.choice.outOfReach(partition, request);
    if (outOfReach !== null) return outOfReach;
    const taken = internal ? this.internal : this.pending.size - this.internal;
    if (taken >= this.maxInFlight) return failureOf(request, 'overloaded', true);
    const now = this.context.now();
    const pending = new PendingRequest(request, partition, caller, internal, now);
    const ticket = this.pending.add(pending);
    if (ticket === -1) return failureOf(request, 'overloaded', true);
    if (internal) this.internal++;
    const sweepMs = this.sweeps.begin(now);
    if (sweepMs !== -1) {
      this.peers.look(this.context, now);
      this.drain.begin(now);
      this.sweepAfter(sweepMs);
    }
    this.send(ticket, pending, now);
    return ticket;
  }

  /** Sends to the next node that was not tried; without one, the request rests, or has failed. */
  private send(ticket: number, pending: PendingRequest, now: number): void {
    const place = this.choice.next(pending, now);
    if (place !== -1) this.sendTo(place, ticket, pending, now);
    else this.restOrFail(ticket, pending, now);
  }

  private restOrFail(ticket: number, pending: PendingRequest, now: number): void {
    const { partition, verdict, refused, request } = pending;
    const outOfReach = this.choice.outOfReach(partition, request);
    // An overload is told at once: whoever waits for room here would add to it.
    const mayRest = !refused && (pending.kind === PUT || verdict === null) && outOfReach === null;
    if (mayRest && pending.rest(now)) return;
    const unsaid = refused ? 'overloaded' : pending.kind === PUT && pending.isDeadly ? 'died' : 'unavailable';
    this.failWith(ticket, pending, verdict ?? outOfReach ?? failureOf(request, unsaid, true));
  }

  private sendTo(place: number, ticket: number, pending: PendingRequest, now: number): void {
    const node = this.choice.nodeAt(pending.partition, place);
    const correlation = pending.sentTo(place, ticket);
    this.peers.asked(pending.kind, node, correlation, now);
    this.context.request(this.coordinators[node]!, pending.request, correlation);
  }

  /** A coordinator's failure is final, unless it is certain that nothing happened and another may do better. */
  private failOrGoOn(ticket: number, pending: PendingRequest, failure: OperationFailure): void {
    // Another coordinator has it, too, and may do better.
    if (pending.awaited !== NO_SLOTS) return;
    const { why, definite } = failure;
    const now = this.context.now();
    const isRefusal = definite && (why === 'unavailable' || why === 'overloaded');
    // The vnode that was to mint is gone with the put in hand, or its coordinator reached too few: only a new attempt can
    // void what may have come of it. Not where a condition was to hold: see `failed`.
    const isLost =
      pending.kind === PUT &&
      !pending.isConditional &&
      !definite &&
      (why === 'unavailable' || why === 'died' || why === 'not-met');
    if ((isRefusal || isLost) && pending.hasTime(now)) {
      pending.refused = why === 'overloaded';
      pending.verdict = failure;
      if (isLost) {
        if (why === 'died') pending.losses++;
        pending.indefinite = true;
      }
      // Who was asked for this attempt and refused takes it for a copy, and says that it cannot tell what came of it.
      if (pending.kind === PUT) pending.renewAttempt(this.nextAttempt(), pending.indefinite);
      this.send(ticket, pending, now);
      return;
    }
    this.failWith(ticket, pending, failure);
  }

  private nextAttempt(): Attempt {
    this.sequence++;
    return { high: this.id.high, low: this.id.low, counter: this.sequence };
  }

  private fail(ticket: number, pending: PendingRequest, why: OperationFailure['why'], definite: boolean): void {
    this.settle(ticket, pending, { ok: false, failure: failureOf(pending.request, why, definite) });
  }

  /** Certain is only what is so of all attempts. */
  private failWith(ticket: number, pending: PendingRequest, failure: OperationFailure): void {
    const definite = failure.definite && !pending.indefinite;
    this.settle(ticket, pending, { ok: false, failure: { ...failure, definite } });
  }

  private settle(ticket: number, pending: PendingRequest, outcome: PutOutcome | GetOutcome | PageOutcome): void {
    if (outcome.ok || outcome.failure.why !== 'overloaded') this.drain.end();
    this.remove(ticket, pending);
    (pending.caller as Settle<unknown>).settle(outcome);
  }

  private remove(ticket: number, pending: PendingRequest): void {
    this.pending.remove(ticket);
    if (pending.internal) this.internal--;
    if (this.pending.size > 0 || this.onIdle === null) return;
    const then = this.onIdle;
    this.onIdle = null;
    then();
  }
}
