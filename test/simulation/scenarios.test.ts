/**
 * What the store does in trouble, told as stories. A seed of the swarm that found a bug becomes one of these, or of
 * `former-seeds.test.ts`.
 */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import { SeededRandom } from '../../src/base/random.js';
import { coordinatorConversation } from '../../src/messages/coordinator-messages.js';
import { type VnodeRequest, vnodeConversation } from '../../src/messages/vnode-messages.js';
import type { ActorRef, Incoming } from '../../src/runtime/actor.js';
import { falseConflicts } from '../../src/simulation/checkers/false-conflicts.js';
import type { Planted } from '../../src/simulation/cluster-options.js';
import { type AcknowledgedPut, type GetOperation, nameOf, type PutOperation } from '../../src/simulation/history.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { runSeed } from '../../src/simulation/swarm.js';
import { TappedContext } from '../../src/simulation/tapped-host.js';
import { Workload } from '../../src/simulation/workload.js';
import { test } from '../support/test.js';

function acknowledged(put: PutOperation): AcknowledgedPut {
  assert.equal(put.end?.type, 'acknowledged', JSON.stringify(put.end));
  return put as AcknowledgedPut;
}

/** The values that a read shows, deletions as null. */
function shown(cluster: SimulatedCluster, get: GetOperation): (string | null)[] {
  assert(get.end?.type === 'got', JSON.stringify(get.end));
  return get.end.siblings.map(({ event }) => cluster.history.putBy(event).value).sort();
}

test('a put is read back, and lies on every primary', () => {
  const cluster = new SimulatedCluster({ seed: 1, spawn });
  acknowledged(cluster.settle(cluster.put('cart', 'milk')));
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { client: 1 }))), ['milk']);
  cluster.runFor(10);
  for (const name of cluster.primariesOf('cart')) assert.equal(cluster.replica(name).read('cart'), 'milk');
});

test('a put while a replica is down succeeds, and the replica is given it by a stand-in when it is back', () => {
  const cluster = new SimulatedCluster({ seed: 2, spawn });
  const absent = cluster.primariesOf('cart')[2]!;
  cluster.crashNode(absent);
  assert.equal(acknowledged(cluster.settle(cluster.put('cart', 'milk'))).end.acks.length, 2);
  cluster.runFor(50);
  assert.equal(cluster.hints, 1);
  cluster.startNode(absent);
  cluster.runFor(200);
  assert.equal(cluster.hints, 0);
  assert.equal(cluster.replica(absent).read('cart'), 'milk');
});

test('where nobody has room for a hint, the put succeeds all the same, and a strict read repairs the replica', () => {
  const cluster = new SimulatedCluster({ seed: 2, spawn });
  const absent = cluster.primariesOf('cart')[2]!;
  cluster.crashNode(absent);
  for (const name of cluster.names) cluster.fullHintDisk(name);
  assert.equal(acknowledged(cluster.settle(cluster.put('cart', 'milk'))).end.acks.length, 2);
  cluster.startNode(absent);
  cluster.runFor(50);
  assert.equal(cluster.replica(absent).read('cart'), undefined);
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['milk']);
  cluster.runFor(10); // The repair follows the reply.
  assert.equal(cluster.replica(absent).read('cart'), 'milk');
});

test('a stand-in whose hint store is full refuses, and the next one keeps the hint', () => {
  for (const full of [0, 1]) {
    const cluster = new SimulatedCluster({ seed: 2, spawn });
    const primaries = cluster.primariesOf('cart');
    const standIns = cluster.names.filter((name) => !primaries.includes(name));
    cluster.crashNode(primaries[2]!);
    cluster.runFor(50);
    cluster.fullHintDisk(standIns[full]!);
    for (let i = 0; i < 3; i++) acknowledged(cluster.settle(cluster.put('cart', `milk ${i}`, { w: 3 })));
    cluster.runFor(100);
    assert.equal(cluster.hintsOn(standIns[full]!).length, 0);
    assert.equal(cluster.hintsOn(standIns[1 - full]!).length, 1);
    cluster.startNode(primaries[2]!);
    cluster.runFor(300);
    assert.equal(cluster.replica(primaries[2]!).values('cart').length, 3);
  }
});

// Goal: a dot that left before its commit failed is never given to another write.
test('after a commit that failed, the next put takes no dot of the failed one, and nothing is lost', () => {
  const cluster = new SimulatedCluster({ seed: 3, spawn });
  const first = cluster.primariesOf('cart')[0]!;
  cluster.failNextCommit(first, 'lost');
  const milk = acknowledged(cluster.settle(cluster.put('cart', 'milk'))); // The other two have stored it.
  const bread = acknowledged(cluster.settle(cluster.put('cart', 'bread')));
  assert.notDeepEqual(bread.end.dot, milk.end.dot);
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['bread', 'milk']);
  cluster.runFor(10);
  assert.deepEqual(cluster.replica(first).values('cart').sort(), ['bread', 'milk']);
  assert.deepEqual(cluster.history.contradictions, []);
});

test('a put whose coordinator dies is tried at another one, and is there once', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn });
    const [first] = cluster.primariesOf('cart');
    cluster.crashNode(first!, seed % 2 === 0 ? 'before-commit' : 'after-commit');
    const put = acknowledged(cluster.settle(cluster.put('cart', 'milk', { timeoutMs: 1_000 })));
    assert.equal(put.events.length, 2, 'the second try had the answer');
    cluster.startNode(first!);
    cluster.runFor(50);
    assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['milk']);
  }
});

test('a put whose minter dies with it in hand is tried again, and is there once', () => {
  let retried = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn });
    const [first, second] = cluster.primariesOf('cart');
    cluster.crashVnode(first!, 'cart'); // So that the second mints, for the first's coordinator.
    const put = cluster.put('cart', 'milk', { w: 1, timeoutMs: 2_000 });
    cluster.runFor(seed / 200); // Up to the time of two hops.
    cluster.crashNode(second!);
    acknowledged(cluster.settle(put));
    retried += put.events.length - 1;
    cluster.startNode(second!);
    cluster.runFor(50);
    assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['milk']);
  }
  assert(retried > 0, 'no minter died with the put in hand');
});

// Why the swarm's checkers count tries, not puts: the second try is a write of its own.
test('a try that was read and replaced does not void the second one, which then stands beside', () => {
  const cluster = new SimulatedCluster({ seed: 5, spawn, r: 1, w: 1 });
  const [first, second, third] = cluster.primariesOf('cart');
  // One replica has stored the first try when its coordinator dies, which waits for another.
  cluster.slowDisk(first!, { minMs: 50, meanExtraMs: 0 });
  cluster.slowDisk(third!, { minMs: 50, meanExtraMs: 0 });
  const milk = cluster.put('cart', 'milk', { w: 2, timeoutMs: 1_000 });
  cluster.runFor(20);
  const read = cluster.getVia(second!, 'cart', { r: 1 });
  assert.deepEqual(shown(cluster, read), ['milk']);
  cluster.crashNode(first!);
  assert(read.end?.type === 'got');
  acknowledged(cluster.settle(cluster.put('cart', 'bread', { client: 1, token: read.end.token })));
  cluster.startNode(first!);
  acknowledged(cluster.settle(milk));
  assert.equal(milk.events.length, 2);
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['bread', 'milk']);
});

test('a slow disk does not hold up a put that two others have stored', () => {
  const cluster = new SimulatedCluster({ seed: 6, spawn });
  cluster.slowDisk(cluster.primariesOf('cart')[1]!, { minMs: 200, meanExtraMs: 0 });
  const put = acknowledged(cluster.settle(cluster.put('cart', 'milk')));
  assert(put.endedAt - put.startedAt < 20, `took ${put.endedAt - put.startedAt} ms`);
});

test("with sync 'full' the power may fail everywhere at once: what was acknowledged is there", () => {
  const cluster = new SimulatedCluster({ seed: 7, spawn, sync: 'full' });
  const puts = Array.from({ length: 20 }, (_, i) => cluster.put(`key${i}`, `value${i}`));
  for (const put of puts) acknowledged(cluster.settle(put));
  cluster.powerFail('all');
  cluster.runFor(20);
  cluster.startProcess();
  cluster.runFor(50);
  assert.equal(cluster.history.destroyed.size, 0);
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(shown(cluster, cluster.settle(cluster.get(`key${i}`))), [`value${i}`]);
  }
});

test('where only a flush makes durable, a durable acknowledgement survives the power failure, if it is asked for', () => {
  const cluster = new SimulatedCluster({ seed: 8, spawn, sync: 'none', canBeDurable: true });
  const put = acknowledged(cluster.settle(cluster.put('cart', 'milk', { dw: 1 })));
  assert(put.end.acks.some((ack) => ack.durable));
  cluster.powerFail('all');
  cluster.runFor(20);
  cluster.startProcess();
  cluster.runFor(50);
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['milk']);
});

// Found by seed 126: the vnode kept its writerId on an object that had lost its own dots.
test("power that fails before a node that stops has flushed, with sync 'none': the vnodes draw new ids for what they lost", () => {
  for (let seed = 1; seed <= 10; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn, sync: 'none', nodes: 3 });
    const first = cluster.primariesOf('cart')[0]!;
    for (let i = 0; i < 5; i++) acknowledged(cluster.settle(cluster.put('cart', `v${i}`)));
    // Its markers are stored by then.
    cluster.simulator.disk(cluster.nodeOf(first), 'objects').failNextFlush();
    cluster.stopNode(first);
    cluster.runFor(100);
    cluster.powerFail([first]);
    cluster.startNode(first);
    cluster.runFor(50);
    acknowledged(cluster.settle(cluster.put('cart', 'last', { w: 3 })));
    assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), [
      'last',
      'v0',
      'v1',
      'v2',
      'v3',
      'v4',
    ]);
    assert.deepEqual(cluster.history.contradictions, []);
  }
});

test('a vnode keeps its writerId over a clean stop', () => {
  const cluster = new SimulatedCluster({ seed: 9, spawn });
  const first = cluster.primariesOf('cart')[0]!;
  const before = acknowledged(cluster.settle(cluster.put('cart', 'milk'))).end.dot;
  cluster.stopNode(first);
  cluster.runFor(100);
  cluster.startNode(first);
  cluster.runFor(50);
  const after = acknowledged(cluster.settle(cluster.put('cart', 'bread'))).end.dot;
  assert.equal(nameOf(after), nameOf({ ...before, counter: before.counter + 1 }));
});

test('under last-write-wins a put beats one from a clock an hour ahead that its coordinator has seen', () => {
  const cluster = new SimulatedCluster({ seed: 10, spawn });
  const [first, second] = cluster.primariesOf('cart');
  cluster.jumpClock(second!, 3_600_000);
  cluster.crashNode(first!);
  cluster.runFor(20);
  const ahead = acknowledged(cluster.settle(cluster.put('cart', 'milk', { lastWriteWins: true })));
  cluster.startNode(first!);
  cluster.runFor(50);
  cluster.settle(cluster.get('cart', { r: 3, pr: 3 }));
  cluster.runFor(10);
  const later = acknowledged(cluster.settle(cluster.put('cart', 'bread', { lastWriteWins: true })));
  assert(later.end.timestamp.ms >= ahead.end.timestamp.ms);
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['bread']);
});

// The minted object travels as a notice, which the network may lose, and its stored acknowledgement overtake.
test('a put with w = 1 reaches every primary that is up even if the minted object is overtaken or lost on its way', () => {
  const cluster = new SimulatedCluster({ seed: 11, spawn });
  cluster.network({ reordering: 0.5, reorderMs: 20 });
  const puts: PutOperation[] = [];
  for (let i = 0; i < 40; i++) {
    const key = `key${i}`;
    cluster.crashVnode(cluster.primariesOf(key)[0]!, key); // So that another node's vnode mints.
    puts.push(cluster.settle(cluster.put(key, `value${i}`, { w: 1, timeoutMs: 1_000 })));
    cluster.runFor(40);
  }
  cluster.runFor(1_000);
  for (const put of puts) {
    if (put.end?.type !== 'acknowledged') continue;
    for (const name of cluster.primariesOf(put.key).slice(1)) {
      assert.equal(cluster.replica(name).read(put.key), put.value, `${put.key} on ${name}`);
    }
  }
  assert(puts.filter((put) => put.end?.type === 'acknowledged').length > 30);
});

// Found by duplication beside crashes of actors: the first copy was minted by another primary while the coordinator's
// own vnode was down, the second one by that vnode, once it was back.
test('a put that the network delivers twice is minted once, whichever vnode is up for which copy', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = new SimulatedCluster({ seed, spawn });
    cluster.network({ duplication: 1, meanExtraDelayMs: 15 });
    cluster.crashVnode(cluster.primariesOf('cart')[0]!, 'cart');
    cluster.settle(cluster.put('cart', 'milk'));
    cluster.calmNetwork();
    cluster.runFor(200);
    assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['milk']);
  }
});

/** A put whose minted object was lost on its way; asked again for it, the minter has forgotten, and it was replaced. */
function askedAgainTooLate(seed: number, mintsAnew: boolean): string[] {
  const held: (() => void)[] = [];
  let losing = true;
  class LosesNotices extends TappedContext {
    override notice<Answer>(incoming: Incoming<Answer>, answer: Answer): void {
      if (!losing) super.notice(incoming, answer);
    }
  }
  class HoldsSecondAsks extends TappedContext {
    private readonly asked = new Map<string, number>();

    override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
      const request = message as VnodeRequest;
      if (!losing || request.type !== 'mint') {
        super.request(to, message, correlation);
        return;
      }
      const { attempt, expiresAtMs } = request.put;
      const who = `${to.place} ${nameOf(attempt)}`;
      const first = this.asked.get(who);
      this.asked.set(who, first ?? expiresAtMs);
      if (first === undefined) super.request(to, message, correlation);
      else {
        const again = mintsAnew ? { ...request, put: { ...request.put, expiresAtMs: first } } : request;
        held.push(() => super.request(to, again as Request, correlation));
      }
    }
  }
  const planted: Planted = {
    name: 'notices are lost',
    nodes: () => ({
      context: (conversation, _slot, inner) => {
        if (conversation.name === vnodeConversation.name) return new LosesNotices(inner);
        return conversation.name === coordinatorConversation.name ? new HoldsSecondAsks(inner) : inner;
      },
    }),
  };
  const cluster = new SimulatedCluster({ seed, spawn, planted });
  const [first, second] = cluster.primariesOf('cart');
  cluster.crashVnode(first!, 'cart'); // So that the second mints, for the first's coordinator.
  cluster.put('cart', 'milk', { w: 1, timeoutMs: 1_000 });
  assert(
    cluster.simulator.runUntil(() => held.length > 0, 100),
    'it was asked again',
  );
  const read = cluster.getVia(second!, 'cart', { r: 1 });
  assert.deepEqual(shown(cluster, read), ['milk']);
  assert(read.end?.type === 'got');
  losing = false;
  const { token } = read.end;
  acknowledged(cluster.settle(cluster.put('cart', 'bread', { client: 1, w: 3, token })));
  cluster.crashVnode(second!, 'cart');
  // The first's coordinator learns that there is another vnode now.
  const strict = () => cluster.settle(cluster.get('cart', { client: 2, r: 3, pr: 3 }));
  for (let ms = 0; ms < 30 && strict().end?.type !== 'got'; ms++) cluster.runFor(1);
  cluster.runFor(2);
  for (const again of held) cluster.simulator.outside(cluster.nodeOf(first!), again);
  cluster.runFor(10);
  assert.deepEqual(cluster.failures, []);
  cluster.getVia(second!, 'cart', { r: 1 });
  return falseConflicts(cluster.history, new Map());
}

test('a vnode that is asked again for what it has minted, and has forgotten it, does not mint it a second time', () => {
  for (let seed = 1; seed <= 5; seed++) {
    // The client tries again, under another attempt: that is a write of its own, and may stand beside the other.
    assert.deepEqual(askedAgainTooLate(seed, false), [], `seed ${seed}`);
    assert.equal(askedAgainTooLate(seed, true).length, 1, 'the mistake does no harm: this shows nothing');
  }
});

test('an unreadable record is not served, and healed by the read that meets it', () => {
  const cluster = new SimulatedCluster({ seed: 12, spawn });
  const [first] = cluster.primariesOf('cart');
  acknowledged(cluster.settle(cluster.put('cart', 'milk', { w: 3 })));
  assert(cluster.rot(first!, 'cart'));
  assert.equal(cluster.replica(first!).object('cart'), undefined);
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart'))), ['milk']);
  cluster.runFor(10);
  assert.equal(cluster.replica(first!).read('cart'), 'milk');
});

test('CORRUPT is said only of a key that no replica can read', () => {
  const cluster = new SimulatedCluster({ seed: 16, spawn });
  acknowledged(cluster.settle(cluster.put('cart', 'milk', { w: 3 })));
  const [first, second, third] = cluster.primariesOf('cart');
  cluster.rot(first!, 'cart');
  const strict = cluster.settle(cluster.get('cart', { r: 3, pr: 3 }));
  assert(strict.end?.type === 'failed' && strict.end.failure.why === 'not-met', JSON.stringify(strict.end));
  cluster.runFor(10);
  // The read that failed has healed the replica for the next one.
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), ['milk']);
  cluster.rot(first!, 'cart');
  cluster.rot(second!, 'cart');
  cluster.rot(third!, 'cart');
  const hopeless = cluster.settle(cluster.get('cart', { r: 2 }));
  assert(hopeless.end?.type === 'failed' && hopeless.end.failure.why === 'corrupt', JSON.stringify(hopeless.end));
});

test('a put of which only one primary can mint is stored by all: the others have unreadable records, not full disks', () => {
  const cluster = new SimulatedCluster({ seed: 14, spawn });
  const [first, second, third] = cluster.primariesOf('cart');
  acknowledged(cluster.settle(cluster.put('cart', 'milk', { w: 3 })));
  assert(cluster.rot(first!, 'cart'));
  assert(cluster.rot(second!, 'cart'));
  acknowledged(cluster.settle(cluster.put('cart', 'bread', { w: 3 })));
  for (const name of [first!, second!, third!]) {
    assert.deepEqual(cluster.replica(name).values('cart').sort(), ['bread', 'milk']);
  }
});

test('a put upon an unreadable record is minted by another primary, and both writes are there', () => {
  const cluster = new SimulatedCluster({ seed: 13, spawn });
  const [first] = cluster.primariesOf('cart');
  acknowledged(cluster.settle(cluster.put('cart', 'milk', { w: 3 })));
  assert(cluster.rot(first!, 'cart'));
  acknowledged(cluster.settle(cluster.put('cart', 'bread')));
  cluster.runFor(10);
  assert.deepEqual(cluster.replica(first!).values('cart').sort(), ['bread', 'milk']);
});

test('the small side of a split acknowledges nothing: a client that reaches both sides goes to the other', () => {
  const cluster = new SimulatedCluster({ seed: 14, spawn, nodes: 3 });
  const [first, second, third] = cluster.primariesOf('cart');
  acknowledged(cluster.settle(cluster.put('cart', 'milk', { w: 3 })));
  cluster.split([first!], [second!, third!]); // Clients reach every node.
  const put = acknowledged(cluster.settle(cluster.put('cart', 'bread', { timeoutMs: 500 })));
  assert.deepEqual(put.end.acks.map(({ node }) => cluster.names[node]).sort(), [second, third].sort());
  assert.equal(put.events.length, 2, 'a second attempt, which covers what the first has left on the small side');
  assert(put.endedAt - put.startedAt < 100, 'within a tenth of a second');
  const cutOff = cluster.settle(cluster.put('cart', 'salt', { timeoutMs: 200, w: 3 }));
  assert(cutOff.end?.type === 'failed' && !cutOff.end.failure.definite, JSON.stringify(cutOff.end));
  cluster.heal();
  cluster.runFor(1_200);
  const all = ['bread', 'milk', 'salt'];
  assert.deepEqual(shown(cluster, cluster.settle(cluster.get('cart', { r: 3, pr: 3 }))), all);
  cluster.runFor(10);
  for (const name of [first!, second!, third!]) assert.deepEqual(cluster.replica(name).values('cart').sort(), all);
});

test('with too few nodes up a put fails at once and definitely', () => {
  const cluster = new SimulatedCluster({ seed: 15, spawn, nodes: 3 });
  cluster.crashNode('a');
  cluster.crashNode('b');
  cluster.runFor(20);
  const put = cluster.put('cart', 'milk');
  assert.deepEqual(put.end, {
    type: 'failed',
    failure: { why: 'unavailable', quorum: 'w', got: 1, wanted: 2, definite: true },
  });
});

// Safety is cheap if nothing is ever done: here every single request must succeed.
test('without faults, and with one node of three known to be down, every request succeeds', () => {
  for (const down of [[], ['b']]) {
    const cluster = new SimulatedCluster({ seed: 17, spawn, nodes: 3 });
    for (const name of down) cluster.crashNode(name);
    cluster.runFor(50);
    const random = new SeededRandom(17);
    new Workload(cluster, { random, durationMs: 300, sharedKeys: 3, thinkMs: 5, strictOnly: true });
    cluster.runFor(1_000);
    const { puts, gets } = cluster.history;
    assert(puts.length > 100 && gets.length > 100);
    for (const put of puts) assert.equal(put.end?.type, 'acknowledged', JSON.stringify(put.end));
    for (const get of gets) assert.equal(get.end?.type, 'got', JSON.stringify(get.end));
    assert.deepEqual(cluster.failures, []);
  }
});

test('a seed run twice gives the same trace, another seed another', () => {
  const first = runSeed({ seed: 7, spawn, durationMs: 400 });
  assert.equal(runSeed({ seed: 7, spawn, durationMs: 400 }).traceHash, first.traceHash);
  assert.notEqual(runSeed({ seed: 8, spawn, durationMs: 400 }).traceHash, first.traceHash);
});
