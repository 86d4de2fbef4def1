/**
 * The entry of a node's worker thread: opens its storage, spawns its actors, and answers the control plane.
 * The only file of `actors/` that names threads and LMDB.
 */
import { setTimeout } from 'node:timers/promises';
import { MAX_CONTEXT_ENTRIES } from '../src/anti-entropy/reaping.js';
import { assert } from '../src/base/assert.js';
import type { Random } from '../src/base/random.js';
import type { HasherResult, HasherTask } from '../src/messages/hasher-task.js';
import type { NodeControl, NodeStart } from '../src/messages/node-control.js';
import { HotKeys } from '../src/metrics/hot-keys.js';
import { newNodeCounters } from '../src/metrics/node-counters.js';
import { latencyData, newOperationLatencies } from '../src/metrics/operation-latencies.js';
import { EntropyRandom } from '../src/runtime/threads/entropy.js';
import { HashingClient } from '../src/runtime/threads/hashing-client.js';
import { Miniature } from '../src/runtime/threads/miniature.js';
import { runWorkerThread, type WorkerContext } from '../src/runtime/threads/worker-thread.js';
import { checkInChild } from '../src/storage/check-in-child.js';
import { openMemoryStorage } from '../src/storage/memory-storage.js';
import { type NodeStorage, objectsFile, openMemoryNodeStorage, openNodeStorage } from '../src/storage/node-storage.js';
import { SharedOpening } from '../src/storage/shared-opening.js';
import { openStageStorage } from '../src/storage/stage-storage.js';
import { ExchangeRecord } from './exchange-record.js';
import { distrustHints, HintStore } from './hint-store.js';
import { localHashing } from './local-hashing.js';
import { NodeIdentity } from './node-identity.js';
import { NodeRehearsals, type RehearsalGround, rehearseStandingBy } from './node-rehearsals.js';
import { countUnreadable } from './own-records.js';
import { poolHashing } from './pool-hashing.js';
import { ReapRecord } from './reap-record.js';
import { spawnNode } from './registry.js';
import { type Hashing, ReplicaTrees } from './replica-trees.js';

/** How soon something is given out again at which the pool failed, in milliseconds. */
const HASHED_AGAIN_MS = 1_000;
/** True if this thread has stood by, and so has rehearsed before it became a node's. */
let isPrepared = false;
const CHECKER = new URL('./objects-checker.js', import.meta.url);

await runWorkerThread<NodeStart>(
  async (start) => {
    const { host, thread, data, report } = start;
    const storage = data.path === null ? openMemoryNodeStorage(data) : await openStorage(data.path, start);
    for (const warning of storage.warnings) report('storage', new Error(warning));
    const { objects, system } = storage;
    const { random } = host;
    const counters = newNodeCounters();
    const latencies = newOperationLatencies();
    const hotKeys = new HotKeys();
    const onUnreadable = countUnreadable(counters, report);
    if (!storage.isMarkReadable)
      onUnreadable('how its last run ended', 'its objects are looked through, as after a crash');
    const { losses } = storage;
    const partitions = refillable(thread, data);
    const identity = NodeIdentity.open({ system, objects, random, losses, partitions, onUnreadable });
    const { maxHintBytes: maxBytes, gauges } = data;
    const hints = new HintStore({
      storage: storage.hints,
      maxBytes,
      random,
      counters,
      isNew: data.isNew,
      onUnreadable,
      gauge: new Int32Array(gauges),
    });
    const record = new ExchangeRecord(random.uint32() + 1);
    const hashing = hashingFor(start, storage);
    const trees = new ReplicaTrees({ objects, counters, hashing, maxAgeMs: data.rebuildIntervalMs });
    const reaped = new ReapRecord(random.uint32() + 1);
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
      latencies,
      hotKeys,
      maxOperations: data.maxOperations,
      maxSiblings: data.maxSiblings,
      maxObjectBytes: data.maxObjectBytes,
      exchange: {
        intervalMs: data.exchangeIntervalMs,
        window: data.exchangeWindow,
        trees,
        record,
        reaping: {
          limits: {
            graceMs: data.tombstoneGraceMs,
            attemptMs: data.attemptMs,
            maxContextEntries: MAX_CONTEXT_ENTRIES,
          },
          record: reaped,
        },
      },
      onUnreadable,
      report,
    });
    const rehearsals = new NodeRehearsals(groundOf(data.path, random), {
      node: thread,
      isPrepared,
      isBack: start.incarnation > 1,
      operations: () => counters.puts + counters.gets,
      inUse: () => start.inUse(),
      report: (error) => report('rehearsal', error),
      after(ms, then) {
        const timer = globalThis.setTimeout(then, ms).unref();
        return () => clearTimeout(timer);
      },
    });
    rehearsals.begin();
    const control: NodeControl = {
      counters: () => ({ ...counters }),
      latencies: () => latencyData(latencies),
      storage: () => ({
        ...objects.stats(),
        filesSetAside: storage.filesSetAside(),
        partitionsToRefill: identity.refilling.size,
      }),
      hints: () => hints.status(),
      hotKeys: () => hotKeys.counted(performance.now()),
      compare: (session, call) => record.compare(session, call),
      rebuild: (session, call) => {
        const mine = session === record.session ? call : trees.rebuildAll();
        return { session: record.session, call: mine, left: trees.unbuiltSince(mine) };
      },
      reap: (session, call) => reaped.reap(session, call),
      memory: () => {
        const { heapUsed, external } = process.memoryUsage();
        return { heapUsedBytes: heapUsed, externalBytes: external };
      },
    };
    return {
      control,
      canFlush: storage.persistent,
      stopped: () => {
        rehearsals.end();
        // The readers of the pool may finish; no other begins.
        new SharedOpening(new Int32Array(data.opening)).closing();
        storage.stop();
      },
    };
  },
  { prepare },
);

/** What a thread does that stands by. @param directory - of one of the store's nodes; null if they are in memory */
async function prepare(directory: unknown): Promise<void> {
  await rehearseStandingBy(groundOf(directory as string | null, new EntropyRandom()));
  isPrepared = true;
}

/** Hosts as threads have them, and storages in memory, of the kind that a node has whose data is in `directory`. */
function groundOf(directory: string | null, random: Random): RehearsalGround {
  return {
    random,
    openStage: (onTrouble) =>
      new Miniature({
        crashed: (_slot, _incarnation, error) => onTrouble(error, false),
        trouble: (_what, error) => onTrouble(error, false),
        escalated: (_slot, error) => onTrouble(error, true),
      }),
    openStorage: () => (directory === null ? openMemoryStorage() : openStageStorage(objectsFile(directory))),
  };
}

/** Records in memory can be read by nobody else; those on disk are read by the threads of the hashing pool. */
function hashingFor({ data, service, report }: WorkerContext<NodeStart>, { objects }: NodeStorage): Hashing {
  if (data.path === null) return localHashing(objects);
  assert(service !== undefined, 'a node with data on disk is given a port to the hashing pool');
  const client = new HashingClient<HasherTask, HasherResult>(service);
  const path = objectsFile(data.path);
  const opened = new Int32Array(data.opening);
  return poolHashing((task) =>
    client.run({ task, path, opened }).catch(async (error: unknown) => {
      report('hashing', error);
      await setTimeout(HASHED_AGAIN_MS, undefined, { ref: false });
      return { type: 'gone' } as const;
    }),
  );
}

async function openStorage(path: string, start: WorkerContext<NodeStart>): Promise<NodeStorage> {
  const { sync, boot, preferenceLists, opening: word } = start.data;
  const opening = new SharedOpening(new Int32Array(word));
  await opening.beforeOpening();
  const storage = await openNodeStorage(path, {
    sync,
    boot,
    isNew: start.data.isNew,
    // Every key has as many replicas as its partition has primaries.
    mayStartEmpty: preferenceLists.every(({ primaries }) => primaries.length > 1),
    check: (file, what) => checkInChild(CHECKER, file, what),
    distrustHints,
    inTransaction: start.inTransaction,
    // What was stored is known once all is read anew: the thread ends as of an error that nobody catches, and is restarted.
    onLost: (error) => {
      setImmediate(() => {
        throw error;
      });
    },
    stranded: start.stranded,
  });
  opening.opened();
  return storage;
}

/** The partitions of which other nodes have what this one may lose. */
function refillable(node: number, { preferenceLists }: NodeStart): number[] {
  return [...preferenceLists.keys()].filter((partition) => {
    const { primaries } = preferenceLists[partition]!;
    return primaries.includes(node) && primaries.length > 1;
  });
}
