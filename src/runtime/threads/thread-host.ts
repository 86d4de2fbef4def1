/**
 * The host of one thread's actors: takes their mail, gives it to them, ends each turn with one commit.
 *
 *     turn: starts, timers ─▶ local queue ─▶ bodies ─▶ lanes ─▶ local queue
 *                                                       └──◀── some frames at a time, at most `turnFrames`, and `TURN_MS`
 *           ─▶ publish what was released 'now' ─▶ commit, release what was held (commit-stage.ts) ─▶ publish
 *
 * Its parts: actor-table.ts calls the actors, link-table.ts reaches the other threads, turn-loop.ts says when a turn is
 * due. What stays on the thread is passed as it is; only what leaves it is encoded.
 */
import { assert } from '../../base/assert.js';
import type { Random } from '../../base/random.js';
import {
  type Actor,
  type ActorFactory,
  type ActorHost,
  type ActorRef,
  type CommitEnded,
  type Committer,
  type Conversation,
  DEFAULT_SUPERVISION,
  type Failure,
  type Release,
  refAt,
  type SupervisionPolicy,
  slotOf,
  type TimerId,
  threadOf,
} from '../actor.js';
import type { ActorCell } from './actor-cell.js';
import { ActorTable, type ActorTableHost } from './actor-table.js';
import { CommitStage, type HeldOutlet } from './commit-stage.js';
import { createDoorbell, Doorbell } from './doorbell.js';
import { EntropyRandom } from './entropy.js';
import { type Envelope, NOTICE, REPLY } from './envelope.js';
import type { HostEvents } from './host-events.js';
import type { LinkEnds } from './link.js';
import { LinkTable } from './link-table.js';
import { TurnLoop, type TurnTaker } from './turn-loop.js';

/** Messages among a thread's own actors in one turn, for each frame that a turn may take: a put makes about six. */
const LOCAL_PER_FRAME = 16;
/** So many frames are taken between two looks at the clock. */
const FRAMES_AT_ONCE = 16;
/**
 * A turn takes no more frames after so long, in milliseconds: what it has answered waits for its end, and its pulse, too. In a
 * thread that runs warm 256 frames take less. One that has just been started was seen to need 39 ms for 88 requests, code not
 * being compiled yet; a turn of 256 would take longer than others wait before they hold it for a standstill.
 */
const TURN_MS = 8;
const OUTSIDE = 'a context is used only in its actor, or within `outside`';

export interface ThreadHostOptions {
  /** The index of this thread among all. */
  readonly thread: number;
  /** Rung by the other threads. Made here if absent. */
  readonly doorbell?: SharedArrayBuffer;
  /** At most so many frames per turn (default 256): what is committed together, and how long the event loop waits. */
  readonly turnFrames?: number;
  /**
   * How often to look again, by `setImmediate`, before parking while requests are outstanding (default 0).
   * About 50 on an application's thread; on a node's thread they would take the cores from the others.
   */
  readonly polls?: number;
  readonly supervision?: SupervisionPolicy;
  readonly random?: Random;
  readonly events?: HostEvents;
  /** Called once when the host has been closed. */
  readonly onClose?: () => void;
}

export class ThreadHost implements ActorHost, ActorTableHost, HeldOutlet, TurnTaker {
  readonly thread: number;
  readonly random: Random;
  /** Monotonic milliseconds; read once per turn. */
  nowMs = performance.now();
  /** The wall clock's reading in this turn, in milliseconds; 0 before somebody asked for it. */
  private wallMs = 0;
  /** To be given to whoever links to this thread. */
  readonly doorbell: SharedArrayBuffer;

  private readonly turnFrames: number;
  private readonly actors: ActorTable;
  private readonly links: LinkTable;
  private readonly commits: CommitStage;
  private readonly bell: Doorbell;
  private readonly loop: TurnLoop;
  private readonly onClose: () => void;
  /** True within a turn or `outside`: only then may actors and contexts be used. */
  private entered = false;
  private closed = false;

  constructor(options: ThreadHostOptions) {
    const events = options.events ?? {};
    this.thread = options.thread;
    this.random = options.random ?? new EntropyRandom();
    this.doorbell = options.doorbell ?? createDoorbell();
    this.turnFrames = options.turnFrames ?? 256;
    this.onClose = options.onClose ?? (() => {});
    this.bell = new Doorbell(this.doorbell, () => this.loop.run());
    this.loop = new TurnLoop(this, this.bell, options.polls ?? 0);
    this.actors = new ActorTable(this, options.supervision ?? DEFAULT_SUPERVISION, events);
    this.links = new LinkTable(this.actors, events, () => this.loop.schedule());
    this.commits = new CommitStage(this.bell, this, events);
  }

  // ---- For the owner of the thread

  spawn<Request, Answer, Answers>(
    slot: number,
    conversation: Conversation<Request, Answer>,
    factory: ActorFactory<Actor<Request, Answer, Answers>>,
    options: { readonly mailbox?: number } = {},
  ): ActorRef<Request, Answer> {
    this.actors.spawn(slot, conversation as Conversation<unknown, unknown>, factory, options.mailbox);
    this.loop.schedule();
    return refAt(conversation, this.thread, slot);
  }

  addCommitter(committer: Committer, ended?: CommitEnded): void {
    this.commits.add(committer, ended);
  }

  /** Opens the way to another thread, or to a new incarnation of one. */
  connect(ends: LinkEnds): void {
    this.links.connect(ends);
    this.loop.schedule();
  }

  /**
   * Learns that a thread is gone. Its last frames are taken; then every request outstanding there fails once:
   * 'died' if it had been taken, 'unreachable' if not.
   * @param peerLives - it is only this thread that is cut off: then all fail with 'cut-off', since nobody can tell
   */
  disconnect(peer: number, peerLives = false): void {
    this.links.disconnect(peer, peerLives);
    this.loop.schedule();
  }

  /**
   * Cuts this thread off from another until `connect`: what is under way between them is lost. Requests there see
   * silence; after `timeoutMs` all of them fail with 'cut-off', and further ones with 'unreachable', at once.
   */
  cutOff(peer: number, timeoutMs: number): void {
    this.links.cutOff(peer, timeoutMs);
  }

  /** Takes for dead another thread that nothing can end: what is outstanding there fails with 'died'. */
  abandon(peer: number): void {
    this.links.abandon(peer);
  }

  /** Starts at once what was spawned, before the first turn: a thread that says that it is ready has its actors. */
  begin(): void {
    this.outside(() => this.actors.startAndWake());
  }

  /** The others see that this thread's event loop runs from now on. */
  startPulse(): void {
    this.bell.startPulse();
  }

  /** The others see that this thread is down. */
  endPulse(): void {
    this.bell.endPulse();
  }

  /** Stands still for `ms`, or until the thread's end is ordered (`endStillness`). Only between turns of a worker. */
  standStill(ms: number): void {
    assert(!this.entered, 'a thread stands still between turns');
    this.bell.standStill(ms);
  }

  /**
   * Runs `work` as if within a turn, from outside of one: the application's way to use a context of an actor of this
   * host. What it sends leaves with the next turn, by `setImmediate`. Publishing at once cost 30 % more CPU a get at 256
   * in flight (9 paired runs of the store), since it wakes parked threads more often; on the next microtask, the same.
   */
  outside<T>(work: () => T): T {
    if (this.entered) return work();
    assert(!this.closed, 'the host is closed');
    this.readClock();
    this.entered = true;
    try {
      return work();
    } finally {
      this.entered = false;
      this.loop.afterOutside();
    }
  }

  /** Monotonic milliseconds; within a turn, or `outside`, of its beginning: reading them costs 70 ns, the day's 50. */
  now(): number {
    return this.entered ? this.nowMs : performance.now();
  }

  /** Milliseconds since 1970, likewise. */
  wallClock(): number {
    return this.entered ? this.wallClockMs : Date.now();
  }

  /** From now on every request from another thread fails with 'unreachable': the thread is about to stop. */
  refuseRequests(): void {
    this.links.refusing = true;
  }

  /** True while an actor has a request in hand, or a body waits to be pulled. */
  get busy(): boolean {
    return this.links.keepsBodies || this.actors.busy;
  }

  /** True while an actor has a request in hand, or other threads have not answered all of this one's. */
  get isUnderWay(): boolean {
    return this.busy || this.links.inFlight > 0;
  }

  /**
   * Stops: a flush, the actors' `stop`, a last commit, another flush. Requests still in hand fail with 'died', which is
   * reported as trouble. Only between turns. The host is closed after it. Throws what a flush throws.
   *
   * The first flush is for what actors say at their `stop` of all that was written before ("so far I have come"): a
   * storage whose commits are durable must not keep that longer than another keeps what it speaks of. If it fails,
   * `stop` is not called.
   * @param options.flush - false if the storages cannot flush, because they are in memory (default true)
   */
  stop({ flush = true }: { readonly flush?: boolean } = {}): void {
    assert(!this.entered, 'a host stops only between turns');
    if (this.closed) return;
    try {
      if (flush) this.commits.flushAll();
      this.entered = true;
      this.readClock();
      this.actors.stop();
      this.links.publish();
      this.commits.endTurn();
      this.actors.forget();
      this.links.publish();
      this.entered = false;
      if (flush) this.commits.flushAll();
    } finally {
      this.close();
    }
  }

  /** Drops everything, between turns: no `stop`, no commit, no flush. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.links.close();
    this.loop.close();
    this.onClose();
  }

  /**
   * Runs `work` on a storage outside of turns, as a thread's setup does: until it is done the thread is not terminated.
   * Not to be nested, nor to be used while turns are taken.
   */
  shielded<T>(work: () => T | Promise<T>): Promise<T> {
    return this.commits.shielded(work);
  }

  /** Requests of this thread that others have not yet answered. */
  get outstanding(): number {
    return this.links.inFlight;
  }

  // ---- For contexts

  /** Wall-clock milliseconds since 1970, read once a turn: a put asks five times, and reading costs 60 ns. */
  get wallClockMs(): number {
    if (this.wallMs === 0) this.wallMs = Date.now();
    return this.wallMs;
  }

  request<Request, Answer>(
    requester: ActorCell,
    incarnation: number,
    to: ActorRef<Request, Answer>,
    message: Request,
    correlation: number,
  ): void {
    assert(this.entered, OUTSIDE);
    const here = threadOf(to.place) === this.thread;
    const failure = here
      ? this.actors.request(requester, incarnation, slotOf(to.place), message, correlation)
      : this.links.request(requester, incarnation, to, message, correlation);
    if (failure !== undefined) this.actors.queueFailure(requester, incarnation, correlation, failure);
  }

  notice(request: Envelope, answer: unknown): void {
    assert(this.entered, OUTSIDE);
    if (request.link !== undefined) this.links.answer(request.link, NOTICE, request, answer);
    else this.actors.notice(request, request.requester!, answer);
  }

  reply(request: Envelope, answer: unknown, release: Release): void {
    assert(this.entered, OUTSIDE);
    if (release !== 'now') this.commits.hold(request, answer, release);
    else if (request.link !== undefined) this.links.answer(request.link, REPLY, request, answer);
    else this.actors.reply(request, request.requester!, answer);
  }

  after(cell: ActorCell, incarnation: number, delayMs: number, message: unknown): TimerId {
    assert(this.entered, OUTSIDE);
    return this.actors.after(cell, incarnation, delayMs, message);
  }

  cancel(timer: TimerId): void {
    this.actors.cancel(timer);
  }

  /** See `ActorContext.pulse`; may be called outside of turns, too. */
  pulse(thread: number): number {
    return thread === this.thread ? this.bell.pulse : this.links.pulse(thread);
  }

  /** See `ActorContext.committing`; of this thread itself it is asked only between its commits. */
  committing(thread: number): boolean {
    return thread !== this.thread && this.links.committing(thread);
  }

  // ---- For the actor table and the commit stage

  fail(request: Envelope, failure: Failure): void {
    const { link, cell } = request;
    if (link !== undefined) {
      this.links.failTo(link, request.requestId, failure, cell.slot, cell.incarnation);
    } else {
      this.actors.queueFailure(request.requester!, request.requesterIncarnation, request.correlation, failure);
    }
  }

  sendHeld(request: Envelope): void {
    if (request.link !== undefined) this.links.answerHeld(request.link, request);
    else this.actors.reply(request, request.requester!, request.payload);
  }

  commitFailed(held: readonly Envelope[], error: unknown): void {
    this.actors.commitFailed(held, error);
  }

  publish(): void {
    this.links.publish();
  }

  // ---- For the loop

  get hasMail(): boolean {
    // What costs least first: the lanes of all links are looked at last.
    return this.links.hasUnpublished || this.actors.hasMail || this.links.hasMail;
  }

  get awaitsAnswers(): boolean {
    return this.links.inFlight > 0;
  }

  get nextDueMs(): number {
    return this.actors.nextDueMs;
  }

  turn(): void {
    const { actors, links, turnFrames } = this;
    this.readClock();
    this.entered = true;
    actors.startAndWake();
    let localLeft = turnFrames * LOCAL_PER_FRAME;
    localLeft -= actors.deliverLocal(localLeft);
    links.takeBodies();
    for (let framesLeft = turnFrames, isMore = true; isMore; ) {
      const wanted = Math.min(FRAMES_AT_ONCE, framesLeft);
      const taken = links.takeFrames(wanted);
      localLeft -= actors.deliverLocal(localLeft);
      framesLeft -= taken;
      isMore = taken === wanted && framesLeft > 0 && performance.now() - this.nowMs < TURN_MS;
    }
    links.publish();
    this.commits.endTurn();
    links.publish();
    this.entered = false;
  }

  private readClock(): void {
    this.nowMs = performance.now();
    this.wallMs = 0;
  }
}
