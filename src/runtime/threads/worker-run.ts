/**
 * One incarnation of a worker thread as its group has it: its birth, what it reports, its pauses, and its end.
 * It is never terminated but as the last resort of a watchdog, and then only outside of a commit.
 *
 * A worker whose heap is exhausted within a transaction strands: it runs no JavaScript any more and never exits, since
 * lmdb's clean-up at its end waits for a lock that the thread itself holds. What tells is its ports, which close before
 * that. It counts as dead then; whoever takes its place is told that its files are locked; and the process, whose end
 * would wait for the thread, ends by SIGKILL.
 */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { ControlLine, type ErrorData, errorData, type Remote } from './control-plane.js';
import { type Deferred, deferred, inTime } from './deferred.js';
import { condemn, endStillness, hasPulse, transactionWord } from './doorbell.js';
import type { GroupOrder, ThreadNews, ThreadReport } from './group-order.js';
import { newWorker } from './new-worker.js';
import type { Standby } from './standby.js';
import { ThreadStartError, ThreadStuckError } from './thread-errors.js';
import type { WorkerStart } from './worker-thread.js';

export interface WorkerRunOptions {
  readonly entry: URL;
  readonly heapMb: number | undefined;
  readonly start: Omit<WorkerStart, 'control'>;
  /** Ready to become it; undefined: a worker is made. */
  readonly standby: Standby | undefined;
}

/** Who hears of it. */
export interface WorkerRunEvents {
  ready(): void;
  news(news: ThreadNews): void;
  /** It has much to do. */
  inUse(): void;
  /** Called before `ready` is rejected, or `exited` resolved. @param error - why, as far as is known */
  exited(run: WorkerRun, error: ErrorData): void;
  /** It died within a transaction, and will not exit by itself: called before `exited`, which then is not its exit. */
  stranded(run: WorkerRun, error: ErrorData): void;
  /** One that was taken for stranded has exited after all. */
  gone(run: WorkerRun): void;
}

/** How long a terminated thread may take to be gone, in milliseconds: longer only within native code that does not end. */
const TERMINATE_MS = 5_000;

/** How long a thread that has begun to end may take to exit, in milliseconds, if it did so within a transaction. */
const STRANDED_AFTER_MS = 500;

export class WorkerRun {
  readonly thread: number;
  readonly doorbell: SharedArrayBuffer;
  /** Rejects with a `ThreadStartError` if it dies before. */
  readonly ready: Promise<void>;
  readonly exited: Promise<void>;
  wasReady = false;
  /** What its setup threw, or nobody caught. */
  error: ErrorData | undefined = undefined;
  private readonly worker: Worker;
  private readonly control: ControlLine<unknown>;
  /** True once it is to end: it holds the process until then. */
  private ending = false;
  /** How many wait for a report of it. */
  private awaited = 0;
  /** Until when it stands still by order, by `performance.now()`; 0 if it does not. */
  private pausedUntil = 0;
  /** Resolves once it stands still. */
  private paused = deferred<void>();
  /** Who waits until it has carried out all orders, by the number of the order to say so. */
  private readonly following = new Map<number, Deferred<void>>();
  private nextFollow = 1;

  constructor({ entry, heapMb, start, standby }: WorkerRunOptions, events: WorkerRunEvents) {
    this.thread = start.thread;
    this.doorbell = start.doorbell;
    const ready = deferred<void>();
    const exited = deferred<void>();
    // A restarted thread has nobody who waits for it: its failures are told as events.
    ready.promise.catch(() => {});
    this.ready = ready.promise;
    this.exited = exited.promise;
    const { port1, port2 } = new MessageChannel();
    let over = false;
    const end = (error: ErrorData): void => {
      over = true;
      this.control.close(`thread ${this.thread} has ended`);
      events.exited(this, error);
      if (!this.wasReady) ready.reject(new ThreadStartError(this.thread, error));
      exited.resolve();
    };
    /** It has begun to end; if it did so within a transaction, it never will have. */
    const hungUp = (): void => {
      if (Atomics.load(transactionWord(this.doorbell), 0) === 0) return;
      setTimeout(() => {
        if (over) return;
        const error = errorData(new Error('its heap was exhausted within a transaction'));
        // Nothing else would let the process end by itself.
        this.worker.unref();
        events.stranded(this, error);
        end(error);
      }, STRANDED_AFTER_MS).unref();
    };
    this.control = new ControlLine(port1, hungUp);
    const data: WorkerStart = { ...start, control: port2 };
    const transfer = [
      ...start.links.map(({ port }) => port),
      port2,
      ...(start.service === undefined ? [] : [start.service]),
    ];
    const name = `thread ${start.thread}`;
    this.worker = standby?.take(data, transfer) ?? newWorker({ entry, name, heapMb, data, transfer });
    this.worker.on('message', (report: ThreadReport) => {
      switch (report.type) {
        case 'ready':
          this.wasReady = true;
          // From here on an idle thread does not keep the process alive.
          if (!this.ending) this.worker.unref();
          events.ready();
          ready.resolve();
          return;
        case 'start-failed':
          this.error = report.error;
          return;
        case 'paused':
          this.paused.resolve();
          return;
        case 'in-use':
          events.inUse();
          return;
        case 'followed':
          this.following.get(report.order)?.resolve();
          this.following.delete(report.order);
          return;
        default:
          events.news(report);
      }
    });
    this.worker.on('error', (error) => {
      this.error ??= errorData(error);
    });
    this.worker.on('exit', (code) => {
      // It was slow rather than stranded, and its end has been told.
      if (over) events.gone(this);
      else end(this.error ?? errorData(new Error(`the thread exited with code ${code}`)));
    });
  }

  /** Its control plane: what its entry serves. */
  get remote(): Remote<unknown> {
    return this.control.remote;
  }

  /** True once it was ready and is about to end unasked, which others may have seen already. */
  get failing(): boolean {
    return this.wasReady && !hasPulse(this.doorbell);
  }

  order(order: GroupOrder, transfer: MessagePort[] = []): void {
    this.worker.postMessage(order, transfer);
  }

  /** Lets it stand still for `ms`. Resolves once it does, or is gone. Pauses that overlap end with the last of them. */
  async pause(ms: number): Promise<void> {
    const now = performance.now();
    const from = Math.max(now, this.pausedUntil);
    if (from === now) this.paused = deferred();
    if (now + ms > from) {
      this.pausedUntil = now + ms;
      this.order({ type: 'pause', ms: now + ms - from });
    }
    await this.hear(this.paused.promise);
  }

  /** Resolves once it has carried out all orders so far, or is gone. One that is paused does so before its next turn. */
  async followed(): Promise<void> {
    if (this.pausedUntil > performance.now()) {
      await this.hear(this.paused.promise);
      return;
    }
    await this.report((order) => ({ type: 'follow', order }));
  }

  /**
   * Before all threads end: resolves once it has nothing in hand and nothing under way, is gone, or `graceMs` are over. One
   * that is paused goes on.
   */
  async settle(graceMs: number): Promise<void> {
    endStillness(this.doorbell);
    await inTime(
      this.report((order) => ({ type: 'settle', order, graceMs })),
      graceMs,
    );
  }

  private async report(orderOf: (order: number) => GroupOrder): Promise<void> {
    const order = this.nextFollow++;
    const done = deferred<void>();
    this.following.set(order, done);
    this.order(orderOf(order));
    await this.hear(done.promise);
  }

  /**
   * Orders its end, and waits for it; sees to it by force after `timeoutMs`.
   * @throws {ThreadStuckError} It stands within a commit, where it cannot be ended safely, or in other native code.
   */
  async end(order: GroupOrder, timeoutMs: number): Promise<void> {
    this.ending = true;
    this.worker.ref();
    this.order(order);
    endStillness(this.doorbell);
    if (await inTime(this.exited, timeoutMs)) return;
    const outside = condemn(this.doorbell);
    if (outside) {
      // Its promise is not waited for: it does not settle while native code runs.
      void this.worker.terminate();
      if (await inTime(this.exited, TERMINATE_MS)) return;
    }
    const where = outside ? 'in native code' : 'in a commit';
    throw new ThreadStuckError(
      `thread ${this.thread} is stuck ${where}; only the end of the process is sure to end it`,
    );
  }

  /** Waits for what it will report, or for its end. Meanwhile it holds the process. */
  private async hear(report: Promise<void>): Promise<void> {
    if (this.awaited++ === 0) this.worker.ref();
    await Promise.race([report, this.exited]);
    if (--this.awaited === 0 && !this.ending) this.worker.unref();
  }
}
