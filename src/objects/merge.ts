/**
 * Merging what two replicas keep for a key: commutative, associative, idempotent, and a function of the two objects
 * alone. No bucket property may have a say in it: last-write-wins inside merge is not associative and can empty a key.
 * Sources: Preguiça et al., "Dotted Version Vectors" (2012); Almeida, Shoker, Baquero, delta-CRDTs (2018).
 */
import { type CausalContext, contextCovers, covers, joinContexts } from '../clocks/causal-context.js';
import { compareEventIds } from '../clocks/event-id.js';
import type { Sibling, StoredObject } from './stored-object.js';

/**
 * Keeps a sibling that both have, or one has and the other's context does not cover; joins the contexts.
 * Returns `a` or `b` itself if the result equals it.
 */
export function merge(a: StoredObject, b: StoredObject): StoredObject {
  if (a === b) return a;
  const context = joinContexts(a.context, b.context);
  const siblings = mergeSiblings(a.siblings, a.context, b.siblings, b.context);
  if (siblings === a.siblings && context === a.context) return a;
  if (sameSiblings(siblings, b.siblings) && context === b.context) return b;
  return { context, siblings };
}

/**
 * True only if `theirs`, merged with any object that has the context `ours`, gives `theirs`: the usual case of a write
 * that a replica has not yet, told without that object. Whatever of it `theirs` has not, `theirs` has seen; and had
 * `theirs` a sibling that it holds or has seen, `ours` would cover that.
 */
export function replaces(theirs: StoredObject, ours: CausalContext): boolean {
  if (!contextCovers(theirs.context, ours)) return false;
  for (const sibling of theirs.siblings) if (covers(ours, sibling.dot, sibling.attempt)) return false;
  return true;
}

/** The merged siblings, ascending; `ours` itself if the result equals it. */
function mergeSiblings(
  ours: readonly Sibling[],
  ourContext: CausalContext,
  theirs: readonly Sibling[],
  theirContext: CausalContext,
): readonly Sibling[] {
  const merged: Sibling[] = [];
  let changed = false;
  let i = 0;
  let j = 0;
  while (i < ours.length || j < theirs.length) {
    const order = i >= ours.length ? 1 : j >= theirs.length ? -1 : compareEventIds(ours[i]!.dot, theirs[j]!.dot);
    const sibling = order <= 0 ? ours[i]! : theirs[j]!;
    if (order === 0) {
      merged.push(sibling);
    } else if (order < 0) {
      if (covers(theirContext, sibling.dot, sibling.attempt)) changed = true;
      else merged.push(sibling);
    } else if (!covers(ourContext, sibling.dot, sibling.attempt)) {
      merged.push(sibling);
      changed = true;
    }
    if (order <= 0) i++;
    if (order >= 0) j++;
  }
  return changed ? merged : ours;
}

function sameSiblings(a: readonly Sibling[], b: readonly Sibling[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (compareEventIds(a[i]!.dot, b[i]!.dot) !== 0) return false;
  return true;
}
