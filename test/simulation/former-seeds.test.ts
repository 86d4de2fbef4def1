/**
 * What seeds of the swarm found, told as stories of their own: a seed is another cluster as soon as anything is drawn
 * otherwise, and then shows nothing. Each was seen to fail without what mended it.
 */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import { SeededRandom } from '../../src/base/random.js';
import { compareTimestamps } from '../../src/clocks/timestamp.js';
import { lostWrites } from '../../src/simulation/checkers/lost-writes.js';
import { type FaultKind, FaultScript } from '../../src/simulation/faults.js';
import type { AcknowledgedPut, PutOperation, ReadSibling } from '../../src/simulation/history.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { test } from '../support/test.js';

const SEEDS = 5;

function acknowledged(put: PutOperation): AcknowledgedPut {
  assert.equal(put.end?.type, 'acknowledged', JSON.stringify(put.end));
  return put as AcknowledgedPut;
}

function strictRead(cluster: SimulatedCluster, key: string): readonly ReadSibling[] {
  const { end } = cluster.settle(cluster.get(key, { r: cluster.n, pr: cluster.n }));
  assert(end?.type === 'got', JSON.stringify(end));
  return end.siblings;
}

/**
 * Under last-write-wins a deletion beats a put on the only replica that has it, which dies with it in hand; the try that
 * voids it is minted by a vnode that has missed the put, and whose clock is an hour behind.
 */
function beatenByAVoidedTry(seed: number): { cluster: SimulatedCluster; milk: AcknowledgedPut; second: string } {
  const cluster = new SimulatedCluster({ seed, spawn, nodes: 3 });
  const [first, second, third] = cluster.primariesOf('cart');
  const how = { w: 1, lastWriteWins: true };
  // A clock that jumps while its node is up is not followed at once.
  cluster.crashNode(second!);
  cluster.jumpClock(second!, -3_600_000);
  cluster.startNode(second!);
  cluster.runFor(50);
  // Clients reach every node, and no node another.
  cluster.split([first!], [second!, third!]);
  cluster.split([second!], [third!]);
  const milk = acknowledged(cluster.settle(cluster.put('cart', 'milk', how)));
  cluster.crashNode(first!, 'after-commit');
  const deletion = acknowledged(cluster.settle(cluster.delete('cart', { ...how, timeoutMs: 1_000 })));
  assert(!cluster.isUp(first!));
  assert.equal(cluster.replica(first!).object('cart')?.siblings[0]?.attempt.counter, 2, 'the first try beat the put');
  assert.equal(deletion.events.length, 2, 'and the second one voids the first');
  assert.deepEqual(
    deletion.end.acks.map(({ node }) => cluster.names[node]),
    [second],
  );
  return { cluster, milk, second: second! };
}

/** The put is gone from every replica for good reason, although the timestamps do not tell. */
function goneForGoodReason(cluster: SimulatedCluster, milk: AcknowledgedPut, last: AcknowledgedPut): void {
  cluster.startNode(cluster.primariesOf('cart')[0]!);
  cluster.heal();
  cluster.runFor(1_500);
  const siblings = strictRead(cluster, 'cart');
  assert.deepEqual(
    siblings.map(({ event }) => event),
    last.events.slice(-1),
  );
  assert(compareTimestamps(siblings[0]!.timestamp, milk.end.timestamp) < 0);
  assert.deepEqual(lostWrites(cluster.history, new Map([['cart', siblings]])), []);
}

test('a try hands on what it has beaten under last-write-wins to the try that voids it (once seed 228)', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { cluster, milk } = beatenByAVoidedTry(seed);
    goneForGoodReason(cluster, milk, acknowledged(cluster.history.puts[1]!));
  }
});

test('what a voided try has beaten stays beaten by all that comes over its put (once seed 60139)', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { cluster, milk, second } = beatenByAVoidedTry(seed);
    const bread = acknowledged(cluster.settle(cluster.put('cart', 'bread', { w: 1, lastWriteWins: true })));
    assert.deepEqual(
      bread.end.acks.map(({ node }) => cluster.names[node]),
      [second],
    );
    goneForGoodReason(cluster, milk, bread);
  }
});

/** Lets the node's coordinator fail so often that it takes 160 ms to be back. */
function failRepeatedly(cluster: SimulatedCluster, name: string): void {
  for (const backoffMs of [10, 20, 40, 80]) {
    cluster.crashCoordinator(name);
    cluster.runFor(backoffMs + 1);
  }
  cluster.crashCoordinator(name);
}

// A put is voided by its next attempt; nobody can take that, and it begins anew, at the coordinator of the first. Only now
// is that one done.
test('what comes of an attempt that was given up does not count for a later one at the same coordinator (once seed 878)', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn, nodes: 3 });
    const [first, second, third] = cluster.primariesOf('cart');
    cluster.crashNode(third!);
    cluster.split([first!], [second!]); // Clients reach either.
    failRepeatedly(cluster, second!);
    cluster.slowDisk(first!, { minMs: 100, meanExtraMs: 0 });
    const put = acknowledged(cluster.settle(cluster.put('cart', 'milk', { w: 1, timeoutMs: 2_000 })));
    assert(put.events.length > 2, 'it began anew');
    // The receipt names the dot of the last attempt.
    assert.deepEqual(cluster.history.contradictions, []);
    assert.deepEqual(
      put.end.acks.map(({ node }) => cluster.names[node]),
      [first],
    );
  }
});

// A node's thread fails on its own, its vnode having failed again and again.
test('clients learn that a node is up again whoever has brought it up (once seed 21024)', () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn, nodes: 3 });
    const [first] = cluster.primariesOf('cart');
    // It stays down the longer, the more often it has failed.
    for (let times = 0; times < 3; times++) {
      for (let ms = 0; ms < 2_000 && cluster.isUp(first!); ms++) {
        cluster.crashVnode(first!, 'cart');
        cluster.runFor(1);
      }
      assert(!cluster.isUp(first!), 'the thread fails with its vnode');
      if (times === 2) {
        cluster.runFor(20);
        const { end } = cluster.put('cart', 'milk', { w: 3 });
        assert(end?.type === 'failed' && end.failure.why === 'unavailable', 'the client has learnt that it is down');
      }
      assert(
        cluster.simulator.runUntil(() => cluster.isUp(first!), 1_000),
        'it is up again by itself',
      );
    }
    cluster.runFor(20);
    for (const client of cluster.clients.keys())
      acknowledged(cluster.settle(cluster.put('cart', 'bread', { client, w: 3 })));
  }
});

/** Nothing is there for these to strike in a cluster that nobody works with, and whose commits are not synced. */
const NEEDING_OTHERS: readonly FaultKind[] = ['rot', 'disk loss', 'restore of a node', 'late hints'];

test('where only kinds of faults were drawn that need others to find something, one of those is added (once seed 21016)', () => {
  const idle = new SimulatedCluster({ seed: 1, spawn, nodes: 3, sync: 'none', clients: 1 });
  const needing = (seed: number) => {
    const { kinds } = new FaultScript(idle, {
      random: new SeededRandom(seed),
      durationMs: 0,
      everyMs: 1,
      keys: new Set(),
    });
    return kinds.every((kind) => kind === 'crash of a node' || NEEDING_OTHERS.includes(kind));
  };
  const seeds = Array.from({ length: 20_000 }, (_, seed) => seed).filter(needing);
  assert(seeds.length > 3, 'such draws are rare');
  for (const seed of seeds) {
    const cluster = new SimulatedCluster({ seed, spawn, nodes: 3, sync: 'none', clients: 1 });
    const script = new FaultScript(cluster, {
      random: new SeededRandom(seed),
      durationMs: 500,
      everyMs: 40,
      keys: new Set(),
    });
    cluster.runFor(500);
    assert(script.total > 0, `seed ${seed}: nothing struck of ${script.kinds.join(', ')}`);
  }
});
