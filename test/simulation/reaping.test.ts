/** Deletions that are forgotten, told as stories in virtual time: what is gone is gone everywhere, and nothing comes back. */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import type { NodeCounters } from '../../src/metrics/node-counters.js';
import { SimulatedCluster, type SimulatedClusterOptions } from '../../src/simulation/simulated-cluster.js';
import { test } from '../support/test.js';

const GRACE_MS = 1_000;

function clusterOf(options: Partial<SimulatedClusterOptions> & { seed: number }): SimulatedCluster {
  return new SimulatedCluster({
    spawn,
    partitions: 8,
    exchangeIntervalMs: 500,
    tombstoneGraceMs: GRACE_MS,
    ...options,
  });
}

/** Has each key written, and then deleted by somebody who has seen it. */
function putAndDelete(cluster: SimulatedCluster, count: number): string[] {
  const keys = Array.from({ length: count }, (_, i) => `k${i}`);
  for (const key of keys) assert.equal(cluster.settle(cluster.put(key, `${key}!`)).end?.type, 'acknowledged');
  for (const key of keys) deleteKey(cluster, key);
  return keys;
}

function deleteKey(cluster: SimulatedCluster, key: string): void {
  const get = cluster.settle(cluster.get(key));
  assert(get.end?.type === 'got');
  const deletion = cluster.settle(cluster.delete(key, { token: get.end.token }));
  assert.equal(deletion.end?.type, 'acknowledged');
}

/** On how many nodes something lies under the key. */
function copies(cluster: SimulatedCluster, key: string): number {
  return cluster.names.filter((name) => cluster.replica(name).record(key) !== undefined).length;
}

function sum(cluster: SimulatedCluster, which: keyof NodeCounters): number {
  return cluster.counters.reduce((all, counters) => all + counters[which], 0);
}

function runUntil(cluster: SimulatedCluster, done: () => boolean, limitMs = 60_000): boolean {
  for (let end = cluster.time + limitMs; cluster.time < end && !done(); ) cluster.runFor(100);
  return done();
}

const isGone = (cluster: SimulatedCluster, keys: readonly string[]) => keys.every((key) => copies(cluster, key) === 0);

test('deletions are gone from every replica after the grace time, not before, and what lives stays', () => {
  for (let seed = 1; seed <= 3; seed++) {
    const cluster = clusterOf({ seed, sync: seed % 2 === 0 ? 'full' : 'none', nodes: seed === 3 ? 3 : 5 });
    assert.equal(cluster.settle(cluster.put('alive', 'milk')).end?.type, 'acknowledged');
    const began = cluster.time;
    const keys = putAndDelete(cluster, 40);
    cluster.runFor(Math.max(0, began + GRACE_MS - 50 - cluster.time));
    for (const key of keys) assert.equal(copies(cluster, key), 3, `${key} was reaped too early`);
    assert(
      runUntil(cluster, () => isGone(cluster, keys)),
      `seed ${seed}: ${keys.filter((key) => copies(cluster, key) > 0).length} are left`,
    );
    assert.equal(cluster.replica(cluster.primariesOf('alive')[0]!).read('alive'), 'milk');
    assert.equal(sum(cluster, 'tombstonesReaped'), 3 * keys.length);
    for (const key of keys) {
      const get = cluster.settle(cluster.get(key));
      assert(get.end?.type === 'got' && get.end.siblings.length === 0, key);
    }
    // A client that has slept since sees its write as a new one.
    assert.equal(cluster.settle(cluster.put(keys[0]!, 'again')).end?.type, 'acknowledged');
    cluster.runFor(2_000);
    assert.equal(cluster.replica(cluster.primariesOf(keys[0]!)[1]!).read(keys[0]!), 'again');
    assert.deepEqual(cluster.failures, []);
  }
});
