/** Mistakes of those who compare replicas: one shows in the swarm, one in a story. */
import assert from 'node:assert/strict';
import { localHashing } from '../../../actors/local-hashing.js';
import type { Hashing } from '../../../actors/replica-trees.js';
import { spawn } from '../../../actors/simulated-node.js';
import { ChangeBuffer } from '../../../src/anti-entropy/change-buffer.js';
import type { FoldTask } from '../../../src/anti-entropy/hash-task.js';
import { compareBytes } from '../../../src/base/bytes.js';
import { EMPTY_CONTEXT } from '../../../src/clocks/causal-context.js';
import { BEHIND_RECORDS } from '../../../src/codec/own-keys.js';
import { decodeRecord, digestHigh, digestLow, encodeRecord, isSoundRecord } from '../../../src/codec/record.js';
import { type VnodeRequest, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import type { ActorContext, Incoming } from '../../../src/runtime/actor.js';
import type { Planted } from '../../../src/simulation/cluster-options.js';
import type { SimulatedCluster } from '../../../src/simulation/simulated-cluster.js';
import { TappedActor } from '../../../src/simulation/tapped-host.js';
import { TappedStorage } from '../../../src/simulation/tapped-storage.js';
import type { RangeOptions, Storage, StorageEntry } from '../../../src/storage/storage.js';
import type { HintStory } from './hints.js';
import { type PlantedBug, tapOf } from './plant.js';

/** By the digest of a record, that of the same siblings with an empty context; of all records that were ever put. */
class ContextFreeDigests {
  private readonly digests = new Map<string, Uint8Array>();

  /** What a node's objects are put into. */
  hearing(inner: Storage): Storage {
    return new Hearing(inner, (record) => this.note(record));
  }

  /** Makes leaves of keys and siblings alone: two replicas that show the same are equal, whatever their objects have seen. */
  hashing(objects: Storage): Hashing {
    const { readsCommitted, run } = localHashing(new WithoutContexts(objects));
    return { readsCommitted, run: (task, done) => run(task.type === 'fold' ? this.fold(task) : task, done) };
  }

  private note(record: Uint8Array): void {
    if (isSoundRecord(record)) this.digests.set(digestOf(record), Uint8Array.from(contextFree(record)));
  }

  /** The same changes, under other digests. */
  private fold(task: FoldTask): FoldTask {
    const bytes = new Uint8Array(task.memory.slice(0, task.bytes));
    const changes = new ChangeBuffer(bytes);
    changes.length = bytes.length;
    changes.forEach((_located, before, after) => {
      for (const digest of [before, after]) {
        const other = digest === undefined ? undefined : this.digests.get(digestOf(digest));
        if (other !== undefined) digest!.set(other.subarray(0, digest!.length));
      }
    });
    return { ...task, memory: bytes.buffer };
  }
}

class Hearing extends TappedStorage {
  private readonly hear: (record: Uint8Array) => void;

  constructor(inner: Storage, hear: (record: Uint8Array) => void) {
    super(inner);
    this.hear = hear;
  }

  override put(key: Uint8Array, value: Uint8Array): void {
    if (isObject(key)) this.hear(value);
    super.put(key, value);
  }
}

class WithoutContexts extends TappedStorage {
  override range(options: RangeOptions): StorageEntry[] {
    return super.range(options).map(({ key, value }) => {
      return { key, value: isObject(key) && isSoundRecord(value) ? contextFree(value) : value };
    });
  }
}

/** Not what the node keeps for itself. */
function isObject(key: Uint8Array): boolean {
  return compareBytes(key, BEHIND_RECORDS) < 0;
}

function contextFree(record: Uint8Array): Uint8Array {
  return encodeRecord({ context: EMPTY_CONTEXT, siblings: decodeRecord(record).siblings });
}

function digestOf(record: Uint8Array): string {
  return `${digestHigh(record)}:${digestLow(record)}`;
}

const contextFreeDigests = new ContextFreeDigests();

export const EXCHANGE_BUGS: readonly PlantedBug[] = [
  {
    name: 'a leaf that ignores the causal context',
    // A put is tried again, and its first try was minted on one replica: it alone has seen that dot, and all show the same.
    sync: 'full',
    kinds: ['crash of an actor', 'slow disk', 'one-way split'],
    noticed: /^diverged/,
    seeds: 10,
    spawn: (host, parts) => {
      const objects = contextFreeDigests.hearing(parts.objects);
      spawn(host, { ...parts, objects, hashing: contextFreeDigests.hashing(parts.objects) });
    },
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
