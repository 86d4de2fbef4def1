/** Mistakes of those who compare replicas: one shows in the swarm, one in a story. */
import assert from 'node:assert/strict';
import { localHashing } from '../../../actors/local-hashing.js';
import type { Hashing } from '../../../actors/replica-trees.js';
import { spawn } from '../../../actors/simulated-node.js';
import { ChangeBuffer } from '../../../src/anti-entropy/change-buffer.js';
import type { FoldTask } from '../../../src/anti-entropy/hash-task.js';
import { compareBytes } from '../../../src/base/bytes.js';
import { BEHIND_RECORDS } from '../../../src/codec/own-keys.js';
import { encodeRecord } from '../../../src/codec/record.js';
import { type VnodeRequest, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import type { ActorContext, Incoming } from '../../../src/runtime/actor.js';
import type { Planted } from '../../../src/simulation/cluster-options.js';
import type { SimulatedCluster } from '../../../src/simulation/simulated-cluster.js';
import { TappedActor } from '../../../src/simulation/tapped-host.js';
import type { Storage } from '../../../src/storage/storage.js';
import type { HintStory } from './hints.js';
import { type PlantedBug, tapOf } from './plant.js';

/** What every key has, as far as the leaves below know. */
const ANY_RECORD = encodeRecord({ context: { vv: [], extra: [] }, siblings: [] });

/** Makes leaves of keys alone: two replicas with the same keys are equal, whatever their objects have seen. */
function ignorantHashing(objects: Storage): Hashing {
  const { readsCommitted, run } = localHashing(showingOneRecord(objects));
  return {
    readsCommitted,
    run: (task, done) => run(task.type === 'fold' ? withOneDigest(task) : task, done),
  };
}

function showingOneRecord(inner: Storage): Storage {
  const shown = (key: Uint8Array, value: Uint8Array) => (compareBytes(key, BEHIND_RECORDS) < 0 ? ANY_RECORD : value);
  return new Proxy(inner, {
    get(target, name) {
      if (name === 'range') {
        return (options: Parameters<Storage['range']>[0]) => {
          return target.range(options).map(({ key, value }) => ({ key, value: shown(key, value) }));
        };
      }
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
}

/** The same digest wherever there was, or is, a record. */
function withOneDigest(task: FoldTask): FoldTask {
  const bytes = new Uint8Array(task.memory.slice(0, task.bytes));
  const changes = new ChangeBuffer(bytes);
  changes.length = bytes.length;
  changes.forEach((_located, before, after) => {
    for (const digest of [before, after]) digest?.set(ANY_RECORD.subarray(0, digest.length));
  });
  return { ...task, memory: bytes.buffer };
}

export const EXCHANGE_BUGS: readonly PlantedBug[] = [
  {
    name: 'a leaf that ignores the causal context',
    // Power takes a replica back to what it was before: it has the same keys, and older objects.
    sync: 'none',
    kinds: ['power loss of a node'],
    noticed: /diverged/,
    seeds: 20,
    spawn: (host, parts) => spawn(host, { ...parts, hashing: ignorantHashing(parts.objects) }),
  },
];

/** True while a vnode takes in what an exchange sends it, and is to believe that it has nothing of its own. */
let blind = false;
let exchanging = false;

class Overwriting extends TappedActor<unknown, unknown, unknown> {
  override receive(message: unknown, incoming: Incoming<unknown>, context: ActorContext): void {
    blind = exchanging && (message as VnodeRequest).type === 'write';
    super.receive(message, incoming, context);
    blind = false;
  }
}

const OVERWRITES: Planted = {
  name: 'an exchange that overwrites instead of merging',
  nodes: () => tapOf(vnodeConversation.name, { actor: (inner, context) => new Overwriting(inner, context) }),
  objects: (inner) =>
    new Proxy(inner, {
      get(target, name) {
        if (name === 'get') return (key: Uint8Array) => (blind ? undefined : target.get(key));
        const member: unknown = Reflect.get(target, name, target);
        return typeof member === 'function' ? member.bind(target) : member;
      },
    }),
};

/** Two replicas take a write each that the others do not see; then replicas are compared. True if all have both. */
function bothAreKept(cluster: SimulatedCluster): boolean {
  exchanging = false;
  const primaries = cluster.primariesOf('cart');
  for (const [value, own] of [
    ['milk', primaries[0]!],
    ['bread', primaries[1]!],
  ] as const) {
    for (const name of cluster.names) if (name !== own) cluster.stopNode(name);
    cluster.runFor(50);
    assert.equal(cluster.settle(cluster.put('cart', value)).end?.type, 'acknowledged');
    cluster.stopNode(own);
    cluster.runFor(50);
    cluster.startNode(primaries[1]!);
    cluster.runFor(50);
  }
  exchanging = true;
  for (const name of cluster.names) cluster.startNode(name);
  const isKept = () => primaries.every((name) => cluster.replica(name).values('cart').length === 2);
  for (const until = cluster.time + 6_000; cluster.time < until && !isKept(); ) cluster.runFor(100);
  return isKept();
}

export const EXCHANGE_STORIES: readonly HintStory[] = [
  {
    planted: OVERWRITES,
    sync: 'full',
    cluster: { partitions: 8, exchangeIntervalMs: 1_000, w: 1, r: 1, maxHintBytes: 0 },
    tell: bothAreKept,
  },
];
