/** Makes the threads of a store fail whose entry is `faulty-worker`. */
import { BroadcastChannel } from 'node:worker_threads';

/** Nobody else in this process uses it. */
export const FAULT_CHANNEL = 'quoral-test-faults';
export const FAULTY_WORKER = new URL('./faulty-worker.js', import.meta.url);

/**
 * 'throw': an error that nobody catches. 'exhaust': its JavaScript heap is used up, outside of a commit.
 * 'exhaust-inside': the same, inside its next transaction: the process cannot end in order any more.
 * 'fill': its heap fills up, slowly, with what stays in use. A gate: it stands still until that is 1.
 * `errno`: each of its commits fails with that number of the system, from now on; 0 ends that.
 */
export type Fault =
  | 'throw'
  | 'exhaust'
  | 'exhaust-inside'
  | 'fill'
  | Int32Array<SharedArrayBuffer>
  | { readonly errno: number };
/** Nobody stands still for longer, so that a test that fails ends. */
export const MOST_STALL_MS = 30_000;

/** To a thread: fail; and back: it is about to. */
export interface FaultOrder {
  readonly thread: number;
  readonly fault: Fault | 'begun';
}

export class Faults {
  private readonly channel = new BroadcastChannel(FAULT_CHANNEL);
  private readonly waiting = new Map<number, () => void>();
  private readonly stalls: (() => void)[] = [];

  constructor() {
    this.channel.onmessage = (event) => {
      const { thread, fault } = (event as { data: unknown }).data as FaultOrder;
      if (fault === 'begun') this.waiting.get(thread)?.();
    };
  }

  /** Resolves when the thread is about to fail, and will take no further mail. */
  strike(thread: number, fault: Fault): Promise<void> {
    this.channel.postMessage({ thread, fault } satisfies FaultOrder);
    return new Promise((resolve) => this.waiting.set(thread, resolve));
  }

  /** Resolves when these threads stand still; they go on when what is given back is called, or upon `close`. */
  async stall(threads: readonly number[]): Promise<() => void> {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const goOn = () => {
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
    };
    this.stalls.push(goOn);
    await Promise.all(threads.map((thread) => this.strike(thread, gate)));
    return goOn;
  }

  close(): void {
    for (const goOn of this.stalls) goOn();
    this.channel.close();
  }
}
