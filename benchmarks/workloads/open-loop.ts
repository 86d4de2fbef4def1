/**
 * An open loop: operations arrive at a constant rate, whether or not those before have ended, as requests of many users
 * do. Latencies count from when an operation was due, not from when it could be sent: a standstill delays all that was
 * due meanwhile, and all of that is seen (no coordinated omission; Tene 2015). Operations are begun by a timer of a
 * millisecond: so much of each latency may be the loop's own.
 */
import { Histogram } from '../../src/metrics/histogram.js';

export type Kind = 'put' | 'get';

/** An operation under way. */
export interface Begun {
  readonly kind: Kind;
  readonly partition: number;
  /** Rejects if it failed. */
  readonly done: Promise<unknown>;
}

/** An operation that has ended. Times are in milliseconds from the start of the loop. */
export interface Ended {
  readonly kind: Kind;
  readonly partition: number;
  readonly dueMs: number;
  readonly endedMs: number;
  /** Its error's code or name; undefined if it succeeded. */
  readonly failure: string | undefined;
}

export interface OpenLoopOptions {
  readonly perSecond: number;
  readonly durationMs: number;
  /** Begins the operation number `n`, from 0 on. */
  begin(n: number): Begun;
}

/** Runs for `durationMs`; resolves once all has ended that was begun. */
export async function openLoop({ perSecond, durationMs, begin }: OpenLoopOptions): Promise<Ended[]> {
  const ended: Ended[] = [];
  const total = Math.floor((perSecond * durationMs) / 1_000);
  const start = performance.now();
  const follow = async ({ kind, partition, done }: Begun, dueMs: number): Promise<void> => {
    let failure: string | undefined;
    try {
      await done;
    } catch (error) {
      failure = nameOf(error);
    }
    ended.push({ kind, partition, dueMs, endedMs: performance.now() - start, failure });
  };
  const last: Promise<void>[] = [];
  for (let next = 0; next < total; ) {
    const now = performance.now() - start;
    for (let dueMs = dueOf(next, perSecond); next < total && dueMs <= now; dueMs = dueOf(next, perSecond)) {
      last.push(follow(begin(next++), dueMs));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(last);
  return ended;
}

function dueOf(n: number, perSecond: number): number {
  return (n * 1_000) / perSecond;
}

function nameOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name ?? error);
}

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What a stretch of time looked like to those who asked for something. */
export interface SpanFigure {
  /** Operations that were due in it. */
  readonly operations: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly latencies: Histogram;
  /** The longest time within the span in which no operation succeeded, in milliseconds. */
  readonly gapMs: number;
  /** The same of one partition alone, and which. */
  readonly partitionGapMs: number;
  readonly partition: number;
}

/** @param partitions - those that operations went to all the time: 0 … partitions − 1 */
export function figureOf(all: readonly Ended[], kind: Kind, partitions: number, span: Span): SpanFigure {
  const latencies = new Histogram();
  const failures: Record<string, number> = {};
  const ofKind = all.filter((each) => each.kind === kind).sort((a, b) => a.endedMs - b.endedMs);
  let operations = 0;
  for (const { dueMs, endedMs, failure } of ofKind) {
    if (dueMs < span.fromMs || dueMs >= span.toMs) continue;
    operations++;
    if (failure === undefined) latencies.record(endedMs - dueMs);
    else failures[failure] = (failures[failure] ?? 0) + 1;
  }
  const succeeded = ofKind.filter(({ failure }) => failure === undefined);
  const timesOf: number[][] = Array.from({ length: partitions }, () => []);
  for (const { partition, endedMs } of succeeded) timesOf[partition]!.push(endedMs);
  const gaps = timesOf.map((times) => longestGap(times, span));
  const partitionGapMs = gaps.reduce((longest, gap) => Math.max(longest, gap), 0);
  return {
    operations,
    failures,
    latencies,
    gapMs: longestGap(
      succeeded.map(({ endedMs }) => endedMs),
      span,
    ),
    partitionGapMs,
    partition: gaps.indexOf(partitionGapMs),
  };
}

/** The longest part of `span` that none of `times` (ascending) lies in. */
function longestGap(times: readonly number[], { fromMs, toMs }: Span): number {
  let longest = 0;
  let previous = fromMs;
  for (const time of times) {
    if (time <= fromMs) continue;
    if (time >= toMs) break;
    longest = Math.max(longest, time - previous);
    previous = time;
  }
  return Math.max(longest, toMs - previous);
}
