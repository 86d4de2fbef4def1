/** What the client is asked for, and what comes of it. */
import type { Attempt } from '../clocks/event-id.js';
import type { Timestamp } from '../clocks/timestamp.js';
import type { Ack, CoordinatorRequest, HintPlace, OperationFailure } from '../messages/coordinator-messages.js';
import type { ListedEntry } from '../messages/entries.js';
import type { ObjectPut } from '../messages/object-request.js';
import type { MintedDot } from '../objects/mint.js';

/** A put as the client is handed it: what it lacks is the attempt, which the client numbers. */
export interface ClientPut
  extends Omit<ObjectPut, 'attempt' | 'earlier' | 'expiresAtMs'>,
    Omit<CoordinatorRequest & { type: 'put' }, 'type' | 'put'> {}

export type PutOutcome =
  | {
      readonly ok: true;
      readonly dot: MintedDot;
      readonly timestamp: Timestamp;
      readonly acks: readonly Ack[];
      readonly hints: readonly HintPlace[];
      /** Every try of this put, the last one last. */
      readonly attempts: readonly Attempt[];
    }
  | { readonly ok: false; readonly failure: OperationFailure };

export type GetOutcome =
  /** `record` is empty if no replica has one. */
  | { readonly ok: true; readonly record: Uint8Array; readonly mayMissHints: boolean }
  | { readonly ok: false; readonly failure: OperationFailure };

export type PageOutcome =
  | {
      readonly ok: true;
      readonly entries: readonly ListedEntry[];
      readonly more: boolean;
      readonly mayMissHints: boolean;
    }
  | { readonly ok: false; readonly failure: OperationFailure };

/** Settles one request: called exactly once, never before the call that made the request has returned. */
export interface Settle<Outcome> {
  settle(outcome: Outcome): void;
}
