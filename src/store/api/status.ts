/** What a store tells of its nodes, its ring and its work. */
import type { Key } from './call-options.js';

/**
 * As far as this thread of the application knows: 'suspect' is a node that is up, but has not been seen to run for some
 * time (it stands still, or a split lies between), as told by this method's own looks and those before it.
 */
export type NodeState = 'up' | 'suspect' | 'down' | 'joining' | 'leaving';

/** One node, as `Store.nodes` tells of it. */
export interface NodeStatus {
  /** Its name. */
  readonly name: string;
  /** Whether it answers, as far as this thread knows. */
  readonly state: NodeState;
  /** What fails together with it. */
  readonly zone: string;
  /** Its share of the ring, relative to the others. */
  readonly weight: number;
  /** Partitions of which it is the owner. */
  readonly partitions: number;
  /** Hints that it holds for others. */
  readonly hints: number;
}

/** Who keeps the keys of a partition of the ring. */
export interface PartitionStatus {
  /** Its number, from 0. */
  readonly partition: number;
  /** The nodes that keep its keys, by name, in the order in which they are asked. */
  readonly primaries: readonly string[];
  /** The other nodes, in the order in which they stand in for primaries that are down. */
  readonly fallbacks: readonly string[];
}

/**
 * What a histogram of latencies comes to, in milliseconds; all 0 if it is empty. A quantile is never too low, and too high by
 * a 32nd of itself at most.
 */
export interface LatencySummary {
  /** Those that succeeded. The others are not among them. */
  readonly count: number;
  /** The mean. */
  readonly meanMs: number;
  /** Half of them took no longer. */
  readonly p50Ms: number;
  /** 99 % of them took no longer. */
  readonly p99Ms: number;
  /** 99.9 % of them took no longer. */
  readonly p999Ms: number;
  /** The longest. */
  readonly maxMs: number;
}

/** A key that is asked for much more often than others. */
export interface HotKeyStatus {
  /** The bucket type. */
  readonly type: string;
  /** The bucket. */
  readonly bucket: string;
  /** Text, or bytes if the key is not UTF-8. */
  readonly key: Key;
  /** Its share of the latest puts and gets of the whole store, 0 to 1. */
  readonly share: number;
}

/**
 * How long operations took their coordinators: from the turn of the node's thread that read the request to the one that
 * sent the reply, whoever asked, the store's own reads of properties included. What the caller waits for besides, the
 * way to the node and back, stands in `StoreStats.gets` and `puts`.
 */
export interface OperationLatencies {
  /** Gets. */
  readonly gets: LatencySummary;
  /** Puts and deletes. */
  readonly puts: LatencySummary;
  /** Pages, of which scans read one of each partition after the other. */
  readonly pages: LatencySummary;
}

/** Counters and latencies of several nodes together. */
export interface StoreTotals {
  /**
   * The sums of `StoreStats.nodes`; of the times among them (`hintsWaitingMs`, `exchangeLagMs`, and those that end in
   * `AtMs`), the highest.
   */
  readonly counters: Readonly<Record<string, number>>;
  /** The summaries of what all nodes have recorded together: a quantile is one of all their operations. */
  readonly latencies: OperationLatencies;
}

/**
 * Counters and latencies: those of this thread since it opened the store or attached to it, those of a node since its
 * last start. Names end in their units: `Ms` milliseconds, `AtMs` milliseconds since 1970, `Bytes`; the others count.
 */
export interface StoreStats {
  /** Gets, as this thread's callers have seen them. */
  readonly gets: LatencySummary;
  /** Puts and deletes, as this thread's callers have seen them. */
  readonly puts: LatencySummary;
  /** Of this thread's operations whose node was silent for too long: how long it had been when another one was asked, too. */
  readonly secondAttempts: LatencySummary;
  /** Operations of this thread that are under way. */
  readonly inFlight: number;
  /**
   * Counters by node; a node that is down is absent. Of hints: `hints` and `hintBytes` that it keeps for others now, and
   * `hintsWaitingMs`, for how long there have been some without a pause for the owner that has waited longest. Of exchanges:
   * `lastExchangeAtMs`, when the last one that it led had compared two replicas, and `exchangeLagMs`, for how long one of
   * its replicas has not been found equal to another node's, of all pairs the longest (since its start, if it never was).
   * While all nodes are up, that is `exchangeIntervalMs` at most, and what `exchangeWindow` adds.
   */
  readonly nodes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** By node, how long the operations took that it coordinated; a node that is down is absent. */
  readonly latencies: Readonly<Record<string, OperationLatencies>>;
  /** All nodes together that are up. */
  readonly total: StoreTotals;
  /**
   * The keys that are asked for most, by whatever thread, hottest first: at most 10, each with more than a 128th of all
   * puts and gets. Estimated from one request in 64; requests count half as much after 10 seconds. Empty if no key stands
   * out, or too little is going on to tell.
   */
  readonly hottest: readonly HotKeyStatus[];
}
