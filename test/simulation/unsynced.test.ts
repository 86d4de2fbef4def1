/**
 * What a power failure may cost with `sync: 'none'`, as the product runs it: commits go back to an older state, or a file is
 * damaged as a whole. And what it may not cost, of which the checkers are told by nothing but the power.
 */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import { judge } from '../../src/simulation/judge.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { clusterOf, deleteKey, isGone, KEY, runUntil, sum } from '../support/reaping-cluster.js';
import { test } from '../support/test.js';

const KEYS = Array.from({ length: 12 }, (_, i) => `key${i}`);

function unsynced(seed: number): SimulatedCluster {
  return new SimulatedCluster({ seed, spawn, sync: 'none', partitions: 8, nodes: 3, exchangeIntervalMs: 300 });
}

function putAll(cluster: SimulatedCluster): void {
  for (const key of KEYS) assert.equal(cluster.settle(cluster.put(key, `${key}!`, { w: 3 })).end?.type, 'acknowledged');
}

/** What the checkers say once all has healed. */
function verdictOf(cluster: SimulatedCluster, keys: readonly string[]): readonly string[] {
  return judge(cluster, new Set(keys), 50).violations;
}

test('a file of objects that power has damaged is set aside: the node begins empty, under other names, and is refilled', () => {
  for (const seed of [1, 2, 3]) {
    const cluster = unsynced(seed);
    putAll(cluster);
    const identities = sum(cluster, 'newIdentities');
    cluster.powerFail(['b'], [{ node: 'b', file: 'objects' }]);
    assert(KEYS.every((key) => cluster.replica('b').record(key) === undefined));
    assert.equal(cluster.history.destroyed.size, 0, 'the others have it all');
    cluster.startNode('b');
    assert(runUntil(cluster, () => KEYS.every((key) => cluster.replica('b').read(key) === `${key}!`)));
    assert.equal(sum(cluster, 'newIdentities') - identities, 8);
    assert.deepEqual(verdictOf(cluster, KEYS), []);
  }
});

test('power that damages the objects of all costs all of them, and nothing else: the cluster works again', () => {
  const cluster = unsynced(4);
  putAll(cluster);
  cluster.powerFail(
    'all',
    cluster.names.map((node) => ({ node, file: 'objects' })),
  );
  assert.equal(cluster.history.destroyed.size, KEYS.length);
  cluster.runFor(20);
  cluster.startProcess();
  cluster.runFor(2_000);
  putAll(cluster);
  assert.deepEqual(verdictOf(cluster, KEYS), []);
});

test('a key of which nothing but unreadable records is left is not served, until it is put again', () => {
  const cluster = unsynced(5);
  const [first, ...others] = cluster.primariesOf(KEY);
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  assert(cluster.rot(first!, KEY));
  assert.equal(cluster.history.destroyed.size, 0);
  cluster.powerFail(
    others,
    others.map((node) => ({ node, file: 'objects' })),
  );
  assert.equal(cluster.history.destroyed.size, 1);
  assert(cluster.isUnreadable(KEY));
  for (const name of others) cluster.startNode(name);
  cluster.runFor(2_000);
  assert.equal(cluster.settle(cluster.get(KEY, { r: 3, pr: 3 })).end?.type, 'failed');
  assert.equal(cluster.settle(cluster.put(KEY, 'bread', { w: 3 })).end?.type, 'acknowledged');
  assert(!cluster.isUnreadable(KEY));
  assert.deepEqual(verdictOf(cluster, [KEY]), []);
});

/** A deletion was reaped; then a replica is where it was before. @returns what is shown at last, and what the checkers say */
function backBeforeReaping(seed: number, sync: 'full' | 'none', byPower: boolean) {
  const cluster = clusterOf({ seed, sync });
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  const third = cluster.primariesOf(KEY)[2]!;
  const disk = cluster.simulator.disk(cluster.nodeOf(third), 'objects');
  const before = disk.peekAll();
  deleteKey(cluster, KEY);
  assert(runUntil(cluster, () => isGone(cluster, [KEY])));
  if (byPower) cluster.powerFail([third]);
  else {
    cluster.crashNode(third);
    disk.restore(before);
  }
  cluster.runFor(50);
  cluster.startNode(third);
  cluster.runFor(3_000);
  return { values: cluster.replica(third).values(KEY), violations: verdictOf(cluster, [KEY]) };
}

// Found when the simulator began to wait for no more than the product does: a vote is not flushed there.
test('power takes a replica back to before a deletion that was reaped only where nothing is flushed, and that is excused', () => {
  const seeds = [1, 2, 3, 4, 5, 6];
  const lost = seeds.map((seed) => backBeforeReaping(seed, 'none', true));
  assert(
    lost.some(({ values }) => values.includes('milk')),
    'no seed takes it back so far',
  );
  for (const { violations } of lost) assert.deepEqual(violations, []);
  for (const seed of seeds) {
    assert.deepEqual(backBeforeReaping(seed, 'full', true), { values: [], violations: [] });
  }
});

test('noticed: a replica that is where it was before a deletion that was reaped, and no power has failed', () => {
  for (const sync of ['full', 'none'] as const) {
    const { values, violations } = backBeforeReaping(1, sync, false);
    assert.deepEqual(values, ['milk']);
    assert(violations.some((one) => one.startsWith('resurrected: the final read shows')));
    assert(violations.some((one) => one.startsWith('resurrected: get')));
  }
});
