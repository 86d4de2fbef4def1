/** Makes the threads of a store fail whose entry is `faulty-worker`. */
import { BroadcastChannel } from 'node:worker_threads';

/** Nobody else in this process uses it. */
export const FAULT_CHANNEL = 'quoral-test-faults';
export const FAULTY_WORKER = new URL('./faulty-worker.js', import.meta.url);

/**
 * 'throw': an error that nobody catches. 'exhaust': its JavaScript heap is used up, outside of a commit.
 * 'exhaust-inside': the same, inside its next transaction: the process cannot end in order any more.
 * 'fill': its heap fills up, slowly, with what stays in use. 'stall': it stands still for `STALL_MS`.
 */
export type Fault = 'throw' | 'exhaust' | 'exhaust-inside' | 'fill' | 'stall';
export const STALL_MS = 4_000;

/** To a thread: fail; and back: it is about to. */
export interface FaultOrder {
  readonly thread: number;
  readonly fault: Fault | 'begun';
}

export class Faults {
  private readonly channel = new BroadcastChannel(FAULT_CHANNEL);
  private readonly waiting = new Map<number, () => void>();

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

  close(): void {
    this.channel.close();
  }
}
