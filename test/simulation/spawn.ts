/** The actors' registry, as the simulation is given it. */
import { NodeIdentity } from '../../actors/node-identity.js';
import { spawnNode } from '../../actors/registry.js';
import type { SpawnNode } from '../../src/simulation/simulated-cluster.js';

export const spawn: SpawnNode = (host, parts) => {
  const { system, objects, random } = parts;
  spawnNode(host, { ...parts, identity: NodeIdentity.open({ system, objects, random }) });
};
