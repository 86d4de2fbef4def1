/** What the swarm draws, and what a seed of it is. */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import { SeededRandom } from '../../src/base/random.js';
import { partitionOf } from '../../src/codec/key.js';
import { type ExchangeRequest, exchangeConversation } from '../../src/messages/exchange-messages.js';
import type { ActorRef } from '../../src/runtime/actor.js';
import { dearExchanges } from '../../src/simulation/checkers/equal-replicas.js';
import { lateWrites } from '../../src/simulation/checkers/late-writes.js';
import { locate } from '../../src/simulation/simulated-client.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { drawShape, EXCHANGE_INTERVALS_MS } from '../../src/simulation/swarm-shape.js';
import { TappedContext } from '../../src/simulation/tapped-host.js';
import { test } from '../support/test.js';
import { tapOf } from './planted/plant.js';

// Goal: no property of a cluster hides what needs another one. Two that are drawn from one number never meet.
test('among a few hundred seeds every interval meets reaping and none, and there are as few and as many zones as can be', () => {
  const shapes = Array.from({ length: 300 }, (_, seed) => drawShape(new SeededRandom(seed)));
  for (const exchangeIntervalMs of EXCHANGE_INTERVALS_MS) {
    for (const reaps of [true, false]) {
      for (const sync of ['full', 'none']) {
        const met = shapes.filter((one) => {
          return one.exchangeIntervalMs === exchangeIntervalMs && one.reaps === reaps && one.sync === sync;
        });
        assert(met.length > 5, `${met.length} seeds with ${exchangeIntervalMs} ms, reaping ${reaps}, sync ${sync}`);
      }
    }
  }
  for (const nodes of [3, 4, 5, 7]) {
    const counts = new Set(shapes.filter((one) => one.nodes === nodes).map(({ zones }) => new Set(zones).size));
    assert.deepEqual(
      [...counts].sort(),
      Array.from({ length: nodes }, (_, i) => i + 1),
    );
  }
});

test('noticed: a write that a strict read after healing did not show, and a later one does', () => {
  const cluster = new SimulatedCluster({ seed: 1, spawn });
  const read = () => {
    const { end } = cluster.settle(cluster.get('cart', { r: 3, pr: 3 }));
    assert(end?.type === 'got');
    return new Map([['cart', end.siblings]]);
  };
  cluster.settle(cluster.put('cart', 'milk', { w: 3 }));
  const first = read();
  assert.deepEqual(lateWrites(cluster.history, first, read()), []);
  cluster.settle(cluster.put('cart', 'bread', { w: 3 }));
  assert.match(lateWrites(cluster.history, first, read()).join(), /^appeared after healing: .* = bread/);
});

/** Never hears that two replicas of a partition are equal, since it does not have them compared. */
class LeavesOneOut extends TappedContext {
  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    const { type, partition } = message as ExchangeRequest & { partition?: number };
    if (type !== 'exchange' || partition !== 3) super.request(to, message, correlation);
  }
}

test('noticed: one partition whose replicas are never compared', () => {
  const intervalMs = 300;
  for (const bug of [false, true]) {
    const nodes = () => tapOf(exchangeConversation.name, { context: (inner) => new LeavesOneOut(inner) });
    const planted = bug ? { planted: { name: 'leaves one out', nodes } } : {};
    const cluster = new SimulatedCluster({ seed: 1, spawn, exchangeIntervalMs: intervalMs, partitions: 8, ...planted });
    cluster.settle(cluster.put('cart', 'milk', { w: 3 }));
    cluster.runFor(2_000);
    const found = dearExchanges(cluster, intervalMs);
    if (!bug) assert.deepEqual(found, []);
    // What waits for it is not compared, either.
    else assert.equal(found.filter((one) => one.includes('partition 3 ')).length, 3, found.join());
  }
});

// Goal: what is forgotten in one interval is no excuse for what is not compared in the next one.
test('noticed: one partition whose replicas are never compared, although something is forgotten meanwhile', () => {
  const intervalMs = 300;
  const key = ['cart', 'list', 'note'].find((one) => partitionOf(locate(one, 8)) !== 3)!;
  for (const bug of [false, true]) {
    const nodes = () => tapOf(exchangeConversation.name, { context: (inner) => new LeavesOneOut(inner) });
    const planted = bug ? { planted: { name: 'leaves one out', nodes } } : {};
    const deleted = () => {
      const reaping = { exchangeIntervalMs: intervalMs, tombstoneGraceMs: 2_000 };
      const cluster = new SimulatedCluster({ seed: 1, spawn, partitions: 8, ...reaping, ...planted });
      cluster.settle(cluster.delete(key, { w: 3 }));
      cluster.runFor(1_000);
      return cluster;
    };
    const forgotten = (cluster: SimulatedCluster) => cluster.counters.some((one) => one.tombstonesReaped > 0);
    // The same cluster twice: the first one tells when it is forgotten.
    const first = deleted();
    assert(
      first.simulator.runUntil(() => forgotten(first), 30_000),
      'it is forgotten',
    );
    const cluster = deleted();
    cluster.runFor(first.time - cluster.time - 600);
    assert(!forgotten(cluster));
    const found = dearExchanges(cluster, intervalMs);
    assert(forgotten(cluster) && cluster.time > first.time + intervalMs, 'it was forgotten, and looked again');
    if (!bug) assert.deepEqual(found, []);
    else assert.equal(found.filter((one) => one.includes('partition 3 ')).length, 3, found.join());
  }
});
