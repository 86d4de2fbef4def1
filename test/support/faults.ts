/** Makes the threads of a store fail whose entry is `faulty-worker`. */
import { BroadcastChannel } from 'node:worker_threads';

/** Nobody else in this process uses it. */
export const FAULT_CHANNEL = 'quoral-test-faults';
export const FAULTY_WORKER = new URL('./faulty-worker.js', import.meta.url);

/** 'throw': an error that nobody catches. 'exhaust': its JavaScript heap is used up, outside of a commit. */
export type Fault = 'throw' | 'exhaust';

export interface FaultOrder {
  readonly thread: number;
  readonly fault: Fault;
}

export class Faults {
  private readonly channel = new BroadcastChannel(FAULT_CHANNEL);

  strike(thread: number, fault: Fault): void {
    this.channel.postMessage({ thread, fault } satisfies FaultOrder);
  }

  close(): void {
    this.channel.close();
  }
}
