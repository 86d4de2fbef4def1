/**
 * The hashing pool: threads that do for the nodes what would hold up their event loops. One pool serves all nodes of
 * the process; it lives on the application's thread, which only hands tasks and results on.
 *
 *     node's thread ──task──▶ port ──▶ application's thread ──▶ piscina ──▶ a thread of the pool
 *          ▲                                                                  │
 *          └──────────────── result, its buffers moved and not copied ────────┘
 *
 * A task is done once or rejected: by its own error, because its thread died, or because there is no room. Nothing of it
 * is kept here: whoever asked still has what it takes to ask again. A thread is there from the first task that needs it
 * until it has been idle for a while. Tasks wait here and not with piscina, which would leave those that wait lying when its
 * last thread dies. A task costs 16 µs by itself: worth it from about 300 records or 256 KiB on.
 *
 * Closing waits for tasks under way, and until every thread has loaded its modules: piscina 5.3 ends threads at once that have
 * not taken a task yet, and a thread that Node 20 is made to end while it loads a module may take the process with it (`v8::
 * Module::IsGraphAsync must be used on an instantiated module`).
 */
import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { withoutLoaders } from '../../base/loaders.js';
import { errorData } from './control-plane.js';
import { type PortResult, type PortTask, poolClosed } from './hashing-client.js';

export interface HashingPoolOptions<Result> {
  /** The module that the pool's threads run, and the name of the function in it that takes a task. */
  readonly entry: URL;
  readonly name: string;
  /** How many threads there are at most. */
  readonly threads: number;
  /** Tasks that may wait for a thread (default 256); more are refused. */
  readonly maxQueue?: number;
  /** How long a thread stays without anything to do, in milliseconds (default 60,000): to start one takes some 0.15 s of a core. */
  readonly idleMs?: number;
  /** What of a result is moved on its way to a node. */
  readonly buffersOf: (result: Result) => ArrayBuffer[];
  /** A thread of the pool failed with no task in its hand. */
  readonly onError?: (error: Error) => void;
}

/** A task for which there is no thread yet. */
interface Waiting<Task, Result> {
  readonly task: Task;
  resolve(result: Result): void;
  reject(error: Error): void;
}

export class HashingPool<Task, Result> {
  private readonly pool: Piscina<Task, Result>;
  private readonly threads: number;
  private readonly maxQueue: number;
  private readonly waiting: Waiting<Task, Result>[] = [];
  private readonly running = new Set<Promise<Result>>();
  /** The threads that have loaded their modules, by their ids. */
  private readonly loaded = new Set<number>();
  private closed = false;
  private readonly buffersOf: (result: Result) => ArrayBuffer[];
  private readonly ports = new Set<MessagePort>();

  constructor(options: HashingPoolOptions<Result>) {
    this.buffersOf = options.buffersOf;
    this.threads = options.threads;
    this.maxQueue = options.maxQueue ?? 256;
    this.pool = new Piscina<Task, Result>({
      filename: options.entry.href,
      name: options.name,
      minThreads: 0,
      maxThreads: options.threads,
      idleTimeout: options.idleMs ?? 60_000,
      // Options of this process (loaders, a debugger's port) are not meant for the pool.
      ...withoutLoaders(process),
      execArgv: [],
    });
    this.pool.on('error', (error: Error) => options.onError?.(error));
    this.pool.on('workerCreate', ({ id }: { readonly id: number }) => this.loaded.add(id));
    this.pool.on('workerDestroy', ({ id }: { readonly id: number }) => this.loaded.delete(id));
  }

  /** @throws what the task threw; or an error that says that its thread ended, or that there is no room. */
  async run(task: Task): Promise<Result> {
    if (this.closed) throw poolClosed();
    if (this.running.size >= this.threads) {
      if (this.waiting.length >= this.maxQueue) throw new Error('Too many tasks wait for the hashing pool');
      return new Promise((resolve, reject) => this.waiting.push({ task, resolve, reject }));
    }
    return this.start(task);
  }

  private async start(task: Task): Promise<Result> {
    const run = this.pool.run(task);
    this.running.add(run);
    try {
      return await run;
    } finally {
      this.running.delete(run);
      const next = this.waiting.shift();
      if (next !== undefined) this.start(next.task).then(next.resolve, next.reject);
    }
  }

  /** A port to be transferred to a node's thread, for a `HashingClient` there. */
  connect(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.ports.add(port1);
    port1.on('message', ({ number, task }: PortTask) => {
      this.run(task as Task).then(
        (result) => {
          port1.postMessage({ number, result } satisfies PortResult, this.buffersOf(result));
        },
        (error: unknown) => {
          port1.postMessage({ number, error: errorData(error) } satisfies PortResult);
        },
      );
    });
    port1.on('close', () => this.ports.delete(port1));
    port1.unref();
    return port2;
  }

  /** Ends once the tasks under way are done; those of ports that come later are not heard any more. */
  async close(): Promise<void> {
    this.closed = true;
    for (const port of this.ports) port.close();
    for (const { reject } of this.waiting.splice(0)) reject(poolClosed());
    await Promise.allSettled(this.running);
    await Promise.all(this.pool.threads.filter(({ threadId }) => !this.loaded.has(threadId)).map(hasLoaded));
    await this.pool.close();
  }
}

/** Its first message says so; one that fails to load ends. Meanwhile it holds the process. */
function hasLoaded(thread: Worker): Promise<void> {
  thread.ref();
  return new Promise((resolve) => {
    thread.once('message', () => resolve());
    thread.once('exit', () => resolve());
  });
}
