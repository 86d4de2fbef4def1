/**
 * What a stretch of an open loop looked like to those who asked for something: latencies, failures, and gaps between
 * completions. Of a gap in completions a part is the load's own: a partition that nobody asks has none. So the longest gap
 * between arrivals is told beside it.
 */
import { Histogram } from '../../src/metrics/histogram.js';
import type { Ended, Kind } from './open-loop.js';

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The longest gap of all partitions', in milliseconds, and whose it is. */
export interface PartitionGap {
  readonly ms: number;
  readonly partition: number;
}

export interface SpanFigure {
  /** Operations that were due in it. */
  readonly operations: number;
  readonly failures: Readonly<Record<string, number>>;
  readonly latencies: Histogram;
  /** The longest time within the span in which no operation succeeded, in milliseconds. */
  readonly gapMs: number;
  /** The same of one partition alone. */
  readonly partitionGap: PartitionGap;
  /** The longest time within the span in which nothing was asked of one partition. */
  readonly arrivalGap: PartitionGap;
}

/** @param partitions - those that operations went to all the time: 0 … partitions − 1 */
export function figureOf(all: readonly Ended[], kind: Kind, partitions: number, span: Span): SpanFigure {
  const latencies = new Histogram();
  const failures: Record<string, number> = {};
  const ofKind = all.filter((each) => each.kind === kind);
  let operations = 0;
  for (const { dueMs, endedMs, failure } of ofKind) {
    if (dueMs < span.fromMs || dueMs >= span.toMs) continue;
    operations++;
    if (failure === undefined) latencies.record(endedMs - dueMs);
    else failures[failure] = (failures[failure] ?? 0) + 1;
  }
  const succeeded = ofKind.filter(({ failure }) => failure === undefined).sort((a, b) => a.endedMs - b.endedMs);
  return {
    operations,
    failures,
    latencies,
    gapMs: longestGap(
      succeeded.map(({ endedMs }) => endedMs),
      span,
    ),
    partitionGap: longestOfPartitions(succeeded, ({ endedMs }) => endedMs, partitions, span),
    arrivalGap: longestOfPartitions(ofKind, ({ begunMs }) => begunMs, partitions, span),
  };
}

/** @param operations - in the order of their times */
function longestOfPartitions(
  operations: readonly Ended[],
  timeOf: (operation: Ended) => number,
  partitions: number,
  span: Span,
): PartitionGap {
  const timesOf: number[][] = Array.from({ length: partitions }, () => []);
  for (const operation of operations) timesOf[operation.partition]!.push(timeOf(operation));
  const gaps = timesOf.map((times) => longestGap(times, span));
  const ms = gaps.reduce((longest, gap) => Math.max(longest, gap), 0);
  return { ms, partition: gaps.indexOf(ms) };
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
