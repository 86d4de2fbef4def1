/** Disks that are full or fail, told as stories in virtual time: what the caller hears, and what the others do. */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import type { PutOperation } from '../../src/simulation/history.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { test } from '../support/test.js';

function failureOf(put: PutOperation): { why: string; definite: boolean } {
  assert.equal(put.end?.type, 'failed', JSON.stringify(put.end));
  const { why, definite } = (put.end as PutOperation['end'] & { type: 'failed' }).failure;
  return { why, definite };
}

const isAcknowledged = (put: PutOperation): boolean => put.end?.type === 'acknowledged';

test('one full disk: puts succeed at the others, and the node costs next to no identities', () => {
  const cluster = new SimulatedCluster({ seed: 1, spawn, n: 3, nodes: 3 });
  const [full] = cluster.primariesOf('cart');
  const node = cluster.nodeOf(full!);
  const before = cluster.counters[node]!.newIdentities;
  cluster.fullDisk(full!);
  for (let i = 0; i < 300; i++) {
    assert(isAcknowledged(cluster.settle(cluster.put(`key ${i}`, 'v', { client: i % 3 }))), `put ${i}`);
    cluster.runFor(5);
  }
  const counters = cluster.counters[node]!;
  assert(counters.failedCommits > 0 && counters.writesRefused > 200);
  assert(counters.newIdentities - before < 20, `${counters.newIdentities - before} identities were drawn`);
  // Room again: within a second the node stores what it is given, although nobody has asked it meanwhile.
  cluster.healthyDisk(full!);
  cluster.runFor(1_100);
  const put = cluster.settle(cluster.put('after', 'v', { w: 3 }));
  assert(isAcknowledged(put), JSON.stringify(put.end));
});

test('too many full disks: storage-full, definite as soon as it is known; failing ones: storage', () => {
  for (const kind of ['full', 'failing'] as const) {
    const cluster = new SimulatedCluster({ seed: 2, spawn, n: 3, nodes: 3 });
    for (const name of cluster.names.slice(0, 2)) {
      if (kind === 'full') cluster.fullDisk(name);
      else cluster.failCommits(name, 1);
    }
    const why = kind === 'full' ? 'storage-full' : 'storage';
    let definite = 0;
    for (let i = 0; i < 100; i++) {
      const failure = failureOf(cluster.settle(cluster.put(`key ${i}`, 'v', { client: i % 3 })));
      assert.equal(failure.why, why);
      if (failure.definite) definite++;
      cluster.runFor(5);
    }
    // Where the third node is asked first, it has stored the write before the others refuse it.
    assert(definite > 20 && definite < 100, `${definite} of 100 were definite`);
    assert.deepEqual(cluster.history.contradictions, [], 'what was definitely refused is nowhere');
    cluster.healEverything();
    cluster.runFor(1_100);
    assert(isAcknowledged(cluster.settle(cluster.put('after', 'v', { w: 3 }))));
  }
});
