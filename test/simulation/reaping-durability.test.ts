/**
 * Goal: what a round of reaping waits for is waited for. What was voted for is flushed before the vote is given, and the
 * floor is durable before the first tombstone goes: told as stories of power and disks that fail in between, and planted.
 */
import assert from 'node:assert/strict';
import { VnodeFence } from '../../actors/fence.js';
import { Fence } from '../../src/anti-entropy/fence.js';
import { coordinatorConversation } from '../../src/messages/coordinator-messages.js';
import type { ReaperAnswer } from '../../src/messages/reap-messages.js';
import { type VnodeAnswer, type VnodeRequest, vnodeConversation } from '../../src/messages/vnode-messages.js';
import type { ActorContext, Incoming, Release } from '../../src/runtime/actor.js';
import { type Tap, TappedActor, TappedContext } from '../../src/simulation/tapped-host.js';
import {
  clusterOf,
  copies,
  deleteKey,
  isGone,
  KEY,
  putInFlight,
  runUntil,
  staysDeleted,
} from '../support/reaping-cluster.js';
import { test } from '../support/test.js';
import { tapOf } from './planted/plant.js';
import { both, InFlight } from './planted/reaping.js';

/**
 * Gives its vote, and its word on its hints, before anything is flushed. The one alone does no harm here: the flush of a
 * node's word for the census, which comes before every commit, makes durable what it has voted for, too.
 */
class FlushesNothing extends TappedContext {
  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void {
    const told = answer as VnodeAnswer | ReaperAnswer;
    const isVote = told.type === 'reap' && told.answer.type === 'voted';
    super.reply(incoming, answer, isVote || told.type === 'clear' ? 'now' : release);
  }
}

const SEEDS = [1, 2, 3, 4, 5, 6];

/** After a deletion was reaped everywhere, power takes a replica back to what it had flushed, as only votes have it. */
function powerFailsAfterReaping(seed: number, bug?: Tap): boolean {
  const planted = bug === undefined ? {} : { planted: { name: 'flushes nothing', nodes: () => bug } };
  const cluster = clusterOf({ seed, sync: 'none', canBeDurable: true, ...planted });
  const third = cluster.primariesOf(KEY)[2]!;
  const put = cluster.settle(cluster.put(KEY, 'milk', { w: 3, pw: 3, dw: 3 }));
  assert.equal(put.end?.type, 'acknowledged');
  deleteKey(cluster, KEY);
  assert(runUntil(cluster, () => isGone(cluster, [KEY])));
  cluster.powerFail([third]);
  cluster.runFor(100);
  cluster.startNode(third);
  return staysDeleted(cluster);
}

test('power that fails after a reaping brings nothing back: what was voted for had been flushed', () => {
  for (const seed of SEEDS) assert(powerFailsAfterReaping(seed), `seed ${seed}`);
});

test('noticed: a vote that is not flushed', () => {
  const bug: Tap = { context: (_conversation, _slot, inner) => new FlushesNothing(inner) };
  const noticed = SEEDS.filter((seed) => !powerFailsAfterReaping(seed, bug));
  assert(noticed.length > 0, 'no seed brings the deleted value back');
});

/** Tells when a node is asked to commit a round. */
class HearsCommits extends TappedActor<VnodeRequest, VnodeAnswer, unknown> {
  private readonly hear: () => void;

  constructor(
    inner: ConstructorParameters<typeof TappedActor<VnodeRequest, VnodeAnswer, unknown>>[0],
    context: ActorContext,
    hear: () => void,
  ) {
    super(inner, context);
    this.hear = hear;
  }

  override receive(message: VnodeRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    if (message.type === 'reap' && message.ask.type === 'commit') this.hear();
    super.receive(message, incoming, context);
  }
}

/**
 * A write to the third replica is under way over a reaping, in which that replica cannot store its floor; then it
 * crashes, and comes back with the floor that it has on its disk.
 */
function floorIsNotStored(seed: number): boolean {
  const flight = new InFlight();
  let commits = 0;
  let committing = (): void => undefined;
  const hearing = (node: number) =>
    tapOf(vnodeConversation.name, {
      actor: (inner, context) =>
        new HearsCommits(inner, context, () => {
          if (node === third) committing();
        }),
    });
  let third = -1;
  const cluster = clusterOf({
    seed,
    planted: {
      name: 'a floor not stored',
      nodes: (node) => both(flight.tap(coordinatorConversation.name), hearing(node)),
    },
  });
  const name = cluster.primariesOf(KEY)[2]!;
  third = cluster.nodeOf(name);
  committing = () => {
    if (++commits === 1) cluster.failNextCommit(name, 'lost', 'system');
  };
  putInFlight(cluster, flight);
  deleteKey(cluster, KEY);
  for (let ms = 0; ms < 60_000 && commits === 0; ms++) cluster.runFor(1);
  assert.equal(commits, 1);
  // The others have removed theirs.
  cluster.runFor(20);
  assert(copies(cluster, KEY) <= 1);
  cluster.crashNode(name);
  cluster.runFor(50);
  cluster.startNode(name);
  cluster.runFor(50);
  flight.released = true;
  for (const one of cluster.primariesOf(KEY)) cluster.getVia(one, KEY, { r: 1 });
  assert.equal(flight.held, 0);
  return staysDeleted(cluster);
}

test('a floor that could not be stored keeps its tombstones', () => {
  for (const seed of SEEDS) assert(floorIsNotStored(seed), `seed ${seed}`);
});

test('noticed: a tombstone that is removed before the floor is durable', () => {
  const pending = Object.getOwnPropertyDescriptor(VnodeFence.prototype, 'isPending')!;
  const { mayRemove } = Fence.prototype;
  Object.defineProperty(VnodeFence.prototype, 'isPending', { configurable: true, get: () => false });
  Fence.prototype.mayRemove = () => true;
  try {
    assert(SEEDS.some((seed) => !floorIsNotStored(seed)));
  } finally {
    Object.defineProperty(VnodeFence.prototype, 'isPending', pending);
    Fence.prototype.mayRemove = mayRemove;
  }
});

interface OldHints {
  /** False: the holder starts as if its file were what it was. */
  readonly isDistrusted: boolean;
  /** True if the primaries are down when the holder starts: nobody tells it what was reaped. */
  readonly isAlone?: boolean;
}

/**
 * A hint was delivered, and what it holds deleted and reaped since; then its holder's power goes, and its file is back
 * where the hint was kept. Of the primaries one is down, so that the hint cannot be delivered again.
 * @returns what the holder then says to a read, and what the owner has of a later write for which the holder stands in
 */
function hintsGoBack(seed: number, { isDistrusted, isAlone = false }: OldHints) {
  const cluster = clusterOf({ seed, sync: 'none' });
  const [first, second, third] = cluster.primariesOf(KEY);
  cluster.stopNode(third!);
  cluster.runFor(700);
  assert.equal(cluster.settle(cluster.put(KEY, 'milk', { w: 3 })).end?.type, 'acknowledged');
  cluster.runFor(100);
  const holder = cluster.names.find((name) => cluster.hintsOn(name).length > 0)!;
  const disk = cluster.simulator.disk(cluster.nodeOf(holder), 'hints');
  const before = disk.peekAll();
  cluster.startNode(third!);
  assert(runUntil(cluster, () => cluster.hints === 0));
  deleteKey(cluster, KEY);
  assert(runUntil(cluster, () => isGone(cluster, [KEY])));

  cluster.stopNode(third!);
  cluster.runFor(700);
  if (isDistrusted) cluster.powerFail([holder]);
  else cluster.crashNode(holder);
  cluster.runFor(50);
  disk.restore(before);
  assert.equal(cluster.hintsOn(holder).length, 1);
  const primaries = [first!, second!];
  if (isAlone) for (const name of primaries) cluster.crashNode(name);
  cluster.startNode(holder);
  cluster.runFor(1_000);
  if (!isAlone) for (const name of primaries) cluster.crashNode(name);
  cluster.runFor(50);
  const get = cluster.settle(cluster.get(KEY, { r: 1 }));
  const shown = get.end?.type === 'got' && get.end.siblings.length > 0;
  for (const name of primaries) cluster.startNode(name);
  cluster.runFor(2_000);
  assert.equal(cluster.settle(cluster.put(KEY, 'bread', { w: 3 })).end?.type, 'acknowledged');
  cluster.runFor(100);
  // The hint alone is to bring it.
  for (const name of primaries) cluster.stopNode(name);
  cluster.runFor(700);
  cluster.startNode(third!);
  cluster.runFor(2_000);
  assert.deepEqual(cluster.failures, []);
  return { shown, owner: cluster.replica(third!).values(KEY) };
}

test('hints that are back with the power are not shown, and what is kept after them reaches its owner', () => {
  for (const seed of SEEDS) {
    for (const isAlone of [false, true]) {
      const { shown, owner } = hintsGoBack(seed, { isDistrusted: true, isAlone });
      assert(!shown, `seed ${seed}: what was deleted is shown`);
      assert.deepEqual(owner, ['bread'], `seed ${seed}`);
    }
  }
});

test('noticed: a file of hints that is trusted after a power failure', () => {
  assert(SEEDS.some((seed) => hintsGoBack(seed, { isDistrusted: false, isAlone: true }).shown));
});
