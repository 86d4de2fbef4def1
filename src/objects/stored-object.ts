/**
 * What a replica keeps for a key: the versions that no later write has replaced, and the context of all it has seen.
 */
import type { CausalContext } from '../clocks/causal-context.js';
import type { Attempt, Dot } from '../clocks/event-id.js';
import type { Timestamp } from '../clocks/timestamp.js';

/** One version of a value, or of its absence. */
export interface Sibling {
  readonly dot: Dot;
  /** The put attempt that made it. */
  readonly attempt: Attempt;
  readonly timestamp: Timestamp;
  /** True for a deletion: then `body` is empty. */
  readonly tombstone: boolean;
  /** Wall-clock milliseconds from which it acts as a tombstone; 0: never. */
  readonly expiresAtMs: number;
  /** Value, content type and metadata in their stored form (`codec/body.ts`); never parsed between client and disk. */
  readonly body: Uint8Array;
}

export interface StoredObject {
  /** Covers every sibling's dot. */
  readonly context: CausalContext;
  /** Ascending by dot; two siblings never share a dot. */
  readonly siblings: readonly Sibling[];
}
