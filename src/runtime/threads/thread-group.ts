/**
 * A thread group: the application's thread, with a host of its own, and the workers that it starts, links to one
 * another, watches and restarts.
 *
 *     down ──start──▶ starting ──ready──▶ up ──stop, crash──▶ stopping ──exit──▶ down (until start)
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
import { condemn, createDoorbell } from './doorbell.js';
import type { HostEvents } from './host-events.js';
import { laneBytesFor } from './lane.js';
import { createLinkEnds, type LinkEnds } from './link.js';
import { ThreadHost, type ThreadHostOptions } from './thread-host.js';
import type { GroupOrder, ThreadReport, WorkerStart } from './worker-thread.js';

export type ThreadState = 'down' | 'starting' | 'up' | 'stopping' | 'waiting' | 'given-up';

export type GroupEvent =
  | { readonly type: 'state'; readonly thread: number; readonly state: ThreadState; readonly error?: ErrorData }
  | (Exclude<ThreadReport, { type: 'ready' | 'start-failed' }> & { readonly thread: number });

export interface ThreadGroupOptions {
  /** The module that each worker runs; it calls `runWorkerThread`. */
  readonly entry: URL;
  /** The workers are the threads 0 … workers − 1. */
  readonly workers: number;
  /** How many application threads there may be (default 1): the one that makes the group is thread `workers`. */
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

/** What another application thread needs to join: to be posted to it with its ports transferred. */
export interface ApplicationEnds {
  readonly thread: number;
  readonly doorbell: SharedArrayBuffer;
  readonly links: readonly LinkEnds[];
  readonly orders: MessagePort;
}

/** Called by another application thread: makes its host, linked to the group's threads. Close the host to leave. */
export function joinGroup(
  ends: ApplicationEnds,
  options: Pick<ThreadHostOptions, 'events' | 'polls'> = {},
): ThreadHost {
  const { thread, doorbell, orders } = ends;
  const host = new ThreadHost({
    polls: APPLICATION_POLLS,
    ...options,
    thread,
    doorbell,
    onClose: () => orders.close(),
  });
  for (const link of ends.links) host.connect(link);
  orders.on('message', (order: GroupOrder) => {
    if (order.type === 'connect') host.connect(order.ends);
    else if (order.type === 'disconnect') host.disconnect(order.peer);
  });
  orders.unref();
  return host;
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

/** A thread did not end in time, and stands within a commit, where it cannot be ended safely. */
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
}

/** Whoever is linked to all others: the host here, a worker that runs, another application thread. */
interface Member {
  readonly thread: number;
  readonly doorbell: SharedArrayBuffer;
  order(order: GroupOrder, transfer: MessagePort[]): void;
}

/** How long the end of the process waits for commits, in milliseconds: several times the longest flush seen. */
const EXIT_WAIT_MS = 2_000;

/** Polls before parking: +38 % at 64 in flight when measured, for no cost when idle. */
const APPLICATION_POLLS = 50;

export class ThreadGroup {
  /** The host of the thread that made the group. */
  readonly host: ThreadHost;
  private readonly options: ThreadGroupOptions;
  private readonly seats: Seat[] = [];
  private readonly laneBytes: number;
  private readonly members = new Map<number, Member>();
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
    this.laneBytes = laneBytesFor(options.workers + (options.applications ?? 1));
    this.host = new ThreadHost({
      thread: options.workers,
      polls: options.polls ?? APPLICATION_POLLS,
      events: this.hostEvents(),
    });
    this.enroll(this.host.thread, this.host.doorbell, (order) => {
      if (order.type === 'connect') this.host.connect(order.ends);
      else if (order.type === 'disconnect') this.host.disconnect(order.peer);
    });
    process.on('exit', this.onProcessExit);
    for (let thread = 0; thread < options.workers; thread++) {
      this.seats.push({
        thread,
        supervision: new Supervision(options.supervision ?? DEFAULT_SUPERVISION),
        state: 'down',
        incarnation: 0,
        data: undefined,
        running: undefined,
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
   */
  async start(thread: number, data: unknown): Promise<void> {
    const seat = this.seat(thread);
    if (seat.state === 'stopping') await seat.running?.exited;
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
    await this.end(this.seat(thread), order, options.timeoutMs ?? 30_000);
  }

  /** Ends a thread at its next turn, with no flush and no `stop`. It stays down until `start`. */
  async crash(thread: number, options: Pick<StopOptions, 'timeoutMs'> = {}): Promise<void> {
    await this.end(this.seat(thread), { type: 'crash' }, options.timeoutMs ?? 30_000);
  }

  /** Stops all threads, then this thread's host. */
  async close(options: StopOptions = {}): Promise<void> {
    this.closed = true;
    const ends = await Promise.allSettled(this.seats.map((seat) => this.stop(seat.thread, options)));
    this.leave(this.host.thread);
    this.host.stop();
    process.off('exit', this.onProcessExit);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  /**
   * Makes room for another application thread: hand the result, with its `transfer` list, to a thread of the
   * application's own, which gives it to `joinGroup`. The thread leaves the group when it ends.
   * @param thread - from `workers` + 1 up to, and without, `workers` + `applications`; free
   */
  attach(thread: number): { readonly ends: ApplicationEnds; readonly transfer: MessagePort[] } {
    const { workers, applications = 1 } = this.options;
    assert(thread > workers && thread < workers + applications, `thread ${thread} is not one of an application's`);
    assert(!this.members.has(thread), `thread ${thread} is taken`);
    const doorbell = createDoorbell();
    const links = this.linkToAll(thread, doorbell);
    const { port1, port2 } = new MessageChannel();
    this.enroll(thread, doorbell, (order, transfer) => port1.postMessage(order, transfer));
    port1.on('close', () => this.leave(thread));
    port1.unref();
    return { ends: { thread, doorbell, links, orders: port2 }, transfer: [...links.map(({ port }) => port), port2] };
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

  /** Links a new thread to every member: gives them their ends, and returns the new thread's. */
  private linkToAll(thread: number, doorbell: SharedArrayBuffer): LinkEnds[] {
    const links: LinkEnds[] = [];
    for (const member of this.members.values()) {
      const [here, there] = createLinkEnds({ thread, doorbell }, member, this.laneBytes);
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
      } else {
        this.options.onEvent?.({ ...report, thread: seat.thread });
      }
    });
    worker.on('error', (error) => {
      running.error ??= errorData(error);
    });
    worker.on('exit', (code) => {
      // A start by request that fails is the requester's to hear of and to repeat.
      const stays = seat.state === 'stopping' || (byRequest && !wasReady);
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

  private async end(seat: Seat, order: GroupOrder, timeoutMs: number): Promise<void> {
    clearTimeout(seat.restart);
    const { running } = seat;
    if (running === undefined) {
      if (seat.state !== 'down') this.enter(seat, 'down');
      return;
    }
    this.enter(seat, 'stopping');
    running.worker.ref();
    running.worker.postMessage(order);
    const late = deferred<true>();
    const watchdog = setTimeout(() => late.resolve(true), timeoutMs);
    if ((await Promise.race([running.exited, late.promise])) === true) await this.lastResort(seat, running);
    clearTimeout(watchdog);
  }

  /** Ends a thread that does not end by itself, unless it stands within a commit. */
  private async lastResort(seat: Seat, running: Running): Promise<void> {
    if (!condemn(running.doorbell)) {
      throw new ThreadStuckError(`thread ${seat.thread} is stuck in a commit; only the end of the process will end it`);
    }
    await running.worker.terminate();
    await running.exited;
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

/** A promise with its ends in hand (`Promise.withResolvers` came with Node 22). */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}
