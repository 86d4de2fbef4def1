/** Threads that attach to a store, as a test has them: started with a ticket, asked by calls, ended in every way. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { withoutLoaders } from '../../src/base/loaders.js';
import type { ShareTicket } from '../../src/index.js';
import { ControlLine, type Remote, RemoteError } from '../../src/runtime/threads/control-plane.js';
import type { AttachedControl, AttachedData } from './attached-thread.js';

const ENTRY = new URL('./attached-thread.js', import.meta.url);

const running = new Set<AttachedThread>();

/** Ends all threads that a test has left behind: it failed. */
export async function endAttachedThreads(): Promise<void> {
  await Promise.all([...running].map((thread) => thread.terminate()));
}

export class AttachedThread {
  readonly ask: Remote<AttachedControl>;
  readonly exited: Promise<number>;
  private readonly worker: Worker;

  constructor(ticket: ShareTicket) {
    const { port1, port2 } = new MessageChannel();
    const workerData: AttachedData = { ticket, control: port2 };
    this.worker = new Worker(ENTRY, {
      workerData,
      transferList: [ticket, port2],
      ...withoutLoaders(process),
    });
    const line = new ControlLine<AttachedControl>(port1);
    running.add(this);
    this.ask = line.remote;
    this.exited = new Promise((resolve) => {
      this.worker.once('exit', (code) => {
        running.delete(this);
        line.close('the thread has ended');
        resolve(code);
      });
    });
  }

  /** A thread that has attached. */
  static async attached(ticket: ShareTicket): Promise<AttachedThread> {
    const thread = new AttachedThread(ticket);
    await thread.ask.attach();
    return thread;
  }

  /** Lets the thread end by itself, as it does once nothing but its store is left. @returns its exit code */
  end(): Promise<number> {
    // Not answered: what it would be answered through is what it closes.
    this.ask.letGo().catch(() => undefined);
    return this.exited;
  }

  /** Ends the thread, whatever it does. */
  async terminate(): Promise<void> {
    await this.worker.terminate();
  }
}

/** How a call on another thread ended: 'done', or the error's code and whether it was definite. */
export async function outcomeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'done';
  } catch (error) {
    if (error instanceof RemoteError) return `${error.code} ${error.definite ? 'definite' : 'indefinite'}`;
    throw error;
  }
}
