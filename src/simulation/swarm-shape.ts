/** What kind of cluster a seed of the swarm has: each property drawn by itself, so that every one meets every other. */
import { below, pick, type Random, unit } from '../base/random.js';

export interface SwarmShape {
  readonly sync: 'full' | 'none';
  readonly nodes: number;
  /** By node: of one to as many zones as there are nodes, in which nodes may lie unevenly. */
  readonly zones: readonly string[];
  readonly n: number;
  readonly partitions: number;
  readonly exchangeIntervalMs: number;
  /** Deletions are reaped, and contexts reduced, while faults strike. */
  readonly reaps: boolean;
  /** Some values live for a while only. */
  readonly expires: boolean;
}

/** How often replicas are compared: several times while faults strike, about once, or only afterwards. */
export const EXCHANGE_INTERVALS_MS = [300, 1_000, 3_000];
const REAPING_SHARE = 1 / 3;
const EXPIRING_SHARE = 1 / 3;

export function drawShape(random: Random): SwarmShape {
  const sync = pick(random, ['full', 'none'] as const);
  const nodes = pick(random, [3, 4, 5, 5, 7]);
  const n = Math.min(nodes, pick(random, [2, 3, 3, 3, 3, 5]));
  const zones = 1 + below(random, nodes);
  return {
    sync,
    nodes,
    zones: Array.from({ length: nodes }, (_, node) => `zone${node < zones ? node : below(random, zones)}`),
    n,
    partitions: pick(random, [8, 16]),
    exchangeIntervalMs: pick(random, EXCHANGE_INTERVALS_MS),
    reaps: unit(random) < REAPING_SHARE,
    expires: unit(random) < EXPIRING_SHARE,
  };
}
