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
