/**
 * Promise 5, of sessions: a get that is given a session covers all that the session has seen, or is answered stale-read;
 * whoever stands in, and whatever was destroyed. What a deletion had replaced that was forgotten since needs no cover.
 */
import { describePut, type History } from '../history.js';

export function sessionViolations(history: History): string[] {
  const violations: string[] = [];
  for (const { id, key, r, startedAt, endedAt, end, session } of history.gets) {
    if (session === undefined || end?.type !== 'got') continue;
    const seen = history.seenIn(end.siblings);
    for (const event of session) {
      if (seen.has(event) || history.wasForgotten(event, endedAt)) continue;
      violations.push(
        `not in session: get ${id} of ${key} (r ${r}, at ${startedAt.toFixed(1)} ms) does not cover ` +
          `${describePut(history.putBy(event))}, which its session has seen`,
      );
    }
  }
  return violations;
}
