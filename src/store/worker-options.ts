/** How the nodes' threads are made; for tests that make them fail. */
export interface WorkerOptions {
  /** What they run. Default: `actors/worker`. With another one no thread stands by. */
  readonly entry?: URL;
  /** What the JavaScript heap of each may take, in MiB. Default: what Node gives it. */
  readonly heapMb?: number;
  /** What the system was booted as. Default: what it says. */
  readonly boot?: string;
  /** How long attempts may be under way, in milliseconds, as reaping takes it: see `ReapLimits`. Default: as long as any put may. */
  readonly attemptMs?: number;
}
