/**
 * Contexts are bounded: after healing, all members up, no clients, within a stated time after the grace time, no
 * replica's object names more writers, dots and attempts than the limit, unless all of them are its siblings'.
 */
import { attemptGraceMs } from '../../anti-entropy/reaping.js';
import { entriesOf, reduce } from '../../objects/reduction.js';
import { highestTimestamp } from '../../objects/resolution.js';
import type { SimulatedCluster } from '../simulated-cluster.js';

/** What could have been reduced and has not been. Timestamps of a clock that was ahead are waited for. */
export function grownContexts(cluster: SimulatedCluster, keys: Iterable<string>): string[] {
  const violations: string[] = [];
  const { maxContextEntries = Number.POSITIVE_INFINITY, tombstoneGraceMs: graceMs = 0, attemptMs } = cluster;
  for (const key of keys) {
    for (const name of cluster.primariesOf(key)) {
      const object = cluster.replica(name).object(key);
      if (object === undefined || entriesOf(object.context) <= maxContextEntries) continue;
      const keepsAttempts = highestTimestamp(object).ms + attemptGraceMs({ graceMs, attemptMs }) > cluster.wallMs;
      const { context } = reduce(object, keepsAttempts);
      if (context === object.context) continue;
      violations.push(
        `not reduced: ${key} on ${name} names ${entriesOf(object.context)}, and needs ${entriesOf(context)}`,
      );
    }
  }
  return violations;
}
