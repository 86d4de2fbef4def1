/**
 * Promise 1: unacknowledged writes may take effect or not, until healing. What a strict read after healing did not show,
 * and nobody has put since, no later one shows.
 */
import { describePut, type History, type ReadSibling } from '../history.js';

type Reads = ReadonlyMap<string, readonly ReadSibling[]>;

/** @param first - of a strict read of every key after healing; `later` - of another one, by when all that was under way has ended */
export function lateWrites(history: History, first: Reads, later: Reads): string[] {
  const violations: string[] = [];
  for (const [key, siblings] of later) {
    const before = first.get(key);
    if (before === undefined) continue;
    for (const { event } of siblings) {
      if (before.some((one) => one.event === event)) continue;
      violations.push(`appeared after healing: ${describePut(history.putBy(event))}`);
    }
  }
  return violations;
}
