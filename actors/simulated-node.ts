/** What a node's thread hosts in the simulator: the same actors as `worker.ts` spawns. Loaded by its URL. */
import { MAX_CONTEXT_ENTRIES } from '../src/anti-entropy/reaping.js';
import type { Random } from '../src/base/random.js';
import { HotKeys } from '../src/metrics/hot-keys.js';
import { newOperationLatencies } from '../src/metrics/operation-latencies.js';
import type { ActorHost } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';
import { ExchangeRecord } from './exchange-record.js';
import { distrustHints, HintStore } from './hint-store.js';
import { localHashing } from './local-hashing.js';
import { NodeIdentity } from './node-identity.js';
import { countUnreadable } from './own-records.js';
import { ReapRecord } from './reap-record.js';
import { type NodeEnvironment, spawnNode } from './registry.js';
import { type Hashing, ReplicaTrees } from './replica-trees.js';

/** A node's environment, but for its identity and hints, which are opened from its storages. */
export interface SimulatedEnvironment
  extends Omit<NodeEnvironment, 'identity' | 'hints' | 'latencies' | 'hotKeys' | 'exchange' | 'onUnreadable'> {
  readonly hints: Storage;
  readonly maxHintBytes: number;
  readonly random: Random;
  /** How often the node has lost its objects. */
  readonly losses: number;
  /** True if its hints were not synced, and its power went since it was last started. */
  readonly mayHintsBeOld: boolean;
  /** Undefined: replicas are not compared. */
  readonly exchangeIntervalMs: number | undefined;
  readonly maxTreeAgeMs: number;
  /** Undefined: tombstones stay. */
  readonly tombstoneGraceMs: number | undefined;
  /** How long an attempt of a put may be under way: see `ReapLimits`. */
  readonly attemptMs: number;
  /** Contexts of more entries are reduced (default: as in production). */
  readonly maxContextEntries?: number | undefined;
  /** Is given what somebody outside may ask of the node: to compare its replicas now, and to look for what may be reaped. */
  readonly control: (control: { compare(): void; reap(): void }) => void;
  /** Of the trees (default: that of the records). */
  readonly hashing?: Hashing;
}

export function spawn(host: ActorHost, parts: SimulatedEnvironment): void {
  const { node, preferenceLists, system, objects, random, counters, losses, maxHintBytes: maxBytes } = parts;
  const partitions = [...preferenceLists.keys()].filter((partition) => {
    return preferenceLists[partition]!.primaries.includes(node);
  });
  const onUnreadable = countUnreadable(counters, parts.report);
  const identity = NodeIdentity.open({ system, objects, random, losses, partitions, onUnreadable });
  const {
    exchangeIntervalMs: intervalMs,
    maxTreeAgeMs,
    hashing = localHashing(objects),
    tombstoneGraceMs: graceMs,
  } = parts;
  // Where nothing is reaped there is nothing that a lost hint store would have to learn.
  const isNew = parts.isNew || graceMs === undefined;
  if (parts.mayHintsBeOld) {
    // As at the opening of the files: before anything else is done.
    distrustHints(parts.hints);
    parts.hints.commit();
  }
  const hints = new HintStore({ storage: parts.hints, maxBytes, random, counters, isNew, onUnreadable });
  const { maxContextEntries = MAX_CONTEXT_ENTRIES } = parts;
  const limits = graceMs === undefined ? undefined : { graceMs, attemptMs: parts.attemptMs, maxContextEntries };
  const reaping = limits === undefined ? undefined : { limits, record: new ReapRecord(1) };
  const exchange =
    intervalMs === undefined
      ? undefined
      : {
          intervalMs,
          window: undefined,
          trees: new ReplicaTrees({ objects, counters, hashing, maxAgeMs: maxTreeAgeMs }),
          record: new ExchangeRecord(1),
          reaping,
        };
  parts.control({
    compare: () => exchange?.record.compare(0, 0),
    reap: () => reaping?.record.reap(0, 0),
  });
  const latencies = newOperationLatencies();
  spawnNode(host, { ...parts, onUnreadable, identity, hints, exchange, latencies, hotKeys: new HotKeys() });
}
