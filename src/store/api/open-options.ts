/** What `open` takes. */
import type { Quorum } from './call-options.js';

/** One node of a new store. */
export interface NodeOptions {
  /** The node's name, unique in the store: letters, digits, `-`, `_` and `.`, at most 64. */
  readonly name: string;
  /** Where it keeps its data. Default: a directory of its name in the store's, which needs a `path` in any case. */
  readonly path?: string;
  /** What fails together with it: a disk, a host, a rack. Replicas go to distinct zones where they can. Default: its name. */
  readonly zone?: string;
  /** Its share of the ring, relative to the others: above 0. Default 1. */
  readonly weight?: number;
}

/** Where data is, and when a write is safe. Only what is on disk, and flushed, can be acknowledged as durable. */
export type DurabilityOptions =
  | {
      /** The data directory; created if missing. Omitted: memory only. */
      readonly path?: string;
      /**
       * 'full': every commit is flushed, and survives power loss. 'none': fast; objects, and hints for nodes that are out
       * of reach, survive a crash of the process, not of the power. Default 'full'.
       */
      readonly sync?: 'full' | 'none';
      /** Replicas that must have flushed a write to disk: 0 … n. Default 0. Above 0 it needs a `path` and `sync: 'full'`. */
      readonly dw?: 0;
    }
  | {
      /** The data directory; created if missing. */
      readonly path: string;
      /** Every commit is flushed, and survives power loss. */
      readonly sync?: 'full';
      /** Replicas that must have flushed a write to disk: 0 … n. Default 0. */
      readonly dw: Quorum;
    };

/** What `open` takes besides. What is fixed at creation may be left out when a store is opened again. */
export interface StoreOptions {
  /** How many nodes ('a', 'b', …), or each by itself. Fixed at creation. Default 5, at most 32. */
  readonly nodes?: number | readonly NodeOptions[];
  /** Replicas of each key: 1 to the number of nodes. Fixed at creation. Default 3, or the number of nodes if that is less. */
  readonly n?: number;
  /** Replicas that a read waits for: 1 … n. Default 2, or n if that is less. */
  readonly r?: Quorum;
  /** Replicas that a write waits for: 1 … n. Default 2, or n if that is less. */
  readonly w?: Quorum;
  /** Primaries among the replicas that a read waits for: 0 … n. Default 0. */
  readonly pr?: Quorum;
  /** Primaries among the replicas that a write waits for: 0 … n. Default 0. */
  readonly pw?: Quorum;
  /** Partitions of the ring, a power of two from 8 to 1,024. Fixed at creation. Default 64. */
  readonly partitions?: number;
  /** How long a call waits for its quorum, in milliseconds: 1 to 3,600,000. Default 5,000. */
  readonly timeoutMs?: number;
  /** The largest value, in bytes: 1 to 64 MiB. Default 8 MiB. Of a bucket with values of 1 MiB and more a warning tells. */
  readonly maxValueBytes?: number;
  /** Gets, puts and pages of one thread that are under way before OVERLOADED: 1 to 65,536. Default 10,000. */
  readonly maxInFlight?: number;
  /**
   * What each node keeps at most for others that are out of reach, in bytes of keys and records: 0 to 64 TiB. A node that
   * is full of hints refuses more, and the next one stands in. Default 1 GiB.
   */
  readonly maxHintBytes?: number;
  /**
   * Threads of the application that may be attached at a time, tickets of `share` included: 0 to 32. Default 8. Costs
   * nothing until a thread is attached.
   */
  readonly maxShares?: number;
  /**
   * Any two replicas of a partition are compared at least so often, and what differs is merged (100 to 604,800,000 milliseconds,
   * default 600,000).
   */
  readonly exchangeIntervalMs?: number;
  /**
   * The time of the day, UTC, for those comparisons, and for making anew what is compared, such as
   * `{ from: '23:30', to: '05:00' }` (default: always). A comparison that is under way at its end stops after what it has
   * just asked, and goes on in the next one. What somebody waits for (`admin.waitForExchange`), the refilling of a lost
   * replica, and rounds of reaping do not wait for it.
   */
  readonly exchangeWindow?: ExchangeWindowOptions;
  /**
   * How old what is compared may be: after so long it is made anew from the records, to find what has rotted since
   * (60,000 to 31,536,000,000 milliseconds, default 604,800,000: a week). While its node is up, begun inside of
   * `exchangeWindow`; whether or not the other replicas can be reached. With `n: 1` nothing is compared, nor made.
   */
  readonly rebuildIntervalMs?: number;
  /**
   * How long deletions, and values that have expired, are kept at least before they are forgotten, in milliseconds:
   * 100 to 31,536,000,000, default 86,400,000 (a day). Where a put was tried again before its key was deleted, its first try
   * may still be under way, and would come back: such a deletion is kept for as long as puts may take, which is a little over an hour.
   */
  readonly tombstoneGraceMs?: number;
  /** Threads that hash what lies on disk for those comparisons, all nodes together: 1 (default) to 16. None while idle. */
  readonly hashingThreads?: number;
}

/** What `open` takes. */
export type OpenOptions = DurabilityOptions & StoreOptions;

/** Times of the day, UTC, as `'hh:mm'`; `from` above `to`: over midnight. */
export interface ExchangeWindowOptions {
  /** Its beginning. */
  readonly from: string;
  /** Its end. */
  readonly to: string;
}
