/**
 * Promise 4, after convergence: nothing is shown that the author of an acknowledged put had seen, unless power took a
 * replica that was not flushed back to it, and what replaced it was forgotten.
 */
import { describePut, type History, type ReadSibling } from '../history.js';

export function resurrections(history: History, final: ReadonlyMap<string, readonly ReadSibling[]>): string[] {
  const violations: string[] = [];
  for (const put of history.acknowledged()) {
    if (history.destroyed.has(put.id)) continue;
    for (const sibling of final.get(put.key) ?? []) {
      if (!history.replaces(put, sibling)) continue;
      if (history.mayBeBack(sibling.event, Number.POSITIVE_INFINITY)) continue;
      const victim = describePut(history.putBy(sibling.event));
      violations.push(`resurrected: the final read shows ${victim}, which ${describePut(put)} had replaced`);
    }
  }
  return violations;
}
