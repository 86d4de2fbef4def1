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

/** A latency histogram's summary, in milliseconds. */
export interface LatencySummary {
  /** Calls that succeeded. */
  readonly count: number;
  /** The mean. */
  readonly meanMs: number;
  /** Half of the calls took no longer. */
  readonly p50Ms: number;
  /** 99 % of the calls took no longer. */
  readonly p99Ms: number;
  /** 99.9 % of the calls took no longer. */
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

/** Counters and latencies, since the store was opened. */
export interface StoreStats {
  /** Gets, as this thread's callers have seen them. */
  readonly gets: LatencySummary;
  /** Puts and deletes, as this thread's callers have seen them. */
  readonly puts: LatencySummary;
  /** Operations of this thread that are under way. */
  readonly inFlight: number;
  /**
   * Counters by node; a node that is down is absent. Of hints: `hints` and `hintBytes` that it keeps for others now, and
   * `hintsWaitingMs`, for how long there have been some without a pause for the owner that has waited longest.
   */
  readonly nodes: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /**
   * The keys that are asked for most, by whatever thread, hottest first: at most 10, each with more than a 128th of all
   * puts and gets. Estimated from one request in 64; requests count half as much after 10 seconds. Empty if no key stands
   * out, or too little is going on to tell.
   */
  readonly hottest: readonly HotKeyStatus[];
}
