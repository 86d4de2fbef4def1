/** What the application's thread and a node's worker thread say to each other beside the data plane. */
import type { NodeCounters } from '../metrics/node-counters.js';
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
  readonly maxSiblings: number;
  readonly maxObjectBytes: number;
}

export interface NodeStorageStats extends StorageStats {
  /** Damaged objects files that lie beside the one in use. */
  readonly filesSetAside: number;
}

/** What a node's thread serves. A type, not an interface: the control plane passes plain data only. */
export interface NodeControl {
  counters(): NodeCounters;
  storage(): NodeStorageStats;
}
