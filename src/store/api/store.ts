/** An open store, and what acts on its nodes. */
import type { MessagePort } from 'node:worker_threads';
import type { Bucket, BucketOptions, Codec } from './bucket.js';
import type { CallOptions, ListBucketsOptions } from './call-options.js';
import type {
  BucketProperties,
  BucketPropertiesOptions,
  BucketPropertyChanges,
  BucketTypeChanges,
} from './properties.js';
import type { NodeStatus, PartitionStatus, StoreStats } from './status.js';

/**
 * Acts on nodes. Each does nothing where it is done already.
 * @throws {InvalidArgumentError} There is no such node.
 * @throws {TimeoutError} Not done within `timeoutMs` (default: no limit); it goes on.
 */
export interface Admin {
  /** Stops a node cleanly: it finishes its turn, flushes, and stays down until `start`. */
  stop(node: string, options?: CallOptions): Promise<void>;
  /** Starts a node that was stopped or crashed. */
  start(node: string, options?: CallOptions): Promise<void>;
  /** Ends a node's thread at its next turn: no flush, no clean-stop marker. It stays down until `start`. */
  crash(node: string, options?: CallOptions): Promise<void>;
  /**
   * Lets a node's thread stand still for `ms` (1 to 3,600,000), as a long garbage collection or a stalled disk would:
   * to see what a store does then. Resolves once it stands still. A stop or crash ends the pause.
   */
  pause(node: string, ms: number, options?: CallOptions): Promise<void>;
  /**
   * Cuts these nodes off from the rest, which are the other nodes and the application, as a split of the network would;
   * among themselves they stay connected. What is under way across is lost; requests across see silence, and failures
   * once the connection counts as broken, after half a second. Resolves once nothing passes. Adds to earlier splits.
   * @param nodes - at least one, and not all
   */
  split(nodes: readonly string[], options?: CallOptions): Promise<void>;
  /** Ends all splits. Resolves once every node that is not paused is connected again. */
  heal(options?: CallOptions): Promise<void>;
  /**
   * Resolves when the hints that exist now are with the nodes for which they are kept. Hints of a node that is down, and
   * hints for one, wait for its start, and so does this call: give it a `timeoutMs`.
   */
  waitForHints(options?: CallOptions): Promise<void>;
  /**
   * Has all replicas compared now, and what differs merged. Resolves when any two of each partition have been compared since
   * the call and were equal. Replicas of a node that is down wait for its start, and so does this call: give it a `timeoutMs`.
   */
  waitForExchange(options?: CallOptions): Promise<void>;
  /**
   * Has a node's Merkle trees built anew from its records, as `rebuildIntervalMs` does now and then: what has rotted is
   * found. Resolves when all of them are. A node that is down does it after its start: give it a `timeoutMs`.
   */
  rebuildTrees(node: string, options?: CallOptions): Promise<void>;
  /**
   * Has everything reaped now that may go: deletions, and values that have expired, older than `tombstoneGraceMs`. Resolves
   * when a look at each partition that began after the call has found nothing of that left. All replicas are needed for it:
   * while a node is down it waits for its start, and so does this call: give it a `timeoutMs`.
   */
  waitForReaping(options?: CallOptions): Promise<void>;
}

/** Lets one other thread of the application use the store: a port, to be transferred to it and given to `attach`. */
export type ShareTicket = MessagePort;

/** An open store. `await using store = await open(…)` closes it at the end of the block. */
export interface Store extends AsyncDisposable {
  /** A handle on a bucket; buckets need no creation. Without a codec, values are Uint8Array. */
  bucket<V extends Uint8Array = Uint8Array>(
    name: string,
    options?: BucketOptions<V> & { readonly codec?: 'raw' },
  ): Bucket<V>;
  /** A handle on a bucket whose values are text. */
  bucket<V extends string = string>(name: string, options: BucketOptions<V> & { readonly codec: 'text' }): Bucket<V>;
  /** A handle on a bucket whose values are of type V: `store.bucket<Cart>('carts', { codec: 'json' })`. */
  bucket<V>(name: string, options: BucketOptions<V> & { readonly codec: 'json' | 'msgpack' | Codec<V> }): Bucket<V>;
  /**
   * Streams the names of the buckets of a type that have at least one key, each once, shorter names first, those of one
   * length in byte order. Costs a request per bucket and partition. `timeoutMs` is for each of them.
   * @throws {QuorumUnavailableError} A partition has fewer than R replicas that can be reached.
   */
  buckets(options?: ListBucketsOptions): AsyncIterableIterator<string>;
  /**
   * Keeps properties of a bucket with the cluster: they hold for every handle that does not say otherwise, and for what
   * comes over the network. Of two changes of one property at the same time, the later one holds. This store's handles
   * follow at once; others (of another thread) within 10 seconds, while a majority of the properties' replicas answers.
   * Not for reading and writing in turns: two changes of one property, each made after a read, may both succeed.
   * @throws {InvalidArgumentError} A property is unknown or out of its range, or the bucket type does not exist.
   * @throws {QuorumNotMetError} A majority of replicas did not answer in time. The change may take effect all the same.
   */
  setBucketProperties(bucket: string, changes: BucketPropertyChanges, options?: BucketPropertiesOptions): Promise<void>;
  /** What holds for a bucket now where neither call nor handle says otherwise: read anew, from a majority of replicas. */
  bucketProperties(bucket: string, options?: BucketPropertiesOptions): Promise<BucketProperties>;
  /**
   * Creates a bucket type, or changes its properties, which hold for each of its buckets that has none of its own. The
   * type 'default' is always there, and can be changed. Otherwise as `setBucketProperties`.
   */
  setBucketType(type: string, changes?: BucketTypeChanges, options?: CallOptions): Promise<void>;
  /** What holds for the buckets of a type that have no properties of their own. @throws {InvalidArgumentError} It does not exist. */
  bucketType(type: string, options?: CallOptions): Promise<BucketProperties>;
  /** The nodes and how they are, in the order in which they were named. */
  nodes(): NodeStatus[];
  /** Who keeps what: the partitions of the ring, in order. */
  ring(): PartitionStatus[];
  /** Counters and latencies. Asks every node that is up. */
  stats(): Promise<StoreStats>;
  /** Acts on nodes. */
  readonly admin: Admin;
  /**
   * A ticket that lets one other thread of the application use this store, without going through this thread:
   *
   *     // here
   *     const ticket = store.share();
   *     new Worker(new URL('./worker.js', import.meta.url), { workerData: { ticket }, transferList: [ticket] });
   *     // in worker.js
   *     import { workerData } from 'node:worker_threads';
   *     import { attach } from 'quoral';
   *     await using store = await attach(workerData.ticket);
   *
   * A ticket is good for one `attach`. Its share is free again when the attached store is closed, its thread has ended,
   * or the ticket's own `close` was called.
   * @throws {OverloadedError} As many as `maxShares` are given out.
   * @throws {InvalidArgumentError} This store is itself an attached one: ask the thread that opened it.
   */
  share(): ShareTicket;
  /**
   * Stops every node cleanly. Calls in flight are finished first, by their deadlines at the latest; new ones are refused
   * as CLOSED. Attached threads finish theirs, too, within `timeoutMs` of `open` and a second; what is left then fails
   * there as CLOSED. A node then has 30 s to end, and is ended by force in 5 s more. Of an attached store: closes only
   * that.
   * @throws {TimeoutError} A node could not be ended: it is stuck in a commit, or in other native code.
   */
  close(): Promise<void>;
}
