/** What a node's thread hosts in the simulator: the same actors as `worker.ts` spawns. Loaded by its URL. */
import type { Random } from '../src/base/random.js';
import { HotKeys } from '../src/metrics/hot-keys.js';
import type { ActorHost } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import { HintStore } from './hint-store.js';
import { NodeIdentity } from './node-identity.js';
import { type NodeEnvironment, spawnNode } from './registry.js';

/** A node's environment, but for its identity and hints, which are opened from its storages. */
export interface SimulatedEnvironment extends Omit<NodeEnvironment, 'identity' | 'hints' | 'hotKeys'> {
  readonly hints: Storage;
  readonly maxHintBytes: number;
  readonly random: Random;
}

export function spawn(host: ActorHost, parts: SimulatedEnvironment): void {
  const { system, objects, random, counters, maxHintBytes: maxBytes } = parts;
  const identity = NodeIdentity.open({ system, objects, random, losses: 0, partitions: [] });
  const hints = new HintStore({ storage: parts.hints, maxBytes, random, counters });
  spawnNode(host, { ...parts, identity, hints, hotKeys: new HotKeys() });
}
