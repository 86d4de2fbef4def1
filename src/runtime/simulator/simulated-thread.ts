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
  type CommitEnded,
  type Committer,
  type Conversation,
  DEFAULT_SUPERVISION,
  PULSE_MS,
  refAt,
  type SupervisionPolicy,
} from '../actor.js';
import { commitFailureOf } from '../commit-failure.js';
import { Supervision } from '../supervision.js';
import type { ActorCell } from './actor-cell.js';
import { Correspondence, type Correspondent } from './correspondence.js';
import type { EventReceiver, ScheduledEvent } from './event-queue.js';
import { type CommitOutcome, errorOf, GroupCommit, NOTHING_THROWN } from './group-commit.js';
import { type Frame, MAIL_COMMIT_FAILED, type Mail, MailQueue } from './mail.js';
import { type Residence, Residents } from './residents.js';
import type { SimulatedClock } from './simulated-clock.js';
import type { TraceKind } from './trace.js';
import { type CrashPoint, type Downfall, MAX_TURN, type World } from './world.js';

type Phase = 'down' | 'idle' | 'turn' | 'committing';

const WAKE = 0;
const END_COMMIT = 1;
const LOST = 2;
const STOP_OVERDUE = 3;

const DEFAULT_MAILBOX = 4_096;
/** One turn in so many takes its mails out of order. */
const SHUFFLE_ONE_IN = 4;
/** One turn in so many is shorter than it need be. */
const SHORT_ONE_IN = 4;

/** What puts the actors and storages into a thread, anew for each of its incarnations. */
export type ThreadSetup = (host: ActorHost) => void;

export class SimulatedThread implements ActorHost, Correspondent, Residence, EventReceiver {
  readonly thread: number;
  readonly clock: SimulatedClock;
  /** Counts the starts of this thread; 0 before the first. */
  incarnation = 0;
  /** What the monotonic clock showed at the beginning of the turn. */
  nowMs = 0;
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #policy: SupervisionPolicy;
  readonly #correspondence: Correspondence;
  readonly #ending = new GroupCommit();
  readonly #residents: Residents;
  /** Starts and failed commits: they go before everything else. */
  readonly #first = new MailQueue();
  readonly #inbox = new MailQueue();
  #phase: Phase = 'down';
  /** The wake-up, or the end of the commit, that is due. */
  #due: ScheduledEvent | undefined;
  #busyUntil = 0;
  #pausedUntil = 0;
  #pausedAt = 0;
  /** When the commit under way began. */
  #committingSince = 0;
  #downSince = 0;
  #turns = 0;
  /** What the running turn has cost so far, in milliseconds. */
  #worked = 0;
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
    this.#residents = new Residents(world, this, random, this.#correspondence, this.#ending);
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

  /** How far its event loop has come: a beat with every turn, and one each `PULSE_MS` while it does not stand still. */
  get pulse(): number {
    let until = this.#world.time;
    if (this.#phase === 'down') until = this.#downSince;
    if (this.#phase === 'committing') until = this.#committingSince;
    if (this.paused) until = Math.min(until, this.#pausedAt);
    return this.#turns + Math.floor(until / PULSE_MS);
  }

  // ── Life of the thread ────────────────────────────────────────────────────────────────────────────────────────────

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
    if (!this.paused) this.#pausedAt = this.#world.time;
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
    const cell = this.#residents.at(slot);
    return cell?.alive ? cell.incarnation : 0;
  }

  /** Fails an actor as if it had thrown `error`. */
  crashActor(slot: number, error: unknown): void {
    const cell = this.#residents.at(slot);
    assert(cell?.alive, 'an actor that does not live cannot crash');
    this.#residents.failed(cell, error);
    if (this.#downfall !== undefined) this.crash(this.#downfall);
  }

  // ── ActorHost ─────────────────────────────────────────────────────────────────────────────────────────────────────

  spawn<Asked, Answer, Answers>(
    slot: number,
    conversation: Conversation<Asked, Answer>,
    factory: ActorFactory<Actor<Asked, Answer, Answers>>,
    options: { readonly mailbox?: number } = {},
  ): ActorRef<Asked, Answer> {
    assert(this.up, 'actors are spawned on a thread that is up');
    assert(slot >= 0 && slot < 0x1_0000, 'a slot is from 0 to 65,535');
    this.#residents.add({
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
    });
    return refAt(conversation, this.thread, slot);
  }

  addCommitter(committer: Committer, ended?: CommitEnded): void {
    this.#ending.add(committer, ended);
  }

  // ── Events ────────────────────────────────────────────────────────────────────────────────────────────────────────

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
      case LOST:
        this.#correspondence.lossDetected(subject as number);
        return;
      case STOP_OVERDUE: {
        const list = this.#residents.unanswered();
        throw new InvariantError(`at the stop of thread ${this.thread}, requests are unanswered: ${list.join(', ')}`);
      }
      default:
        throw new InvariantError(`a thread knows no event ${kind}`);
    }
  }

  // ── What its parts ask of it ──────────────────────────────────────────────────────────────────────────────────────

  get stopping(): boolean {
    return this.#stopping;
  }

  get inTurn(): boolean {
    return this.#phase === 'turn';
  }

  get departure(): number {
    return this.#world.time + (this.#phase === 'turn' ? this.#worked : 0);
  }

  cellAt(slot: number): ActorCell | undefined {
    return this.#residents.at(slot);
  }

  put(mail: Mail): void {
    this.#inbox.push(mail);
    if (this.#phase === 'idle' && this.#due === undefined) this.#wakeSoon();
  }

  putFirst(mail: Mail): void {
    this.#first.push(mail);
    if (this.#phase === 'idle' && this.#due === undefined) this.#wakeSoon();
  }

  escalate(error: unknown): void {
    this.#downfall = { type: 'failed', error };
  }

  scheduleLoss(time: number, requestId: number): void {
    this.#world.schedule(time, this, LOST, requestId);
  }

  // ── News from the network ─────────────────────────────────────────────────────────────────────────────────────────

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

  // ── A turn ────────────────────────────────────────────────────────────────────────────────────────────────────────

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
      if (this.#first.size > 0) this.#residents.deliver(this.#first.shift());
      else if (budget-- > 0 && this.#inbox.size > 0) this.#residents.deliver(this.#inbox.shift());
      else break;
      this.#worked += this.#world.pace.perMailMs;
    }
    if (this.#downfall === undefined && this.#stopping && this.#inbox.size === 0 && this.#residents.nothingInHand()) {
      this.#residents.stop();
      this.#stopped = true;
    }
    if (this.#reached('mid-turn') || this.#reached('before-commit')) this.#downfall = { type: 'crashed' };
    this.#endTurn();
  }

  #beginTurn(): void {
    this.#phase = 'turn';
    this.#turns++;
    this.#worked = 0;
    this.nowMs = this.clock.monotonic(this.#world.time);
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
    this.#committingSince = this.#world.time;
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
      this.#correspondence.sendFailure(request, commitFailureOf(error.cause));
      const { cell, incarnation } = request;
      if (told.has(cell)) continue;
      told.add(cell);
      this.putFirst({ kind: MAIL_COMMIT_FAILED, cell, incarnation, error: error.cause });
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
    if (mail || (this.#stopping && this.#residents.nothingInHand())) this.#wakeSoon();
  }

  // ── Mailbox ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #wakeSoon(): void {
    if (this.#due !== undefined) return;
    const { time, pace } = this.#world;
    const at = Math.max(time, this.#busyUntil, this.#pausedUntil) + unit(this.#random) * pace.wakeMs;
    this.#due = this.#world.schedule(at, this, WAKE, undefined);
  }

  // ── Going down ────────────────────────────────────────────────────────────────────────────────────────────────────

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
    this.#due = undefined;
    this.#stopOverdue = undefined;
    this.#residents.clear();
    this.#correspondence.end();
    this.#first.clear();
    this.#inbox.clear();
    this.#ending.clear();
    this.#crashPoint = undefined;
    this.#downfall = undefined;
    this.#stopping = false;
    this.#stopped = false;
    this.#phase = 'down';
    this.#downSince = this.#world.time;
    this.#world.threadWentDown(this.thread, why);
  }

  #note(kind: TraceKind, a = 0, b = 0, c = 0): void {
    this.#world.trace.note(this.#world.time, this.thread, kind, a, b, c);
  }
}
