/**
 * One thread of a simulation: hosts actors as a worker thread does, in virtual time.
 *
 *     idle ──mail──▶ turn: receive each mail, send what is released 'now'
 *       ▲              │ nothing to commit, no reply held ─────────────────────────▶ idle
 *       │              ▼
 *       └── release ◀─ committing: for as long as the disk takes; mail waits; a crash leaves the outcome open
 *
 * What a turn sends leaves at once; what it holds leaves when `#endCommit` knows the outcome. A crash may fall on any
 * virtual instant, hence before, within and after a commit, and by `crashAt` on the points within one instant.
 */
import { assert, InvariantError } from '../../base/assert.js';
import { below, type SeededRandom, unit } from '../../base/random.js';
import {
  type Actor,
  type ActorFactory,
  type ActorHost,
  type ActorRef,
  type Committer,
  type Conversation,
  DEFAULT_SUPERVISION,
  FrameError,
  type Release,
  refAt,
  type SupervisionPolicy,
  type TimerId,
} from '../actor.js';
import { Supervision } from '../supervision.js';
import { type ActorCell, CellContext, type CellHost } from './actor-cell.js';
import { Correspondence, type Correspondent } from './correspondence.js';
import type { EventReceiver, ScheduledEvent } from './event-queue.js';
import { decode } from './frame.js';
import { type CommitOutcome, errorOf, GroupCommit, NOTHING_THROWN } from './group-commit.js';
import {
  FAILURES,
  type Frame,
  MAIL_ANSWER,
  MAIL_COMMIT_FAILED,
  MAIL_FAILURE,
  MAIL_REQUEST,
  MAIL_START,
  MAIL_TIMER,
  type Mail,
  MailQueue,
  Request,
  type Timer,
} from './mail.js';
import type { SimulatedClock } from './simulated-clock.js';
import { type CrashPoint, type Downfall, MAX_TURN, type World } from './world.js';

type Phase = 'down' | 'idle' | 'turn' | 'committing';

const WAKE = 0;
const END_COMMIT = 1;
const RESTART_DUE = 2;
const LOST = 3;
const TIMER_DUE = 4;
const STOP_OVERDUE = 5;

const DEFAULT_MAILBOX = 4_096;
/** One turn in so many takes its mails out of order. */
const SHUFFLE_ONE_IN = 4;
/** One turn in so many is shorter than it need be. */
const SHORT_ONE_IN = 4;

/** What puts the actors and storages into a thread, anew for each of its incarnations. */
export type ThreadSetup = (host: ActorHost) => void;

export class SimulatedThread implements ActorHost, CellHost, Correspondent, EventReceiver {
  readonly thread: number;
  readonly clock: SimulatedClock;
  /** Counts the starts of this thread; 0 before the first. */
  incarnation = 0;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #policy: SupervisionPolicy;
  readonly #correspondence: Correspondence;
  readonly #ending = new GroupCommit();
  readonly #cells = new Map<number, ActorCell>();
  /** Starts and failed commits: they go before everything else. */
  readonly #first = new MailQueue();
  readonly #inbox = new MailQueue();
  #phase: Phase = 'down';
  /** The wake-up, or the end of the commit, that is due. */
  #due: ScheduledEvent | undefined;
  #busyUntil = 0;
  #pausedUntil = 0;
  /** What the running turn has cost so far, in milliseconds. */
  #worked = 0;
  #nowMs = 0;
  #nextTimer = 1;
  #crashPoint: CrashPoint | undefined;
  /** Set within a turn that is not to be finished. */
  #downfall: Downfall | undefined;
  #stopping = false;
  /** True once the actors were told to stop, until what they wrote is committed. */
  #stopped = false;
  #stopOverdue: ScheduledEvent | undefined;

  constructor(
    world: World,
    thread: number,
    random: SeededRandom,
    clock: SimulatedClock,
    policy: SupervisionPolicy = DEFAULT_SUPERVISION,
  ) {
    this.#world = world;
    this.thread = thread;
    this.#random = random;
    this.clock = clock;
    this.#policy = policy;
    this.#correspondence = new Correspondence(world, this, random);
  }

  get up(): boolean {
    return this.#phase !== 'down';
  }

  get paused(): boolean {
    return this.#world.time < this.#pausedUntil;
  }

  /** True between the end of a turn's receiving and the outcome of its commit. */
  get committing(): boolean {
    return this.#phase === 'committing';
  }

  // ── Life of the thread ─────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Starts the thread and lets `setup` put its actors in. If that throws, the thread is down again: as one that failed
   * if this was a restart, else by throwing on.
   */
  start(setup: ThreadSetup, restart: boolean): void {
    assert(!this.up, 'a thread that is up cannot be started');
    this.incarnation++;
    this.#phase = 'idle';
    this.#busyUntil = this.#world.time;
    this.#pausedUntil = 0;
    this.#correspondence.begin();
    this.#note('thread-start', this.incarnation);
    try {
      setup(this);
    } catch (error) {
      this.#goDown(restart ? { type: 'failed', error } : { type: 'crashed' });
      if (!restart) throw error;
    }
  }

  /** Kills the thread at this instant. What it held is gone; a commit under way ends one way or the other. */
  crash(why: Downfall): void {
    assert(this.up, 'a thread that is down cannot crash');
    this.#note('thread-crash', this.incarnation, this.#phase === 'committing' ? 1 : 0);
    if (this.#phase === 'committing') this.#ending.commitHalfway(() => below(this.#random, 2) === 0);
    this.#goDown(why);
  }

  /** Kills the thread at a point of its next turn that gets there. */
  crashAt(point: CrashPoint): void {
    this.#crashPoint = point;
  }

  /** Lets the thread stand still until `ms` from now: it takes no turn and ends no commit. Mail and timers gather. */
  pause(ms: number): void {
    this.#note('pause', ms);
    this.#pausedUntil = Math.max(this.#pausedUntil, this.#world.time + ms);
  }

  /**
   * Stops the thread cleanly: requests are 'unreachable' from now on; once every one in hand is answered, actors are
   * told `stop`, and what they write is committed. Asserts that this is so within `withinMs`.
   */
  stop(withinMs: number): void {
    assert(this.up, 'a thread that is down cannot be stopped');
    if (this.#stopping) return;
    this.#stopping = true;
    this.#stopOverdue = this.#world.schedule(this.#world.time + withinMs, this, STOP_OVERDUE, undefined);
    if (this.#phase === 'idle') this.#wakeSoon();
  }

  /** Runs `action` as a turn of its own, in which the contexts of this thread's actors can be used. */
  outside<T>(action: () => T): T {
    assert(this.#phase === 'idle' && !this.paused, 'code from outside runs only on a thread that is up and not busy');
    this.#beginTurn();
    try {
      return action();
    } finally {
      this.#endTurn();
    }
  }

  /** The incarnation of the actor in `slot`, or 0 if none lives there. */
  actorIncarnation(slot: number): number {
    const cell = this.#cells.get(slot);
    return cell?.alive ? cell.incarnation : 0;
  }

  /** Fails an actor as if it had thrown `error`. */
  crashActor(slot: number, error: unknown): void {
    const cell = this.#cells.get(slot);
    assert(cell?.alive, 'an actor that does not live cannot crash');
    this.#actorFailed(cell, error);
    if (this.#downfall !== undefined) this.crash(this.#downfall);
  }

  // ── ActorHost ──────────────────────────────────────────────────────────────────────────────────────────────────

  spawn<Asked, Answer, Answers>(
    slot: number,
    conversation: Conversation<Asked, Answer>,
    factory: ActorFactory<Actor<Asked, Answer, Answers>>,
    options: { readonly mailbox?: number } = {},
  ): ActorRef<Asked, Answer> {
    assert(this.up, 'actors are spawned on a thread that is up');
    assert(slot >= 0 && slot < 0x1_0000 && !this.#cells.has(slot), 'an actor is spawned into a free slot');
    const cell: ActorCell = {
      slot,
      conversation,
      factory: factory as ActorFactory<Actor<unknown, unknown, unknown>>,
      mailbox: options.mailbox ?? DEFAULT_MAILBOX,
      supervision: new Supervision(this.#policy),
      incarnation: 1,
      alive: true,
      actor: undefined,
      context: undefined,
      unanswered: new Set(),
      timers: new Map(),
    };
    this.#cells.set(slot, cell);
    this.#putFirst({ kind: MAIL_START, cell });
    return refAt(conversation, this.thread, slot);
  }

  addCommitter(committer: Committer): void {
    this.#ending.add(committer);
  }

  // ── What actors ask of their context ───────────────────────────────────────────────────────────────────────────

  nowFor(cell: ActorCell, incarnation: number): number {
    this.#assertInTurn(cell, incarnation);
    return this.#nowMs;
  }

  wallClockFor(cell: ActorCell, incarnation: number): number {
    this.#assertInTurn(cell, incarnation);
    return this.clock.wall(this.#world.time);
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
    request.answered = true;
    cell.unanswered.delete(request);
    // Encoded now: the bytes of an answer may be a storage's, valid only until its next call.
    const body = this.#correspondence.encodeAnswer(request, answer);
    if (release === 'now') this.#correspondence.sendAnswer(request, false, answer, body);
    else this.#ending.hold({ request, release, message: answer, body });
  }

  after(cell: ActorCell, incarnation: number, delayMs: number, message: unknown): TimerId {
    this.#assertInTurn(cell, incarnation);
    assert(delayMs >= 0, 'a timer is due now or later');
    const timer: Timer = { kind: MAIL_TIMER, id: this.#nextTimer++, cell, message, event: undefined };
    const lag = unit(this.#random) * this.#world.pace.timerLagMs;
    const due = this.#world.time + this.clock.virtualDuration(delayMs) + lag;
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

  // ── Events ─────────────────────────────────────────────────────────────────────────────────────────────────────

  fire(kind: number, subject: unknown): void {
    switch (kind) {
      case WAKE:
        this.#due = undefined;
        this.#turn();
        return;
      case END_COMMIT:
        this.#due = undefined;
        this.#endCommit();
        return;
      case RESTART_DUE:
        // As mail: the next turn begins only when the outcome of a pending commit is known.
        if (this.#cells.get((subject as ActorCell).slot) === subject) {
          this.#putFirst({ kind: MAIL_START, cell: subject as ActorCell });
        }
        return;
      case LOST:
        this.#correspondence.lossDetected(subject as number);
        return;
      case TIMER_DUE: {
        const timer = subject as Timer;
        timer.event = undefined;
        this.put(timer);
        return;
      }
      case STOP_OVERDUE: {
        const forgetful = [...this.#cells.values()].filter((cell) => cell.unanswered.size > 0);
        const list = forgetful.map((cell) => `slot ${cell.slot} (${cell.conversation.name}): ${cell.unanswered.size}`);
        throw new InvariantError(`at the stop of thread ${this.thread}, requests are unanswered: ${list.join(', ')}`);
      }
      default:
        throw new InvariantError(`a thread knows no event ${kind}`);
    }
  }

  // ── Correspondence ─────────────────────────────────────────────────────────────────────────────────────────────

  get stopping(): boolean {
    return this.#stopping;
  }

  get departure(): number {
    return this.#world.time + (this.#phase === 'turn' ? this.#worked : 0);
  }

  cellAt(slot: number): ActorCell | undefined {
    return this.#cells.get(slot);
  }

  put(mail: Mail): void {
    this.#inbox.push(mail);
    if (this.#phase === 'idle' && this.#due === undefined) this.#wakeSoon();
  }

  scheduleLoss(time: number, requestId: number): void {
    this.#world.schedule(time, this, LOST, requestId);
  }

  /** A frame arrives. The network has let it through. */
  arrive(frame: Frame): void {
    this.#correspondence.arrive(frame);
  }

  /** A frame of a request of this thread's was lost. */
  frameLost(requestId: number): void {
    this.#correspondence.frameLost(requestId);
  }

  /** This thread learns that another is up or down. */
  peerIs(peer: number, incarnation: number, up: boolean): void {
    this.#correspondence.peerIs(peer, incarnation, up);
  }

  /** The connections that a cut had broken can be made again. */
  reconnect(): void {
    this.#correspondence.reconnect();
  }

  // ── A turn ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #turn(): void {
    if (this.paused) {
      this.#due = this.#world.schedule(this.#pausedUntil, this, WAKE, undefined);
      return;
    }
    this.#beginTurn();
    this.#note('turn', this.incarnation, this.#inbox.size);
    if (below(this.#random, SHUFFLE_ONE_IN) === 0) this.#inbox.shuffle((bound) => below(this.#random, bound));
    let budget = below(this.#random, SHORT_ONE_IN) === 0 ? 1 + below(this.#random, 8) : MAX_TURN;
    if (this.#crashPoint === 'mid-turn') budget = below(this.#random, Math.min(budget, this.#inbox.size + 1));
    while (this.#downfall === undefined) {
      if (this.#first.size > 0) this.#deliver(this.#first.shift());
      else if (budget-- > 0 && this.#inbox.size > 0) this.#deliver(this.#inbox.shift());
      else break;
      this.#worked += this.#world.pace.perMailMs;
    }
    if (this.#downfall === undefined && this.#stopping && this.#inbox.size === 0 && this.#nothingInHand()) {
      this.#stopActors();
    }
    if (this.#reached('mid-turn') || this.#reached('before-commit')) this.#downfall = { type: 'crashed' };
    this.#endTurn();
  }

  #beginTurn(): void {
    this.#phase = 'turn';
    this.#worked = 0;
    this.#nowMs = this.clock.monotonic(this.#world.time);
  }

  #endTurn(): void {
    if (this.#downfall !== undefined) {
      this.#note('turn-cut');
      this.#fall();
      return;
    }
    this.#busyUntil = this.#world.time + this.#worked;
    const commitMs = this.#ending.drawMs();
    if (commitMs === undefined) {
      this.#releaseHeld(NOTHING_THROWN);
      this.#rest();
      return;
    }
    this.#note('commit', commitMs, this.#ending.holding);
    this.#phase = 'committing';
    if (this.#due !== undefined) this.#world.cancel(this.#due);
    this.#due = this.#world.schedule(this.#busyUntil + commitMs, this, END_COMMIT, undefined);
  }

  #endCommit(): void {
    if (this.paused) {
      this.#due = this.#world.schedule(this.#pausedUntil, this, END_COMMIT, undefined);
      return;
    }
    this.#worked = 0;
    const outcome = this.#ending.commit();
    if (this.#reached('after-commit')) {
      this.#note('thread-crash', this.incarnation, 2);
      this.#goDown({ type: 'crashed' });
      return;
    }
    this.#releaseHeld(outcome);
    this.#rest();
  }

  #releaseHeld(outcome: CommitOutcome): void {
    if (this.#ending.holding === 0) return;
    this.#note('committed', outcome.commitError === undefined ? 0 : 1, this.#ending.holding);
    const told = new Set<ActorCell>();
    for (const reply of this.#ending.takeHeld()) {
      const { request, message, body } = reply;
      const error = errorOf(reply, outcome);
      if (error === undefined) {
        this.#correspondence.sendAnswer(request, false, message, body);
        continue;
      }
      this.#correspondence.sendFailure(request, 'commit-failed');
      const { cell, incarnation } = request;
      if (told.has(cell)) continue;
      told.add(cell);
      this.#putFirst({ kind: MAIL_COMMIT_FAILED, cell, incarnation, error: error.cause });
    }
  }

  /** After a turn: waits for mail, or goes on with what came meanwhile, or is done. */
  #rest(): void {
    this.#phase = 'idle';
    if (this.#stopped) {
      this.#note('thread-stop', this.incarnation);
      this.#goDown({ type: 'stopped' });
      return;
    }
    if (this.#due !== undefined) return;
    const mail = this.#first.size > 0 || this.#inbox.size > 0;
    if (mail || (this.#stopping && this.#nothingInHand())) this.#wakeSoon();
  }

  // ── Delivery ───────────────────────────────────────────────────────────────────────────────────────────────────

  #deliver(mail: Mail): void {
    let cell: ActorCell;
    switch (mail.kind) {
      case MAIL_REQUEST:
      case MAIL_TIMER:
      case MAIL_START:
      case MAIL_COMMIT_FAILED:
        cell = mail.cell;
        break;
      default:
        cell = mail.to.cell;
    }
    try {
      switch (mail.kind) {
        case MAIL_REQUEST:
          this.#deliverRequest(cell, mail);
          return;
        case MAIL_ANSWER: {
          const { to, interim, body } = mail;
          if (!this.#isCurrent(cell, to.incarnation) || to.concluded) return;
          to.concluded = !interim;
          const message = body === undefined ? mail.message : decode(to.conversation.answer, body);
          this.#note('answered', cell.slot, to.id, interim ? 1 : 0);
          cell.actor!.answered?.(to.correlation, message, interim, cell.context!);
          return;
        }
        case MAIL_FAILURE: {
          const { to, failure } = mail;
          if (!this.#isCurrent(cell, to.incarnation)) return;
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
          this.#startActor(cell);
          return;
        case MAIL_COMMIT_FAILED:
          if (!this.#isCurrent(cell, mail.incarnation)) return;
          cell.actor!.commitFailed?.(mail.error, cell.context!);
          return;
      }
    } catch (error) {
      // Nothing damages a simulated frame: its codec is wrong, and no restart would help.
      if (error instanceof FrameError) throw error;
      this.#actorFailed(cell, error);
    }
  }

  #deliverRequest(cell: ActorCell, request: Request): void {
    // An answered one failed with the actor that it was waiting for.
    if (request.answered) return;
    const { body } = request;
    const message = body === undefined ? request.message : decode(cell.conversation.request, body);
    request.received = true;
    this.#note('receive', cell.slot, request.requestId, request.fromThread);
    cell.actor!.receive(message, request, cell.context!);
  }

  #startActor(cell: ActorCell): void {
    if (!cell.alive) {
      cell.incarnation++;
      cell.alive = true;
    }
    this.#note('actor-start', cell.slot, cell.incarnation);
    cell.context = new CellContext(this, cell, this.#random.fork());
    cell.actor = cell.factory(cell.context);
    cell.actor.start?.(cell.context);
  }

  #stopActors(): void {
    for (const cell of this.#cells.values()) {
      if (!cell.alive || cell.actor === undefined) continue;
      try {
        cell.actor.stop?.(cell.context!);
      } catch (error) {
        this.#actorFailed(cell, error);
      }
    }
    this.#stopped = true;
  }

  #isCurrent(cell: ActorCell, incarnation: number): boolean {
    return cell.alive && cell.incarnation === incarnation && cell.actor !== undefined;
  }

  /** The actor threw: everything asked of it fails, and its supervisor decides what becomes of it. */
  #actorFailed(cell: ActorCell, error: unknown): void {
    const decision = cell.supervision.failed(this.clock.monotonic(this.#world.time));
    const escalates = decision.type === 'escalate';
    const delay = escalates ? -1 : decision.delayMs;
    this.#world.trace.note(
      this.#world.time,
      this.thread,
      'actor-crash',
      cell.slot,
      cell.incarnation,
      delay,
      `${error}`,
    );
    cell.alive = false;
    cell.actor = undefined;
    for (const timer of cell.timers.values()) if (timer.event !== undefined) this.#world.cancel(timer.event);
    cell.timers.clear();
    const unanswered = [...cell.unanswered];
    cell.unanswered.clear();
    for (const request of unanswered) {
      request.answered = true;
      // A waiting copy was not received, but another copy may have been.
      this.#correspondence.sendFailure(request, request.received || request.copies !== undefined ? 'died' : 'stale');
    }
    this.#world.actorFailed({ time: this.#world.time, thread: this.thread, slot: cell.slot, error, escalates });
    if (decision.type === 'escalate') this.#downfall = { type: 'failed', error };
    else this.#world.schedule(this.#world.time + decision.delayMs, this, RESTART_DUE, cell);
  }

  // ── Mailbox ────────────────────────────────────────────────────────────────────────────────────────────────────

  #putFirst(mail: Mail): void {
    this.#first.push(mail);
    if (this.#phase === 'idle' && this.#due === undefined) this.#wakeSoon();
  }

  #wakeSoon(): void {
    if (this.#due !== undefined) return;
    const { time, pace } = this.#world;
    const at = Math.max(time, this.#busyUntil, this.#pausedUntil) + unit(this.#random) * pace.wakeMs;
    this.#due = this.#world.schedule(at, this, WAKE, undefined);
  }

  #nothingInHand(): boolean {
    for (const cell of this.#cells.values()) if (cell.unanswered.size > 0) return false;
    return true;
  }

  // ── Going down ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** True, once, if the thread is to crash at this point of its turn. */
  #reached(point: CrashPoint): boolean {
    if (this.#crashPoint !== point) return false;
    this.#crashPoint = undefined;
    return true;
  }

  #fall(): void {
    const why = this.#downfall!;
    this.#note('thread-crash', this.incarnation, 3);
    this.#goDown(why);
  }

  #goDown(why: Downfall): void {
    if (this.#due !== undefined) this.#world.cancel(this.#due);
    if (this.#stopOverdue !== undefined) this.#world.cancel(this.#stopOverdue);
    for (const cell of this.#cells.values()) {
      cell.alive = false;
      for (const timer of cell.timers.values()) if (timer.event !== undefined) this.#world.cancel(timer.event);
    }
    this.#due = undefined;
    this.#stopOverdue = undefined;
    this.#cells.clear();
    this.#correspondence.end();
    this.#first.clear();
    this.#inbox.clear();
    this.#ending.clear();
    this.#crashPoint = undefined;
    this.#downfall = undefined;
    this.#stopping = false;
    this.#stopped = false;
    this.#phase = 'down';
    this.#world.threadWentDown(this.thread, why);
  }

  // ── Assertions, notes ──────────────────────────────────────────────────────────────────────────────────────────

  #assertInTurn(cell: ActorCell, incarnation: number): void {
    assert(this.#phase === 'turn', 'a context is used only inside its actor');
    assert(cell.alive && cell.incarnation === incarnation, 'a context is used only by its own incarnation');
  }

  #assertInHand(cell: ActorCell, incarnation: number, request: Request): void {
    this.#assertInTurn(cell, incarnation);
    assert(
      request instanceof Request && request.cell === cell && request.incarnation === incarnation && !request.answered,
      'only a request in hand can be answered, once, by the incarnation that received it',
    );
  }

  #note(kind: Parameters<World['trace']['note']>[2], a = 0, b = 0, c = 0): void {
    this.#world.trace.note(this.#world.time, this.thread, kind, a, b, c);
  }
}
