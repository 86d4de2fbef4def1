/**
 * What the machine itself does to a thread, whatever it is to do: two threads beside the store that have nothing to do.
 *
 * - 'loop' looks at the clock every millisecond. How late it comes is what a thread waits for a core that has slept until
 *   then; a request wakes three or four, one after the other. Where the process has less than it needs, its busy threads
 *   wait much longer than this one: see `cores.ts`.
 * - 'flush' writes a page behind a small file on the store's disk, and flushes it, twenty times a second. How long that takes
 *   is what anything takes at least that has to be on the disk: a hint, or a durable put.
 *
 * Either costs about a hundredth of a core.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { assert } from '../../src/base/assert.js';
import { Histogram } from '../../src/metrics/histogram.js';
import type { Span } from './span-figure.js';

export type Look = { readonly what: 'loop' } | { readonly what: 'flush'; readonly file: string };

/** How often it looks, in milliseconds. */
const EVERY_MS = { loop: 1, flush: 50 } as const;
/** A minute and a half. */
const MOST_MS = 90_000;
const PAGE = new Uint8Array(4_096);

/** Pairs: when a look was due, in milliseconds since 1970, and how late it came, or how long it took. */
type Looks = Float64Array;

/** How late the looks of a span came, or how long they took. */
export interface Lateness {
  readonly looks: number;
  readonly late: Histogram;
}

export class BareThread {
  private readonly worker: Worker;

  private constructor(worker: Worker) {
    this.worker = worker;
  }

  /** Resolves once it looks. */
  static async start(look: Look): Promise<BareThread> {
    const worker = new Worker(new URL(import.meta.url), { workerData: look });
    await new Promise((resolve) => worker.once('message', resolve));
    return new BareThread(worker);
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

function look(how: Look): void {
  assert(parentPort !== null, 'a bare thread is started as a worker');
  const everyMs = EVERY_MS[how.what];
  const looks: Looks = new Float64Array((2 * MOST_MS) / everyMs);
  const fd = how.what === 'flush' ? openSync(how.file, 'a') : undefined;
  const start = performance.now();
  let taken = 0;
  const note = (atMs: number, ms: number): void => {
    if (taken === looks.length) return;
    looks[taken++] = performance.timeOrigin + start + atMs;
    looks[taken++] = ms;
  };
  let next = 1;
  // An interval, which keeps to its times: what was missed while the loop stood still is seen late, each by itself.
  const interval = setInterval(() => {
    const sinceMs = performance.now() - start;
    if (fd !== undefined) {
      writeSync(fd, PAGE);
      fdatasyncSync(fd);
      note(sinceMs, performance.now() - start - sinceMs);
    } else for (; next * everyMs <= sinceMs; next++) note(next * everyMs, sinceMs - next * everyMs);
  }, everyMs);
  parentPort.on('message', () => {
    clearInterval(interval);
    if (fd !== undefined) closeSync(fd);
    parentPort?.postMessage(looks.slice(0, taken));
  });
  parentPort.postMessage('looks');
}

if (!isMainThread) look(workerData as Look);
