/**
 * The entry of a node's worker thread: opens its storage, spawns its actors, and answers the control plane.
 * The only file of `actors/` that names threads and LMDB.
 */

import type { NodeControl, NodeStart } from '../src/messages/node-control.js';
import { newNodeCounters } from '../src/metrics/node-counters.js';
import { runWorkerThread } from '../src/runtime/threads/worker-thread.js';
import { openMemoryNodeStorage, openNodeStorage } from '../src/storage/node-storage.js';
import { NodeIdentity } from './node-identity.js';
import { spawnNode } from './registry.js';

await runWorkerThread<NodeStart>(({ host, thread, data }) => {
  const storage = data.path === null ? openMemoryNodeStorage() : openNodeStorage(data.path, { sync: data.sync });
  const { objects, system } = storage;
  const counters = newNodeCounters();
  const identity = NodeIdentity.open({ system, objects, random: host.random });
  spawnNode(host, {
    node: thread,
    primaries: data.primaries,
    objects,
    system,
    identity,
    counters,
    maxOperations: data.maxOperations,
    maxSiblings: data.maxSiblings,
    maxObjectBytes: data.maxObjectBytes,
  });
  const control: NodeControl = {
    counters: () => ({ ...counters }),
    storage: () => objects.stats(),
  };
  return {
    control,
    canFlush: storage.persistent,
    stopped: () => storage.stop(),
  };
});
