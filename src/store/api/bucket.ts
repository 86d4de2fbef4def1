/** A handle on a bucket, and what it is made with. */
import type {
  DeleteOptions,
  GetOptions,
  Key,
  PutEntry,
  PutManyOptions,
  PutOptions,
  ReadOptions,
  ReadQuorums,
  ScanOptions,
  UpdateOptions,
  WriteQuorums,
} from './call-options.js';
import type { ReadResult, Receipt, Scan, ScanEntry, Sibling, ValuedEntry } from './results.js';

/** Turns values into bytes and back. What it throws, the call rejects with. */
export interface Codec<V> {
  /** The bytes to store. Called once for a put, before anything is sent. */
  encode(value: V): Uint8Array;
  /** The value of stored bytes, which are to be left as they are. Called when a result is looked at. */
  decode(bytes: Uint8Array): V;
  /** The media type that is stored with values of this codec. */
  readonly contentType: string;
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
  /** How long a put's value lives, in milliseconds: 1 to 2^45. Default: for ever. */
  readonly ttlMs?: number | undefined;
  /**
   * A put that would leave more siblings is refused with TOO_MANY_SIBLINGS: 1 to 100. Default 100. Of a bucket with a key of
   * 25 a warning tells.
   */
  readonly maxSiblings?: number;
}

/** What `Store.bucket` takes. */
export type BucketOptions<V> = BucketDefaults &
  Resolution<V> & {
    /**
     * 'raw': Uint8Array (default) · 'text': string · 'json': anything JSON · 'msgpack': also undefined, NaN, bytes, dates,
     * sets, typed arrays and bigints, in less room; maps come back as objects, and only those whose keys are texts are
     * stored · or one's own. What would not come back as it was is refused with INVALID_ARGUMENT; the README has a table.
     */
    readonly codec?: CodecName | Codec<V>;
  };

/** A handle on a bucket. It holds nothing that must be given back, and may be made anew for every call. */
export interface Bucket<V> {
  /** The bucket's name. */
  readonly name: string;
  /** The bucket's type. */
  readonly type: string;
  /**
   * Reads `key` from R replicas and merges what they hold. Never rejects because nothing is there.
   * @throws {QuorumUnavailableError} @throws {QuorumNotMetError} Fewer than R can be reached, or answered in time.
   * @throws {TimeoutError} Nobody answered in time. @throws {CorruptError} No replica has a readable record.
   * @throws {StaleReadError} No replica that can be reached has all that `session` saw.
   */
  get(key: Key, options?: GetOptions): Promise<ReadResult<V>>;
  /**
   * Stores `value` under `key`; resolves once W replicas have stored it.
   * Pass the `causalContext` of the read this write answers: it replaces the siblings that read saw.
   * @throws {QuorumNotMetError} Fewer than W answered in time. Indefinite: the value may be stored, and a retry may leave it twice.
   * @throws {TimeoutError} Nobody answered in time. Indefinite, too.
   * @throws {QuorumUnavailableError} Fewer than W can be reached. Definite: nothing was stored.
   * @throws {StorageFullError} @throws {StorageFailedError} Too few disks took it. Definite if none did: see `error.definite`.
   * @throws {PreconditionFailedError} `ifNoneMatch` or `ifMatch` does not hold. Definite, unless an earlier try was not.
   * Source: Dynamo §4.1 (context), §4.5 (W).
   */
  put(key: Key, value: V, options?: PutOptions): Promise<Receipt>;
  /** Puts a tombstone: the key reads as not found, with a context. Fails as a put does, and as the get before it, if it reads first. */
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
   * Streams the bucket's keys in byte order, and with `values: true` what a get of each would give; deleted keys are
   * skipped. A key that is there from beginning to end is given once, whatever is written meanwhile; one that comes or
   * goes meanwhile may or may not be given.
   * @throws {QuorumUnavailableError} @throws {QuorumNotMetError} @throws {TimeoutError} Partitions could not be read,
   *   `error.partitions`: before the first entry, or where they were lost on the way. Not with `partial: true`.
   */
  scan(options: ScanOptions & { readonly values: true }): Scan<ValuedEntry<V>>;
  /** Without `values`, only keys and cursors are moved. */
  scan(options?: ScanOptions & { readonly values?: false }): Scan<ScanEntry>;
  /** Where `values` is known only when the program runs: `'value' in entry` tells which it is. */
  scan(options?: ScanOptions): Scan<ScanEntry | ValuedEntry<V>>;
}
