/** Replicas that differ, told as stories in virtual time: nobody reads, and yet they become equal. */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import { equalBytes } from '../../src/base/bytes.js';
import { treeBlockKey, treeHeadKey } from '../../src/codec/own-keys.js';
import { isSoundRecord } from '../../src/codec/record.js';
import type { NodeCounters } from '../../src/metrics/node-counters.js';
import { unmetPairs } from '../../src/simulation/checkers/equal-replicas.js';
import type { SimulatedClusterOptions } from '../../src/simulation/cluster-options.js';
import { pairName } from '../../src/simulation/exchange-tap.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { test } from '../support/test.js';

const INTERVAL_MS = 2_000;

function clusterOf(options: Partial<SimulatedClusterOptions> & { seed: number }): SimulatedCluster {
  return new SimulatedCluster({ spawn, partitions: 8, exchangeIntervalMs: INTERVAL_MS, ...options });
}

/** Puts `count` keys, as many clients at a time as there are. */
function fill(cluster: SimulatedCluster, count: number, name = 'k'): string[] {
  const keys = Array.from({ length: count }, (_, i) => `${name}${i}`);
  for (let i = 0; i < count; i += 50) {
    const puts = keys.slice(i, i + 50).map((key, at) => cluster.put(key, `${key}!`, { client: at % 3 }));
    for (const put of puts) assert.equal(cluster.settle(put).end?.type, 'acknowledged', put.key);
  }
  return keys;
}

/** True if all primaries of each key have one and the same sound record of it. */
function areEqual(cluster: SimulatedCluster, keys: readonly string[]): boolean {
  return keys.every((key) => {
    const records = cluster.primariesOf(key).map((name) => cluster.replica(name).record(key));
    const [first] = records;
    return (
      first !== undefined &&
      records.every((record) => record !== undefined && isSoundRecord(record) && equalBytes(record, first))
    );
  });
}

function sum(cluster: SimulatedCluster, which: keyof NodeCounters): number {
  return cluster.counters.reduce((all, counters) => all + counters[which], 0);
}

function runUntil(cluster: SimulatedCluster, done: () => boolean, limitMs = 20 * INTERVAL_MS): boolean {
  for (let end = cluster.time + limitMs; cluster.time < end && !done(); ) cluster.runFor(100);
  return done();
}

test('equal replicas are compared in one round trip each, every pair once an interval, and nothing else is done', () => {
  const cluster = clusterOf({ seed: 1 });
  const keys = fill(cluster, 100);
  cluster.runFor(3 * INTERVAL_MS);
  assert(areEqual(cluster, keys));
  const before = sum(cluster, 'exchanges');
  const bytes = sum(cluster, 'exchangeBytes');
  const events = cluster.simulator.happened;
  cluster.runFor(10 * INTERVAL_MS);
  const exchanges = sum(cluster, 'exchanges') - before;
  const pairs = 8 * 3;
  assert(exchanges >= 10 * pairs && exchanges <= 12.5 * pairs, `${exchanges} exchanges of ${pairs} pairs`);
  assert.equal(sum(cluster, 'exchangeBytes') - bytes, exchanges * 38, 'a question and an answer for each side');
  assert.equal(sum(cluster, 'exchangeKeysFound'), 0);
  assert(cluster.simulator.happened - events < 100_000);
});

test('trees outlive a stop in order, and no other end; a damaged one is counted, and built anew', () => {
  const ends: Record<string, (cluster: SimulatedCluster) => void> = {
    stop: (cluster) => cluster.stopNode('b'),
    crash: (cluster) => cluster.crashNode('b'),
    'power loss': (cluster) => cluster.powerFail(['b']),
    damage: (cluster) => {
      cluster.stopNode('b');
      cluster.runFor(100);
      const disk = cluster.simulator.disk(cluster.nodeOf('b'), 'objects', { sync: 'none' });
      for (let partition = 0; partition < 8; partition++) {
        disk.rot(partition % 2 === 0 ? treeHeadKey(partition) : treeBlockKey(partition, 0));
      }
    },
  };
  for (const [end, act] of Object.entries(ends)) {
    const cluster = clusterOf({ seed: 11, sync: 'none' });
    const keys = fill(cluster, 200);
    cluster.runFor(2 * INTERVAL_MS);
    // Some of it is in no tree yet.
    fill(cluster, 20, 'late');
    const b = cluster.counters[cluster.nodeOf('b')]!;
    const replicas = b.treesBuilt;
    assert(replicas > 0);
    act(cluster);
    cluster.runFor(100);
    cluster.startNode('b');
    cluster.runFor(10);
    assert.equal(b.treesRestored, end === 'stop' ? replicas : 0, end);
    assert.equal(b.treesDamaged, end === 'damage' ? replicas : 0, end);
    // Written upon what was taken over.
    fill(cluster, 20, 'more');
    const equal = sum(cluster, 'exchangesEqual');
    assert(runUntil(cluster, () => sum(cluster, 'exchangesEqual') >= equal + 3 * 8));
    assert.equal(b.treesBuilt, end === 'stop' ? replicas : 2 * replicas, end);
    assert(areEqual(cluster, keys));
    assert.deepEqual(cluster.failures, []);
  }
});

test('a replica that lost its disk has everything again without any read, and is behind only until then', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const cluster = clusterOf({ seed, sync: seed % 2 === 0 ? 'full' : 'none' });
    const keys = fill(cluster, 300);
    cluster.stopNode('b');
    cluster.runFor(200);
    cluster.loseObjects('b');
    cluster.startNode('b');
    cluster.runFor(50);
    const marks = () => refillMarks(cluster, 'b');
    assert(marks() > 0);
    const reads = sum(cluster, 'gets');
    assert(
      runUntil(cluster, () => areEqual(cluster, keys)),
      `seed ${seed}: not equal`,
    );
    assert(
      runUntil(cluster, () => marks() === 0),
      `seed ${seed}: ${marks()} partitions are still behind`,
    );
    assert.equal(sum(cluster, 'gets'), reads);
    assert.equal(sum(cluster, 'readRepairs'), 0);
    assert(sum(cluster, 'exchangeKeysRepaired') > 0);
    assert.deepEqual(cluster.failures, []);
  }
});

test('a replica that must refill stays behind while one of the others is down', () => {
  const cluster = clusterOf({ seed: 5, nodes: 3 });
  const keys = fill(cluster, 50);
  cluster.stopNode('b');
  cluster.stopNode('c');
  cluster.runFor(200);
  cluster.loseObjects('b');
  cluster.startNode('b');
  cluster.runFor(10 * INTERVAL_MS);
  assert.equal(refillMarks(cluster, 'b'), 8);
  cluster.startNode('c');
  assert(runUntil(cluster, () => refillMarks(cluster, 'b') === 0));
  assert(areEqual(cluster, keys));
});

// Goal: leadership passes on at once, and back. Replicas were lent to whoever had led before, for many intervals.
test('exchanges go on when their leader crashes, and when it is back', () => {
  const intervalMs = 300;
  const cluster = clusterOf({ seed: 1, exchangeIntervalMs: intervalMs });
  const unmetIn = (ms: number) => {
    cluster.foundEqual.clear();
    cluster.runFor(ms);
    return unmetPairs(cluster);
  };
  const node = `${cluster.nodeOf('a')}`;
  const isOfNode = (pair: string) => pair.split(' on ')[1]!.includes(node);
  cluster.runFor(2 * intervalMs);
  cluster.crashNode('a');
  cluster.runFor(intervalMs); // Until the others have noticed.
  assert.deepEqual(
    unmetIn(2 * intervalMs).filter((pair) => !isOfNode(pair)),
    [],
  );
  cluster.runFor(2_000);
  cluster.startNode('a');
  cluster.runFor(intervalMs);
  assert.deepEqual(unmetIn(2 * intervalMs), []);
});

// Where an exchange of whoever had led before has not come to its end, and never will (once seed 34).
test('exchanges are led by a primary that is back although its stand-in has one under way', () => {
  const intervalMs = 300;
  for (let seed = 1; seed <= 3; seed++) {
    const cluster = clusterOf({ seed, nodes: 3, exchangeIntervalMs: intervalMs });
    const [a, b, c] = ['a', 'b', 'c'] as const;
    cluster.runFor(2 * intervalMs);
    cluster.crashNode(a);
    cluster.runFor(3 * intervalMs); // Until the others have noticed, and b leads.
    cluster.splitOneWay([c], [b]); // It goes on asking c, and hears nothing.
    cluster.runFor(100);
    cluster.startNode(a);
    cluster.runFor(intervalMs);
    cluster.foundEqual.clear();
    cluster.runFor(2 * intervalMs);
    const led = [...cluster.ring.preferenceLists.entries()].filter(([, { primaries }]) => primaries[0] === 0);
    const pairs = led.map(([partition]) => pairName(partition, cluster.nodeOf(a), cluster.nodeOf(c)));
    assert(pairs.length > 1);
    const unmet = unmetPairs(cluster);
    assert.deepEqual(
      pairs.filter((pair) => unmet.includes(pair)),
      [],
      `seed ${seed}`,
    );
  }
});

// Goal: an operator can tell whether replicas are compared: what came to nothing does not count.
test('nodes tell when they last compared replicas, and for how long two of them have not been found equal', () => {
  const cluster = clusterOf({ seed: 1 });
  const told = (name: string) => cluster.counters[cluster.nodeOf(name)]!;
  const led = () => cluster.counters.find(({ exchanges }) => exchanges > 0);
  assert(
    cluster.simulator.runUntil(() => led() !== undefined, INTERVAL_MS),
    'an exchange has ended',
  );
  assert.equal(led()!.lastExchangeAtMs, 0, 'the first one finds no tree yet, and has compared nothing');
  cluster.runFor(2 * INTERVAL_MS);
  for (const name of cluster.names) {
    assert(told(name).lastExchangeAtMs > cluster.wallMs - INTERVAL_MS, name);
    assert(told(name).exchangeLagMs <= 1.1 * INTERVAL_MS, `${name}: ${told(name).exchangeLagMs}`);
  }
  // Whoever shares a partition with a node that is down tells so; the last exchange, of others, would not.
  cluster.crashNode('a');
  cluster.runFor(3 * INTERVAL_MS);
  const besideA = cluster.names.filter((name) => {
    const node = cluster.nodeOf(name);
    return (
      node !== 0 &&
      cluster.ring.preferenceLists.some(({ primaries }) => [0, node].every((one) => primaries.includes(one)))
    );
  });
  assert(besideA.length > 1);
  for (const name of besideA) {
    assert(told(name).lastExchangeAtMs > cluster.wallMs - INTERVAL_MS, name);
    assert(told(name).exchangeLagMs >= 2 * INTERVAL_MS, `${name}: ${told(name).exchangeLagMs}`);
  }
  cluster.startNode('a');
  cluster.runFor(3 * INTERVAL_MS);
  for (const name of cluster.names) {
    assert(told(name).exchangeLagMs <= 1.1 * INTERVAL_MS, `${name}: ${told(name).exchangeLagMs}`);
  }
});

test('a record that rots is found when its tree is built anew, and fetched from the others', () => {
  for (let seed = 1; seed <= 6; seed++) {
    const cluster = clusterOf({ seed, maxTreeAgeMs: 4 * INTERVAL_MS });
    const keys = fill(cluster, 60);
    cluster.runFor(3 * INTERVAL_MS);
    for (const key of keys.slice(0, 5)) assert(cluster.rot(cluster.primariesOf(key)[seed % 3]!, key));
    assert(!areEqual(cluster, keys));
    assert(
      runUntil(cluster, () => areEqual(cluster, keys)),
      `seed ${seed}`,
    );
    assert(sum(cluster, 'corruptRecords') >= 5);
    assert.deepEqual(cluster.failures, []);
  }
});

test('what replicas have beside each other is merged on both sides, under writes, splits and deaths of vnodes', () => {
  for (let seed = 1; seed <= 4; seed++) {
    const cluster = clusterOf({ seed, w: 1, r: 1, maxHintBytes: 0 });
    const keys = fill(cluster, 100);
    cluster.split(['a', 'b'], ['c', 'd', 'e']);
    const puts = keys.map((key, i) => cluster.put(key, `other ${i}`, { client: i % 3 }));
    cluster.runFor(600);
    cluster.heal();
    for (const put of puts) cluster.settle(put);
    cluster.crashVnode('a', keys[0]!);
    cluster.crashNode('c');
    cluster.runFor(300);
    cluster.startNode('c');
    assert(
      runUntil(cluster, () => areEqual(cluster, keys)),
      `seed ${seed}`,
    );
    assert.deepEqual(cluster.failures, []);
  }
});

/** How many partitions of a node are yet to be refilled, as its disk says. */
function refillMarks(cluster: SimulatedCluster, name: string): number {
  const disk = cluster.simulator.disk(cluster.nodeOf(name), 'system', { sync: 'full' });
  return disk.peekAll().filter(({ key }) => Buffer.from(key).toString('latin1').startsWith('refill:')).length;
}
