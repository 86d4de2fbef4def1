/**
 * Promise 2, of deletions: after healing, all members up, within a stated time after the grace time, no replica keeps a
 * record of which nothing is alive.
 */
import { deadFromMs } from '../../objects/resolution.js';
import type { SimulatedCluster } from '../simulated-cluster.js';

/** What could have been reaped and is still there. Timestamps of a clock that was ahead are waited for. */
export function forgettable(cluster: SimulatedCluster, keys: Iterable<string>): string[] {
  const violations: string[] = [];
  const graceMs = cluster.tombstoneGraceMs ?? Number.POSITIVE_INFINITY;
  for (const key of keys) {
    for (const name of cluster.primariesOf(key)) {
      const object = cluster.replica(name).object(key);
      if (object === undefined || deadFromMs(object) + graceMs > cluster.wallMs) continue;
      violations.push(`not forgotten: the deletion of ${key} on ${name}`);
    }
  }
  return violations;
}
