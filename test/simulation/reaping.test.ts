/** Deletions that are forgotten, told as stories in virtual time: what is gone is gone everywhere, and nothing comes back. */
import assert from 'node:assert/strict';
import { Arrears } from '../../actors/arrears.js';
import { coordinatorConversation } from '../../src/messages/coordinator-messages.js';
import { reapConversation } from '../../src/messages/reap-messages.js';
import { entriesOf } from '../../src/objects/reduction.js';
import type { ActorContext } from '../../src/runtime/actor.js';
import type { Token } from '../../src/simulation/history.js';
import type { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { type Tap, TappedContext } from '../../src/simulation/tapped-host.js';
import {
  AFTERMATH_MS,
  clusterOf,
  copies,
  deleteKey,
  GRACE_MS,
  isGone,
  KEY,
  putInFlight,
  runUntil,
  staysDeleted,
  sum,
} from '../support/reaping-cluster.js';
import { test } from '../support/test.js';
import { tapOf } from './planted/plant.js';
import {
  both,
  COUNTS_STALE,
  ForgetsByItself,
  highestTag,
  InFlight,
  NO_CENSUS,
  NO_FENCE,
  NO_INQUIRY,
  NO_LIVES,
  ReducesByItself,
  StoppedClock,
} from './planted/reaping.js';

const HOUR_MS = 3_600_000;

/** Has each key written, and then deleted by somebody who has seen it. */
function putAndDelete(cluster: SimulatedCluster, count: number): string[] {
  const keys = Array.from({ length: count }, (_, i) => `k${i}`);
  for (const key of keys) assert.equal(cluster.settle(cluster.put(key, `${key}!`)).end?.type, 'acknowledged');
  for (const key of keys) deleteKey(cluster, key);
  return keys;
}

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

// ── Attacks ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** A write to the third replica is under way for so long that its key was deleted and reaped meanwhile. */
function messageInFlight(seed: number, flight: InFlight, bug?: Tap): boolean {
  const holding = flight.tap(coordinatorConversation.name);
  const nodes = () => (bug === undefined ? holding : both(holding, bug));
  const cluster = clusterOf({ seed, planted: { name: 'a message in flight', nodes } });
  putInFlight(cluster, flight);
  deleteKey(cluster, KEY);
  assert(runUntil(cluster, () => isGone(cluster, [KEY])));
  flight.released = true;
  for (const name of cluster.primariesOf(KEY)) cluster.getVia(name, KEY, { r: 1 });
  assert.equal(flight.held, 0);
  return staysDeleted(cluster);
}

test('a message that was in flight over a reaping is refused, and brings nothing back', () => {
  for (let seed = 1; seed <= 4; seed++) assert(messageInFlight(seed, new InFlight()), `seed ${seed}`);
});

test('noticed: early reaping without a fence', () => {
  assert(!messageInFlight(1, new InFlight(), NO_FENCE));
});

test('noticed: a tag read at send instead of when the object was read', () => {
  assert(!messageInFlight(1, new InFlight(highestTag)));
});

/** All replicas have a deletion; then they are down, and stand-ins alone keep a later write, and are down themselves. */
function lateHint(seed: number, bug?: Tap): boolean {
  const planted = bug === undefined ? {} : { planted: { name: 'no census', nodes: () => bug } };
  const cluster = clusterOf({ seed, ...planted });
  const primaries = cluster.primariesOf(KEY);
  const others = cluster.names.filter((name) => !primaries.includes(name));
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  deleteKey(cluster, KEY);
  cluster.runFor(100);
  for (const name of primaries) cluster.stopNode(name);
  cluster.runFor(700);
  const put = cluster.settle(cluster.put(KEY, 'bread', { w: 1 }));
  assert.equal(put.end?.type, 'acknowledged');
  cluster.runFor(50);
  for (const name of others) cluster.stopNode(name);
  cluster.runFor(500);
  for (const name of primaries) cluster.startNode(name);
  cluster.runFor(10 * GRACE_MS);
  if (bug === undefined) assert.equal(copies(cluster, KEY), 3, 'while a node is down nothing is forgotten');
  for (const name of others) cluster.startNode(name);
  cluster.runFor(AFTERMATH_MS);
  assert.deepEqual(cluster.failures, []);
  return primaries.every((name) => cluster.replica(name).values(KEY).includes('bread'));
}

test('a hint that comes late, after the deletion could have gone, is taken: nobody has forgotten without its holder', () => {
  for (let seed = 1; seed <= 4; seed++) assert(lateHint(seed), `seed ${seed}`);
});

test('noticed: a census that is skipped', () => {
  assert(!lateHint(1, NO_CENSUS));
});

/**
 * A value that lives for a while is kept for a replica by a stand-in, who is down until long after; and clocks are apart. By that
 * of the first replica, which leads the rounds, it has expired an hour ago; by those of the third one, and of the stand-in,
 * it is good for another hour.
 * @returns true if from when on it was gone everywhere nothing of it came back
 */
function lateExpiredHint(seed: number, bug?: Tap): boolean {
  const planted = bug === undefined ? {} : { planted: { name: 'no census, no fence', nodes: () => bug } };
  const cluster = clusterOf({ seed, ...planted });
  const [first, , third] = cluster.primariesOf(KEY);
  cluster.stopNode(third!);
  cluster.runFor(700);
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3, ttlMs: 500 })).end?.type, 'acknowledged');
  cluster.runFor(100);
  const holder = cluster.names.find((name) => cluster.hintsOn(name).length > 0)!;
  cluster.stopNode(holder);
  cluster.runFor(700);
  cluster.jumpClock(first!, HOUR_MS);
  for (const name of [third!, holder]) cluster.jumpClock(name, -HOUR_MS);
  cluster.startNode(third!);
  cluster.runFor(10 * GRACE_MS);
  if (bug === undefined) assert.equal(copies(cluster, KEY), 3, 'while a node is down nothing is forgotten');
  cluster.startNode(holder);
  let isForgotten = false;
  let isBack = false;
  for (const end = cluster.time + AFTERMATH_MS; cluster.time < end; cluster.runFor(1)) {
    isForgotten ||= isGone(cluster, [KEY]);
    isBack ||= isForgotten && !isGone(cluster, [KEY]);
  }
  assert.equal(cluster.hints, 0);
  assert.deepEqual(cluster.failures, []);
  assert.deepEqual(cluster.history.forgottenEarly, []);
  return isForgotten && !isBack;
}

test('an expired value that comes late in a hint, to clocks for which it lives, is forgotten with the others, and once', () => {
  for (let seed = 1; seed <= 4; seed++) assert(lateExpiredHint(seed), `seed ${seed}`);
});

test('noticed: an expired value that comes back, where neither a census nor a fence keeps it out', () => {
  assert(!lateExpiredHint(1, both(NO_CENSUS, NO_FENCE)));
});

/** A reaper whose clock is a minute ahead of its node's. */
class Hasty extends TappedContext {
  override wallClock(): number {
    return super.wallClock() + 60_000;
  }
}

test('noticed: a value that is forgotten while it lives by every clock', () => {
  for (const isHasty of [false, true]) {
    const nodes = () => tapOf(reapConversation.name, { context: (inner) => new Hasty(inner) });
    const cluster = clusterOf({ seed: 1, ...(isHasty ? { planted: { name: 'hasty', nodes } } : {}) });
    assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3, ttlMs: 30_000 })).end?.type, 'acknowledged');
    cluster.runFor(10 * GRACE_MS);
    assert.equal(isGone(cluster, [KEY]), isHasty);
    assert.equal(cluster.history.forgottenEarly.length > 0, isHasty);
  }
});

/** A replica is down from before a deletion until long after its grace time. */
function longDead(seed: number, bug?: ForgetsByItself): boolean {
  const planted = bug === undefined ? {} : { planted: { name: 'forgets by itself', objects: bug.tap } };
  const cluster = clusterOf({ seed, ...planted });
  const third = cluster.primariesOf(KEY)[2]!;
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  cluster.stopNode(third);
  cluster.runFor(700);
  deleteKey(cluster, KEY);
  cluster.runFor(10 * GRACE_MS);
  assert(copies(cluster, KEY) === 3, 'two deletions, and what the third replica has');
  if (bug !== undefined) {
    // Those that were up have no hint for it, either: it has been delivered to a node that was then restored, say.
    bug.begun = true;
    for (const name of cluster.names) if (name !== third) cluster.stopNode(name);
    cluster.runFor(700);
    for (const name of cluster.names) cluster.loseHints(name);
    for (const name of cluster.names) cluster.startNode(name);
  } else cluster.startNode(third);
  if (bug === undefined) assert(runUntil(cluster, () => isGone(cluster, [KEY])));
  return staysDeleted(cluster);
}

test('a replica that was dead for long returns, and is told of the deletion before that is forgotten', () => {
  for (let seed = 1; seed <= 4; seed++) assert(longDead(seed), `seed ${seed}`);
});

test('noticed: replicas that forget deletions by themselves', () => {
  assert(!longDead(1, new ForgetsByItself()));
});

/** Deletes the key, has the deletion reaped, and sets a node, which is down then, back to a copy from before. */
function restoreFromBeforeDeletion(cluster: SimulatedCluster, node: string): void {
  cluster.stopNode(node);
  cluster.runFor(700);
  const copy = cluster.copyNode(node);
  cluster.startNode(node);
  deleteKey(cluster, KEY);
  assert(runUntil(cluster, () => isGone(cluster, [KEY])));
  cluster.stopNode(node);
  cluster.runFor(700);
  cluster.restoreNode(node, copy);
}

/** A node is restored from a copy that was made before a deletion. */
function restored(seed: number, bug?: Tap): boolean {
  const planted = bug === undefined ? {} : { planted: { name: 'serves at once', nodes: () => bug } };
  const cluster = clusterOf({ seed, ...planted });
  const third = cluster.primariesOf(KEY)[2]!;
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  assert.equal(cluster.settle(cluster.put('alive', 'bread', { w: 3 })).end?.type, 'acknowledged');
  restoreFromBeforeDeletion(cluster, third);
  cluster.startNode(third);
  const stays = staysDeleted(cluster);
  if (bug === undefined) {
    assert(sum(cluster, 'replicasDiscarded') > 0);
    for (const name of cluster.primariesOf('alive')) assert.equal(cluster.replica(name).read('alive'), 'bread');
    // And it takes part in everything again.
    assert.equal(cluster.settle(cluster.put(KEY, 'tea', { w: 3, pw: 3 })).end?.type, 'acknowledged');
    deleteKey(cluster, KEY);
    assert(runUntil(cluster, () => isGone(cluster, [KEY])));
  }
  return stays;
}

test('a node that is restored from an old copy is emptied and refilled, and brings nothing back', () => {
  for (let seed = 1; seed <= 4; seed++) assert(restored(seed), `seed ${seed}`);
});

test('noticed: a restored replica that is not set aside', () => {
  assert(!restored(1, NO_INQUIRY));
});

/** A node is restored from such a copy, and for a while hears of nobody how things stand. Its clients come at once. */
function unheard(seed: number): boolean {
  const words = new InFlight();
  const holding = words.tap(reapConversation.name);
  const cluster = clusterOf({ seed, planted: { name: 'no word yet', nodes: () => holding } });
  const third = cluster.primariesOf(KEY)[2]!;
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  restoreFromBeforeDeletion(cluster, third);
  words.holds = (_node, message) => message.type === 'fences';
  cluster.startNode(third);
  cluster.runFor(20);
  const get = cluster.get(KEY, { r: 3, pr: 3, timeoutMs: 400 });
  cluster.runFor(100);
  const shows = get.end?.type === 'got' && get.end.siblings.length > 0;
  words.holds = undefined;
  words.released = true;
  cluster.settle(get);
  const showsLater = get.end?.type === 'got' && get.end.siblings.length > 0;
  return !shows && !showsLater && staysDeleted(cluster);
}

test('a restored replica shows nothing before the first word of another node', () => {
  for (let seed = 1; seed <= 3; seed++) assert(unheard(seed), `seed ${seed}`);
});

test('noticed: a restored replica that does not wait for a word', () => {
  const own = Object.getOwnPropertyDescriptor(Arrears.prototype, 'awaitsWord')!;
  Object.defineProperty(Arrears.prototype, 'awaitsWord', { configurable: true, get: () => false });
  try {
    assert(!unheard(1));
  } finally {
    Object.defineProperty(Arrears.prototype, 'awaitsWord', own);
  }
});

interface Restored {
  readonly bug?: Tap;
  /** How often it starts and is stopped in order before it mints. */
  readonly lives?: number;
  /** Until when it reaches no other node: until it is to mint, or until it has. */
  readonly isAlone?: 'before' | 'while it mints';
  /** Its life after the copy is told to a single other node, which is down when the copy has been restored. */
  readonly isToldOnce?: boolean;
}

/** A node is restored from a copy of a stop in order, whose writer's name is kept; nothing was reaped since. */
function restoredWriter(seed: number, { bug, lives = 0, isAlone, isToldOnce }: Restored = {}): string[] {
  const planted = bug === undefined ? {} : { planted: { name: 'does not remember lives', nodes: () => bug } };
  const cluster = clusterOf({ seed, ...planted });
  const [first] = cluster.primariesOf(KEY);
  const others = cluster.names.filter((name) => name !== first);
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  cluster.stopNode(first!);
  cluster.runFor(700);
  const copy = cluster.copyNode(first!);
  const [witness, ...rest] = others;
  if (isToldOnce) cluster.split([first!, witness!], rest);
  cluster.startNode(first!);
  cluster.runFor(200);
  const bread = cluster.put(KEY, 'bread', { w: isToldOnce ? 1 : 3, timeoutMs: 2_000 });
  assert.equal(cluster.settle(bread).end?.type, 'acknowledged');
  cluster.stopNode(first!);
  cluster.runFor(700);
  cluster.restoreNode(first!, copy);
  if (isToldOnce) {
    cluster.heal();
    cluster.stopNode(witness!);
  }
  if (isAlone !== undefined) cluster.split([first!], others);
  cluster.startNode(first!);
  cluster.runFor(20);
  for (let life = 0; life < lives; life++) {
    cluster.stopNode(first!);
    cluster.runFor(700);
    cluster.startNode(first!);
    cluster.runFor(20);
  }
  if (isAlone === 'before') cluster.heal();
  const put = cluster.put(KEY, 'tea', { w: 1, timeoutMs: 2_000 });
  assert.equal(cluster.settle(put).end?.type, 'acknowledged');
  cluster.runFor(1_000);
  cluster.heal();
  if (isToldOnce) cluster.startNode(witness!);
  assert(
    bug !== undefined ||
      runUntil(cluster, () => cluster.names.every((name) => [0, 3].includes(cluster.replica(name).values(KEY).length))),
  );
  assert.deepEqual(cluster.failures, []);
  return cluster.history.contradictions;
}

test('a node that is restored from a copy does not mint again what it has minted since', () => {
  for (let seed = 1; seed <= 4; seed++) assert.deepEqual(restoredWriter(seed), [], `seed ${seed}`);
});

test('nor does one that was stopped in order before it minted anything, or before anybody heard of it', () => {
  for (const lives of [1, 2]) {
    for (const isAlone of [undefined, 'before'] as const) {
      for (let seed = 1; seed <= 3; seed++) {
        assert.deepEqual(restoredWriter(seed, { lives, ...(isAlone && { isAlone }) }), [], `seed ${seed}`);
      }
    }
  }
});

test('nor does one that serves since it cannot reach anybody', () => {
  for (let seed = 1; seed <= 3; seed++) {
    assert.deepEqual(restoredWriter(seed, { isAlone: 'while it mints' }), [], `seed ${seed}`);
  }
});

// Seed 223 of the swarm, with restored copies, splits and crashes.
test('nor does one of whose later life only somebody was told who is down', () => {
  for (let seed = 1; seed <= 3; seed++) {
    assert.deepEqual(restoredWriter(seed, { isToldOnce: true }), [], `seed ${seed}`);
  }
});

test('noticed: a restored writer that takes one word for the word of most', () => {
  const own = Object.getOwnPropertyDescriptor(Arrears.prototype, 'isUnheard')!;
  Object.defineProperty(Arrears.prototype, 'isUnheard', { configurable: true, get: () => false });
  try {
    assert.notDeepEqual(restoredWriter(1, { isToldOnce: true, bug: tapOf(coordinatorConversation.name, {}) }), []);
  } finally {
    Object.defineProperty(Arrears.prototype, 'isUnheard', own);
  }
});

test('noticed: nodes that do not remember the lives of others', () => {
  assert.notDeepEqual(restoredWriter(1, { bug: NO_LIVES }), []);
});

/** A put is minted while votes are on their way, and its copies are under way until the round has come to its end. */
function putDuringRound(seed: number, bug?: Tap): boolean {
  const writes = new InFlight();
  const votes = new InFlight();
  const attack = both(writes.tap(coordinatorConversation.name), votes.tap(reapConversation.name));
  const nodes = () => (bug === undefined ? attack : both(attack, bug));
  // Exchanges are rare, or they would bring what is missing before anybody looks.
  const clock = new StoppedClock();
  const client = (inner: ActorContext) => clock.tap(inner);
  const planted = { name: 'a put during a round', nodes, client };
  const cluster = clusterOf({ seed, nodes: 3, exchangeIntervalMs: 60_000, planted });
  votes.holds = (_node, message) => message.ask?.type === 'vote';
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  deleteKey(cluster, KEY);
  // A key of the same partition.
  const other = Array.from({ length: 200 }, (_, i) => `k${i}`).find((key) => cluster.isBeside(key, KEY))!;
  assert(runUntil(cluster, () => votes.held === 3));
  writes.holds = (_node, message) => message.type === 'write';
  // A client that has patience: it would try it once more, and no longer listen to this try.
  clock.isStopped = true;
  const put = cluster.put(other, 'bread', { w: 3, timeoutMs: 20_000 });
  cluster.runFor(50);
  assert.equal(writes.held, 2);
  writes.holds = undefined;
  votes.holds = undefined;
  votes.released = true;
  assert(runUntil(cluster, () => isGone(cluster, [KEY])));
  writes.released = true;
  for (const name of cluster.names) cluster.getVia(name, KEY, { r: 1 });
  cluster.settle(put);
  assert.equal(put.end?.type, 'acknowledged', JSON.stringify(put.end));
  // Whoever has acknowledged has it: the loss of one replica is none.
  const has = cluster.names.filter((name) => cluster.replica(name).values(other).includes('bread'));
  assert.deepEqual(cluster.failures, []);
  assert(sum(cluster, 'staleRefused') > 0);
  return has.length === 3;
}

test('a put that a round of reaping has overtaken is read again, and stored everywhere', () => {
  for (let seed = 1; seed <= 4; seed++) assert(putDuringRound(seed), `seed ${seed}`);
});

test('noticed: a refusal by the fence counted as an acknowledgement', () => {
  assert(!putDuringRound(1, COUNTS_STALE));
});

/** The first try of a put is under way until its key, which a second try has written, was deleted for long. */
function attemptInFlight(seed: number, attemptMs?: number): boolean {
  const flight = new InFlight();
  const planted = { name: 'an attempt in flight', client: (inner: ActorContext) => flight.of(inner) };
  const cluster = clusterOf({ seed, planted, ...(attemptMs === undefined ? {} : { attemptMs }) });
  flight.holds = (_node, message) => message.type === 'put' && flight.held === 0;
  const put = cluster.settle(cluster.put(KEY, 'milk', { timeoutMs: 30_000 }));
  assert(put.end?.type === 'acknowledged' && flight.held === 1);
  flight.holds = undefined;
  deleteKey(cluster, KEY);
  cluster.runFor(10 * GRACE_MS);
  flight.released = true;
  cluster.settle(cluster.put('other', 'bread'));
  assert.equal(flight.held, 0);
  return staysDeleted(cluster);
}

test('the first try of a put, under way for longer than the grace time, does not bring back what was deleted since', () => {
  for (let seed = 1; seed <= 4; seed++) assert(attemptInFlight(seed), `seed ${seed}`);
});

test('noticed: attempts that are forgotten while one of them may still be minted', () => {
  assert(!attemptInFlight(1, 0));
});

// ── Contexts of what lives ─────────────────────────────────────────────────────────────────────────────────────────

const MAX_ENTRIES = 4;

/** Has the key written by replicas that are somebody else each time; returns the token of the first write's reader. */
function growContext(cluster: SimulatedCluster, writes: number): Token | undefined {
  let first: Token | undefined;
  for (let i = 0; i < writes; i++) {
    const get = cluster.settle(cluster.get(KEY));
    assert(get.end?.type === 'got');
    if (i === 1) first = get.end.token;
    // A vnode whose commit failed draws another writerId.
    cluster.failNextCommit(cluster.primariesOf(KEY)[0]!, 'stored');
    cluster.settle(cluster.put(KEY, `v${i}`, { token: get.end.token }));
    cluster.runFor(150);
  }
  const get = cluster.settle(cluster.get(KEY, { r: 3, pr: 3 }));
  assert(get.end?.type === 'got');
  assert.equal(cluster.settle(cluster.put(KEY, 'last', { token: get.end.token, w: 3 })).end?.type, 'acknowledged');
  return first;
}

function entries(cluster: SimulatedCluster): number[] {
  return cluster.primariesOf(KEY).map((name) => entriesOf(cluster.replica(name).object(KEY)!.context));
}

const isReduced = (cluster: SimulatedCluster) => entries(cluster).every((count) => count <= MAX_ENTRIES);

test('the context of a key that lives through many writers is reduced on all replicas, and its value stays', () => {
  for (let seed = 1; seed <= 3; seed++) {
    const cluster = clusterOf({ seed, sync: seed % 2 === 0 ? 'full' : 'none', maxContextEntries: MAX_ENTRIES });
    const token = growContext(cluster, 8);
    assert(Math.max(...entries(cluster)) > MAX_ENTRIES);
    assert(runUntil(cluster, () => isReduced(cluster)));
    assert(sum(cluster, 'contextsReduced') >= 3);
    for (const name of cluster.primariesOf(KEY)) assert.equal(cluster.replica(name).read(KEY), 'last');
    // A client from before: its session is not held against what all replicas have left out, and its put stands beside.
    const get = cluster.settle(cluster.get(KEY, { session: token }));
    assert(get.end?.type === 'got' && get.end.siblings.length === 1, JSON.stringify(get.end));
    assert.equal(cluster.settle(cluster.put(KEY, 'old', { token, w: 3 })).end?.type, 'acknowledged');
    assert.deepEqual(cluster.replica(cluster.primariesOf(KEY)[1]!).values(KEY).sort(), ['last', 'old']);
    assert.deepEqual(cluster.failures, []);
  }
});

// What the session has seen is nowhere, and no reduction can have left it out: its writer minted what is there.
test('a session that has seen more than all replicas have is still told so', () => {
  const cluster = clusterOf({ seed: 1, nodes: 3, maxContextEntries: MAX_ENTRIES });
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  const copies = cluster.names.map((name) => cluster.copyNode(name));
  const read = cluster.settle(cluster.get(KEY));
  assert(read.end?.type === 'got');
  const put = cluster.settle(cluster.put(KEY, 'bread', { token: read.end.token, w: 3 }));
  assert(put.end?.type === 'acknowledged');
  cluster.crashProcess();
  for (const [i, name] of cluster.names.entries()) cluster.restoreNode(name, copies[i]!);
  cluster.runFor(20);
  cluster.startProcess();
  cluster.runFor(1_000);
  const get = cluster.settle(cluster.get(KEY, { session: put.end.token }));
  assert(get.end?.type === 'failed' && get.end.failure.why === 'stale-read', JSON.stringify(get.end));
});

/** A write to the third replica is under way until its writer was left out of the context that had replaced it. */
function inFlightOverReduction(seed: number, bugs: { tap?: Tap; objects?: ReducesByItself } = {}): boolean {
  const flight = new InFlight();
  const holding = flight.tap(coordinatorConversation.name);
  const nodes = () => (bugs.tap === undefined ? holding : both(holding, bugs.tap));
  const { objects } = bugs;
  const planted = { name: 'a message in flight', nodes, ...(objects === undefined ? {} : { objects: objects.tap }) };
  const cluster = clusterOf({ seed, planted, maxContextEntries: objects === undefined ? MAX_ENTRIES : 1_000 });
  putInFlight(cluster, flight);
  growContext(cluster, 6);
  if (objects !== undefined) objects.begun = true;
  else assert(runUntil(cluster, () => isReduced(cluster)));
  flight.released = true;
  for (const name of cluster.primariesOf(KEY)) cluster.getVia(name, KEY, { r: 1 });
  assert.equal(flight.held, 0);
  cluster.runFor(AFTERMATH_MS);
  assert.deepEqual(cluster.failures, []);
  return cluster.primariesOf(KEY).every((name) => !cluster.replica(name).values(KEY).includes('milk'));
}

test('a message that was in flight over a reduction is refused, and brings nothing back', () => {
  for (let seed = 1; seed <= 2; seed++) assert(inFlightOverReduction(seed), `seed ${seed}`);
});

test('noticed: contexts that are reduced without a fence', () => {
  assert(!inFlightOverReduction(1, { tap: NO_FENCE }));
});

test('noticed: replicas that reduce contexts by themselves', () => {
  assert(!inFlightOverReduction(1, { objects: new ReducesByItself() }));
});
