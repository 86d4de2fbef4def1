/**
 * A worker that stands by: it has loaded its entry, and compiled what it will run, before anybody knows which thread it
 * will be. It takes the place of one that died within milliseconds. One that is made only then costs half a second to two
 * of a core, at the very moment in which the others have the work of two threads to do (benchmarks/README.md).
 *
 *     made ──entry loaded, `prepare` done──▶ ready ──taken──▶ the worker of an incarnation: see worker-run.ts
 *       └────────────── ended, or died: no standby ──────────┘ (before it was taken)
 */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { type ErrorData, errorData } from './control-plane.js';
import { inTime } from './deferred.js';
import { newWorker } from './new-worker.js';
import type { WorkerStart } from './worker-thread.js';

/** What a worker is given that stands by: its start comes by this port. */
export interface StandbyStart {
  readonly standby: MessagePort;
  /** Index 0 is not 0 once it is to end: its port may be closed before it listens. */
  readonly ended: Int32Array;
  /** For `prepare`. */
  readonly data: unknown;
}

export interface StandbyOptions {
  readonly entry: URL;
  readonly heapMb: number | undefined;
  /** For the entry's `prepare`. */
  readonly data: unknown;
  /** It has ended though nobody asked it to, before it was taken. */
  readonly died: (error: ErrorData) => void;
}

const READY = 'ready';

export class Standby {
  private readonly worker: Worker;
  private readonly port: MessagePort;
  private readonly ended = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  private ready = false;

  constructor({ entry, heapMb, data: given, died }: StandbyOptions) {
    const { port1, port2 } = new MessageChannel();
    this.port = port1;
    const data: StandbyStart = { standby: port2, ended: this.ended, data: given };
    try {
      this.worker = newWorker({ entry, name: 'standby', heapMb, data, transfer: [port2] });
    } catch (error) {
      port1.close();
      throw error;
    }
    let error: ErrorData | undefined;
    this.worker.on('error', (thrown) => {
      error = errorData(thrown);
    });
    this.worker.on('exit', (code) => {
      port1.close();
      died(error ?? errorData(new Error(`the thread exited with code ${code}`)));
    });
    port1.once('message', () => {
      this.ready = true;
    });
    // It keeps nothing alive.
    port1.unref();
    this.worker.unref();
  }

  /** True once it can take a place. */
  get isReady(): boolean {
    return this.ready;
  }

  /** Gives it its part; it is the caller's from now on. @param transfer - what of `start` it alone has then */
  take(start: WorkerStart, transfer: readonly MessagePort[]): Worker {
    this.forget();
    this.port.postMessage(start, [...transfer]);
    this.port.close();
    this.worker.ref();
    return this.worker;
  }

  /** Ends it; resolves once it is gone, or does not end. It has no storage open that this could harm. Never rejects. */
  async end(): Promise<void> {
    const { worker } = this;
    this.forget();
    // Whatever comes of what it has in hand.
    worker.on('error', () => {});
    worker.ref();
    const gone = new Promise<void>((resolve) => {
      worker.once('exit', () => resolve());
    });
    Atomics.store(this.ended, 0, 1);
    this.port.close();
    if (await inTime(gone, END_MS)) return;
    // Its promise is not waited for: it does not settle while native code runs.
    void worker.terminate();
    await inTime(gone, END_MS);
    worker.unref();
  }

  /** What becomes of it is somebody else's from now on. */
  private forget(): void {
    this.worker.removeAllListeners('error').removeAllListeners('exit');
  }
}

/** How long one that is to end may take to do so by itself, in milliseconds, and then by force. */
const END_MS = 1_000;
/** How long a group goes on without a standby after one was taken, or has died, in milliseconds: others have more to do then. */
const NEXT_AFTER_MS = 10_000;

/** Where one worker at a time stands by: once somebody has asked for it, another one follows each that is taken. */
export class StandbyPlace {
  private readonly options: StandbyOptions;
  private standby: Standby | undefined;
  private next: NodeJS.Timeout | undefined;
  private closed = false;

  /** @param options.died - one has ended before it was taken; another one follows, later */
  constructor(options: StandbyOptions) {
    this.options = options;
  }

  /** Has one stand by from now on. Idempotent. */
  have(): void {
    if (this.standby !== undefined || this.next !== undefined || this.closed) return;
    const died = (error: ErrorData): void => {
      this.standby = undefined;
      this.haveLater();
      this.options.died(error);
    };
    try {
      this.standby = new Standby({ ...this.options, died });
    } catch (error) {
      // There can be no thread more at the moment.
      died(errorData(error));
    }
  }

  /** The one that stands by, if it is ready: the caller's from now on. */
  take(): Standby | undefined {
    const { standby } = this;
    if (standby?.isReady !== true) return undefined;
    this.standby = undefined;
    this.haveLater();
    return standby;
  }

  /** Ends the one that stands by; none follows. Resolves once it is gone. */
  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.next);
    const { standby } = this;
    this.standby = undefined;
    await standby?.end();
  }

  private haveLater(): void {
    this.next = setTimeout(() => {
      this.next = undefined;
      this.have();
    }, NEXT_AFTER_MS).unref();
  }
}

/**
 * The worker's side: makes itself ready, then waits for its part. Never settles if it gets none: the thread ends.
 * @param prepare - what it does to be ready
 */
export async function standBy(
  { standby: port, ended, data }: StandbyStart,
  prepare: (data: unknown) => Promise<void>,
): Promise<WorkerStart> {
  const part = new Promise<WorkerStart>((resolve) => {
    port.once('message', (start: WorkerStart) => {
      port.off('close', leave);
      resolve(start);
    });
  });
  port.on('close', leave);
  if (Atomics.load(ended, 0) !== 0) leave();
  await prepare(data);
  port.postMessage(READY);
  return part;
}

function leave(): void {
  process.exit(0);
}
