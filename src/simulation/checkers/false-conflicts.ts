/**
 * Promise 3: no false conflict. No read shows a write beside one whose author had seen it, nor one put twice; hence a
 * client that passes the join of its tokens never sees siblings of its own, and siblings are at most as many as puts
 * that no token connects.
 */
import { describePut, type History, type ReadSibling } from '../history.js';

export function falseConflicts(history: History, final: ReadonlyMap<string, readonly ReadSibling[]>): string[] {
  const violations: string[] = [];
  for (const get of history.gets) {
    if (get.end?.type !== 'got') continue;
    check(history, get.end.siblings, { name: `get ${get.id} of ${get.key}`, time: get.endedAt }, violations);
  }
  for (const [key, siblings] of final) {
    check(history, siblings, { name: `the final read of ${key}`, time: Number.POSITIVE_INFINITY }, violations);
  }
  return violations;
}

function check(
  history: History,
  siblings: readonly ReadSibling[],
  read: { readonly name: string; readonly time: number },
  violations: string[],
): void {
  for (let i = 0; i < siblings.length; i++) {
    for (let j = i + 1; j < siblings.length; j++) {
      const a = siblings[i]!.event;
      const b = siblings[j]!.event;
      const [putA, putB] = [history.putBy(a), history.putBy(b)];
      if (putA === putB) violations.push(`false conflict: ${read.name} shows ${describePut(putA)} twice`);
      else if (history.isBefore(a, b) || history.isBefore(b, a)) {
        const [earlier, later] = history.isBefore(a, b) ? [putA, putB] : [putB, putA];
        if (history.mayBeBack(earlier === putA ? a : b, read.time)) continue;
        violations.push(
          `false conflict: ${read.name} shows ${describePut(earlier)} beside ${describePut(later)}, whose author had seen it`,
        );
      }
    }
  }
}
