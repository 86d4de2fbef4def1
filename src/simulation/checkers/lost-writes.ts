/**
 * Promise 1: no acknowledged write is lost. After healing, each is visible, superseded by an effective write, or deleted
 * and reaped, unless a fault destroyed its last holder.
 */
import { describePut, type History, type ReadSibling } from '../history.js';

/** @param final - for every key, the siblings of a strict read after healing, tombstones included */
export function lostWrites(history: History, final: ReadonlyMap<string, readonly ReadSibling[]>): string[] {
  const violations: string[] = [];
  for (const put of history.acknowledged()) {
    if (history.destroyed.has(put.id)) continue;
    const siblings = final.get(put.key) ?? [];
    const survives = siblings.some((sibling) => history.carries(sibling, put));
    if (!survives && !history.wasReaped(put, Number.POSITIVE_INFINITY))
      violations.push(`lost: ${describePut(put)} was acknowledged`);
  }
  return violations;
}
