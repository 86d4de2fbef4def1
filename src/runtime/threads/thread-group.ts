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

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';

import { assert } from '../../base/assert.js';
import { DEFAULT_SUPERVISION, type SupervisionPolicy } from '../actor.js';
import { Supervision } from '../supervision.js';
import { ControlLine, type ErrorData, errorData, type Remote } from './control-plane.js';
import { condemn, createDoorbell } from './doorbell.js';
import { laneBytesFor } from './lane.js';
import { createLinkEnds, type LinkEnds } from './link.js';
import { type HostEvents, ThreadHost } from './thread-host.js';
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
  /** Its present start was asked for: whoever asked hears of a failure, and it is not tried again. */
  startAsked: boolean;
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

/** Polls before parking: +38 % at 64 in flight when measured, for no cost when idle. */
const APPLICATION_POLLS = 50;

export class ThreadGroup {
  /** The host of the thread that made the group. */
  readonly host: ThreadHost;
  private readonly options: ThreadGroupOptions;
  private readonly seats: Seat[] = [];
  private readonly laneBytes: number;

  constructor(options: ThreadGroupOptions) {
    this.options = options;
    this.laneBytes = laneBytesFor(options.workers + (options.applications ?? 1));
    this.host = new ThreadHost({
      thread: options.workers,
      polls: options.polls ?? APPLICATION_POLLS,
      events: this.hostEvents(),
    });
    for (let thread = 0; thread < options.workers; thread++) {
      this.seats.push({
        thread,
        supervision: new Supervision(options.supervision ?? DEFAULT_SUPERVISION),
        state: 'down',
        incarnation: 0,
        startAsked: false,
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
   * @throws {ThreadStartError} Its setup failed, or it died before it was ready. It is left down.
   */
  async start(thread: number, data: unknown): Promise<void> {
    const seat = this.seat(thread);
    if (seat.state === 'stopping') await seat.running?.exited;
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
    const ends = await Promise.allSettled(this.seats.map((seat) => this.stop(seat.thread, options)));
    this.host.stop();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  private launch(seat: Seat, byRequest: boolean): void {
    const { thread } = seat;
    seat.incarnation++;
    const doorbell = createDoorbell();
    const links: LinkEnds[] = [];
    const ports: MessagePort[] = [];
    const connectLater: (() => void)[] = [];
    const link = (peer: number, bell: SharedArrayBuffer, connect: (ends: LinkEnds) => void): void => {
      const [here, there] = createLinkEnds({ thread, doorbell }, { thread: peer, doorbell: bell }, this.laneBytes);
      links.push(here);
      ports.push(here.port);
      connectLater.push(() => connect(there));
    };
    link(this.host.thread, this.host.doorbell, (ends) => this.host.connect(ends));
    for (const other of this.seats) {
      const { running } = other;
      if (other === seat || running === undefined) continue;
      link(other.thread, running.doorbell, (ends) => post(running.worker, { type: 'connect', ends }, [ends.port]));
    }
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
      transferList: [...ports, control.port2],
      name: `thread ${thread}`,
      ...(this.options.heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: this.options.heapMb } }),
    });
    for (const connect of connectLater) connect();
    this.watch(seat, worker, doorbell, new ControlLine(control.port1), byRequest);
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
    this.host.disconnect(seat.thread);
    for (const other of this.seats) {
      if (other.running !== undefined) post(other.running.worker, { type: 'disconnect', peer: seat.thread }, []);
    }
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
    post(running.worker, order, []);
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
      trouble: (what, error) => onEvent?.({ type: 'trouble', thread, what, error: errorData(error) }),
    };
  }
}

function post(worker: Worker, order: GroupOrder, transfer: MessagePort[]): void {
  worker.postMessage(order, transfer);
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
