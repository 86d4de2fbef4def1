/**
 * A put may be tried several times, and each try may arrive twice. This decides what a vnode answers to an attempt
 * that it may have met before, so that one put never becomes several siblings (riak_kv#1188).
 */
import { coversAttempt, coversDot } from '../clocks/causal-context.js';
import { type Attempt, type Dot, sameEvent } from '../clocks/event-id.js';
import type { StoredObject } from './stored-object.js';

export type AttemptOutcome =
  /** Its sibling is there: a success. */
  | 'stored'
  /** It was stored, and a later write has replaced it: a success. */
  | 'superseded'
  /** A later attempt of the same put has taken its place: the answer is ignored, and it must not be minted. */
  | 'voided'
  /** Nothing is known of it: it may be minted, if its deadline has not passed. */
  | 'unknown';

/**
 * What has become of `attempt`, by what the vnode keeps for the key.
 *
 * @param dot - the dot under which this vnode minted the attempt, if it remembers one. An object does not tell the
 *   attempts of siblings that are gone, so the vnode remembers its attempts until their deadlines; without that, an
 *   attempt delivered again after it was superseded would be minted twice.
 */
export function outcomeOf(object: StoredObject | undefined, attempt: Attempt, dot: Dot | undefined): AttemptOutcome {
  if (object === undefined) return 'unknown';
  for (const sibling of object.siblings) if (sameEvent(sibling.attempt, attempt)) return 'stored';
  if (coversAttempt(object.context, attempt)) return 'voided';
  return dot !== undefined && coversDot(object.context, dot) ? 'superseded' : 'unknown';
}
