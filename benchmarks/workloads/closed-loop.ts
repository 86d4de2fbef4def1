/**
 * A closed loop: so many operations are kept in flight, each starting as one ends, for a stretch of time.
 * Latencies are those that the application sees: from the call to the settled promise.
 */
import { Histogram } from '../../src/metrics/histogram.js';

export interface LoopFigure {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** User and system time of the whole process per operation, in microseconds. */
  readonly cpuMicros: number;
}

/** Runs `operation` with `inFlight` under way for about `durationMs`. An operation that rejects ends the run with its error. */
export async function closedLoop(
  operation: () => Promise<unknown>,
  options: { readonly inFlight: number; readonly durationMs: number },
): Promise<LoopFigure> {
  const latencies = new Histogram();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const end = start + options.durationMs;
  const lane = async (): Promise<void> => {
    for (let now = performance.now(); now < end; ) {
      await operation();
      const done = performance.now();
      latencies.record(done - now);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: options.inFlight }, lane));
  const seconds = (performance.now() - start) / 1_000;
  const used = process.cpuUsage(cpu);
  return {
    perSecond: latencies.count / seconds,
    p50Ms: latencies.quantile(0.5),
    p99Ms: latencies.quantile(0.99),
    p999Ms: latencies.quantile(0.999),
    cpuMicros: (used.user + used.system) / latencies.count,
  };
}

/** The figure with the median throughput. */
export function medianOf(figures: readonly LoopFigure[]): LoopFigure {
  const sorted = [...figures].sort((a, b) => a.perSecond - b.perSecond);
  return sorted[Math.floor((sorted.length - 1) / 2)]!;
}
