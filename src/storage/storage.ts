/**
 * The storage contract: an ordered map from byte strings to byte strings, written in groups.
 * Bytes in, bytes out: a storage knows nothing of keys, objects or partitions.
 *
 * Writes are collected and become visible to this storage's reads at once; `commit` stores them as one group.
 * One writer: the thread that opened it. `test/conformance/storage` holds every engine to this file.
 * It fits the runtime's `Committer` structurally, so that a turn ends with one commit of all that its actors wrote.
 */
export interface Storage {
  /** True if something was written since the last commit. */
  readonly pending: boolean;
  /** True if `commit` also makes durable; else only `flush` does. */
  readonly commitIsDurable: boolean;
  /**
   * The value under `key`, pending writes included, or undefined.
   * The bytes are valid, and must be left as they are, only until the next call of any method: copy what is to stay.
   */
  get(key: Uint8Array): Uint8Array | undefined;
  /** True if what `get` gives for `key` waits for a commit, which may fail. */
  isPending(key: Uint8Array): boolean;
  /**
   * Sets `key` (1 to `MAX_KEY_BYTES`). The storage keeps references to both until the commit: leave them as they are.
   * The value is not in shared memory.
   */
  put(key: Uint8Array, value: Uint8Array): void;
  /** Removes `key` if it is there. */
  remove(key: Uint8Array): void;
  /**
   * Entries from `gte` (or just after `gt`; not both) up to and without `lt`, in byte order, pending writes included, at
   * most `limit`, which may be infinite. A snapshot of the moment of the call: entries and their bytes are the caller's, and stay as they are.
   */
  range(options: RangeOptions): StorageEntry[];
  /**
   * Stores all pending writes as one group: all of them or none. Throws `StorageFullError` or `StorageFailedError`,
   * drops them all, and leaves it unknown whether they are stored.
   */
  commit(): void;
  /** Makes all that was committed durable. Throws as `commit` does, and always where nothing can be (memory). */
  flush(): void;
  /** Figures for `stats()`. */
  stats(): StorageStats;
  /** Closes; pending writes are dropped. Idempotent. Every other call after it is a programmer's error. */
  close(): void;
}

/** The longest key of any storage, in bytes: LMDB's limit for pages of 4 KiB. */
export const MAX_KEY_BYTES = 1_978;

export interface RangeOptions {
  readonly gte?: Uint8Array;
  readonly gt?: Uint8Array;
  readonly lt?: Uint8Array;
  readonly limit: number;
}

export interface StorageEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface StorageStats {
  /** Committed ones. */
  readonly entries: number;
  /** Bytes on disk, or in memory for the memory storage. */
  readonly bytes: number;
}
