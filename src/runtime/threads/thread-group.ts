/**
 * A thread group: the application's thread, with a host of its own, and the workers that it starts, links to one
 * another, watches and restarts.
 *
 *     down ──start──▶ starting ──ready──▶ up ──stop, crash──▶ stopping ──exit──▶ down (until start)
 *                                          │                           └─ not in time: stuck ──exit──▶ down
 *                                          └──exit unasked──▶ waiting ──back-off──▶ starting
 *                                                               └─ too often: given-up, loudly (until start)
 *
 * Every incarnation of a worker gets lanes of its own. A worker is never terminated but as the last resort of a
 * watchdog, and then only outside of a commit: inside one, LMDB's writer lock would be held for ever.
 */

import { writeSync } from 'node:fs';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';

import { assert } from '../../base/assert.js';
import { DEFAULT_SUPERVISION, type SupervisionPolicy } from '../actor.js';
import { Supervision } from '../supervision.js';
import { ControlLine, type ErrorData, errorData, type Remote } from './control-plane.js';
import { CutPairs } from './cut-pairs.js';
import { condemn, createDoorbell, endStillness, hasPulse } from './doorbell.js';
import { followLinkOrder, type GroupOrder, type LinkOrder, type ThreadNews, type ThreadReport } from './group-order.js';
import type { HostEvents } from './host-events.js';
import { APPLICATION_POLLS, type ApplicationEnds } from './join-group.js';
import { laneBytesFor } from './lane.js';
import { createLinkEnds, type LinkEnds, type LinkSide } from './link.js';
import { ThreadHost } from './thread-host.js';
import type { WorkerStart } from './worker-thread.js';

export type ThreadState = 'down' | 'starting' | 'up' | 'stopping' | 'stuck' | 'waiting' | 'given-up';

export type GroupEvent =
  | { readonly type: 'state'; readonly thread: number; readonly state: ThreadState; readonly error?: ErrorData }
  | (ThreadNews & { readonly thread: number });

export interface ThreadGroupOptions {
  /** The module that each worker runs; it calls `runWorkerThread`. */
  readonly entry: URL;
  /** The workers are the threads 0 … workers − 1. */
  readonly workers: number;
  /**
   * How many application threads there may be (default 1): the one that makes the group is thread `workers`. They are
   * linked to the workers only, so that memory grows with their number, not with its square.
   */
  readonly applications?: number;
  /** What each worker's JavaScript heap may take, in MiB; if it is exhausted only that worker ends. */
  readonly heapMb?: number;
  /** How workers that die unasked are restarted. */
  readonly supervision?: SupervisionPolicy;
  /** Looks before parking on the application's thread; see `ThreadHostOptions`. */
  readonly polls?: number;
  /** Everything that someone may have to know. Called on the application's thread, outside of turns. */
  readonly onEvent?: (event: GroupEvent) => void;
}

export interface StopOptions {
  /** How long the actors may finish what they have in hand (default 1,000 ms). */
  readonly graceMs?: number;
  /** When the watchdog takes over (default 30,000 ms). */
  readonly timeoutMs?: number;
}

/** A place for another application thread. */
export interface Attachment {
  /** To be posted to the thread, with its `transfer` list; it gives them to `joinGroup`. */
  readonly ends: ApplicationEnds;
  readonly transfer: MessagePort[];
  /** Resolves when the thread has left the group: it has closed its host, has died, or was cut off. */
  readonly left: Promise<void>;
  /** Takes the thread out of the group, whatever it has under way. */
  cut(): void;
}

/** A thread could not be started: its entry's setup failed, or it died before it was ready. */
export class ThreadStartError extends Error {
  override readonly name = 'ThreadStartError';
  /** The setup's error. */
  readonly data: ErrorData;
  constructor(thread: number, data: ErrorData) {
    super(`thread ${thread} could not be started: ${data.message}`);
    this.data = data;
  }
}

/** A thread did not end in time, and stands within a commit, where it cannot be ended safely, or in other native code. */
export class ThreadStuckError extends Error {
  override readonly name = 'ThreadStuckError';
}

/** A worker of the group, over all its incarnations. */
interface Seat {
  readonly thread: number;
  readonly supervision: Supervision;
  state: ThreadState;
  incarnation: number;
  data: unknown;
  running: Running | undefined;
  /** Of a thread that is stopping: settles when it is down, or stuck. */
  ending: Promise<void> | undefined;
  restart: NodeJS.Timeout | undefined;
}

/** One incarnation of a worker. */
interface Running {
  readonly worker: Worker;
  readonly doorbell: SharedArrayBuffer;
  readonly control: ControlLine<unknown>;
  readonly exited: Promise<void>;
  readonly ready: Promise<void>;
  error: ErrorData | undefined;
  /** Until when it stands still by order, by `performance.now()`; 0 if it does not. */
  pausedUntil: number;
  /** Resolves once it stands still. */
  paused: Deferred<void> | undefined;
  /** Resolves once it has carried out all orders so far, by the number of the order to say so. */
  readonly following: Map<number, Deferred<void>>;
  /** How many wait for a report of it. */
  awaited: number;
  /** True once it is to end: it holds the process until then. */
  ending: boolean;
}

/** Whoever is linked to all others: the host here, a worker that runs, another application thread. */
interface Member {
  readonly thread: number;
  readonly doorbell: SharedArrayBuffer;
  order(order: LinkOrder, transfer: MessagePort[]): void;
}

/** How long the end of the process waits for commits, in milliseconds: several times the longest flush seen. */
const EXIT_WAIT_MS = 2_000;

/** How long a terminated thread may take to be gone, in milliseconds: longer only within native code that does not end. */
const TERMINATE_MS = 5_000;

/** When what is cut off by a split counts as broken, in milliseconds; as in the simulator. */
const CONNECTION_TIMEOUT_MS = 500;

export class ThreadGroup {
  /** The host of the thread that made the group. */
  readonly host: ThreadHost;
  private readonly options: ThreadGroupOptions;
  private readonly seats: Seat[] = [];
  private readonly laneBytes: number;
  /** Of the lanes of the application threads that are attached. */
  private readonly attachedLaneBytes: number;
  private readonly members = new Map<number, Member>();
  private readonly cuts = new CutPairs();
  private nextFollow = 1;
  private closed = false;
  /**
   * A process that ends while a worker stands within a commit would hang for ever: LMDB's cleanup waits for the lock
   * that the worker holds. So its end waits for the commits, and lets no other begin. A worker that does not leave its
   * commit has died within, of an exhausted heap, or its disk is stuck: then only SIGKILL ends the process, and it is
   * better that it does so itself than that someone waits for it.
   */
  private readonly onProcessExit = (): void => {
    const until = performance.now() + EXIT_WAIT_MS;
    for (const { thread, running } of this.seats) {
      if (running === undefined) continue;
      let ended = condemn(running.doorbell);
      // Spins, since nothing else runs on this thread any more, and the wait is as short as a commit.
      while (!ended && performance.now() < until) ended = condemn(running.doorbell);
      if (ended) continue;
      writeSync(
        2,
        `thread ${thread} is stuck in a commit: the process kills itself, since it could not end otherwise\n`,
      );
      process.kill(process.pid, 'SIGKILL');
    }
  };

  constructor(options: ThreadGroupOptions) {
    this.options = options;
    const { workers, applications = 1 } = options;
    this.laneBytes = laneBytesFor(workers * (workers + 1));
    this.attachedLaneBytes = laneBytesFor(2 * workers * (applications - 1));
    this.host = new ThreadHost({
      thread: options.workers,
      polls: options.polls ?? APPLICATION_POLLS,
      events: this.hostEvents(),
    });
    this.enroll(this.host.thread, this.host.doorbell, (order) => void followLinkOrder(this.host, order));
    this.host.startPulse();
    process.on('exit', this.onProcessExit);
    for (let thread = 0; thread < options.workers; thread++) {
      this.seats.push({
        thread,
        supervision: new Supervision(options.supervision ?? DEFAULT_SUPERVISION),
        state: 'down',
        incarnation: 0,
        data: undefined,
        running: undefined,
        ending: undefined,
        restart: undefined,
      });
    }
  }

  state(thread: number): ThreadState {
    return this.seat(thread).state;
  }

  /** The control plane of a thread that is up: `T` is what its entry serves. */
  control<T>(thread: number): Remote<T> {
    const { running } = this.seat(thread);
    assert(running !== undefined, `thread ${thread} is down`);
    return running.control.remote as Remote<T>;
  }

  /**
   * Starts a thread that is down; resolves once it is ready. One that is starting or up stays as it is.
   * @param data - for its entry; copied to the worker, and used again when it is restarted
   * @throws {ThreadStartError} Its setup failed, it died before it was ready, or the group is closed. It is left down.
   * @throws {ThreadStuckError} Its last incarnation has not ended yet, and nothing can end it.
   */
  async start(thread: number, data: unknown): Promise<void> {
    const seat = this.seat(thread);
    if (seat.state === 'stopping') await seat.ending;
    // It is about to end unasked, and others may have seen that already: started is what comes after it.
    if (seat.state === 'up' && !hasPulse(seat.running!.doorbell)) await seat.running!.exited;
    if (seat.state === 'stuck') throw new ThreadStuckError(`thread ${thread} is stuck since it was to end`);
    // Nobody would end a thread that came after the others were ended.
    if (this.closed) throw new ThreadStartError(thread, errorData(new Error('the group is closed')));
    if (seat.running === undefined) {
      clearTimeout(seat.restart);
      seat.supervision.reset();
      seat.data = data;
      this.launch(seat, true);
    }
    await seat.running!.ready;
  }

  /**
   * Stops a thread between turns: actors' `stop`, commit, flush, exit. It stays down until `start`.
   * @throws {ThreadStuckError} It did not end in time, and cannot be ended safely.
   */
  async stop(thread: number, options: StopOptions = {}): Promise<void> {
    const order: GroupOrder = { type: 'stop', graceMs: options.graceMs ?? 1_000 };
    await this.endBy(this.seat(thread), order, options.timeoutMs);
  }

  /** Ends a thread at its next turn, with no flush and no `stop`. It stays down until `start`. */
  async crash(thread: number, options: Pick<StopOptions, 'timeoutMs'> = {}): Promise<void> {
    await this.endBy(this.seat(thread), { type: 'crash' }, options.timeoutMs);
  }

  /**
   * Lets a thread that is up stand still for `ms`, between two turns: for tests of what the others do then. Resolves
   * once it stands still; at once if it does already, or is down. A stop or crash ends the pause.
   */
  async pause(thread: number, ms: number): Promise<void> {
    const { state, running } = this.seat(thread);
    if (state !== 'up' || running === undefined) return;
    const now = performance.now();
    const paused = running.pausedUntil > now;
    // Pauses that overlap end with the last of them.
    const more = now + ms - (paused ? running.pausedUntil : now);
    if (!paused) running.paused = deferred();
    if (more > 0) {
      running.pausedUntil = now + ms;
      running.worker.postMessage({ type: 'pause', ms: more } satisfies GroupOrder);
    }
    await this.hear(running, running.paused!.promise);
  }

  /**
   * Cuts these workers off from all other threads, the application's included, until `heal`: see `ThreadHost.cutOff`.
   * Adds to earlier splits. Orders still pass: it is the data plane that is cut. Resolves once nothing passes any more.
   */
  async split(side: readonly number[]): Promise<void> {
    const { workers, applications = 1 } = this.options;
    const cut = new Set(side);
    for (const thread of cut) this.seat(thread);
    const rest = Array.from({ length: workers + applications }, (_, thread) => thread).filter((each) => !cut.has(each));
    this.cuts.cut([...cut], rest);
    for (const { thread, order } of this.members.values()) {
      const peers = cut.has(thread) ? rest : [...cut];
      order({ type: 'cut-off', peers, timeoutMs: CONNECTION_TIMEOUT_MS }, []);
    }
    // Every cut has one end in `side`, which neither sends nor takes any more.
    await Promise.all([...cut].map((thread) => this.followed(thread)));
  }

  /** Ends all splits. What was under way is lost: requests across that had no outcome yet have failed with 'died'. */
  async heal(): Promise<void> {
    const healed = this.cuts.heal();
    for (const [low, high] of healed) {
      const one = this.members.get(low);
      const other = this.members.get(high);
      // Whoever is down now is linked at its start.
      if (one !== undefined && other !== undefined) this.link(one, other);
    }
    await Promise.all([...new Set(healed.flat())].map((thread) => this.followed(thread)));
  }

  /** Resolves once a worker has carried out all orders so far, or is gone. One that is paused does so before its next turn. */
  private async followed(thread: number): Promise<void> {
    const running = this.seats[thread]?.running;
    if (running === undefined) return;
    if (running.pausedUntil > performance.now()) {
      await this.hear(running, running.paused!.promise);
      return;
    }
    const order = this.nextFollow++;
    const done = deferred<void>();
    running.following.set(order, done);
    running.worker.postMessage({ type: 'follow', order } satisfies GroupOrder);
    await this.hear(running, done.promise);
  }

  /** Waits for what a worker will report, or for its end. Meanwhile the worker holds the process. */
  private async hear(running: Running, report: Promise<void>): Promise<void> {
    if (running.awaited++ === 0) running.worker.ref();
    await Promise.race([report, running.exited]);
    if (--running.awaited === 0 && !running.ending) running.worker.unref();
  }

  /**
   * Stops all threads, then this thread's host. Ends within `timeoutMs` and 5 s more.
   * @throws {ThreadStuckError} A thread could not be ended. The others are down.
   */
  async close(options: StopOptions = {}): Promise<void> {
    this.closed = true;
    const ends = await Promise.allSettled(this.seats.map((seat) => this.stop(seat.thread, options)));
    this.leave(this.host.thread);
    this.host.stop();
    process.off('exit', this.onProcessExit);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /**
   * Makes room for another application thread: hand its ends to a thread of the application's own. The thread leaves
   * the group when it ends.
   * @param thread - from `workers` + 1 up to, and without, `workers` + `applications`; free
   */
  attach(thread: number): Attachment {
    const { workers, applications = 1 } = this.options;
    assert(thread > workers && thread < workers + applications, `thread ${thread} is not one of an application's`);
    assert(!this.members.has(thread), `thread ${thread} is taken`);
    const doorbell = createDoorbell();
    const links = this.linkToAll(thread, doorbell);
    const { port1, port2 } = new MessageChannel();
    this.enroll(thread, doorbell, (order, transfer) => port1.postMessage(order, transfer));
    const left = deferred<void>();
    port1.on('close', () => {
      this.leave(thread);
      left.resolve();
    });
    port1.unref();
    return {
      ends: { thread, doorbell, links, orders: port2 },
      transfer: [...links.map(({ port }) => port), port2],
      left: left.promise,
      cut: () => port1.close(),
    };
  }

  private launch(seat: Seat, byRequest: boolean): void {
    const { thread } = seat;
    seat.incarnation++;
    const doorbell = createDoorbell();
    const links = this.linkToAll(thread, doorbell);
    const control = new MessageChannel();
    const start: WorkerStart = {
      thread,
      incarnation: seat.incarnation,
      doorbell,
      links,
      control: control.port2,
      data: seat.data,
    };
    const worker = new Worker(this.options.entry, {
      workerData: start,
      transferList: [...links.map(({ port }) => port), control.port2],
      name: `thread ${thread}`,
      ...(hasLoaders(process.execArgv) ? { execArgv: [] } : {}),
      ...(this.options.heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: this.options.heapMb } }),
    });
    this.enroll(thread, doorbell, (order, transfer) => worker.postMessage(order, transfer));
    this.watch(seat, worker, doorbell, new ControlLine(control.port1), byRequest);
  }

  private link(one: Member, other: Member): void {
    const [here, there] = this.endsOf(one, other);
    one.order({ type: 'connect', ends: here }, [here.port]);
    other.order({ type: 'connect', ends: there }, [there.port]);
  }

  private endsOf(one: LinkSide, other: LinkSide): [LinkEnds, LinkEnds] {
    const attached = Math.max(one.thread, other.thread) > this.options.workers;
    return createLinkEnds(one, other, attached ? this.attachedLaneBytes : this.laneBytes);
  }

  /** Links a new thread to every member that it may meet: gives them their ends, and returns the new thread's. */
  private linkToAll(thread: number, doorbell: SharedArrayBuffer): LinkEnds[] {
    const { workers } = this.options;
    const links: LinkEnds[] = [];
    for (const member of this.members.values()) {
      // Application threads ask workers, and never one another.
      if (Math.min(thread, member.thread) >= workers || this.cuts.isCut(thread, member.thread)) continue;
      const [here, there] = this.endsOf({ thread, doorbell }, member);
      links.push(here);
      member.order({ type: 'connect', ends: there }, [there.port]);
    }
    return links;
  }

  private enroll(thread: number, doorbell: SharedArrayBuffer, order: Member['order']): void {
    this.members.set(thread, { thread, doorbell, order });
  }

  /** Tells every other member that a thread is gone. */
  private leave(thread: number): void {
    if (!this.members.delete(thread)) return;
    for (const member of this.members.values()) member.order({ type: 'disconnect', peer: thread }, []);
  }

  private watch(
    seat: Seat,
    worker: Worker,
    doorbell: SharedArrayBuffer,
    control: ControlLine<unknown>,
    byRequest: boolean,
  ): void {
    const ready = deferred<void>();
    const exited = deferred<void>();
    // A restarted thread has nobody who waits for it: its failures are told as events.
    ready.promise.catch(() => {});
    const running: Running = {
      worker,
      doorbell,
      control,
      ready: ready.promise,
      exited: exited.promise,
      error: undefined,
      pausedUntil: 0,
      paused: undefined,
      following: new Map(),
      awaited: 0,
      ending: false,
    };
    seat.running = running;
    let wasReady = false;
    this.enter(seat, 'starting');
    worker.on('message', (report: ThreadReport) => {
      if (report.type === 'ready') {
        wasReady = true;
        // From here on an idle thread does not keep the process alive.
        worker.unref();
        if (seat.state === 'starting') this.enter(seat, 'up');
        ready.resolve();
      } else if (report.type === 'start-failed') {
        running.error = report.error;
      } else if (report.type === 'paused') {
        running.paused?.resolve();
      } else if (report.type === 'followed') {
        running.following.get(report.order)?.resolve();
        running.following.delete(report.order);
      } else {
        this.options.onEvent?.({ ...report, thread: seat.thread });
      }
    });
    worker.on('error', (error) => {
      running.error ??= errorData(error);
    });
    worker.on('exit', (code) => {
      // A start by request that fails is the requester's to hear of and to repeat.
      const stays = seat.state === 'stopping' || seat.state === 'stuck' || (byRequest && !wasReady);
      const error = running.error ?? errorData(new Error(`the thread exited with code ${code}`));
      this.exited(seat, running, stays, error);
      if (!wasReady) ready.reject(new ThreadStartError(seat.thread, error));
      exited.resolve();
    });
  }

  private exited(seat: Seat, running: Running, stays: boolean, error: ErrorData): void {
    seat.running = undefined;
    this.leave(seat.thread);
    running.control.close(`thread ${seat.thread} has ended`);
    if (stays) {
      // An error here was thrown on the way: a stop that was not clean.
      this.enter(seat, 'down', running.error);
      return;
    }
    const decision = seat.supervision.failed(performance.now());
    if (decision.type === 'escalate') {
      this.enter(seat, 'given-up', error);
      return;
    }
    this.enter(seat, 'waiting', error);
    seat.restart = setTimeout(() => this.launch(seat, false), decision.delayMs).unref();
  }

  private endBy(seat: Seat, order: GroupOrder, timeoutMs = 30_000): Promise<void> {
    const ending = this.end(seat, order, timeoutMs);
    seat.ending = ending;
    return ending;
  }

  private async end(seat: Seat, order: GroupOrder, timeoutMs: number): Promise<void> {
    clearTimeout(seat.restart);
    const { running } = seat;
    if (running === undefined) {
      if (seat.state !== 'down') this.enter(seat, 'down');
      return;
    }
    this.enter(seat, 'stopping');
    running.ending = true;
    running.worker.ref();
    running.worker.postMessage(order);
    endStillness(running.doorbell);
    if (!(await inTime(running.exited, timeoutMs))) await this.lastResort(seat, running);
  }

  /** Ends a thread that does not end by itself, unless it stands within a commit. */
  private async lastResort(seat: Seat, running: Running): Promise<void> {
    const where = condemn(running.doorbell) ? 'in native code' : 'in a commit';
    if (where === 'in native code') {
      // Its promise is not waited for: it does not settle while native code runs.
      void running.worker.terminate();
      if (await inTime(running.exited, TERMINATE_MS)) return;
    }
    // It may have ended in between.
    if (seat.running !== running) return;
    this.enter(seat, 'stuck');
    throw new ThreadStuckError(
      `thread ${seat.thread} is stuck ${where}; only the end of the process is sure to end it`,
    );
  }

  private enter(seat: Seat, state: ThreadState, error?: ErrorData): void {
    seat.state = state;
    this.options.onEvent?.({ type: 'state', thread: seat.thread, state, ...(error === undefined ? {} : { error }) });
  }

  private seat(thread: number): Seat {
    const seat = this.seats[thread];
    assert(seat !== undefined, `there is no worker ${thread}`);
    return seat;
  }

  private hostEvents(): HostEvents {
    const { thread, onEvent } = { thread: this.options.workers, onEvent: this.options.onEvent };
    return {
      crashed: (slot, incarnation, error) =>
        onEvent?.({ type: 'crashed', thread, slot, incarnation, error: errorData(error) }),
      // The application's thread is not ours to end: the actor stays down, and its owner hears of it.
      escalated: (slot, error) => onEvent?.({ type: 'escalated', thread, slot, error: errorData(error) }),
      trouble: (what, error) => onEvent?.({ type: 'trouble', thread, what, error: errorData(error) }),
    };
  }
}

/**
 * True if Node was started with module loaders. Workers would inherit them, although the entry is compiled JavaScript,
 * and load them anew at every start (under tap, a start took seconds instead of 0.1). They get no options at all then:
 * a list that is given is checked, and options of the process, `--max-old-space-size` say, are refused in it.
 */
function hasLoaders(options: readonly string[]): boolean {
  const loaders = new Set(['--import', '--require', '-r', '--loader', '--experimental-loader']);
  return options.some((option) => loaders.has(option.split('=', 1)[0]!));
}

/** True if `done` resolves within `timeoutMs`. */
async function inTime(done: Promise<void>, timeoutMs: number): Promise<boolean> {
  const late = deferred<boolean>();
  const timer = setTimeout(() => late.resolve(false), timeoutMs);
  try {
    return await Promise.race([done.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** A promise with its ends in hand (`Promise.withResolvers` came with Node 22). */
function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
