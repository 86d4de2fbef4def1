/**
 * The embedded store as its users see it: the types behind `open`. Documentation of each call stands here, once;
 * the implementation is in `store.ts` and `bucket.ts`.
 */

import type { MessagePort } from 'node:worker_threads';

/** A quorum: a number from 1 to n, or a word for one. */
export type Quorum = number | 'one' | 'quorum' | 'all';

/** A key: text, or bytes. Type, bucket and key are together at most 1,900 bytes. */
export type Key = string | Uint8Array;

/** One node of a new store. */
export interface NodeOptions {
  /** The node's name, unique in the store: letters, digits, `-`, `_` and `.`, at most 64. */
  readonly name: string;
  /** Where it keeps its data. Default: a directory of its name in the store's. */
  readonly path?: string;
  /** What fails together with it: a disk, a host, a rack. Replicas go to distinct zones where they can. Default: its name. */
  readonly zone?: string;
  /** Its share of the ring, relative to the others. Default 1. */
  readonly weight?: number;
}

/** What `open` takes. What is fixed at creation may be left out when a store is opened again. */
export interface OpenOptions {
  /** The data directory; created if missing. Omitted: memory only. */
  readonly path?: string;
  /** How many nodes ('a', 'b', …), or each by itself. Fixed at creation. Default 5, at most 32. */
  readonly nodes?: number | readonly NodeOptions[];
  /** Replicas of each key, at most the number of nodes. Fixed at creation. Default 3. */
  readonly n?: number;
  /** Replicas that a read waits for. Default 2. */
  readonly r?: Quorum;
  /** Replicas that a write waits for. Default 2. */
  readonly w?: Quorum;
  /** Replicas that must have flushed a write to disk: 0 … n. Default 0. */
  readonly dw?: Quorum;
  /** Primaries among the replicas that a read waits for: 0 … n. Default 0. */
  readonly pr?: Quorum;
  /** Primaries among the replicas that a write waits for: 0 … n. Default 0. */
  readonly pw?: Quorum;
  /** Partitions of the ring, a power of two from 8 to 1,024. Fixed at creation. Default 64. */
  readonly partitions?: number;
  /** 'full': every commit is flushed, and survives power loss. 'none': fast; survives a crash of the process, not of the power. Default 'full'. */
  readonly sync?: 'full' | 'none';
  /** How long a call waits for its quorum, in milliseconds: 1 to 3,600,000. Default 5,000. */
  readonly timeoutMs?: number;
  /** The largest value, in bytes: 1 to 64 MiB. Default 8 MiB. */
  readonly maxValueBytes?: number;
  /** Calls in flight of one handle before OVERLOADED. Default 10,000. */
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
   * The time of the day, UTC, in which those comparisons begin, such as `{ from: '23:30', to: '05:00' }` (default: always).
   * What somebody waits for (`admin.waitForExchange`) and the refilling of a lost replica do not wait for it.
   */
  readonly exchangeWindow?: ExchangeWindowOptions;
  /**
   * How old what is compared may be: after so long it is made anew from the records, to find what has rotted since
   * (60,000 to 31,536,000,000 milliseconds, default 604,800,000: a week).
   */
  readonly rebuildIntervalMs?: number;
  /**
   * How long deletions, and values that have expired, are kept at least before they are forgotten, in milliseconds:
   * 100 to 31,536,000,000, default 86,400,000 (a day). Longer than any put of a deleted key may still be under way: a put
   * that was tried again, and whose key was deleted, could else come back by its first try.
   */
  readonly tombstoneGraceMs?: number;
  /** Threads that hash what lies on disk for those comparisons, all nodes together: 1 (default) to 16. None while idle. */
  readonly hashingThreads?: number;
}

/** Times of the day, UTC, as `'hh:mm'`; `from` above `to`: over midnight. */
export interface ExchangeWindowOptions {
  readonly from: string;
  readonly to: string;
}

/** Turns values into bytes and back. What it throws, the call rejects with. */
export interface Codec<V> {
  /** The bytes to store. Called once for a put, before anything is sent. */
  encode(value: V): Uint8Array;
  /** The value of stored bytes, which are to be left as they are. Called when a result is looked at. */
  decode(bytes: Uint8Array): V;
  /** The media type that is stored with values of this codec. */
  readonly contentType: string;
}

/** One of the values of a key: what one put has stored, and no later one has replaced. */
export interface Sibling<V> {
  /** Decoded by the handle's codec. */
  readonly value: V;
  /** Of the put, or of the codec that it was put with. */
  readonly contentType: string;
  /** As it was put. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When it was written, in milliseconds since 1970. */
  readonly timestampMs: number;
}

/** What a put resolves with, as of the moment of the reply. */
export interface Receipt {
  /** Covers what the put was given and this write: pass it to this client's next put of the key. */
  readonly causalContext: string;
  /** The replicas that had stored the write. */
  readonly acks: readonly Acknowledgement[];
  /** Replicas for which a stand-in keeps the write. */
  readonly hints: readonly HintNotice[];
}

/** Says that a node has stored a write. */
export interface Acknowledgement {
  /** The node's name. */
  readonly node: string;
  /** Whether it keeps the key itself, or stands in for a node that does. */
  readonly role: 'primary' | 'fallback';
  /** True if the write is flushed to its disk: it survives a loss of power. */
  readonly durable: boolean;
}

/** Says that a node keeps a write for another one, and hands it over when that is back. */
export interface HintNotice {
  /** The node that is to have it. */
  readonly owner: string;
  /** The node that has it. */
  readonly holder: string;
}

/** What a get resolves with. Everything is decoded when it is looked at. */
export interface ReadResult<V> {
  /** True if there is at least one value. */
  readonly found: boolean;
  /**
   * The one value, or undefined if there is none. Of several, what the handle's merge function makes of them.
   * @throws {ConflictError} There are several, and the handle has no merge function: see `siblings`.
   */
  readonly value: V | undefined;
  /** Every value that no later write has replaced, oldest first; no tombstones. */
  readonly siblings: readonly Sibling<V>[];
  /** Hand it to the put that answers this read. Absent only if the key was never seen. */
  readonly causalContext?: string | undefined;
  /**
   * True if a replica that was read has just come back and may not have been given yet all that others kept for it: an
   * acknowledged write may be missing here. Read again, with a higher r, or with a `session`.
   */
  readonly mayMissHints: boolean;
}

/** What every call takes. */
export interface CallOptions {
  /** How long to wait for the quorum, in milliseconds: 1 to 3,600,000. Default: that of `open`, 5,000. */
  readonly timeoutMs?: number;
  /** Gives up waiting: ABORTED. What was sent may still take effect. */
  readonly signal?: AbortSignal;
}

/** How many replicas a read asks. What is left out is as the handle, the bucket, its type or `open` has it. */
export interface ReadQuorums {
  /** Replicas that must have answered: 1 … n. Default 2. */
  readonly r?: Quorum;
  /** How many of them must be the key's own primaries: 0 … n. Default 0. */
  readonly pr?: Quorum;
  /** True: a replica that has nothing counts towards R. False: R replicas must have something, or none of them all. Default true. */
  readonly notfoundOk?: boolean;
  /** Without `notfoundOk`: a majority that has nothing is enough for not found. As in Riak. Default false. */
  readonly basicQuorum?: boolean;
}

/** How many replicas a write waits for. What is left out is as the handle, the bucket, its type or `open` has it. */
export interface WriteQuorums {
  /** Replicas that must have stored the write: 1 … n. Default 2. */
  readonly w?: Quorum;
  /** How many of them must be the key's own primaries: 0 … n. Default 0. */
  readonly pw?: Quorum;
  /** Replicas that must have flushed the write to disk: 0 … n. Default 0. Above 0 it needs a path and `sync: 'full'`. */
  readonly dw?: Quorum;
}

/** What is stored with a value. */
export interface ContentOptions {
  /** Texts of your own, by name; with the content type at most 64 KiB. They replace those of the value before. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** The media type of the value. Default: the codec's. */
  readonly contentType?: string;
  /** How long the value lives from the moment of writing, in milliseconds; then it is as if deleted. */
  readonly ttlMs?: number | undefined;
}

/** Of a read of many keys. */
export interface ReadOptions extends CallOptions, ReadQuorums {}

/** Of a get. */
export interface GetOptions extends ReadOptions {
  /**
   * The causalContext of a read or receipt of this key. The read shows at least what that one saw: if the R replicas do
   * not, every replica is asked; if they do not either, it is a STALE_READ.
   */
  readonly session?: string | undefined;
}

/** Of an update: of its read, and of the write that may follow. */
export interface UpdateOptions extends ReadOptions, WriteQuorums, ContentOptions {}

/** Of a put. */
export interface PutOptions extends CallOptions, WriteQuorums, ContentOptions {
  /** Of the read or receipt that this write answers: it replaces the siblings that those saw. Without one, it stands beside them. */
  readonly causalContext?: string | undefined;
  /**
   * Puts only if no value is there, else PRECONDITION_FAILED. Checked at the one vnode that coordinates the put, so not
   * atomic: across a network split, or while a node is down, another vnode checks what it knows, and both puts may
   * succeed, as siblings. A put with a condition is not tried again by itself after an outcome that is not definite.
   */
  readonly ifNoneMatch?: boolean;
  /**
   * The causalContext of a read or receipt of this key. Puts only if nothing was written since, else
   * PRECONDITION_FAILED; stands for `causalContext` where that is left out. As little atomic as `ifNoneMatch`.
   */
  readonly ifMatch?: string;
}

/** One put of `putMany`. */
export interface PutEntry<V> extends PutOptions {
  /** Each key once. */
  readonly key: Key;
  /** What to store under it. */
  readonly value: V;
}

/** What stands for every put of `putMany` that does not say otherwise. */
export type PutManyOptions = Omit<PutOptions, 'causalContext' | 'ifMatch'>;

/** Of a delete. */
export interface DeleteOptions extends CallOptions, WriteQuorums {
  /** Without one, the delete reads first and uses that context. */
  readonly causalContext?: string | undefined;
  /** Replicas that must have answered the read of a delete without a context: 1 … n. Default 2. */
  readonly r?: Quorum;
}

/** Of a scan. All bounds that are given hold. `timeoutMs` is for each page, of which a scan asks for many. */
export interface ScanOptions extends CallOptions {
  /** Keys that start with it. */
  readonly prefix?: Key;
  /** Keys from this one on. */
  readonly gte?: Key;
  /** Keys after this one. */
  readonly gt?: Key;
  /** Keys before this one. */
  readonly lt?: Key;
  /** Keys up to and with this one. */
  readonly lte?: Key;
  /** At most so many entries: 0 or more. Default: all. */
  readonly limit?: number;
  /** With `true`, entries carry every field of `ReadResult`. */
  readonly values?: boolean;
  /** Goes on after the entry that had this cursor. */
  readonly after?: string;
  /** Goes on without the partitions that cannot be read, and names them in the scan's `unreachable`. Default false. */
  readonly partial?: boolean;
  /** Replicas of each partition that must have answered: 1 … n. Default 2. */
  readonly r?: Quorum;
}

/** The entries of a scan, in byte order of their keys. Pages are fetched as entries are taken. */
export interface Scan<V> extends AsyncIterableIterator<ScanEntry<V>> {
  /** With `partial`: the partitions of which keys may be missing so far, ascending. All are known once it has ended. */
  readonly unreachable: readonly number[];
  /** True once replicas were read of which all have just come back, and may lack what others kept for them: keys, too. */
  readonly mayMissHints: boolean;
}

/** A key of a bucket; with `values: true` also what a get of it would give. */
export interface ScanEntry<V> extends Partial<ReadResult<V>> {
  /** Text, or bytes if the key is not UTF-8. */
  readonly key: Key;
  /** Pass it as `after` to go on behind this entry. */
  readonly cursor: string;
}

/** Of a list of buckets. */
export interface ListBucketsOptions extends CallOptions {
  /** The bucket type whose buckets are wanted. Default 'default'. */
  readonly type?: string;
  /** Replicas of each partition that must have answered: 1 … n. Default 2. */
  readonly r?: Quorum;
}

/** The codecs that are known by name. */
export type CodecName = 'raw' | 'text' | 'json' | 'msgpack';

/** Makes one value of siblings, oldest first; called only for two or more, on reads. Pure: it may be called often, or never. */
export type MergeFunction<V> = (siblings: readonly Sibling<V>[]) => V;

/** How concurrent writes are resolved. */
export type Resolution<V> =
  | {
      /** 'siblings' (default): all are kept and returned. 'last-write-wins': the latest replaces the others. */
      readonly resolution?: 'siblings' | 'last-write-wins';
      /** Goes with `resolution: 'merge'`. */
      readonly merge?: never;
    }
  | {
      /** All are kept; a read's `value` is what `merge` makes of them, and `update` writes it back. */
      readonly resolution: 'merge';
      /** Makes one value of several. */
      readonly merge: MergeFunction<V>;
    };

/**
 * What calls through a handle do unless they say otherwise. What the handle leaves out, the bucket's stored properties
 * say, or else those of its type (`Store.setBucketProperties`), or else the options of `open`.
 */
export interface BucketDefaults extends ReadQuorums, WriteQuorums {
  /** The bucket type. Default 'default'. Others need to be created: `Store.setBucketType`. */
  readonly type?: string;
  /** How long a put's value lives, in milliseconds. Default: for ever. */
  readonly ttlMs?: number | undefined;
  /** A put that would leave more siblings is refused with TOO_MANY_SIBLINGS: 1 to 100. Default 100. */
  readonly maxSiblings?: number;
}

/** What `Store.bucket` takes. */
export type BucketOptions<V> = BucketDefaults &
  Resolution<V> & {
    /**
     * 'raw': Uint8Array (default) · 'text': string · 'json': anything JSON · 'msgpack': also bytes, dates, sets, typed
     * arrays and bigints, in less room; maps come back as objects · or one's own.
     */
    readonly codec?: CodecName | Codec<V>;
  };

/** What holds for a bucket where neither call nor handle says otherwise. */
export interface BucketProperties {
  /** Replicas of each key: the store's, for every bucket type. */
  readonly n: number;
  /** Replicas that a read waits for. */
  readonly r: Quorum;
  /** Replicas that a write waits for. */
  readonly w: Quorum;
  /** Primaries among the replicas that a read waits for. */
  readonly pr: Quorum;
  /** Primaries among the replicas that a write waits for. */
  readonly pw: Quorum;
  /** Replicas that must have flushed a write to disk. */
  readonly dw: Quorum;
  /** Whether a replica that has nothing counts towards R. */
  readonly notfoundOk: boolean;
  /** Without `notfoundOk`: whether a majority that has nothing is enough for not found. */
  readonly basicQuorum: boolean;
  /** How long a put's value lives, in milliseconds; undefined: for ever. */
  readonly ttlMs: number | undefined;
  /** A put that would leave more siblings is refused with TOO_MANY_SIBLINGS. */
  readonly maxSiblings: number;
  /** How concurrent writes are resolved. A merge function belongs to a handle: it cannot be stored. */
  readonly resolution: 'siblings' | 'last-write-wins';
}

/** Properties to store; those left out stay as they are, `null` takes a stored one back. */
export type BucketPropertyChanges = {
  readonly [P in Exclude<keyof BucketProperties, 'n'>]?: Exclude<BucketProperties[P], undefined> | null;
};

/** Properties of a bucket type to store. */
export type BucketTypeChanges = BucketPropertyChanges & {
  /** Replicas of each key: the store's own n, and no other. */
  readonly n?: number;
};

/** Of a call on the properties of a bucket. */
export interface BucketPropertiesOptions extends CallOptions {
  /** The bucket type. Default 'default'. */
  readonly type?: string;
}

/** A handle on a bucket. It holds nothing that must be given back, and may be made anew for every call. */
export interface Bucket<V> {
  /** The bucket's name. */
  readonly name: string;
  /** The bucket's type. */
  readonly type: string;
  /**
   * Reads `key` from R replicas and merges what they hold. Never rejects because nothing is there.
   * @throws {QuorumNotMetError} Fewer than R answered in time.
   * @throws {StaleReadError} No replica that can be reached has all that `session` saw.
   */
  get(key: Key, options?: GetOptions): Promise<ReadResult<V>>;
  /**
   * Stores `value` under `key`; resolves once W replicas have stored it.
   * Pass the `causalContext` of the read this write answers: it replaces the siblings that read saw.
   * @throws {QuorumNotMetError} Fewer than W answered in time. Indefinite: the value may be stored, and a retry may leave it twice.
   * @throws {PreconditionFailedError} `ifNoneMatch` or `ifMatch` does not hold. Definite.
   * Source: Dynamo §4.1 (context), §4.5 (W).
   */
  put(key: Key, value: V, options?: PutOptions): Promise<Receipt>;
  /** Puts a tombstone: the key reads as not found, with a context. */
  delete(key: Key, options?: DeleteOptions): Promise<Receipt>;
  /**
   * Reads `key`, puts what `fn` makes of its value, with the read's context. No compare-and-swap: of two updates at the
   * same time both take effect, as siblings. Resolves with nothing, and writes nothing, if `fn` gives undefined.
   * @param fn - may be async: the store may be closed while it runs. What it throws, the update rejects with.
   * @param options.timeoutMs - for read and write together; the time that `fn` takes is not counted
   * @throws {ConflictError} The key has siblings, and the handle has no way to resolve them. Definite: nothing was stored.
   */
  update(
    key: Key,
    fn: (value: V | undefined) => V | undefined | PromiseLike<V | undefined>,
    options?: UpdateOptions,
  ): Promise<Receipt | undefined>;
  /**
   * Gets of many keys, a bounded number at a time. Each key, as it was given, has its own result: what `get` would
   * resolve with, or the error it would reject with.
   * @throws {InvalidArgumentError} A key is there twice, or an option is wrong: nothing was read.
   */
  getMany(keys: Iterable<Key>, options?: ReadOptions): Promise<Map<Key, ReadResult<V> | Error>>;
  /**
   * Puts of many keys, a bounded number at a time. Each key, as it was given, has its own result: what `put` would
   * resolve with, or the error it would reject with. The whole iterable is taken before anything is sent; leave keys
   * and values unchanged until the call ends.
   * @param options - for every entry that does not say otherwise
   * @throws {InvalidArgumentError} A key is there twice, or an option is wrong: nothing was stored.
   */
  putMany(entries: Iterable<PutEntry<V>>, options?: PutManyOptions): Promise<Map<Key, Receipt | Error>>;
  /**
   * Streams the bucket's keys in byte order; deleted keys are skipped. A key that is there from beginning to end is
   * given once, whatever is written meanwhile; one that comes or goes meanwhile may or may not be given.
   * @throws {QuorumUnavailableError} @throws {QuorumNotMetError} @throws {TimeoutError} Partitions could not be read,
   *   `error.partitions`: before the first entry, or where they were lost on the way. Not with `partial: true`.
   */
  scan(options?: ScanOptions): Scan<V>;
}

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
