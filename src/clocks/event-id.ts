/**
 * Names one event for ever: a dot (one write event: writer and its counter) or an attempt (one try of a put: client
 * and its sequence number). The 64-bit name of writer or client is two unsigned halves, because a BigInt costs more
 * than everything else that is done with it.
 */
export interface EventId {
  /** High half of the writer's or client's 64-bit id, unsigned. */
  readonly high: number;
  /** Low half, unsigned. */
  readonly low: number;
  /** From 1 to 2^53 − 1. */
  readonly counter: number;
}

/** `(writerId, counter)`: one write event. */
export type Dot = EventId;
/** `(client, sequence)`: one try of a put. */
export type Attempt = EventId;

/** A writer's, or client's, 64-bit id alone. */
export interface WriterId {
  readonly high: number;
  readonly low: number;
}

/** By writer or client, then by counter: negative, zero or positive. */
export function compareEventIds(a: EventId, b: EventId): number {
  return a.high - b.high || a.low - b.low || a.counter - b.counter;
}

export function sameEvent(a: EventId, b: EventId): boolean {
  return a.counter === b.counter && a.low === b.low && a.high === b.high;
}
