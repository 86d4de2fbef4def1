/**
 * Conditions of a put, as the coordinating vnode checks them against what it keeps for the key. They hold there and
 * then: not across a network split, where another vnode mints on what it knows, nor while a partition is moved.
 */
import { type CausalContext, covers, withAttempts } from '../clocks/causal-context.js';
import { type Attempt, sameEvent } from '../clocks/event-id.js';
import { isAbsent } from './resolution.js';
import type { StoredObject } from './stored-object.js';

/** What must be so for a put to be minted. */
export type Condition =
  | { readonly type: 'none' }
  /** No value is there at `wallMs`, milliseconds since 1970. */
  | { readonly type: 'if-none-match'; readonly wallMs: number }
  /** Nothing is there that `seen` does not cover. */
  | { readonly type: 'if-match'; readonly seen: CausalContext };

/** @param earlier - earlier attempts of the same put: what they stored does not stand in its way */
export function conditionHolds(
  object: StoredObject | undefined,
  condition: Condition,
  earlier: readonly Attempt[],
): boolean {
  if (object === undefined || condition.type === 'none') return true;
  if (condition.type === 'if-match') {
    const seen = withAttempts(condition.seen, earlier);
    return object.siblings.every(({ dot, attempt }) => covers(seen, dot, attempt));
  }
  return object.siblings.every(
    (sibling) => isAbsent(sibling, condition.wallMs) || earlier.some((attempt) => sameEvent(attempt, sibling.attempt)),
  );
}
