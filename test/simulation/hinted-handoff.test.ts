/** Hints on their way home, told as stories in virtual time: holder and owner come, go, crash and lose their power. */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import type { SimulatedClusterOptions } from '../../src/simulation/cluster-options.js';
import { locate } from '../../src/simulation/simulated-client.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { plantHints } from '../support/planted-hints.js';
import { test } from '../support/test.js';

const PARTITIONS = 16;

/** Puts `count` hints for `owner` onto the disk of `holder`, which is down; keys of which the owner is a primary. */
function plant(cluster: SimulatedCluster, holder: string, owner: string, count: number): string[] {
  const storage = cluster.simulator.disk(cluster.nodeOf(holder), 'hints', { sync: 'full' }).open();
  const keys: string[] = [];
  for (let i = 0; keys.length < count; i++) {
    if (cluster.primariesOf(`${owner}${i}`).includes(owner)) keys.push(`${owner}${i}`);
  }
  plantHints(
    storage,
    cluster.nodeOf(owner),
    keys.map((key) => locate(key, PARTITIONS)),
  );
  return keys;
}

function holds(cluster: SimulatedCluster, owner: string, keys: readonly string[]): boolean {
  return keys.every((key) => cluster.replica(owner).object(key) !== undefined);
}

function clusterWithHolderDown(
  seed: number,
  mode: Pick<SimulatedClusterOptions, 'sync' | 'canBeDurable'> = {},
): SimulatedCluster {
  const cluster = new SimulatedCluster({ seed, spawn, partitions: PARTITIONS, ...mode });
  cluster.stopNode('a');
  cluster.runFor(50);
  return cluster;
}

test('a holder that starts with hints has them with all their owners within 100 ms', () => {
  const cluster = clusterWithHolderDown(1);
  const toB = plant(cluster, 'a', 'b', 300);
  const toC = plant(cluster, 'a', 'c', 10);
  assert.equal(cluster.hints, 310);
  cluster.startNode('a');
  cluster.runFor(100);
  assert.equal(cluster.hints, 0);
  assert(holds(cluster, 'b', toB) && holds(cluster, 'c', toC));
  assert.equal(cluster.counters[0]!.hintsDelivered, 310);
});

test('an owner that is down does not hold up another one, and has its hints within 100 ms of its return', () => {
  const cluster = clusterWithHolderDown(2);
  const toB = plant(cluster, 'a', 'b', 50);
  const toC = plant(cluster, 'a', 'c', 50);
  cluster.crashNode('b');
  cluster.startNode('a');
  cluster.runFor(100);
  assert(holds(cluster, 'c', toC));
  assert.equal(cluster.hintsOn('a').length, 50);
  cluster.runFor(5_000);
  cluster.startNode('b');
  cluster.runFor(100);
  assert.equal(cluster.hints, 0);
  assert(holds(cluster, 'b', toB));
});

// Background work has the least there is then. Goal: the 2 s within which a node that returns under load has its hints.
test('while clients feel that the disks are slow, 3,000 hints of a holder are with their owner within 2 s', () => {
  const cluster = clusterWithHolderDown(4);
  const toB = plant(cluster, 'a', 'b', 3_000);
  cluster.crashNode('b');
  cluster.startNode('a');
  let puts = 0;
  const load = (forMs: number, done = () => false) => {
    for (let ms = 0; ms < forMs && !done(); ms += 2) {
      for (let i = 0; i < 3; i++) cluster.put(`load${puts++}`, 'value', { timeoutMs: 5_000 });
      cluster.runFor(2);
    }
  };
  load(600);
  for (const name of ['a', 'c', 'd', 'e']) cluster.slowDisk(name, { minMs: 15, meanExtraMs: 5 });
  cluster.startNode('b');
  const startedAt = cluster.time;
  load(5_000, () => holds(cluster, 'b', toB));
  assert(holds(cluster, 'b', toB));
  assert(cluster.time - startedAt <= 2_000, `${cluster.time - startedAt} ms`);
});

test('an owner that is cut off has its hints soon after the split heals', () => {
  const cluster = clusterWithHolderDown(3);
  const toB = plant(cluster, 'a', 'b', 50);
  cluster.split(['b']);
  cluster.startNode('a');
  cluster.runFor(3_000);
  assert.equal(cluster.hintsOn('a').length, 50);
  cluster.heal();
  cluster.runFor(300);
  assert.equal(cluster.hints, 0);
  assert(holds(cluster, 'b', toB));
});

// Goal: at no point of a crash is a hint gone that its owner has not.
test('holder and owner crash, and lose their power where acknowledgements are durable: no hint is lost, and in the end none is left', () => {
  let met = 0;
  // Each commit is flushed; a flush is waited for; nothing is flushed.
  const modes = [{ sync: 'full' }, { sync: 'none', canBeDurable: true }, { sync: 'none' }] as const;
  for (let seed = 1; seed <= 21; seed++) {
    const cluster = clusterWithHolderDown(seed, modes[seed % 3]);
    const toB = plant(cluster, 'a', 'b', 200);
    const points = ['now', 'mid-turn', 'before-commit', 'after-commit'] as const;
    cluster.startNode('a');
    for (let round = 0; round < 6; round++) {
      cluster.runFor(1 + ((seed * 7 + round * 3) % 11));
      const struck = round % 2 === 0 ? 'b' : 'a';
      if (round > 3 && cluster.canBeDurable) cluster.powerFail([struck]);
      else cluster.crashNode(struck, points[(seed + round) % 4]!);
      cluster.runFor(5);
      const left = cluster.hintsOn('a').length;
      if (left > 0 && left < 200) met++;
      const there = new Set(cluster.hintsOn('a').map(({ located }) => Buffer.from(located).toString('latin1')));
      for (const key of toB) {
        const name = Buffer.from(locate(key, PARTITIONS)).toString('latin1');
        assert(there.has(name) || holds(cluster, 'b', [key]), `seed ${seed}: ${key} is nowhere`);
      }
      cluster.healEverything();
    }
    cluster.runFor(1_500);
    assert.equal(cluster.hints, 0, `seed ${seed}`);
    assert(holds(cluster, 'b', toB));
    assert.deepEqual(cluster.failures, []);
  }
  assert(met > 3, `only ${met} crashes came in the middle of a delivery`);
});

// Goal: a read with r = 1 through a node that was away never says 'not found' of what was acknowledged without it; an
// older value than that it may show, and then says so, until the hints are delivered.
test('a node that has returned under load reads honestly with r = 1: at first it says that it may miss hints', () => {
  let warned = 0;
  let stale = 0;
  for (let seed = 21; seed <= 26; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn, partitions: PARTITIONS });
    const keys = Array.from({ length: 400 }, (_, i) => `key${i}`).filter((key) =>
      cluster.primariesOf(key).includes('b'),
    );
    const put = (key: string, value: string) => {
      const { end } = cluster.settle(cluster.put(key, value, { lastWriteWins: true, w: 2 }));
      assert.equal(end?.type, 'acknowledged');
    };
    // Half of them are new to b when it returns; of the others it has an older value.
    for (const key of keys.slice(0, keys.length / 2)) put(key, 'old');
    cluster.crashNode('b');
    cluster.runFor(50);
    for (const key of keys) put(key, 'new');
    for (const name of ['a', 'c', 'd', 'e']) cluster.slowDisk(name, { minMs: 5, meanExtraMs: 2 });
    cluster.startNode('b');
    cluster.runFor(1);
    const read = (key: string) => {
      const { end } = cluster.getVia('b', key, { r: 1 });
      assert(end?.type === 'got', JSON.stringify(end));
      assert.equal(end.siblings.length, 1, `seed ${seed}: ${key} is not found`);
      const isNew = cluster.history.putBy(end.siblings[0]!.event).value === 'new';
      assert(isNew || end.mayMissHints, `seed ${seed}: ${key} is old, and nobody says so`);
      if (end.mayMissHints) warned++;
      if (!isNew) stale++;
      return isNew && !end.mayMissHints;
    };
    for (const key of keys) read(key);
    assert(cluster.simulator.runUntil(() => cluster.hints === 0, 3_000));
    cluster.runFor(100);
    assert(keys.every(read), `seed ${seed}: with its hints delivered, it has everything, and knows it`);
  }
  assert(stale > 0, 'nothing was stale: this shows nothing');
  assert(warned > stale);
});

// Goal: a hint that waits for others to be written with it is held all the same: the put that it is for was acknowledged.
test('a node that returns while a hint for it is gathered knows of it: a read with r = 1 does not miss it silently', () => {
  let gathered = 0;
  for (let seed = 31; seed <= 40; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn, partitions: PARTITIONS });
    const keys = Array.from({ length: 200 }, (_, i) => `key${i}`);
    const only = (owner: string, other: string) => (key: string) =>
      cluster.primariesOf(key).includes(owner) && !cluster.primariesOf(key).includes(other);
    cluster.crashNode('b');
    cluster.crashNode('c');
    cluster.runFor(50);
    // A hint for c was just written by each holder: what comes for b waits for others.
    const puts = keys.filter(only('c', 'b')).map((key) => cluster.put(key, 'value'));
    for (const put of puts) assert.equal(cluster.settle(put).end?.type, 'acknowledged');
    const key = keys.find(only('b', 'c'))!;
    assert.equal(cluster.settle(cluster.put(key, 'value', { w: 2 })).end?.type, 'acknowledged');
    cluster.runFor(1);
    const name = Buffer.from(locate(key, PARTITIONS));
    const isWritten = cluster.names.some((holder) =>
      cluster.hintsOn(holder).some(({ located }) => name.equals(located)),
    );
    if (!isWritten) gathered++;
    cluster.startNode('b');
    cluster.runFor(2);
    const { end } = cluster.getVia('b', key, { r: 1 });
    assert(end?.type === 'got', JSON.stringify(end));
    assert(end.siblings.length === 1 && end.mayMissHints, `seed ${seed}: ${JSON.stringify(end)}`);
    assert(cluster.simulator.runUntil(() => holds(cluster, 'b', [key]), 1_000));
  }
  assert(gathered > 3, `only ${gathered} hints were waiting for others`);
});

// Goal: what was acknowledged before the node asked is known to whoever is asked, in whichever order his mail is read.
test('a node asks what there is for it while a hint waits in the same mailbox: no read with r = 1 misses it silently', () => {
  let waited = 0;
  for (let seed = 41; seed <= 64; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn, partitions: PARTITIONS });
    const key = Array.from({ length: 100 }, (_, i) => `key${seed + i}`).find((one) =>
      cluster.primariesOf(one).includes('b'),
    )!;
    cluster.stopNode('b');
    cluster.runFor(300);
    const standIns = cluster.names.filter((name) => !cluster.primariesOf(key).includes(name));
    const put = cluster.put(key, 'value', { w: 2 });
    // Not for so long that the hint goes elsewhere.
    for (const name of standIns) cluster.pause(name, 3 + (seed % 4) * 4);
    assert.equal(cluster.settle(put).end?.type, 'acknowledged');
    if (cluster.hints === 0) waited++;
    cluster.startNode('b');
    for (let reads = 0; reads < 40; reads++) {
      const { end } = cluster.getVia('b', key, { r: 1 });
      assert(end?.type === 'got', JSON.stringify(end));
      assert(end.siblings.length === 1, `seed ${seed}: ${key} is not found, and nobody says that it may be missed`);
      cluster.runFor(0.5);
    }
  }
  assert(waited > 12, `only ${waited} hints were on their way`);
});
