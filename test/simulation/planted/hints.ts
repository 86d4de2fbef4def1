/**
 * Mistakes of those who stand in, each with a story in which it shows: in the swarm the last holder of a write is seldom
 * a hint. A story tells whether the write that it is about is where it must be at the end.
 */
import { hintDeliveryConversation } from '../../../src/messages/hint-delivery-messages.js';
import { type VnodeAnswer, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import type { ActorContext, Incoming, Release } from '../../../src/runtime/actor.js';
import type { Planted, SimulatedClusterOptions } from '../../../src/simulation/cluster-options.js';
import type { SimulatedCluster } from '../../../src/simulation/simulated-cluster.js';
import { TappedActor, TappedContext } from '../../../src/simulation/tapped-host.js';
import type { Storage } from '../../../src/storage/storage.js';
import { tapOf } from './plant.js';

/** Says that hints were taken sooner than it may. */
class TakesLightly extends TappedContext {
  private readonly release: Release;

  constructor(inner: ActorContext, release: Release) {
    super(inner);
    this.release = release;
  }

  override reply<Answer>(incoming: Incoming<Answer>, answer: Answer, release?: Release): void {
    super.reply(incoming, answer, (answer as VnodeAnswer).type === 'took' ? this.release : release);
  }
}

/** True while a deliverer acts: it deletes upon an answer, or some time later. */
let deleting = false;

class Deletes extends TappedActor<unknown, unknown, unknown> {
  override answered(correlation: number, answer: unknown, interim: boolean, context: ActorContext): void {
    deleting = true;
    super.answered(correlation, answer, interim, context);
    deleting = false;
  }

  override timer(message: unknown, context: ActorContext): void {
    deleting = true;
    super.timer(message, context);
    deleting = false;
  }
}

const nameOf = (key: Uint8Array) => Buffer.from(key).toString('latin1');

/** A storage that shows whoever deletes what he has read before, not what there is now. */
function forgetfulOfChanges(inner: Storage): Storage {
  const read = new Map<string, Uint8Array>();
  return overriding(inner, {
    range: (options) => {
      const found = inner.range(options);
      for (const { key, value } of found) read.set(nameOf(key), value);
      return found;
    },
    get: (key) => {
      const present = inner.get(key);
      return present !== undefined && deleting ? (read.get(nameOf(key)) ?? present) : present;
    },
  });
}

/** A storage that is empty at each start. */
function forgetfulOfAll(inner: Storage): Storage {
  for (const { key } of inner.range({ limit: Number.POSITIVE_INFINITY })) inner.remove(key);
  return inner;
}

function overriding(inner: Storage, own: Partial<Storage>): Storage {
  return new Proxy(inner, {
    get(target, name) {
      const member: unknown = Reflect.get(name in own ? own : target, name, name in own ? own : target);
      return typeof member === 'function' && !(name in own) ? member.bind(target) : member;
    },
  });
}

export interface HintStory {
  readonly planted: Planted;
  readonly sync: 'full' | 'none';
  /** What else the cluster is made with. */
  readonly cluster?: Partial<SimulatedClusterOptions>;
  /** True if the write is where it must be. */
  tell(cluster: SimulatedCluster): boolean;
}

const KEY = 'cart';

/** Has the last two primaries of the key down while it is put: two hints are kept, and one replica. */
function putWithTwoDown(cluster: SimulatedCluster): readonly string[] {
  const [, ...absent] = cluster.primariesOf(KEY);
  for (const name of absent) cluster.crashNode(name);
  cluster.runFor(30);
  const put = cluster.settle(cluster.put(KEY, 'milk', { w: 1 }));
  if (put.end?.type !== 'acknowledged') throw new Error(`not acknowledged: ${JSON.stringify(put.end)}`);
  cluster.runFor(30);
  if (cluster.hints !== 2) throw new Error(`${cluster.hints} hints are kept, not 2`);
  return absent;
}

export function isDelivered(cluster: SimulatedCluster): boolean {
  return cluster.simulator.runUntil(() => cluster.hints === 0, 3_000);
}

export const HINT_STORIES: readonly HintStory[] = [
  {
    planted: {
      name: 'a hint deleted on a stored acknowledgement',
      nodes: () => tapOf(vnodeConversation.name, { context: (inner) => new TakesLightly(inner, 'stored') }),
    },
    // Where to be stored is not yet to be durable, and the owner can wait for that.
    sync: 'none',
    cluster: { canBeDurable: true },
    tell(cluster) {
      const absent = putWithTwoDown(cluster);
      for (const name of absent) cluster.startNode(name);
      if (!isDelivered(cluster)) return false;
      cluster.powerFail('all');
      return absent.every((name) => cluster.replica(name).read(KEY) === 'milk');
    },
  },
  {
    planted: {
      name: 'a hint deleted before its owner has stored it',
      nodes: () => tapOf(vnodeConversation.name, { context: (inner) => new TakesLightly(inner, 'now') }),
    },
    sync: 'full',
    tell(cluster) {
      const absent = putWithTwoDown(cluster);
      for (const name of absent) {
        cluster.slowDisk(name, { minMs: 40, meanExtraMs: 0 });
        cluster.failNextCommit(name, 'lost');
        cluster.startNode(name);
      }
      return isDelivered(cluster) && absent.every((name) => cluster.replica(name).read(KEY) === 'milk');
    },
  },
  {
    planted: {
      name: 'a hint deleted though it changed',
      nodes: () => tapOf(hintDeliveryConversation.name, { actor: (inner, context) => new Deletes(inner, context) }),
      hints: forgetfulOfChanges,
    },
    sync: 'full',
    tell(cluster) {
      // The coordinator does not reach the third replica, but the stand-in does, while more is put.
      const [first, , third] = cluster.primariesOf(KEY);
      cluster.slowDisk(third!, { minMs: 40, meanExtraMs: 0 });
      cluster.split([first!], [third!]);
      cluster.runFor(1_000);
      const put = (value: string) =>
        cluster.settle(cluster.put(KEY, value, { lastWriteWins: true, w: 3, timeoutMs: 2_000 }));
      put('milk');
      // The last put comes while the third replica has the hint of the one before in hand.
      const counters = cluster.counters[cluster.nodeOf(third!)]!;
      const { hintsTaken } = counters;
      put('bread');
      if (!cluster.simulator.runUntil(() => counters.hintsTaken > hintsTaken, 1_000)) return false;
      put('tea');
      cluster.runFor(1_000);
      cluster.heal();
      return isDelivered(cluster) && cluster.replica(third!).read(KEY) === 'tea';
    },
  },
  {
    planted: { name: 'hints dropped on a restart', hints: forgetfulOfAll },
    sync: 'full',
    tell(cluster) {
      const absent = putWithTwoDown(cluster);
      for (const name of cluster.names.filter((one) => cluster.isUp(one))) {
        cluster.crashNode(name);
        cluster.startNode(name);
      }
      for (const name of absent) cluster.startNode(name);
      return isDelivered(cluster) && absent.every((name) => cluster.replica(name).read(KEY) === 'milk');
    },
  },
];
