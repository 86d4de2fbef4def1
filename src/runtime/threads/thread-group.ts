/**
 * A thread group: the application's thread, with a host of its own, and the workers that it starts, links to one
 * another, watches and restarts.
 *
 *     down ──start──▶ starting ──ready──▶ up ──stop, crash──▶ stopping ──exit──▶ down (until start)
 *                                          │                           └─ not in time: stuck ──exit──▶ down
 *                                          └──exit unasked──▶ waiting ──back-off──▶ starting ──setup fails──▶ waiting
 *                                                               └─ too often: given-up, loudly (until start)
 *
 * Every incarnation of a worker gets lanes of its own. A worker is never terminated but as the last resort of a
 * watchdog, and then only outside of a commit: inside one, LMDB's writer lock would be held for ever.
 */
import { writeSync } from 'node:fs';
import { MessageChannel, type MessagePort } from 'node:worker_threads';

import { assert } from '../../base/assert.js';
import { DEFAULT_SUPERVISION, type SupervisionPolicy } from '../actor.js';
import { Supervision } from '../supervision.js';
import { type ErrorData, errorData, type Remote } from './control-plane.js';
import { deferred } from './deferred.js';
import { condemn, createDoorbell } from './doorbell.js';
import { followLinkOrder, type GroupOrder, type ThreadNews } from './group-order.js';
import type { HostEvents } from './host-events.js';
import { APPLICATION_POLLS, type ApplicationEnds } from './join-group.js';
import { Mesh } from './mesh.js';
import { StandbyPlace } from './standby.js';
import { ThreadStartError, ThreadStuckError } from './thread-errors.js';
import { ThreadHost } from './thread-host.js';
import { WorkerRun } from './worker-run.js';

export type ThreadState = 'down' | 'starting' | 'up' | 'stopping' | 'stuck' | 'waiting' | 'given-up';

export type GroupEvent =
  | { readonly type: 'state'; readonly thread: number; readonly state: ThreadState; readonly error?: ErrorData }
  /** A thread died within a transaction; 'waiting' or 'down' follows. */
  | { readonly type: 'stranded'; readonly thread: number; readonly error: ErrorData }
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
  /**
   * How long to wait before a worker is started again whose restart has failed, in milliseconds, as its setup has told;
   * or undefined for one that counts as having died. Those that wait are never given up. Default: undefined.
   */
  readonly retryStartMs?: ((error: ErrorData) => number | undefined) | undefined;
  /**
   * Once a thread is in use, a worker stands by for whichever is started next; see standby.ts. It costs the memory of a thread, and
   * no time once it is ready. Default: none does.
   */
  readonly standby?: { /** For the entry's `prepare`. */ readonly data: unknown } | undefined;
  /** Looks before parking on the application's thread; see `ThreadHostOptions`. */
  readonly polls?: number;
  /**
   * Gives a port to each incarnation of a worker, which its entry finds as `service`; the other end is for whatever
   * serves it. Default: none.
   */
  readonly service?: (() => MessagePort) | undefined;
  /** Everything that someone may have to know. Called on the application's thread, outside of turns. */
  readonly onEvent?: (event: GroupEvent) => void;
}

export interface StartOptions {
  /** True if the thread of another group of this process stranded with what this one will open; see `WorkerContext`. */
  readonly stranded?: boolean;
}

/** How long actors may finish what they have in hand, by default. */
const GRACE_MS = 1_000;

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

/** A worker of the group, over all its incarnations. */
interface Seat {
  readonly thread: number;
  readonly supervision: Supervision;
  state: ThreadState;
  incarnation: number;
  data: unknown;
  running: WorkerRun | undefined;
  /** Of a thread that is stopping: settles when it is down, or stuck. */
  ending: Promise<void> | undefined;
  restart: NodeJS.Timeout | undefined;
  /** See `WorkerContext`. */
  stranded: boolean;
}

/** How long the end of the process waits for commits, in milliseconds: several times the longest flush seen. */
const EXIT_WAIT_MS = 2_000;

export class ThreadGroup {
  /** The host of the thread that made the group. */
  readonly host: ThreadHost;
  private readonly options: ThreadGroupOptions;
  private readonly seats: Seat[] = [];
  private readonly mesh: Mesh;
  private readonly standby: StandbyPlace | undefined;
  private closed = false;
  /** The incarnations that stranded, and will never exit. */
  private readonly stranded = new Set<WorkerRun>();
  /**
   * A process that ends while a worker stands within a commit would hang for ever: LMDB's cleanup waits for the lock
   * that the worker holds. So its end waits for the commits, and lets no other begin. A worker that does not leave its
   * commit has died within, of an exhausted heap, or its disk is stuck: then only SIGKILL ends the process, and it is
   * better that it does so itself than that someone waits for it.
   */
  private readonly onProcessExit = (code: number): void => {
    const until = performance.now() + EXIT_WAIT_MS;
    for (const { thread, running } of this.seats) {
      if (running === undefined) continue;
      let ended = condemn(running.doorbell);
      // Spins, since nothing else runs on this thread any more, and the wait is as short as a commit.
      while (!ended && performance.now() < until) ended = condemn(running.doorbell);
      if (!ended) killProcess(`thread ${thread} is stuck in a commit`, code);
    }
    if (this.stranded.size > 0) killProcess('a thread died within a transaction', code);
  };

  constructor(options: ThreadGroupOptions) {
    this.options = options;
    this.mesh = new Mesh(options.workers, options.applications ?? 1);
    this.host = new ThreadHost({
      thread: options.workers,
      polls: options.polls ?? APPLICATION_POLLS,
      events: this.hostEvents(),
    });
    const { entry, heapMb, standby, onEvent } = options;
    if (standby !== undefined) {
      const died = (error: ErrorData): void =>
        onEvent?.({ type: 'trouble', thread: options.workers, what: 'standby', error });
      this.standby = new StandbyPlace({ entry, heapMb, data: standby.data, died });
    }
    const { thread, doorbell } = this.host;
    this.mesh.enroll({ thread, doorbell, order: (order) => void followLinkOrder(this.host, order) });
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
        stranded: false,
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
    return running.remote as Remote<T>;
  }

  /**
   * Starts a thread that is down; resolves once it is ready. One that is starting or up stays as it is.
   * @param data - for its entry; copied to the worker, and used again when it is restarted
   * @throws {ThreadStartError} Its setup failed, it died before it was ready, or the group is closed. It is left down.
   * @throws {ThreadStuckError} Its last incarnation has not ended yet, and nothing can end it.
   */
  async start(thread: number, data: unknown, options: StartOptions = {}): Promise<void> {
    const seat = this.seat(thread);
    while (seat.state === 'stopping') await seat.ending;
    // What is started is what comes after it.
    if (seat.state === 'up' && seat.running!.failing) await seat.running!.exited;
    if (seat.state === 'stuck') throw new ThreadStuckError(`thread ${thread} is stuck since it was to end`);
    // Nobody would end a thread that came after the others were ended.
    if (this.closed) throw new ThreadStartError(thread, errorData(new Error('the group is closed')));
    if (seat.running === undefined) {
      clearTimeout(seat.restart);
      seat.supervision.reset();
      seat.data = data;
      seat.stranded ||= options.stranded ?? false;
      this.launch(seat, true);
    }
    await seat.running!.ready;
  }

  /**
   * Stops a thread between turns: actors' `stop`, commit, flush, exit. It stays down until `start`.
   * @throws {ThreadStuckError} It did not end in time, and cannot be ended safely.
   */
  async stop(thread: number, options: StopOptions = {}): Promise<void> {
    const order: GroupOrder = { type: 'stop', graceMs: options.graceMs ?? GRACE_MS };
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
    if (state === 'up') await running!.pause(ms);
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
    this.mesh.split([...cut], rest);
    // Every cut has one end in `side`, which neither sends nor takes any more.
    await this.followed(cut);
  }

  /** Ends all splits. What was under way is lost: requests across that had no outcome yet have failed with 'cut-off'. */
  async heal(): Promise<void> {
    await this.followed(this.mesh.heal());
  }

  /** Resolves once the workers among `threads` have carried out all orders so far. */
  private async followed(threads: ReadonlySet<number>): Promise<void> {
    const running = this.seats.filter(({ thread }) => threads.has(thread)).map((seat) => seat.running);
    await Promise.all(running.filter((run) => run !== undefined).map((run) => run.followed()));
  }

  /**
   * Stops all threads, then this thread's host. Ends within `graceMs`, `timeoutMs` and 5 s more. None refuses the others'
   * requests before all have let go of theirs: where one was slow to take its mail, a write would be left half way.
   * @throws {ThreadStuckError} A thread could not be ended. The others are down.
   */
  async close(options: StopOptions = {}): Promise<void> {
    this.closed = true;
    const up = this.seats.filter(({ state }) => state === 'up');
    await Promise.all(up.map(({ running }) => running!.settle(options.graceMs ?? GRACE_MS)));
    const standbyGone = this.standby?.close();
    const ends = await Promise.allSettled(this.seats.map((seat) => this.stop(seat.thread, options)));
    await standbyGone;
    this.mesh.leave(this.host.thread);
    this.host.stop();
    // With a stuck thread the process would not end by itself.
    if (this.stranded.size === 0 && this.seats.every(({ running }) => running === undefined)) {
      process.off('exit', this.onProcessExit);
    }
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
    assert(!this.mesh.has(thread), `thread ${thread} is taken`);
    const doorbell = createDoorbell();
    const links = this.mesh.linksFor({ thread, doorbell });
    const { port1, port2 } = new MessageChannel();
    this.mesh.enroll({ thread, doorbell, order: (order, transfer) => port1.postMessage(order, transfer) });
    const left = deferred<void>();
    port1.on('close', () => {
      this.mesh.leave(thread);
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
    const links = this.mesh.linksFor({ thread, doorbell });
    const { entry, heapMb, onEvent } = this.options;
    const { incarnation, stranded, data } = seat;
    const service = this.options.service?.();
    const start = { thread, incarnation, doorbell, links, service, stranded, data };
    const run = new WorkerRun(
      { entry, heapMb, start, standby: this.standby?.take() },
      {
        ready: () => {
          seat.stranded = false;
          if (seat.state === 'starting') this.enter(seat, 'up');
        },
        news: (news) => onEvent?.({ ...news, thread }),
        inUse: () => this.standby?.have(),
        exited: (ended, error) => this.exited(seat, ended, error, byRequest),
        stranded: (run, error) => this.strand(seat, run, error),
        gone: (run) => this.stranded.delete(run),
      },
    );
    this.mesh.enroll({ thread, doorbell, order: (order, transfer) => run.order(order, transfer) });
    seat.running = run;
    this.enter(seat, 'starting');
  }

  /** The thread will never exit by itself; `exited` follows. */
  private strand(seat: Seat, run: WorkerRun, error: ErrorData): void {
    this.stranded.add(run);
    seat.stranded = true;
    // After the listeners that the application has by now: those behind it are not reached.
    process.off('exit', this.onProcessExit).on('exit', this.onProcessExit);
    this.options.onEvent?.({ type: 'stranded', thread: seat.thread, error });
  }

  private exited(seat: Seat, run: WorkerRun, error: ErrorData, byRequest: boolean): void {
    seat.running = undefined;
    this.mesh.leave(seat.thread);
    // A start by request that fails is the requester's to hear of and to repeat.
    if (seat.state === 'stopping' || seat.state === 'stuck' || (byRequest && !run.wasReady)) {
      // An error here was thrown on the way: a stop that was not clean.
      this.enter(seat, 'down', run.error);
      return;
    }
    const retryMs = run.wasReady || run.error === undefined ? undefined : this.options.retryStartMs?.(run.error);
    if (retryMs !== undefined) {
      this.restartIn(retryMs, seat, error);
      return;
    }
    const decision = seat.supervision.failed(performance.now());
    if (decision.type === 'escalate') {
      this.enter(seat, 'given-up', error);
      return;
    }
    this.restartIn(decision.delayMs, seat, error);
  }

  private restartIn(delayMs: number, seat: Seat, error: ErrorData): void {
    this.enter(seat, 'waiting', error);
    seat.restart = setTimeout(() => this.launch(seat, false), delayMs).unref();
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
    try {
      await running.end(order, timeoutMs);
    } catch (error) {
      // It may have ended after all, just now.
      if (seat.running !== running) return;
      this.enter(seat, 'stuck');
      this.mesh.abandon(seat.thread);
      throw error;
    }
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

/** Ends the process where `process.exit` would hang: it joins all threads. @param code - what it was to end with */
function killProcess(why: string, code: number): void {
  writeSync(2, `${why}: the process kills itself, since it could not end otherwise (with code ${code})\n`);
  process.kill(process.pid, 'SIGKILL');
}
