/** What `npm run bench` measures: which scenarios, in each of them which slices of time. */
import { count } from './report.js';
import type { Operation } from './workloads/key-value-load.js';

export const NODES = 5;
export const N = 3;
/** Of an object beyond its value, as in the definition of the floor. */
export const CLOCK_BYTES = 48;
export const ROUNDS = 3;
export const SLICE_MS = 700;
/** Of a rehearsal, as a share of the real ones: slices, and numbers of keys. */
export const REHEARSAL = 0.05;
/** Each of the threads has puts to so many keys of its own in flight, half at the most. */
export const LEAST_KEYS = 1_000;
/** For puts, then for gets: six threads compile what they run, each for itself. */
export const WARM_UP_MS = 5_000;
export const MAX_THREADS = 2;
/** A machine that is busy shows in the figures, and does not end the run. */
export const TIMEOUT_MS = 60_000;

export interface Slice {
  readonly operation: Operation;
  /** Of all threads together. */
  readonly inFlight: number;
  /** Of the application. */
  readonly threads: number;
}

export interface Scenario {
  readonly keys: number;
  readonly valueBytes: number;
  readonly sync: 'none' | 'full';
}

/** A million values of 64 KiB are left out: with their replicas they are 200 GB. */
export const SCENARIOS: readonly Scenario[] = (['none', 'full'] as const).flatMap((sync) => [
  { keys: 10_000, valueBytes: 100, sync },
  { keys: 10_000, valueBytes: 1_024, sync },
  { keys: 10_000, valueBytes: 65_536, sync },
  { keys: 1_000_000, valueBytes: 100, sync },
  { keys: 1_000_000, valueBytes: 1_024, sync },
]);

const PUTS: readonly Slice[] = [...overThreads('put'), ...atMost('50/50')];
const GETS: readonly Slice[] = [...overThreads('get'), ...atMost('95/5')];
const WORKED_ON: readonly Slice[] = atMost('get + work');

function overThreads(operation: Operation): Slice[] {
  return [
    { operation, inFlight: 1, threads: 1 },
    { operation, inFlight: 2, threads: 2 },
    { operation, inFlight: 16, threads: 1 },
    { operation, inFlight: 16, threads: 2 },
    ...atMost(operation),
  ];
}

function atMost(operation: Operation): Slice[] {
  return [
    { operation, inFlight: 256, threads: 1 },
    { operation, inFlight: 256, threads: 2 },
  ];
}

/**
 * How writes are flushed does not touch reads: once is enough. Nor does what the application does with a value depend on how
 * many there are, or how large.
 */
export function slicesOf({ valueBytes, keys, sync }: Scenario): readonly Slice[] {
  if (sync === 'full') return PUTS;
  return valueBytes === 100 && keys <= 10_000 ? [...PUTS, ...GETS, ...WORKED_ON] : [...PUTS, ...GETS];
}

/** A part of them: each list may be left out. */
export interface Selection {
  readonly keys?: readonly number[] | undefined;
  readonly valueBytes?: readonly number[] | undefined;
  readonly sync?: 'none' | 'full' | undefined;
}

export function selected({ keys, valueBytes, sync }: Selection): Scenario[] {
  return SCENARIOS.filter(
    (one) =>
      (keys?.includes(one.keys) ?? true) &&
      (valueBytes?.includes(one.valueBytes) ?? true) &&
      (sync === undefined || one.sync === sync),
  );
}

export function nameOf({ keys, valueBytes, sync }: Scenario): string {
  return `${count(keys)} keys of ${count(valueBytes)} B, sync: '${sync}'`;
}
