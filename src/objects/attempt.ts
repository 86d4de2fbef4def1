/**
 * A put may be tried several times, and each try may arrive twice. This decides what a vnode answers to an attempt
 * that it may have met before, so that one put never becomes several siblings (riak_kv#1188).
 */
import { coversAttempt } from '../clocks/causal-context.js';
import { type Attempt, type Dot, sameEvent } from '../clocks/event-id.js';
import type { StoredObject } from './stored-object.js';

export type AttemptOutcome =
  /** Its sibling is there: a success. */
  | 'stored'
  /** It was stored, and is here no longer: a later write has replaced it, or it was handed over. A success. */
  | 'superseded'
  /** A later attempt of the same put has taken its place: the answer is ignored, and it must not be minted. */
  | 'voided'
  /** Nothing is known of it: it may be minted, if its deadline has not passed. */
  | 'unknown';

/**
 * What has become of `attempt`, by what the vnode keeps for the key.
 *
 * @param dot - the dot under which this vnode, or hint store, minted and stored the attempt, if it remembers one. An
 *   object does not tell the attempts of siblings that are gone, so minters remember their attempts until the
 *   deadlines; without that, an attempt delivered again after it was superseded would be minted twice. Forget those
 *   whose commit failed.
 */
export function outcomeOf(object: StoredObject | undefined, attempt: Attempt, dot: Dot | undefined): AttemptOutcome {
  if (object !== undefined) {
    for (const sibling of object.siblings) if (sameEvent(sibling.attempt, attempt)) return 'stored';
    if (coversAttempt(object.context, attempt)) return 'voided';
  }
  return dot === undefined ? 'unknown' : 'superseded';
}
