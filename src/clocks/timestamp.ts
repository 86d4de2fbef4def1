/**
 * A hybrid logical timestamp: 48 bits of milliseconds since 1970 and 16 bits of logic that order events of one
 * millisecond. For last-write-wins, ageing and display; never for causality.
 * Source: Kulkarni, Demirbas, Madeppa, Avva, Leone, "Logical Physical Clocks" (2014).
 */
export interface Timestamp {
  /** Milliseconds since 1970, below 2^48. */
  readonly ms: number;
  /** 0 to 65,535. */
  readonly logical: number;
}

export const ZERO_TIMESTAMP: Timestamp = { ms: 0, logical: 0 };

export const MAX_MS = 2 ** 48 - 1;
export const MAX_LOGICAL = 0xffff;

/** Negative, zero or positive. */
export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  return a.ms - b.ms || a.logical - b.logical;
}

export function laterOf(a: Timestamp, b: Timestamp): Timestamp {
  return compareTimestamps(a, b) >= 0 ? a : b;
}

/** The next timestamp. The very last one there is stands for itself: the year is then 10,889, or a clock is broken. */
export function nextTimestamp(timestamp: Timestamp): Timestamp {
  if (timestamp.logical < MAX_LOGICAL) return { ms: timestamp.ms, logical: timestamp.logical + 1 };
  return timestamp.ms < MAX_MS ? { ms: timestamp.ms + 1, logical: 0 } : timestamp;
}
