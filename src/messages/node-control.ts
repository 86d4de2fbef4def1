/** What the application's thread and a node's worker thread say to each other beside the data plane. */
import type { ExchangeWindow, Pair } from '../anti-entropy/schedule.js';
import type { Passes } from '../hinted-handoff/delivery.js';
import type { Session } from '../hinted-handoff/hint-record.js';
import type { HistogramData } from '../metrics/histogram.js';
import type { KeyCounts } from '../metrics/hot-keys.js';
import type { NodeCounters } from '../metrics/node-counters.js';
import type { ByOperation } from '../metrics/operation-latencies.js';
import type { PreferenceList } from '../ring/preference-list.js';
import type { StorageStats } from '../storage/storage.js';

/** What a node's thread is started with. Copied to the worker. */
export interface NodeStart {
  /** The node's directory; null for memory only. */
  readonly path: string | null;
  readonly sync: 'full' | 'none';
  /** What the system was booted as; see `NodeStorageOptions`. */
  readonly boot: string;
  /** By partition, its preference list: the nodes of the primaries, and of the fallbacks behind them. */
  readonly preferenceLists: readonly PreferenceList[];
  /** Operations that a coordinator has under way at a time. */
  readonly maxOperations: number;
  /** Keys and records of hints that the node keeps for others at most. */
  readonly maxHintBytes: number;
  /** True for the first start of the node in its store's life. */
  readonly isNew: boolean;
  /** Where the node keeps its gauges for the application's thread: 4 bytes, the number of hints. */
  readonly gauges: SharedArrayBuffer;
  readonly maxSiblings: number;
  readonly maxObjectBytes: number;
  /** Every pair of replicas is compared at least so often, in milliseconds. */
  readonly exchangeIntervalMs: number;
  /** When exchanges run that nobody waits for, and trees are built anew; undefined: always. */
  readonly exchangeWindow: ExchangeWindow | undefined;
  /** How old a Merkle tree may be, in milliseconds, before it is built anew. */
  readonly rebuildIntervalMs: number;
  /** How long deletions, and values that have expired, are kept at least, in milliseconds. */
  readonly tombstoneGraceMs: number;
  /** How long an attempt of a put may be under way: see `ReapLimits`. */
  readonly attemptMs: number;
  /** 4 bytes, over all incarnations of the node: the word of its objects file's `SharedOpening`. */
  readonly opening: SharedArrayBuffer;
}

export interface NodeStorageStats extends StorageStats {
  /** Damaged files that lie beside those in use. */
  readonly filesSetAside: number;
  /** Replicas that may lack what they had acknowledged before the objects file was lost. */
  readonly partitionsToRefill: number;
}

/** What a node keeps for an owner that was out of reach, and how far its delivery has come. */
export interface HintedOwner extends Passes {
  readonly owner: number;
  readonly count: number;
  readonly bytes: number;
  /** Wall-clock milliseconds: since when there have been hints for it without a pause. */
  readonly sinceMs: number;
}

export interface HintStatus {
  /** Another one after each start of the node: passes are counted within it. */
  readonly session: Session;
  readonly owners: readonly HintedOwner[];
}

/** Of the thread's JavaScript, in bytes: what lies in its heap, garbage included, and what it holds outside of it. */
export interface NodeMemory {
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
}

/** The pairs of replicas that exchanges led by a node have found equal since a call for it. */
export interface ComparedPairs {
  /** Another one after each start of the node: calls are counted within it. */
  readonly session: number;
  readonly call: number;
  readonly equal: readonly Pair[];
}

/** How far a node has come with building all of its Merkle trees anew since a call for it. */
export interface RebuiltTrees {
  /** As in `ComparedPairs`. */
  readonly session: number;
  readonly call: number;
  /** Trees that were not built since. */
  readonly left: number;
}

/** The partitions whose reaping a node leads in which it has found nothing that may go since a call for it. */
export interface ReapedPartitions {
  /** Another one after each start of the node: calls are counted within it. */
  readonly session: number;
  readonly call: number;
  readonly partitions: readonly number[];
}

/** What a node's thread serves. A type, not an interface: the control plane passes plain data only. */
export interface NodeControl {
  counters(): NodeCounters;
  /** Of the operations that it has coordinated. */
  latencies(): ByOperation<HistogramData>;
  storage(): NodeStorageStats;
  hints(): HintStatus;
  memory(): NodeMemory;
  /** Of the keys that it was asked for as a coordinator. */
  hotKeys(): KeyCounts;
  /**
   * Has the pairs that this node leads compared at once, and again until they are equal, as long as somebody asks. A
   * `session` other than the present one (0) begins a new call.
   */
  compare(session: number, call: number): ComparedPairs;
  /** Has all of the node's trees built anew. A `session` other than the present one (0) begins a new call. */
  rebuild(session: number, call: number): RebuiltTrees;
  /** The same of reaping: has it look for tombstones that may go, and reap them, as long as somebody asks. */
  reap(session: number, call: number): ReapedPartitions;
}
