/** Too much is asked of the cluster, or too much of one key: what is refused is refused at once, and the rest goes on. */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import type { SimulatedClusterOptions } from '../../src/simulation/cluster-options.js';
import type { GetOperation, PutOperation } from '../../src/simulation/history.js';
import { judge } from '../../src/simulation/judge.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { test } from '../support/test.js';

/** Within so long after an overload has ended, requests succeed again as they did before. */
const RECOVERY_MS = 1_000;
/** So many probes, one every 5 ms. */
const STREAK = 50;

type Operation = PutOperation | GetOperation;

/** Every disk takes 10 ms: a node with room for 10 operations does about 1,000 a second. */
function slowCluster(options: Pick<SimulatedClusterOptions, 'seed' | 'maxInFlight' | 'maxOperations'>) {
  const cluster = new SimulatedCluster({ ...options, spawn, clients: 4, timeoutMs: 1_000 });
  for (const name of cluster.names) cluster.slowDisk(name, { minMs: 10, meanExtraMs: 2 });
  return cluster;
}

/** Begins puts, `atOnce` of them every `everyMs`, whatever has become of those before, each of a new key. */
function openLoop(
  cluster: SimulatedCluster,
  { forMs, everyMs, atOnce }: { readonly forMs: number; readonly everyMs: number; readonly atOnce: number },
  keys: Set<string>,
): PutOperation[] {
  const puts: PutOperation[] = [];
  for (let ms = 0; ms < forMs; ms += everyMs) {
    for (let i = 0; i < atOnce; i++) {
      const key = `key${keys.size}`;
      keys.add(key);
      puts.push(cluster.put(key, key, { client: puts.length % cluster.clients.length }));
    }
    cluster.runFor(everyMs);
  }
  return puts;
}

/** A put or a get every 5 ms, each of another key. */
function probe(cluster: SimulatedCluster, forMs: number, keys: Set<string>): Operation[] {
  const probes: Operation[] = [];
  for (let i = 0; i < forMs / 5; i++) {
    const key = `key${i % 2 === 0 ? keys.size : (i * 7) % keys.size}`;
    const client = i % cluster.clients.length;
    keys.add(key);
    probes.push(i % 2 === 0 ? cluster.put(key, key, { client }) : cluster.get(key, { client }));
    cluster.runFor(5);
  }
  return probes;
}

const isStored = ({ end }: Operation) => end?.type === 'acknowledged' || end?.type === 'got';

function refusals(puts: readonly PutOperation[]): PutOperation[] {
  return puts.filter(({ end }) => end?.type === 'failed' && end.failure.why === 'overloaded');
}

function took({ startedAt, endedAt }: Operation): number {
  return endedAt - startedAt;
}

/** Of requests in a cluster that has room for them. */
function slowest(cluster: SimulatedCluster, probes: readonly Operation[]): number {
  for (const one of probes) assert(isStored(cluster.settle(one)), JSON.stringify(one.end));
  return Math.max(...probes.map(took));
}

/**
 * How long from now on it takes until requests succeed as fast as they should, one after the other for a quarter of a second;
 * infinite, if they do not within twice the time they have. A single one may be slow at any time.
 */
function recovery(cluster: SimulatedCluster, normalMs: number, keys: Set<string>): number {
  const began = cluster.time;
  const probes = probe(cluster, 2 * RECOVERY_MS, keys);
  for (const one of probes) cluster.settle(one);
  const isNormal = (one: Operation) => isStored(one) && took(one) <= normalMs;
  const first = probes.findIndex((_, i) => i + STREAK <= probes.length && probes.slice(i, i + STREAK).every(isNormal));
  if (first === -1) return Number.POSITIVE_INFINITY;
  const late = probes.filter((one) => one.startedAt - began > RECOVERY_MS);
  assert(late.filter(isNormal).length >= 0.97 * late.length, 'and it stays so');
  return probes[first]!.startedAt - began;
}

for (const [who, bounds] of [
  ['clients', { maxInFlight: 20 }],
  ['coordinators', { maxOperations: 10 }],
] as const) {
  test(`several times more than ${who} have room for: what does not fit is refused at once, and it passes within a second`, () => {
    for (let seed = 1; seed <= 2; seed++) {
      const cluster = slowCluster({ seed, ...bounds });
      const keys = new Set<string>();
      const normalMs = 2 * slowest(cluster, probe(cluster, 300, keys));
      const puts = openLoop(cluster, { forMs: 300, everyMs: 1, atOnce: 20 }, keys);
      // Counted from its last arrival.
      const recoveryMs = recovery(cluster, normalMs, keys);
      assert(recoveryMs <= RECOVERY_MS, `seed ${seed}: ${recoveryMs} ms`);
      for (const put of puts) cluster.settle(put);
      const refused = refusals(puts);
      const stored = puts.filter(isStored);
      assert.deepEqual(
        puts.filter((put) => !isStored(put) && !refused.includes(put)).map(({ end }) => end),
        [],
        'stored or refused: nothing waits in vain',
      );
      assert(refused.length > puts.length / 2, `${refused.length} of ${puts.length} refused`);
      assert(stored.length > 100, `${stored.length} stored`);
      for (const put of refused) {
        assert(put.end?.type === 'failed');
        // One that was sent elsewhere because of silence may be stored all the same. One that each coordinator refused is not,
        // however many attempts that made: whether it says so truly is judged in the end.
        if (put.events.length === 1) assert(put.end.failure.definite, JSON.stringify(put));
        if (put.end.failure.definite) assert(took(put) < 100, `seed ${seed}: refused after ${took(put)} ms`);
      }
      const definite = refused.filter(({ end }) => end?.type === 'failed' && end.failure.definite);
      assert(definite.length >= 0.99 * refused.length, `${definite.length} of ${refused.length} refused for certain`);
      for (const name of cluster.names) cluster.healthyDisk(name);
      assert.deepEqual(judge(cluster, keys, 0).violations, []);
    }
  });
}

test('noticed: a cluster that stays slow after an overload', () => {
  const cluster = slowCluster({ seed: 1 });
  const keys = new Set<string>();
  const normalMs = 2 * slowest(cluster, probe(cluster, 300, keys));
  assert.equal(recovery(cluster, normalMs, keys), 0);
  for (const name of cluster.names) cluster.slowDisk(name, { minMs: 2 * normalMs, meanExtraMs: 0 });
  assert(recovery(cluster, normalMs, keys) > RECOVERY_MS);
});

// Goal: the partitions that share a node with a hot key, and its own, are served as if it were not hot.
for (const [how, lastWriteWins] of [
  ['conflicting puts', false],
  ['puts of which the last wins', true],
] as const) {
  test(`half of the load is ${how} of one key: its object stays small, and no other key waits for it`, () => {
    for (let seed = 11; seed <= 12; seed++) {
      const cluster = new SimulatedCluster({ seed, spawn, clients: 4, timeoutMs: 1_000 });
      const keys = new Set(['hot']);
      const hot: Operation[] = [];
      const others: Operation[] = [];
      for (let ms = 0; ms < 500; ms++) {
        for (let client = 0; client < cluster.clients.length; client++) {
          hot.push(cluster.put('hot', `hot${hot.length}`, { client, lastWriteWins }));
          const key = `key${(others.length * 7) % 400}`;
          keys.add(key);
          others.push(ms % 2 === 0 ? cluster.put(key, `v${others.length}`, { client }) : cluster.get(key, { client }));
        }
        cluster.runFor(1);
      }
      for (const operation of [...hot, ...others]) cluster.settle(operation);
      assert.deepEqual(
        others.filter((operation) => !isStored(operation)).map(({ end }) => end),
        [],
      );
      const slowest = Math.max(...others.map(took));
      assert(slowest < 20, `seed ${seed}: ${slowest} ms`);
      for (const name of cluster.primariesOf('hot')) {
        const siblings = cluster.replica(name).values('hot').length;
        assert(siblings > 0 && siblings <= (lastWriteWins ? 1 : 100), `seed ${seed}: ${siblings} siblings`);
      }
      const refused = hot.filter((put) => !isStored(put));
      assert.equal(refused.length > 0, !lastWriteWins, `${refused.length} refused`);
      for (const { end } of refused) {
        assert(
          end?.type === 'failed' && end.failure.definite && end.failure.why === 'too-many-siblings',
          JSON.stringify(end),
        );
      }
      assert.deepEqual(judge(cluster, keys, 0).violations, []);
    }
  });
}
