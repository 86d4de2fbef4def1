/**
 * The actors who live on one simulated thread: their starts, what they are told, what they ask of their contexts, their
 * failures and returns. When they are told is the thread's to say.
 */
import { assert, InvariantError } from '../../base/assert.js';
import { type SeededRandom, unit } from '../../base/random.js';
import { type ActorRef, FrameError, type Release, type TimerId } from '../actor.js';
import { type ActorCell, CellContext, type CellHost } from './actor-cell.js';
import type { Correspondence } from './correspondence.js';
import type { EventReceiver } from './event-queue.js';
import { decode } from './frame.js';
import type { GroupCommit } from './group-commit.js';
import {
  type AnswerMail,
  FAILURES,
  MAIL_ANSWER,
  MAIL_COMMIT_FAILED,
  MAIL_FAILURE,
  MAIL_REQUEST,
  MAIL_START,
  MAIL_TIMER,
  type Mail,
  Request,
  type Timer,
} from './mail.js';
import type { SimulatedClock } from './simulated-clock.js';
import type { TraceKind } from './trace.js';
import type { World } from './world.js';

/** The thread that they live on. */
export interface Residence {
  readonly thread: number;
  readonly clock: SimulatedClock;
  /** True within a turn: only then contexts may be used. */
  readonly inTurn: boolean;
  /** What the monotonic clock showed at the beginning of the turn. */
  readonly nowMs: number;
  put(mail: Mail): void;
  /** For what goes before everything else. */
  putFirst(mail: Mail): void;
  /** An actor failed too often: the thread fails with it. */
  escalate(error: unknown): void;
}

const RESTART_DUE = 0;
const TIMER_DUE = 1;

export class Residents implements CellHost, EventReceiver {
  readonly #world: World;
  readonly #home: Residence;
  readonly #random: SeededRandom;
  readonly #correspondence: Correspondence;
  readonly #ending: GroupCommit;
  readonly #cells = new Map<number, ActorCell>();
  #nextTimer = 1;

  constructor(
    world: World,
    home: Residence,
    random: SeededRandom,
    correspondence: Correspondence,
    ending: GroupCommit,
  ) {
    this.#world = world;
    this.#home = home;
    this.#random = random;
    this.#correspondence = correspondence;
    this.#ending = ending;
  }

  /** Gives an actor its place. It starts in the next turn. */
  add(cell: ActorCell): void {
    assert(!this.#cells.has(cell.slot), 'an actor is spawned into a free slot');
    this.#cells.set(cell.slot, cell);
    this.#home.putFirst({ kind: MAIL_START, cell });
  }

  at(slot: number): ActorCell | undefined {
    return this.#cells.get(slot);
  }

  /** The requests that wait or are in hand, as text by actor; empty if there are none. */
  unanswered(): string[] {
    return [...this.#cells.values()]
      .filter((cell) => cell.unanswered.size > 0)
      .map((cell) => `slot ${cell.slot} (${cell.conversation.name}): ${cell.unanswered.size}`);
  }

  nothingInHand(): boolean {
    for (const cell of this.#cells.values()) if (cell.unanswered.size > 0) return false;
    return true;
  }

  /** Tells every actor that the thread stops. */
  stop(): void {
    for (const cell of this.#cells.values()) {
      if (cell.actor === undefined) continue;
      try {
        cell.actor.stop?.(cell.context!);
      } catch (error) {
        this.failed(cell, error);
      }
    }
  }

  /** The thread goes down, and they with it. */
  clear(): void {
    for (const cell of this.#cells.values()) {
      cell.alive = false;
      this.#dropTimers(cell);
    }
    this.#cells.clear();
  }

  fire(kind: number, subject: unknown): void {
    switch (kind) {
      case RESTART_DUE: {
        // As mail: the next turn begins only when the outcome of a pending commit is known.
        const cell = subject as ActorCell;
        if (this.#cells.get(cell.slot) === cell) this.#home.putFirst({ kind: MAIL_START, cell });
        return;
      }
      case TIMER_DUE: {
        const timer = subject as Timer;
        timer.event = undefined;
        this.#home.put(timer);
        return;
      }
      default:
        throw new InvariantError(`actors know no event ${kind}`);
    }
  }

  // ── What they are told ─────────────────────────────────────────────────────────────────────────────────────────

  /** Gives a mail to whom it is for. If the actor throws, it has failed. */
  deliver(mail: Mail): void {
    const cell = mail.kind === MAIL_ANSWER || mail.kind === MAIL_FAILURE ? mail.to.cell : mail.cell;
    try {
      switch (mail.kind) {
        case MAIL_REQUEST:
          this.#request(cell, mail);
          return;
        case MAIL_ANSWER:
          this.#answer(cell, mail);
          return;
        case MAIL_FAILURE: {
          const { to, failure } = mail;
          if (!isCurrent(cell, to.incarnation)) return;
          to.concluded = true;
          this.#note('failed', cell.slot, to.id, FAILURES.indexOf(failure));
          cell.actor!.failed?.(to.correlation, failure, cell.context!);
          return;
        }
        case MAIL_TIMER:
          if (!cell.timers.delete(mail.id)) return;
          this.#note('timer', cell.slot, mail.id);
          cell.actor!.timer?.(mail.message, cell.context!);
          return;
        case MAIL_START:
          this.#start(cell);
          return;
        case MAIL_COMMIT_FAILED:
          if (!isCurrent(cell, mail.incarnation)) return;
          cell.actor!.commitFailed?.(mail.error, cell.context!);
          return;
      }
    } catch (error) {
      // Nothing damages a simulated frame: its codec is wrong, and no restart would help.
      if (error instanceof FrameError) throw error;
      this.failed(cell, error);
    }
  }

  #request(cell: ActorCell, request: Request): void {
    // An answered one failed with the actor that it was waiting for.
    if (request.answered) return;
    const { body } = request;
    const message = body === undefined ? request.message : decode(cell.conversation.request, body);
    request.received = true;
    this.#note('receive', cell.slot, request.requestId, request.fromThread);
    cell.actor!.receive(message, request, cell.context!);
  }

  #answer(cell: ActorCell, { to, interim, message, body }: AnswerMail): void {
    if (!isCurrent(cell, to.incarnation) || to.concluded) return;
    to.concluded = !interim;
    this.#note('answered', cell.slot, to.id, interim ? 1 : 0);
    const answer = body === undefined ? message : decode(to.conversation.answer, body);
    cell.actor!.answered?.(to.correlation, answer, interim, cell.context!);
  }

  #start(cell: ActorCell): void {
    // A crash that was planned before the first start leaves two starts due.
    if (cell.actor !== undefined) return;
    if (!cell.alive) {
      cell.incarnation++;
      cell.alive = true;
    }
    this.#note('actor-start', cell.slot, cell.incarnation);
    cell.context = new CellContext(this, cell, this.#random.fork());
    cell.actor = cell.factory(cell.context);
    cell.actor.start?.(cell.context);
  }

  /** The actor threw: everything asked of it fails, and its supervisor decides what becomes of it. */
  failed(cell: ActorCell, error: unknown): void {
    const { time, trace } = this.#world;
    const { thread, clock } = this.#home;
    const { slot } = cell;
    const decision = cell.supervision.failed(clock.monotonic(time));
    const escalates = decision.type === 'escalate';
    trace.note(time, thread, 'actor-crash', slot, cell.incarnation, escalates ? -1 : decision.delayMs, `${error}`);
    cell.alive = false;
    cell.actor = undefined;
    this.#dropTimers(cell);
    const unanswered = [...cell.unanswered];
    cell.unanswered.clear();
    for (const request of unanswered) {
      request.answered = true;
      // A waiting copy was not received, but another copy may have been.
      this.#correspondence.sendFailure(request, request.received || request.copies !== undefined ? 'died' : 'stale');
    }
    this.#world.actorFailed({ time, thread, slot, error, escalates });
    if (escalates) this.#home.escalate(error);
    else this.#world.schedule(time + decision.delayMs, this, RESTART_DUE, cell);
  }

  #dropTimers(cell: ActorCell): void {
    for (const timer of cell.timers.values()) if (timer.event !== undefined) this.#world.cancel(timer.event);
    cell.timers.clear();
  }

  // ── What they ask of their contexts ────────────────────────────────────────────────────────────────────────────

  nowFor(cell: ActorCell, incarnation: number): number {
    this.#assertInTurn(cell, incarnation);
    return this.#home.nowMs;
  }

  wallClockFor(cell: ActorCell, incarnation: number): number {
    this.#assertInTurn(cell, incarnation);
    return this.#home.clock.wall(this.#world.time);
  }

  request(
    cell: ActorCell,
    incarnation: number,
    ref: ActorRef<unknown, unknown>,
    message: unknown,
    correlation: number,
  ): void {
    this.#assertInTurn(cell, incarnation);
    this.#correspondence.request(cell, ref, message, correlation);
  }

  notice(cell: ActorCell, incarnation: number, request: Request, answer: unknown): void {
    this.#assertInHand(cell, incarnation, request);
    assert(!request.noticed, 'a request is noticed at most once');
    request.noticed = true;
    const body = this.#correspondence.encodeAnswer(request, answer);
    this.#correspondence.sendAnswer(request, true, answer, body);
  }

  reply(cell: ActorCell, incarnation: number, request: Request, answer: unknown, release: Release): void {
    this.#assertInHand(cell, incarnation, request);
    // Encoded now: the bytes of an answer may be a storage's, valid only until its next call.
    const body = this.#correspondence.encodeAnswer(request, answer);
    request.answered = true;
    cell.unanswered.delete(request);
    if (release === 'now') this.#correspondence.sendAnswer(request, false, answer, body);
    else this.#ending.hold({ request, release, message: answer, body });
  }

  after(cell: ActorCell, incarnation: number, delayMs: number, message: unknown): TimerId {
    this.#assertInTurn(cell, incarnation);
    assert(delayMs >= 0, 'a timer is due now or later');
    const timer: Timer = { kind: MAIL_TIMER, id: this.#nextTimer++, cell, message, event: undefined };
    const lag = unit(this.#random) * this.#world.pace.timerLagMs;
    const due = this.#world.time + this.#home.clock.virtualDuration(delayMs) + lag;
    timer.event = this.#world.schedule(due, this, TIMER_DUE, timer);
    cell.timers.set(timer.id, timer);
    return timer.id;
  }

  cancel(cell: ActorCell, incarnation: number, id: TimerId): void {
    this.#assertInTurn(cell, incarnation);
    const timer = cell.timers.get(id);
    if (timer === undefined) return;
    cell.timers.delete(id);
    if (timer.event !== undefined) this.#world.cancel(timer.event);
  }

  pulseFor(cell: ActorCell, incarnation: number, thread: number): number {
    this.#assertInTurn(cell, incarnation);
    return this.#correspondence.pulse(thread);
  }

  committingFor(cell: ActorCell, incarnation: number, thread: number): boolean {
    this.#assertInTurn(cell, incarnation);
    return this.#correspondence.committing(thread);
  }

  #assertInTurn(cell: ActorCell, incarnation: number): void {
    assert(this.#home.inTurn, 'a context is used only inside its actor');
    assert(cell.alive && cell.incarnation === incarnation, 'a context is used only by its own incarnation');
  }

  #assertInHand(cell: ActorCell, incarnation: number, request: Request): void {
    this.#assertInTurn(cell, incarnation);
    assert(
      request instanceof Request && request.cell === cell && request.incarnation === incarnation && !request.answered,
      'only a request in hand can be answered, once, by the incarnation that received it',
    );
  }

  #note(kind: TraceKind, a = 0, b = 0, c = 0): void {
    this.#world.trace.note(this.#world.time, this.#home.thread, kind, a, b, c);
  }
}

function isCurrent(cell: ActorCell, incarnation: number): boolean {
  return cell.alive && cell.incarnation === incarnation && cell.actor !== undefined;
}
