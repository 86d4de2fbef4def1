/**
 * Promise 2, of deletions: after healing, all members up, within a stated time after the grace time, no replica keeps a
 * record of which nothing is alive.
 */
import { namesAttempts } from '../../objects/reduction.js';
import { deadFromMs, highestTimestamp } from '../../objects/resolution.js';
import type { StoredObject } from '../../objects/stored-object.js';
import type { SimulatedCluster } from '../simulated-cluster.js';

/**
 * What could have been reaped and is still there. Timestamps of a clock that was ahead are waited for, and so is the end
 * of attempts that were given up.
 */
export function forgettable(cluster: SimulatedCluster, keys: Iterable<string>): string[] {
  const violations: string[] = [];
  for (const key of keys) {
    for (const name of cluster.primariesOf(key)) {
      const object = cluster.replica(name).object(key);
      if (object === undefined || ripeFromMs(object, cluster) > cluster.wallMs) continue;
      violations.push(`not forgotten: the deletion of ${key} on ${name}`);
    }
  }
  return violations;
}

function ripeFromMs(object: StoredObject, { tombstoneGraceMs, attemptMs }: SimulatedCluster): number {
  const graceEndsMs = deadFromMs(object) + (tombstoneGraceMs ?? Number.POSITIVE_INFINITY);
  return namesAttempts(object.context) ? Math.max(graceEndsMs, highestTimestamp(object).ms + attemptMs) : graceEndsMs;
}
