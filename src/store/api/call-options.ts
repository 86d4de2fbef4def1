/** What calls on a store take: keys, quorums, and the options of each call; explained here, once, for whoever uses them. */

/** A quorum: a number from 1 to n, or a word for one. */
export type Quorum = number | 'one' | 'quorum' | 'all';

/** A key: text, or bytes. Type, bucket and key are together at most 1,900 bytes. */
export type Key = string | Uint8Array;

/** What every call takes. */
export interface CallOptions {
  /**
   * How long to wait for the quorum, in milliseconds: 1 to 3,600,000. Default: that of `open`, 5,000. Whoever coordinates
   * keeps it; where no node answers at all, the call ends 250 ms later.
   */
  readonly timeoutMs?: number;
  /** Gives up waiting: ABORTED. What was sent may still take effect. */
  readonly signal?: AbortSignal;
}

/** How many replicas a read asks. What is left out is as the handle, the bucket, its type or `open` has it. */
export interface ReadQuorums {
  /** Replicas that must have answered: 1 … n. Default 2, or n if that is less. */
  readonly r?: Quorum;
  /** How many of them must be the key's own primaries: 0 … n. Default 0. */
  readonly pr?: Quorum;
  /**
   * True: a replica that has nothing counts towards R. False: only those that have something do. Once so many have nothing
   * that R cannot be reached, the read ends: as not found if none of those heard so far had anything, else as
   * QUORUM_NOT_MET. So with `r: 'all'` one replica that lacks the key can hide it. As in Riak. Default true.
   */
  readonly notfoundOk?: boolean;
  /** With `notfoundOk: false`: a majority that has nothing or fails ends the read so, too. As in Riak. Default false. */
  readonly basicQuorum?: boolean;
}

/** How many replicas a write waits for. What is left out is as the handle, the bucket, its type or `open` has it. */
export interface WriteQuorums {
  /** Replicas that must have stored the write: 1 … n. Default 2, or n if that is less. */
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
  /** How long the value lives from the moment of writing, in milliseconds: 1 to 2^45; then it is as if deleted. Default: for ever. */
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

/** On what a put depends: on one condition at most. */
export type ConditionOptions =
  | {
      /**
       * Puts only if no value is there, else PRECONDITION_FAILED. Checked at the one vnode that coordinates the put, so not
       * atomic: across a network split, or while a node is down, another vnode checks what it knows, and both puts may
       * succeed, as siblings. A put with a condition is not tried again by itself after an outcome that is not definite.
       */
      readonly ifNoneMatch?: boolean;
      /** Rules `ifNoneMatch` out. */
      readonly ifMatch?: never;
    }
  | {
      /** Rules `ifMatch` out. */
      readonly ifNoneMatch?: false;
      /**
       * The causalContext of a read or receipt of this key. Puts only if nothing was written since, else
       * PRECONDITION_FAILED; stands for `causalContext` where that is left out. As little atomic as `ifNoneMatch`. A key
       * that was never seen has no context: that nothing is there is what `ifNoneMatch` asks for.
       */
      readonly ifMatch: string;
    };

/** Of a put, but for its condition. */
export interface UnconditionalPutOptions extends CallOptions, WriteQuorums, ContentOptions {
  /** Of the read or receipt that this write answers: it replaces the siblings that those saw. Without one, it stands beside them. */
  readonly causalContext?: string | undefined;
}

/** Of a put. */
export type PutOptions = UnconditionalPutOptions & ConditionOptions;

/** One put of `putMany`. */
export type PutEntry<V> = PutOptions & {
  /** Each key once. */
  readonly key: Key;
  /** What to store under it. */
  readonly value: V;
};

/** What stands for every put of `putMany` that does not say otherwise; a put that has a condition has that alone. */
export interface PutManyOptions extends CallOptions, WriteQuorums, ContentOptions {
  /** Puts each only if no value is there, as of a put. */
  readonly ifNoneMatch?: boolean;
}

/** Of a delete. */
export interface DeleteOptions extends CallOptions, WriteQuorums {
  /** Without one, the delete reads first and uses that context. */
  readonly causalContext?: string | undefined;
  /** Replicas that must have answered the read of a delete without a context: 1 … n. Default 2, or n if that is less. */
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
  /** Replicas of each partition that must have answered: 1 … n. Default 2, or n if that is less. */
  readonly r?: Quorum;
}

/** Of a list of buckets. */
export interface ListBucketsOptions extends CallOptions {
  /** The bucket type whose buckets are wanted. Default 'default'. */
  readonly type?: string;
  /** Replicas of each partition that must have answered: 1 … n. Default 2, or n if that is less. */
  readonly r?: Quorum;
}
