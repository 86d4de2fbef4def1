/** What the client is asked for, and what comes of it. */
import { assert } from '../base/assert.js';
import type { QuorumName } from '../base/errors.js';
import type { Attempt } from '../clocks/event-id.js';
import type { Timestamp } from '../clocks/timestamp.js';
import type {
  Ack,
  CoordinatorAnswer,
  CoordinatorRequest,
  HintPlace,
  OperationFailure,
} from '../messages/coordinator-messages.js';
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

/** What a coordinator's success comes to for whoever made the request. */
export function outcomeOf(
  request: CoordinatorRequest,
  answer: Exclude<CoordinatorAnswer, { type: 'failed' }>,
): PutOutcome | GetOutcome | PageOutcome {
  switch (answer.type) {
    case 'put-done': {
      assert(request.type === 'put', 'only puts are done');
      const { attempt, earlier } = request.put;
      return {
        ok: true,
        dot: answer.dot,
        timestamp: answer.timestamp,
        acks: answer.acks,
        hints: answer.hints,
        attempts: earlier.length === 0 ? [attempt] : [...earlier, attempt],
      };
    }
    case 'got':
      return { ok: true, record: answer.record, mayMissHints: answer.mayMissHints };
    case 'page-done':
      return { ok: true, entries: answer.entries, more: answer.more, mayMissHints: answer.mayMissHints };
  }
}

/** A failure of which no coordinator has said what it lacks. */
export function failureOf(
  request: CoordinatorRequest,
  why: OperationFailure['why'],
  definite: boolean,
): OperationFailure {
  return request.type === 'put'
    ? { why, quorum: 'w', got: 0, wanted: request.w, definite }
    : { why, quorum: 'r', got: 0, wanted: request.r, definite };
}

/** Too few can be reached: nothing is sent. */
export function unavailable(quorum: QuorumName, got: number, wanted: number): OperationFailure {
  return { why: 'unavailable', quorum, got, wanted, definite: true };
}
