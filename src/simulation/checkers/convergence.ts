/**
 * Promise 2: convergence. After healing, and a strict read of every key, the records on all its primaries are
 * identical, byte for byte: compared directly, not by quorum reads.
 */
import { equalBytes } from '../../base/bytes.js';
import type { SimulatedCluster } from '../simulated-cluster.js';

export function divergences(cluster: SimulatedCluster, keys: Iterable<string>): string[] {
  const violations: string[] = [];
  for (const key of keys) {
    const names = cluster.primariesOf(key);
    const first = cluster.replica(names[0]!).record(key);
    for (const name of names.slice(1)) {
      const other = cluster.replica(name).record(key);
      const same = first === undefined || other === undefined ? first === other : equalBytes(first, other);
      if (!same) violations.push(`diverged: ${key} on ${names[0]} and on ${name}`);
    }
  }
  return violations;
}
