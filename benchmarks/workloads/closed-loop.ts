/**
 * A closed loop: so many operations are kept in flight, each starting as one ends, for a stretch of time.
 * Latencies are those that the application sees: from the call to the settled promise.
 */
import { Histogram, type HistogramData } from '../../src/metrics/histogram.js';
import { threadCpuMs } from './thread-cpu.js';

export interface LoopOptions {
  readonly inFlight: number;
  readonly durationMs: number;
  /** Goes on until there were so many operations (default 0). */
  readonly atLeast?: number;
}

/** What one thread did. */
export interface LoopRun {
  readonly latencies: HistogramData;
  readonly elapsedMs: number;
  /** Of this thread; undefined where the system does not tell it. */
  readonly cpuMs: number | undefined;
}

export interface LoopFigure {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** User and system time of the whole process per operation, in microseconds. */
  readonly cpuMicros: number;
  /** The part of it that the application's own threads took, with its client in them; undefined where it is not known. */
  readonly ownMicros: number | undefined;
}

/**
 * Runs `operation` with `inFlight` under way for about `durationMs`. An operation that rejects ends the run with its
 * error.
 */
export async function runLoop(operation: () => Promise<unknown>, options: LoopOptions): Promise<LoopRun> {
  const latencies = new Histogram();
  const start = performance.now();
  const cpu = threadCpuMs();
  const end = start + options.durationMs;
  const { atLeast = 0 } = options;
  const lane = async (): Promise<void> => {
    for (let now = performance.now(); now < end || latencies.count < atLeast; ) {
      await operation();
      const done = performance.now();
      latencies.record(done - now);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, lane));
  const cpuAfter = threadCpuMs();
  return {
    latencies: latencies.data(),
    elapsedMs: performance.now() - start,
    cpuMs: cpu === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpu,
  };
}

/** Lets threads run their loops at the same time, and puts together what they and the process did. */
export async function measureLoops(threads: readonly (() => Promise<LoopRun>)[]): Promise<LoopFigure> {
  const cpu = process.cpuUsage();
  const runs = await Promise.all(threads.map((run) => run()));
  const { user, system } = process.cpuUsage(cpu);
  const latencies = new Histogram();
  for (const run of runs) latencies.add(run.latencies);
  return {
    perSecond: runs.reduce((sum, run) => sum + (run.latencies.count * 1_000) / run.elapsedMs, 0),
    p50Ms: latencies.quantile(0.5),
    p99Ms: latencies.quantile(0.99),
    p999Ms: latencies.quantile(0.999),
    cpuMicros: (user + system) / latencies.count,
    ownMicros: ownMicros(runs),
  };
}

function ownMicros(runs: readonly LoopRun[]): number | undefined {
  let micros = 0;
  let operations = 0;
  for (const { cpuMs, latencies } of runs) {
    if (cpuMs === undefined) return undefined;
    micros += cpuMs * 1_000;
    operations += latencies.count;
  }
  return micros / operations;
}

/** How many cores the process kept in use. */
export function coresOf({ perSecond, cpuMicros }: LoopFigure): number {
  return (perSecond * cpuMicros) / 1e6;
}

/** The loop of one thread, this one. */
export function closedLoop(operation: () => Promise<unknown>, options: LoopOptions): Promise<LoopFigure> {
  return measureLoops([() => runLoop(operation, options)]);
}

/** The figure with the median throughput. */
export function medianOf(figures: readonly LoopFigure[]): LoopFigure {
  const sorted = [...figures].sort((a, b) => a.perSecond - b.perSecond);
  return sorted[Math.floor((sorted.length - 1) / 2)]!;
}
