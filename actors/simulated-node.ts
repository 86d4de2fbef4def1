/** What a node's thread hosts in the simulator: the same actors as `worker.ts` spawns. Loaded by its URL. */
import type { Random } from '../src/base/random.js';
import type { ActorHost } from '../src/runtime/actor.js';
import { NodeIdentity } from './node-identity.js';
import { type NodeEnvironment, spawnNode } from './registry.js';

/** A node's environment, but for its identity, which is opened from its storages. */
export interface SimulatedEnvironment extends Omit<NodeEnvironment, 'identity'> {
  readonly random: Random;
}

export function spawn(host: ActorHost, parts: SimulatedEnvironment): void {
  const { system, objects, random } = parts;
  spawnNode(host, { ...parts, identity: NodeIdentity.open({ system, objects, random }) });
}
