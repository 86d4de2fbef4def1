/**
 * The hashing pool as a node's thread has it: see `hashing-pool.ts`. Apart from it, so that these threads do not load what
 * runs the pool at each of their starts.
 */
import type { MessagePort } from 'node:worker_threads';
import { type ErrorData, RemoteError } from './control-plane.js';

/** What a node's end of a port sends and gets. */
export interface PortTask {
  readonly number: number;
  readonly task: unknown;
}
export type PortResult =
  | { readonly number: number; readonly result: unknown }
  | { readonly number: number; readonly error: ErrorData };

/** A node's end of a port to the pool. */
export class HashingClient<Task, Result> {
  private readonly port: MessagePort;
  private readonly waiting = new Map<number, { resolve(result: Result): void; reject(error: Error): void }>();
  private numbers = 0;
  private closed = false;

  constructor(port: MessagePort) {
    this.port = port;
    port.on('message', (message: PortResult) => {
      const asked = this.waiting.get(message.number);
      if (asked === undefined) return;
      this.waiting.delete(message.number);
      if (this.waiting.size === 0) port.unref();
      if ('error' in message) asked.reject(new RemoteError(message.error));
      else asked.resolve(message.result as Result);
    });
    port.on('close', () => {
      this.closed = true;
      for (const { reject } of this.waiting.values()) reject(poolClosed());
      this.waiting.clear();
    });
    port.unref();
  }

  /** The task is copied: it stays the caller's, who may have to ask again. @throws As `HashingPool.run`; or the pool is closed. */
  run(task: Task): Promise<Result> {
    if (this.closed) return Promise.reject(poolClosed());
    const number = ++this.numbers;
    return new Promise((resolve, reject) => {
      this.waiting.set(number, { resolve, reject });
      this.port.ref();
      this.port.postMessage({ number, task } satisfies PortTask);
    });
  }

  close(): void {
    this.port.close();
  }
}

/** What a task comes to that is given to a closed pool. */
export function poolClosed(): Error {
  return new Error('The hashing pool is closed');
}
