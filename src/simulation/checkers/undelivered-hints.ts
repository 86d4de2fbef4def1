/** Promise 2, of hints: after healing, all members up, within a stated time, none is left. */
import { latin1 } from '../../base/bytes.js';
import type { SimulatedCluster } from '../simulated-cluster.js';

export function undelivered(cluster: SimulatedCluster): string[] {
  const violations: string[] = [];
  for (const holder of cluster.names) {
    for (const { owner, located, object } of cluster.hintsOn(holder)) {
      const key = latin1(located);
      const what = object === undefined ? 'an unreadable hint' : 'a hint';
      violations.push(`undelivered: ${holder} still keeps ${what} of ${key} for ${cluster.names[owner] ?? owner}`);
    }
  }
  return violations;
}
