/**
 * The host of one thread's actors: takes their mail, gives it to them, ends each turn with one commit.
 *
 *     turn: starts, timers ─▶ local queue ─▶ lanes (at most `turnFrames`) ─▶ local queue
 *           ─▶ publish what was released 'now' ─▶ commit ─▶ release 'stored' ─▶ flush ─▶ release 'durable' ─▶ publish
 *
 * After a turn the event loop gets its turn, too: the control plane, timers and drivers live there. A thread without
 * mail parks (doorbell.ts). What leaves the thread goes through its links (link.ts); what stays is passed as it is.
 */

import { assert } from '../../base/assert.js';
import type { Random } from '../../base/random.js';
import {
  type Actor,
  type ActorFactory,
  type ActorHost,
  type ActorRef,
  type Committer,
  type Conversation,
  DEFAULT_SUPERVISION,
  type Failure,
  FrameError,
  type Incoming,
  type Release,
  refAt,
  type SupervisionPolicy,
  slotOf,
  type TimerId,
  threadOf,
} from '../actor.js';
import { ActorCell, type AnyActor, CellContext } from './actor-cell.js';
import { type Announced, BodyDesk } from './bodies.js';
import { createDoorbell, Doorbell } from './doorbell.js';
import { EntropyRandom } from './entropy.js';
import { CODE_SHIFT, Envelope, EnvelopeQueue, FAILURE, FAILURES, NOTICE, REPLY, REQUEST } from './envelope.js';
import { FrameDecoder } from './frame.js';
import { HeldAnswers } from './held-answers.js';
import { Batch, BESIDE } from './lane.js';
import { Link, type LinkEnds } from './link.js';
import { TimerHeap } from './timer-heap.js';

/** Frames are copied out of the lanes into stretches of so many bytes; a view on one keeps all of it alive. */
const BATCH_BYTES = 64 * 2 ** 10;
const DEFAULT_MAILBOX = 4_096;
/** Messages among a thread's own actors in one turn, for each frame that a turn may take: a put makes about six. */
const LOCAL_PER_FRAME = 16;

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
}

/** What a host lets its owner know. */
export interface HostEvents {
  /** An actor threw; it is restarted unless `escalated` follows. */
  crashed?(slot: number, incarnation: number, error: unknown): void;
  /** An actor failed too often: the thread must end, as if it had thrown. Without a listener the error is thrown. */
  escalated?(slot: number, error: unknown): void;
  /** A frame did not hold what its codec expects, or a commit failed: nothing is lost unanswered, but someone must know. */
  trouble?(what: 'malformed-frame' | 'commit-failed' | 'forgotten-request', error: unknown): void;
}

/** A timer of an actor's, or, without an actor's incarnation, the restart of one. */
interface HostTimer {
  readonly cell: ActorCell;
  readonly incarnation: number;
  readonly message: unknown;
}
const RESTART = 0;

export class ThreadHost implements ActorHost {
  readonly thread: number;
  readonly random: Random;
  /** Monotonic milliseconds; read once per turn. */
  nowMs = performance.now();
  /** To be given to whoever links to this thread. */
  readonly doorbell: SharedArrayBuffer;

  private readonly turnFrames: number;
  private readonly polls: number;
  private readonly policy: SupervisionPolicy;
  private readonly events: HostEvents;
  private readonly cells: (ActorCell | undefined)[] = [];
  private readonly committers: Committer[] = [];
  private readonly queue = new EnvelopeQueue();
  private readonly timers = new TimerHeap<HostTimer>();
  private readonly bell: Doorbell;
  private readonly desk: BodyDesk;
  private readonly decoder = new FrameDecoder();
  private batch = new Batch(BATCH_BYTES);

  /** By the peer's thread. */
  private readonly links: (Link | undefined)[] = [];
  /** The same and those whose peers are gone, but whose last frames are not yet taken. */
  private readers: Link[] = [];
  private dirty: Link[] = [];
  private nextReader = 0;

  private starting: ActorCell[] = [];
  private held: Envelope[] = [];
  private readonly heldAnswers = new HeldAnswers();
  private bodies: { announced: Announced; body: Uint8Array }[] = [];

  /** True within a turn or `outside`: only then may actors and contexts be used. */
  private entered = false;
  private refusing = false;
  private scheduled = false;
  private closed = false;
  private pollsLeft = 0;
  private remoteInFlight = 0;
  private timerDueMs = Infinity;
  private timer: NodeJS.Timeout | undefined = undefined;
  /** Holds the process while this thread waits for answers: `Atomics.waitAsync` alone does not. */
  private readonly keepAlive = setInterval(() => {}, 2 ** 30).unref();

  private readonly runImmediate = (): void => {
    this.scheduled = false;
    this.run();
  };
  private readonly runTimer = (): void => {
    this.timer = undefined;
    this.timerDueMs = Infinity;
    this.run();
  };
  private readonly publishOutside = (): void => {
    this.publishScheduled = false;
    this.publish();
  };
  private publishScheduled = false;

  constructor(options: ThreadHostOptions) {
    this.thread = options.thread;
    this.random = options.random ?? new EntropyRandom();
    this.doorbell = options.doorbell ?? createDoorbell();
    this.turnFrames = options.turnFrames ?? 256;
    this.polls = options.polls ?? 0;
    this.policy = options.supervision ?? DEFAULT_SUPERVISION;
    this.events = options.events ?? {};
    this.bell = new Doorbell(this.doorbell, () => this.run());
    this.desk = new BodyDesk((announced, body) => {
      this.bodies.push({ announced, body });
      this.schedule();
    });
  }

  // ---- For the owner of the thread

  spawn<Request, Answer, Answers>(
    slot: number,
    conversation: Conversation<Request, Answer>,
    factory: ActorFactory<Actor<Request, Answer, Answers>>,
    options: { readonly mailbox?: number } = {},
  ): ActorRef<Request, Answer> {
    assert(Number.isInteger(slot) && slot >= 0 && slot <= 0xffff, 'a slot is from 0 to 65,535');
    assert(this.cells[slot] === undefined, `slot ${slot} is taken`);
    const cell = new ActorCell(
      slot,
      conversation as Conversation<unknown, unknown>,
      factory,
      options.mailbox ?? DEFAULT_MAILBOX,
      this.policy,
    );
    while (this.cells.length <= slot) this.cells.push(undefined);
    this.cells[slot] = cell;
    this.starting.push(cell);
    this.schedule();
    return refAt(conversation, this.thread, slot);
  }

  addCommitter(committer: Committer): void {
    this.committers.push(committer);
  }

  /** Opens the way to another thread, or to a new incarnation of one. */
  connect(ends: LinkEnds): void {
    if (this.links[ends.peer] !== undefined) this.disconnect(ends.peer);
    const link = new Link(ends, this.desk);
    while (this.links.length <= ends.peer) this.links.push(undefined);
    this.links[ends.peer] = link;
    this.readers.push(link);
    this.schedule();
  }

  /**
   * Learns that a thread is gone. Its last frames are taken; then every request outstanding there fails once:
   * 'died' if it had been taken, 'unreachable' if not.
   */
  disconnect(peer: number): void {
    const link = this.links[peer];
    if (link === undefined) return;
    this.links[peer] = undefined;
    link.open = false;
    this.schedule();
  }

  /**
   * Runs `work` as if within a turn, from outside of one: the application's way to use a context of an actor of this
   * host. What it sends is published on the next microtask, so that a burst of calls rings a parked peer once.
   */
  outside<T>(work: () => T): T {
    if (this.entered) return work();
    assert(!this.closed, 'the host is closed');
    this.nowMs = performance.now();
    this.entered = true;
    try {
      return work();
    } finally {
      this.entered = false;
      if (this.dirty.length > 0 && !this.publishScheduled) {
        this.publishScheduled = true;
        queueMicrotask(this.publishOutside);
      }
      this.afterOutside();
    }
  }

  /**
   * Stops: the actors' `stop`, a last commit, a flush. Requests still in hand fail with 'died', which is reported as
   * trouble. Only between turns. The host is closed after it.
   */
  stop(): void {
    assert(!this.entered, 'a host stops only between turns');
    this.entered = true;
    this.nowMs = performance.now();
    for (const cell of this.cells) {
      const { actor, context } = cell ?? {};
      if (cell === undefined || actor === undefined || context === undefined) continue;
      try {
        actor.stop?.(context);
      } catch (error) {
        this.crash(cell, error);
      }
    }
    this.publish();
    this.endTurn();
    for (const cell of this.cells) if (cell?.inHand !== undefined) this.forget(cell);
    this.publish();
    const flushError = this.guarded(flush);
    this.entered = false;
    this.close();
    if (flushError !== undefined) throw flushError.cause;
  }

  /** Drops everything, between turns: no `stop`, no commit, no flush. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const link of this.readers) this.desk.detach(link);
    this.readers = [];
    this.links.length = 0;
    clearTimeout(this.timer);
    clearInterval(this.keepAlive);
    this.bell.close();
  }

  /** From now on every request from another thread fails with 'unreachable': the thread is about to stop. */
  refuseRequests(): void {
    this.refusing = true;
  }

  /** True while an actor has a request in hand, or a body waits to be pulled. */
  get busy(): boolean {
    return this.desk.keeping || this.cells.some((cell) => cell !== undefined && cell.held > 0);
  }

  /** Requests of this thread that others have not yet answered. */
  get outstanding(): number {
    return this.remoteInFlight;
  }

  // ---- For contexts

  request<Request, Answer>(
    requester: ActorCell,
    incarnation: number,
    to: ActorRef<Request, Answer>,
    message: Request,
    correlation: number,
  ): void {
    assert(this.entered, 'a context is used only in its actor, or within `outside`');
    const thread = threadOf(to.place);
    let failure: Failure | undefined;
    if (thread === this.thread) {
      failure = this.requestHere(requester, incarnation, slotOf(to.place), message, correlation);
    } else {
      const link = this.links[thread];
      failure = link === undefined ? 'unreachable' : link.request(requester, incarnation, to, message, correlation);
      if (link !== undefined && failure === undefined) {
        this.remoteInFlight++;
        this.touch(link);
      }
    }
    if (failure !== undefined) this.queueFailure(requester, incarnation, correlation, failure);
  }

  notice(request: Envelope, answer: unknown): void {
    assert(this.entered, 'a context is used only in its actor, or within `outside`');
    const { link, requester } = request;
    if (link !== undefined) {
      this.answerTo(link, NOTICE, request, answer);
    } else if (requester !== undefined) {
      const notice = new Envelope(NOTICE, requester, request.requesterIncarnation, answer);
      notice.correlation = request.correlation;
      this.queue.push(notice);
    }
  }

  reply(request: Envelope, answer: unknown, release: Release): void {
    assert(this.entered, 'a context is used only in its actor, or within `outside`');
    if (release === 'now') {
      this.send(request, answer);
      return;
    }
    // Encoded now: an answer's bytes may be a storage's, valid only until its next call.
    request.payload = request.link === undefined ? answer : this.heldAnswers.keep(request, answer);
    request.release = release;
    this.held.push(request);
  }

  after(cell: ActorCell, incarnation: number, delayMs: number, message: unknown): TimerId {
    return this.timers.add(this.nowMs + delayMs, { cell, incarnation, message });
  }

  cancel(timer: TimerId): void {
    this.timers.cancel(timer);
  }

  // ---- The loop

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    setImmediate(this.runImmediate);
  }

  /** A turn, and what comes after it: another one, a few looks, or parking. */
  private run(): void {
    if (this.closed) return;
    this.bell.unpark();
    const handled = this.turn();
    if (this.closed) return;
    if (handled > 0) this.pollsLeft = this.polls;
    if (this.hasMail() || (this.remoteInFlight > 0 && this.pollsLeft-- > 0)) this.schedule();
    else this.park();
    this.armTimer();
  }

  private afterOutside(): void {
    this.pollsLeft = this.polls;
    if (this.queue.size > 0 || (this.remoteInFlight > 0 && this.polls > 0)) {
      this.schedule();
    } else {
      if (this.remoteInFlight > 0) this.keepAlive.ref();
      this.armTimer();
    }
  }

  private park(): void {
    if (this.scheduled) return;
    this.bell.park();
    if (this.hasMail() || !this.bell.wait()) {
      this.schedule();
    } else if (this.remoteInFlight > 0) {
      this.keepAlive.ref();
    } else {
      this.keepAlive.unref();
    }
  }

  private hasMail(): boolean {
    if (this.queue.size > 0 || this.starting.length > 0 || this.bodies.length > 0) return true;
    for (const link of this.readers) if (!link.open || !link.reader.empty) return true;
    return false;
  }

  private armTimer(): void {
    const next = this.timers.nextMs;
    if (next >= this.timerDueMs) return;
    clearTimeout(this.timer);
    this.timerDueMs = next;
    this.timer = setTimeout(this.runTimer, Math.max(0, Math.ceil(next - performance.now()))).unref();
  }

  /** @returns how many messages it handled */
  private turn(): number {
    this.nowMs = performance.now();
    this.entered = true;
    let handled = this.startAndWake();
    let local = this.turnFrames * LOCAL_PER_FRAME;
    local -= this.deliverLocal(local);
    for (const { announced, body } of this.bodies.splice(0)) {
      this.receiveBody(announced, body);
      handled++;
    }
    handled += this.takeFrames();
    local -= this.deliverLocal(local);
    handled += this.turnFrames * LOCAL_PER_FRAME - local;
    this.desk.pull();
    this.publish();
    this.endTurn();
    this.publish();
    this.entered = false;
    return handled;
  }

  private startAndWake(): number {
    let handled = 0;
    for (const cell of this.starting.splice(0)) {
      this.start(cell);
      handled++;
    }
    // Timers set by what runs here for at once are for the next turn: or one that renews itself would never end this one.
    let left = this.timers.size;
    while (left-- > 0) {
      const timer = this.timers.takeDue(this.nowMs);
      if (timer === undefined) break;
      handled++;
      const { cell, incarnation, message } = timer;
      if (incarnation === RESTART) {
        cell.incarnation++;
        this.start(cell);
      } else if (cell.actor !== undefined && cell.incarnation === incarnation) {
        try {
          cell.actor.timer?.(message, cell.context!);
        } catch (error) {
          this.crash(cell, error);
        }
      }
    }
    return handled;
  }

  private deliverLocal(limit: number): number {
    let count = 0;
    while (count < limit && this.queue.size > 0) {
      this.deliver(this.queue.shift());
      count++;
    }
    return count;
  }

  private deliver(envelope: Envelope): void {
    const { cell } = envelope;
    if (envelope.kind === REQUEST) {
      if (cell.actor === undefined || cell.incarnation !== envelope.incarnation) {
        cell.held--;
        this.fail(envelope, cell.actor === undefined ? 'unreachable' : 'stale');
      } else {
        this.receive(cell, cell.actor, envelope);
      }
    } else if (cell.actor !== undefined && cell.incarnation === envelope.incarnation) {
      if (envelope.kind === FAILURE) this.failed(cell, envelope.correlation, envelope.payload as Failure);
      else this.answered(cell, envelope.correlation, envelope.payload, envelope.kind === NOTICE);
    }
  }

  /** Takes frames from all lanes in turn, beginning with another one each time. */
  private takeFrames(): number {
    const { readers } = this;
    let left = this.turnFrames;
    const first = readers.length === 0 ? 0 : this.nextReader++ % readers.length;
    for (let i = 0; i < readers.length && left > 0; i++) {
      left -= this.takeFrom(readers[(first + i) % readers.length]!, left);
    }
    for (const link of readers) {
      if (!link.open && link.reader.empty) {
        this.readers = readers.filter((each) => each !== link);
        this.endLink(link);
        break;
      }
    }
    return this.turnFrames - left;
  }

  private takeFrom(link: Link, limit: number): number {
    let taken = 0;
    while (taken < limit) {
      const bytes = link.reader.peek(limit - taken, BATCH_BYTES);
      if (bytes === 0) break;
      if (this.batch.used + bytes > this.batch.bytes.length) this.batch = new Batch(Math.max(BATCH_BYTES, bytes));
      const { batch } = this;
      link.reader.take(bytes, batch);
      const end = batch.used;
      for (let at = link.reader.start; at < end; taken++) at = this.dispatch(link, batch, at);
    }
    return taken;
  }

  /** Handles the frame at byte `at` of `batch`; returns where the next begins. */
  private dispatch(link: Link, batch: Batch, at: number): number {
    const { words } = batch;
    const index = at >>> 2;
    const length = words[index]!;
    const second = words[index + 1]!;
    const kind = second & 0xff;
    const flags = (second >>> 8) & 0xff;
    const slot = second >>> 16;
    const incarnation = words[index + 2]!;
    const requestId = words[index + 3]! >>> 0;
    if (kind === FAILURE) {
      this.receiveFailure(link, requestId, FAILURES[flags >>> CODE_SHIFT]!, slot, incarnation);
      return at + 16;
    }
    if ((flags & BESIDE) !== 0) {
      this.announce({ link, kind, slot, incarnation, requestId, length });
      return at + 16;
    }
    this.decoder.begin(batch.bytes, at + 16, at + 16 + length);
    if (kind === REQUEST) this.receiveRequest(link, slot, incarnation, requestId);
    else this.receiveAnswer(link, requestId, kind === NOTICE);
    return at + 16 + ((length + 15) & ~15);
  }

  /** A bare header whose body travels beside. A request that is refused anyway is refused before its body is pulled. */
  private announce(announced: Announced): void {
    const { link, kind, slot, incarnation, requestId } = announced;
    const cell = this.cells[slot];
    const failure = kind === REQUEST ? this.refusal(cell, incarnation) : undefined;
    if (failure === undefined) this.desk.announce(announced);
    else this.failTo(link, requestId, failure, slot, cell?.incarnation ?? 0);
  }

  private receiveBody({ link, kind, slot, incarnation, requestId }: Announced, body: Uint8Array): void {
    this.decoder.begin(body, 0, body.length);
    if (kind === REQUEST) this.receiveRequest(link, slot, incarnation, requestId);
    else this.receiveAnswer(link, requestId, kind === NOTICE);
  }

  /** A request whose fields the decoder stands at. */
  private receiveRequest(link: Link, slot: number, incarnation: number, requestId: number): void {
    const cell = this.cells[slot];
    const failure = this.refusal(cell, incarnation);
    if (failure !== undefined || cell?.actor === undefined) {
      this.failTo(link, requestId, failure ?? 'unreachable', slot, cell?.incarnation ?? 0);
      return;
    }
    let message: unknown;
    try {
      message = cell.conversation.request.read(this.decoder);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.events.trouble?.('malformed-frame', error);
      this.failTo(link, requestId, 'refused', slot, incarnation);
      return;
    }
    const request = new Envelope(REQUEST, cell, incarnation, message);
    request.link = link;
    request.requestId = requestId;
    cell.held++;
    this.receive(cell, cell.actor, request);
  }

  /** Why a request from another thread is not received; undefined if it is. */
  private refusal(cell: ActorCell | undefined, incarnation: number): Failure | undefined {
    if (cell?.actor === undefined || this.refusing) return 'unreachable';
    if (cell.incarnation !== incarnation) return 'stale';
    return cell.held >= cell.mailbox || this.desk.congested ? 'refused' : undefined;
  }

  /** A notice or reply whose fields the decoder stands at. */
  private receiveAnswer(link: Link, requestId: number, interim: boolean): void {
    const { outstanding } = link;
    const index = outstanding.find(requestId);
    if (index < 0) return;
    const cell = outstanding.requester[index]!;
    const live = cell.actor !== undefined && cell.incarnation === outstanding.incarnation[index];
    const correlation = outstanding.correlation[index]!;
    const conversation = outstanding.conversation[index]!;
    if (!interim) {
      outstanding.close(index);
      this.remoteInFlight--;
    }
    if (!live) return;
    let answer: unknown;
    try {
      answer = conversation.answer.read(this.decoder);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.events.trouble?.('malformed-frame', error);
      if (!interim) this.failed(cell, correlation, 'died');
      return;
    }
    this.answered(cell, correlation, answer, interim);
  }

  private receiveFailure(link: Link, requestId: number, failure: Failure, slot: number, incarnation: number): void {
    const { outstanding } = link;
    const index = outstanding.find(requestId);
    if (index < 0) return;
    if (failure === 'stale') link.learn(slot, incarnation);
    this.desk.drop(link.side, REQUEST, requestId);
    this.endOutstanding(link, index, failure);
  }

  private endOutstanding(link: Link, index: number, failure: Failure): void {
    const { outstanding } = link;
    const cell = outstanding.requester[index]!;
    const live = cell.actor !== undefined && cell.incarnation === outstanding.incarnation[index];
    const correlation = outstanding.correlation[index]!;
    outstanding.close(index);
    this.remoteInFlight--;
    if (live) this.failed(cell, correlation, failure);
  }

  /** Ends what is outstanding on a link whose peer is gone and whose frames are all taken. */
  private endLink(link: Link): void {
    this.desk.detach(link);
    const { outstanding } = link;
    for (let index = 0; index < outstanding.requester.length; index++) {
      if (outstanding.requester[index] === undefined) continue;
      const taken = link.writer.taken(outstanding.position[index]!);
      this.endOutstanding(link, index, taken ? 'died' : 'unreachable');
    }
  }

  // ---- Calls into actors: what they throw is theirs

  private receive(cell: ActorCell, actor: AnyActor, request: Envelope): void {
    cell.take(request);
    try {
      actor.receive(request.payload, request as Incoming<unknown>, cell.context!);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  private answered(cell: ActorCell, correlation: number, answer: unknown, interim: boolean): void {
    try {
      cell.actor!.answered?.(correlation, answer as never, interim, cell.context!);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  private failed(cell: ActorCell, correlation: number, failure: Failure): void {
    try {
      cell.actor!.failed?.(correlation, failure, cell.context!);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  private start(cell: ActorCell): void {
    const context = new CellContext(this, cell);
    cell.context = context;
    try {
      const actor = cell.factory(context);
      cell.actor = actor;
      actor.start?.(context);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  /** Ends an incarnation: what it had in hand fails, its timers are gone, its supervisor decides. */
  private crash(cell: ActorCell, error: unknown): void {
    cell.actor = undefined;
    while (cell.inHand !== undefined) {
      const request = cell.inHand;
      cell.settle(request);
      this.fail(request, 'died');
    }
    this.timers.removeAll((timer) => timer.cell === cell);
    this.events.crashed?.(cell.slot, cell.incarnation, error);
    const decision = cell.supervision.failed(this.nowMs);
    if (decision.type === 'restart') {
      this.timers.add(this.nowMs + decision.delayMs, { cell, incarnation: RESTART, message: undefined });
    } else if (this.events.escalated === undefined) {
      throw new Error(`the actor in slot ${cell.slot} failed too often`, { cause: error });
    } else {
      this.events.escalated(cell.slot, error);
    }
  }

  /** At a stop: an actor that neither answered nor let go of a request. */
  private forget(cell: ActorCell): void {
    let count = 0;
    while (cell.inHand !== undefined) {
      const request = cell.inHand;
      cell.settle(request);
      this.fail(request, 'died');
      count++;
    }
    this.events.trouble?.(
      'forgotten-request',
      new Error(`slot ${cell.slot} stopped with ${count} unanswered requests`),
    );
  }

  // ---- The end of a turn

  private endTurn(): void {
    if (this.held.length === 0 && !this.anyPending()) return;
    const { held } = this;
    this.held = [];
    const commitError = this.guarded(commit);
    if (commitError !== undefined) {
      this.commitFailed(held, commitError.cause);
    } else {
      let durable = 0;
      for (const reply of held) {
        if (reply.release === 'durable') durable++;
        else this.sendHeld(reply);
      }
      if (durable > 0) {
        // What is stored need not wait for the disk.
        this.publish();
        this.endDurable(held.filter((reply) => reply.release === 'durable'));
      }
    }
    this.heldAnswers.clear();
  }

  private endDurable(held: readonly Envelope[]): void {
    const flushError = this.guarded(flush);
    if (flushError !== undefined) this.commitFailed(held, flushError.cause);
    else for (const reply of held) this.sendHeld(reply);
  }

  private anyPending(): boolean {
    for (const committer of this.committers) if (committer.pending) return true;
    return false;
  }

  /**
   * Runs a step of all committers, in order, while the thread must not be terminated. Gives the first error, if any:
   * the others take the step all the same, so that no write is left for the next turn.
   */
  private guarded(step: (committer: Committer) => void): { readonly cause: unknown } | undefined {
    if (this.committers.length === 0) return undefined;
    assert(this.bell.enterCommit(), 'the thread is condemned: it did not stop in time');
    let first: { readonly cause: unknown } | undefined;
    for (const committer of this.committers) {
      try {
        step(committer);
      } catch (cause) {
        first ??= { cause };
      }
    }
    this.bell.leaveCommit();
    return first;
  }

  private commitFailed(held: readonly Envelope[], error: unknown): void {
    this.events.trouble?.('commit-failed', error);
    const told = new Set<ActorCell>();
    for (const reply of held) {
      const { cell, incarnation } = reply;
      this.fail(reply, 'commit-failed');
      if (told.has(cell) || cell.actor === undefined || cell.incarnation !== incarnation) continue;
      told.add(cell);
      try {
        cell.actor.commitFailed?.(error, cell.context!);
      } catch (thrown) {
        this.crash(cell, thrown);
      }
    }
  }

  // ---- Sending

  private requestHere(
    requester: ActorCell,
    incarnation: number,
    slot: number,
    message: unknown,
    correlation: number,
  ): Failure | undefined {
    const cell = this.cells[slot];
    if (cell === undefined) return 'unreachable';
    if (cell.held >= cell.mailbox) return 'refused';
    const request = new Envelope(REQUEST, cell, cell.incarnation, message);
    request.requester = requester;
    request.requesterIncarnation = incarnation;
    request.correlation = correlation;
    cell.held++;
    this.queue.push(request);
    return undefined;
  }

  private queueFailure(cell: ActorCell, incarnation: number, correlation: number, failure: Failure): void {
    const envelope = new Envelope(FAILURE, cell, incarnation, failure);
    envelope.correlation = correlation;
    this.queue.push(envelope);
  }

  /** Sends the reply to a request that is settled. */
  private send(request: Envelope, answer: unknown): void {
    const { link, requester } = request;
    if (link !== undefined) {
      this.answerTo(link, REPLY, request, answer);
    } else if (requester !== undefined) {
      request.kind = REPLY;
      request.cell = requester;
      request.incarnation = request.requesterIncarnation;
      request.payload = answer;
      this.queue.push(request);
    }
  }

  /** Sends a reply that was held back. */
  private sendHeld(request: Envelope): void {
    const { link } = request;
    if (link === undefined) {
      this.send(request, request.payload);
    } else if (link.open) {
      link.answerEncoded(REPLY, request.requestId, request.payload as Uint8Array, request.start, request.length);
      this.touch(link);
    }
  }

  private answerTo(link: Link, kind: number, request: Envelope, answer: unknown): void {
    if (!link.open) return;
    link.answer(kind, request.requestId, request.cell.conversation.answer, answer);
    this.touch(link);
  }

  private fail(request: Envelope, failure: Failure): void {
    const { link, requester } = request;
    if (link !== undefined) {
      this.failTo(link, request.requestId, failure, request.cell.slot, request.cell.incarnation);
    } else if (requester !== undefined) {
      this.queueFailure(requester, request.requesterIncarnation, request.correlation, failure);
    }
  }

  private failTo(link: Link, requestId: number, failure: Failure, slot: number, incarnation: number): void {
    if (!link.open) return;
    link.fail(requestId, failure, slot, incarnation);
    this.touch(link);
  }

  private touch(link: Link): void {
    if (link.dirty) return;
    link.dirty = true;
    this.dirty.push(link);
  }

  private publish(): void {
    for (let i = 0; i < this.dirty.length; i++) this.dirty[i]!.publish();
    this.dirty.length = 0;
  }
}

function commit(committer: Committer): void {
  if (committer.pending) committer.commit();
}

function flush(committer: Committer): void {
  if (!committer.commitIsDurable) committer.flush();
}
