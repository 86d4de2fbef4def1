/**
 * The entry of a node's worker thread: opens its storage, spawns its actors, and answers the control plane.
 * The only file of `actors/` that names threads and LMDB.
 */

import type { NodeControl, NodeStart } from '../src/messages/node-control.js';
import { HotKeys } from '../src/metrics/hot-keys.js';
import { newNodeCounters } from '../src/metrics/node-counters.js';
import { runWorkerThread, type WorkerContext } from '../src/runtime/threads/worker-thread.js';
import { checkInChild } from '../src/storage/check-in-child.js';
import { type NodeStorage, openMemoryNodeStorage, openNodeStorage } from '../src/storage/node-storage.js';
import { ExchangeRecord } from './exchange-record.js';
import { HintStore } from './hint-store.js';
import { localHashing } from './local-hashing.js';
import { NodeIdentity } from './node-identity.js';
import { spawnNode } from './registry.js';

const CHECKER = new URL('./objects-checker.js', import.meta.url);

await runWorkerThread<NodeStart>(async (start) => {
  const { host, thread, data, report } = start;
  const storage = data.path === null ? openMemoryNodeStorage(data) : await openStorage(data.path, start);
  for (const warning of storage.warnings) report('storage', new Error(warning));
  const { objects, system } = storage;
  const { random } = host;
  const counters = newNodeCounters();
  const hotKeys = new HotKeys();
  const { losses } = storage;
  const identity = NodeIdentity.open({ system, objects, random, losses, partitions: refillable(thread, data) });
  const { maxHintBytes: maxBytes, gauges } = data;
  const hints = new HintStore({ storage: storage.hints, maxBytes, random, counters, gauge: new Int32Array(gauges) });
  spawnNode(host, {
    node: thread,
    preferenceLists: data.preferenceLists,
    objects,
    system,
    hints,
    identity,
    canBeDurable: objects.commitIsDurable,
    isNew: data.isNew,
    counters,
    hotKeys,
    maxOperations: data.maxOperations,
    maxSiblings: data.maxSiblings,
    maxObjectBytes: data.maxObjectBytes,
    exchange:
      data.path === null
        ? { intervalMs: data.exchangeIntervalMs, hashing: localHashing(objects), record: new ExchangeRecord() }
        : undefined,
  });
  const control: NodeControl = {
    counters: () => ({ ...counters }),
    storage: () => ({
      ...objects.stats(),
      filesSetAside: storage.filesSetAside(),
      partitionsToRefill: identity.refilling.size,
    }),
    hints: () => hints.status(),
    hotKeys: () => hotKeys.counted(performance.now()),
    memory: () => {
      const { heapUsed, external } = process.memoryUsage();
      return { heapUsedBytes: heapUsed, externalBytes: external };
    },
  };
  return {
    control,
    canFlush: storage.persistent,
    stopped: () => storage.stop(),
  };
});

function openStorage(path: string, start: WorkerContext<NodeStart>): Promise<NodeStorage> {
  const { sync, boot, preferenceLists } = start.data;
  return openNodeStorage(path, {
    sync,
    boot,
    // Every key has as many replicas as its partition has primaries.
    mayStartEmpty: preferenceLists.every(({ primaries }) => primaries.length > 1),
    check: (file) => checkInChild(CHECKER, file),
    inTransaction: start.inTransaction,
    stranded: start.stranded,
  });
}

/** The partitions of which other nodes have what this one may lose. */
function refillable(node: number, { preferenceLists }: NodeStart): number[] {
  return [...preferenceLists.keys()].filter((partition) => {
    const { primaries } = preferenceLists[partition]!;
    return primaries.includes(node) && primaries.length > 1;
  });
}
