/**
 * What the machine itself does to a thread: an event loop beside the store, on a thread of its own, that has nothing to do
 * but to look at the clock every millisecond. How late it comes is what any thread waits for a core at that time, whatever
 * it is to do; a request wakes three or four, one after the other. Costs about a hundredth of a core.
 */
import { isMainThread, parentPort, Worker } from 'node:worker_threads';
import { assert } from '../../src/base/assert.js';
import { Histogram } from '../../src/metrics/histogram.js';
import type { Span } from './span-figure.js';

/** How often it looks, in milliseconds. */
const EVERY_MS = 1;
/** A minute and a half. */
const MOST_LOOKS = 90_000;

/** Pairs: when a look was due, in milliseconds since 1970, and how late it came. */
type Looks = Float64Array;

/** How late the looks of a span came. */
export interface Lateness {
  readonly looks: number;
  readonly late: Histogram;
}

export class BareLoop {
  private readonly worker: Worker;

  private constructor(worker: Worker) {
    this.worker = worker;
  }

  /** Resolves once it looks. */
  static async start(): Promise<BareLoop> {
    const worker = new Worker(new URL(import.meta.url));
    await new Promise((resolve) => worker.once('message', resolve));
    return new BareLoop(worker);
  }

  /** Ends it. @returns what it saw in each of the spans, whose times are by this thread's `performance.now()` */
  async end(spans: readonly Span[]): Promise<Lateness[]> {
    const looks = await new Promise<Looks>((resolve) => {
      this.worker.once('message', resolve);
      this.worker.postMessage('end');
    });
    await this.worker.terminate();
    return spans.map((span) => within(looks, span));
  }
}

function within(looks: Looks, { fromMs, toMs }: Span): Lateness {
  const late = new Histogram();
  let count = 0;
  for (let i = 0; i < looks.length; i += 2) {
    const dueMs = looks[i]! - performance.timeOrigin;
    if (dueMs < fromMs || dueMs >= toMs) continue;
    late.record(looks[i + 1]!);
    count++;
  }
  return { looks: count, late };
}

function look(): void {
  assert(parentPort !== null, 'a bare loop is started as a worker');
  const looks: Looks = new Float64Array(2 * MOST_LOOKS);
  const start = performance.now();
  let next = 1;
  // An interval, which keeps to its times: what was missed while the loop stood still is seen late, each by itself.
  const interval = setInterval(() => {
    const sinceMs = performance.now() - start;
    for (; next <= MOST_LOOKS && next * EVERY_MS <= sinceMs; next++) {
      looks[2 * next - 2] = performance.timeOrigin + start + next * EVERY_MS;
      looks[2 * next - 1] = sinceMs - next * EVERY_MS;
    }
  }, EVERY_MS);
  parentPort.on('message', () => {
    clearInterval(interval);
    parentPort?.postMessage(looks.slice(0, 2 * (next - 1)));
  });
  parentPort.postMessage('looks');
}

if (!isMainThread) look();
