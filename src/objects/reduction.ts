/**
 * Reducing a causal context: leaving out what can never be asked of it again. Without it a key that lives long collects
 * every name that its replicas, and those who stood in for them, ever wrote under, and every attempt that was given up.
 *
 * What goes: writers that minted none of the siblings, and attempts. Both are there to keep out versions that were
 * replaced. So this is no merge, and may be done only where no such version can come any more: on all replicas at once,
 * behind the fence of a round of reaping (`anti-entropy/reaping.ts`). It is a function of the object alone, so that all
 * replicas are left with the same. A writer that still lives comes back with its next write, which covers all its own before.
 * Source: the store's reaping protocol.
 */
import { ATTEMPT, type CausalContext, contextCovers, EXTRA_STRIDE, VV_STRIDE } from '../clocks/causal-context.js';
import type { Sibling, StoredObject } from './stored-object.js';

/**
 * The object with what it needs of its context; the object itself if that is all of it.
 * @param keepsAttempts - true while one of the attempts that the context voids could still be minted
 */
export function reduce(object: StoredObject, keepsAttempts: boolean): StoredObject {
  const { context, siblings } = object;
  const vv: number[] = [];
  for (let i = 0; i < context.vv.length; i += VV_STRIDE) {
    const [high, low] = [context.vv[i]!, context.vv[i + 1]!];
    if (hasMinted(siblings, high, low)) vv.push(high, low, context.vv[i + 2]!);
  }
  const extra: number[] = [];
  for (let i = 0; i < context.extra.length; i += EXTRA_STRIDE) {
    const [kind, high, low] = [context.extra[i]!, context.extra[i + 1]!, context.extra[i + 2]!];
    const stays = kind === ATTEMPT ? keepsAttempts : hasMinted(siblings, high, low);
    if (stays) extra.push(kind, high, low, context.extra[i + 3]!);
  }
  if (vv.length === context.vv.length && extra.length === context.extra.length) return object;
  return { context: { vv, extra }, siblings };
}

/**
 * True if `seen` has nothing that `object` has not, but for what a reduction of the object may have dropped: writers that
 * minted none of its siblings, and attempts.
 */
export function coversButForReduced({ context, siblings }: StoredObject, seen: CausalContext): boolean {
  return contextCovers(context, reduce({ context: seen, siblings }, false).context);
}

function hasMinted(siblings: readonly Sibling[], high: number, low: number): boolean {
  for (const { dot } of siblings) if (dot.high === high && dot.low === low) return true;
  return false;
}

/** True if the context names attempts: those that a later one of their put has taken the place of. */
export function namesAttempts({ extra }: CausalContext): boolean {
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) if (extra[i] === ATTEMPT) return true;
  return false;
}

/** How many writers, dots and attempts the context names. */
export function entriesOf({ vv, extra }: CausalContext): number {
  return vv.length / VV_STRIDE + extra.length / EXTRA_STRIDE;
}
