/** How late the event loops of a store's nodes come, each by itself: `watched-worker.ts` in each of their threads. */
import { BroadcastChannel } from 'node:worker_threads';
import { Histogram, type HistogramData } from '../../src/metrics/histogram.js';

export const LOOP_CHANNEL = 'quoral-bench-loops';
/** Says to all nodes' threads whether they note what they write: `noting-worker.ts`. */
export const NOTING_CHANNEL = 'quoral-bench-noting';
export const NOTING_WORKER = new URL('./noting-worker.js', import.meta.url);
export const WATCHED_WORKER = new URL('./watched-worker.js', import.meta.url);

export type LoopMessage =
  /** Asks all for what they have seen since the last call. */
  | { readonly type: 'tell'; readonly call: number }
  | {
      readonly type: 'told';
      readonly call: number;
      readonly thread: number;
      readonly late: HistogramData;
      readonly cpuMs: number;
    };

/** What a node's thread has seen. */
export interface WatchedLoop {
  /** How late its event loop came since the last call. */
  readonly late: Histogram;
  /** What it has used of a core since it began, in milliseconds; 0 where the system does not tell. */
  readonly cpuMs: number;
}

export class WatchedLoops {
  private readonly channel = new BroadcastChannel(LOOP_CHANNEL);
  private calls = 0;

  /** By node. @param nodes - how many of them are up */
  async take(nodes: number): Promise<Map<number, WatchedLoop>> {
    const call = ++this.calls;
    const found = new Map<number, WatchedLoop>();
    await new Promise<void>((resolve) => {
      this.channel.onmessage = (event) => {
        const message = (event as { data: LoopMessage }).data;
        if (message.type !== 'told' || message.call !== call) return;
        const late = new Histogram();
        late.add(message.late);
        found.set(message.thread, { late, cpuMs: message.cpuMs });
        if (found.size === nodes) resolve();
      };
      this.channel.postMessage({ type: 'tell', call } satisfies LoopMessage);
    });
    return found;
  }

  close(): void {
    this.channel.close();
  }
}
