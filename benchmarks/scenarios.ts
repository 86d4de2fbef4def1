/** What `npm run bench` measures: which scenarios, in each of them which slices of time. */
import type { Operation } from './workloads/key-value-load.js';

export const NODES = 5;
export const N = 3;
/** Of an object beyond its value, as in the definition of the floor. */
export const CLOCK_BYTES = 48;
export const ROUNDS = 3;
export const SLICE_MS = 1_000;
/** For puts, then for gets: six threads compile what they run, each for itself. */
export const WARM_UP_MS = 3_000;
export const MAX_THREADS = 2;

export interface Slice {
  readonly operation: Operation;
  readonly inFlight: number;
  /** Of the application. */
  readonly threads: number;
}

export interface Scenario {
  readonly keys: number;
  readonly valueBytes: number;
  readonly sync: 'none' | 'full';
}

/** What is left out would take long and say little: a million large values are gigabytes, of which LMDB keeps pages. */
export const SCENARIOS: readonly Scenario[] = (['none', 'full'] as const).flatMap((sync) => [
  { keys: 10_000, valueBytes: 100, sync },
  { keys: 10_000, valueBytes: 1_024, sync },
  { keys: 1_000, valueBytes: 65_536, sync },
  { keys: 1_000_000, valueBytes: 100, sync },
]);

const PUTS: readonly Slice[] = [
  { operation: 'put', inFlight: 1, threads: 1 },
  { operation: 'put', inFlight: 16, threads: 1 },
  { operation: 'put', inFlight: 256, threads: 1 },
  { operation: 'put', inFlight: 256, threads: 2 },
  { operation: '50/50', inFlight: 256, threads: 1 },
];
const GETS: readonly Slice[] = [
  { operation: 'get', inFlight: 1, threads: 1 },
  { operation: 'get', inFlight: 16, threads: 1 },
  { operation: 'get', inFlight: 256, threads: 1 },
  { operation: 'get', inFlight: 256, threads: 2 },
  { operation: '95/5', inFlight: 256, threads: 1 },
  { operation: '95/5', inFlight: 256, threads: 2 },
];

/** How writes are flushed does not touch reads: once is enough. */
export function slicesOf(sync: 'none' | 'full'): readonly Slice[] {
  return sync === 'none' ? [...PUTS, ...GETS] : PUTS;
}
