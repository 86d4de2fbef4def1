/** Clusters in which deletions are reaped, as stories of them need them: what is done and looked at again and again. */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import type { NodeCounters } from '../../src/metrics/node-counters.js';
import type { SimulatedClusterOptions } from '../../src/simulation/cluster-options.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import type { InFlight } from '../simulation/planted/reaping.js';

export const GRACE_MS = 1_000;

export function clusterOf(options: Partial<SimulatedClusterOptions> & { seed: number }): SimulatedCluster {
  return new SimulatedCluster({
    spawn,
    partitions: 8,
    exchangeIntervalMs: 500,
    tombstoneGraceMs: GRACE_MS,
    ...options,
  });
}

export function deleteKey(cluster: SimulatedCluster, key: string): void {
  const get = cluster.settle(cluster.get(key));
  assert(get.end?.type === 'got');
  const deletion = cluster.settle(cluster.delete(key, { token: get.end.token }));
  assert.equal(deletion.end?.type, 'acknowledged');
}

/** On how many nodes something lies under the key. */
export function copies(cluster: SimulatedCluster, key: string): number {
  return cluster.names.filter((name) => cluster.replica(name).record(key) !== undefined).length;
}

export function sum(cluster: SimulatedCluster, which: keyof NodeCounters): number {
  return cluster.counters.reduce((all, counters) => all + counters[which], 0);
}

export function runUntil(cluster: SimulatedCluster, done: () => boolean, limitMs = 60_000): boolean {
  for (let end = cluster.time + limitMs; cluster.time < end && !done(); ) cluster.runFor(100);
  return done();
}

export const isGone = (cluster: SimulatedCluster, keys: readonly string[]) =>
  keys.every((key) => copies(cluster, key) === 0);

export const KEY = 'cart';
/** By then everything has had its time to come back. */
export const AFTERMATH_MS = 5_000;

/**
 * Has `KEY` written; the write to its third primary is under way for as long as `flight` holds it, and a hint takes its
 * place.
 */
export function putInFlight(cluster: SimulatedCluster, flight: InFlight): void {
  const third = cluster.nodeOf(cluster.primariesOf(KEY)[2]!);
  flight.holds = (node, message) => node === third && message.type === 'write';
  assert.equal(cluster.settle(cluster.put(KEY, 'milk')).end?.type, 'acknowledged');
  assert.equal(flight.held, 1);
  flight.holds = undefined;
  assert(runUntil(cluster, () => cluster.hints === 0));
}

/** True if no replica shows anything of the key. */
export function staysDeleted(cluster: SimulatedCluster): boolean {
  cluster.runFor(AFTERMATH_MS);
  assert.deepEqual(cluster.failures, []);
  return cluster.names.every((name) => cluster.replica(name).values(KEY).length === 0);
}
