/**
 * Promises 4 and 5, on strict slots: the primaries that were read and those that acknowledged are together more than N;
 * stand-ins count on neither side. A read that begins after a put was acknowledged, and of which no
 * acknowledging replica was rolled back meanwhile,
 * - shows that put or one that supersedes it (read your writes, whoever reads), and
 * - shows nothing that the put's author had seen: a deletion's victims never come back (no resurrection), unless power
 *   took another replica, which was not flushed, back to them, and the deletion was forgotten.
 */
import { type AcknowledgedPut, describePut, type GetOperation, type History, type ReadSibling } from '../history.js';

interface Held {
  readonly put: AcknowledgedPut;
  /** The primaries that have acknowledged it. */
  readonly holders: readonly number[];
}

export function strictReadViolations(history: History, n: number): string[] {
  const violations: string[] = [];
  const byKey = new Map<string, Held[]>();
  for (const put of history.acknowledged()) {
    const holders = put.end.acks.filter(({ role }) => role === 'primary').map(({ node }) => node);
    const puts = byKey.get(put.key);
    if (puts === undefined) byKey.set(put.key, [{ put, holders }]);
    else puts.push({ put, holders });
  }
  for (const get of history.gets) {
    if (get.end?.type !== 'got') continue;
    // Once for all puts: this is the most that a run spends on checking.
    const seen = history.seenIn(get.end.siblings);
    for (const { put, holders } of byKey.get(get.key) ?? []) {
      if (put.endedAt >= get.startedAt || get.pr + holders.length <= n) continue;
      if (history.wasDestroyed(holders, put.startedAt, get.endedAt)) continue;
      checkRead(history, get, get.end.siblings, seen, put, violations);
    }
  }
  return violations;
}

function checkRead(
  history: History,
  get: GetOperation,
  siblings: readonly ReadSibling[],
  seen: ReadonlySet<number>,
  put: AcknowledgedPut,
  violations: string[],
): void {
  const shown =
    seen.has(put.events[put.events.length - 1]!) || siblings.some((sibling) => history.carries(sibling, put));
  // Of what was deleted and reaped meanwhile nothing can be shown.
  if (!shown && !history.wasReaped(put, get.endedAt)) {
    violations.push(
      `not read: get ${get.id} (r ${get.r}, at ${get.startedAt.toFixed(1)} ms) does not show ${describePut(put)}`,
    );
  }
  for (const sibling of siblings) {
    if (history.replaces(put, sibling) && !history.mayBeBack(sibling.event, get.endedAt)) {
      const victim = describePut(history.putBy(sibling.event));
      violations.push(
        `resurrected: get ${get.id} (r ${get.r}, at ${get.startedAt.toFixed(1)} ms) shows ${victim}, which ${describePut(put)} had replaced`,
      );
    }
  }
}
