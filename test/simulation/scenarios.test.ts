import assert from 'node:assert/strict';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { test } from '../support/test.js';
import { spawn } from './spawn.js';

test('a put is read back, and lies on every primary', () => {
  const cluster = new SimulatedCluster({ seed: 1, spawn });
  const put = cluster.settle(cluster.put('cart', 'milk'));
  assert.equal(put.end?.type, 'acknowledged');
  const get = cluster.settle(cluster.get('cart', { client: 1 }));
  assert.deepEqual(get.end?.type === 'got' && get.end.siblings.map(({ event }) => event), put.events);
  cluster.runFor(10);
  for (const name of cluster.primariesOf('cart')) assert.equal(cluster.replica(name).read('cart'), 'milk');
});
