/**
 * Storage in an LMDB environment: one file, one writer, one unnamed database with binary keys and values.
 *
 * What was found out about lmdb (3.5 and 2.9), and shaped this file:
 * - A group is written by one `transactionSync`, synchronous and in this thread: a thread that is ended between two
 *   commits loses nothing, and no promise stands between a write and its outcome. Its callback has a block body:
 *   given something that looks like a promise, `transactionSync` would return before the commit.
 * - The callback only hands over buffers that are there already. With lmdb 3 a heap that is exhausted inside a transaction
 *   leaves the environment locked for the rest of the process, and its thread waiting for ever in lmdb's clean-up (`closeEnv`
 *   in env.cpp takes the `writingLock` that `beginTxn` has); with 2.9 the thread ends. `inTransaction` tells a supervisor of
 *   a death inside; `file-copy.ts` makes the file usable again. lmdb knows files by device and inode: a copy under the same
 *   name is another environment.
 * - A view of a SharedArrayBuffer as a value stores garbage without an error: refused here.
 * - `overlappingSync` (on by default) returns before the flush, and is slower than flushing: always off.
 * - A put that fails inside the transaction does not throw. It spoils the transaction, whose commit then fails: as
 *   MDB_BAD_TXN, whatever the reason was.
 * - But if what failed was the write of the meta page, the environment is lost: every transaction fails from then on, to
 *   read, too (MDB_PANIC), and lmdb begins none to write without telling (EINVAL at the commit). Only closing it helps.
 * - A commit of lmdb 3.4 and later may fail with nothing wrong outside: 'reserved freelist had a data entry with zero-size'
 *   (MDB_BAD_TXN), of `mdb_freelist_save`, was seen once in each of two runs of a store with 1,000,000 keys, and never again
 *   in 40,000 commits of one environment alone; the next commit succeeded. Issue 321 of lmdb-js is of its kind.
 * - A commit that failed, be the disk full or the file at its largest size, leaves everything before it readable, and
 *   the next one can succeed. A worker thread that ends with the environment open frees it; the next thread may open it.
 *   Two threads that have it open take turns in writing.
 * - lmdb 3 prints a write that fails into 100 bytes on the heap, which can be too few (`last_error` in `mdb_page_flush`): the
 *   process may then end natively. 2.9 does not.
 * - `getBinaryFast` returns one and the same buffer, with a `length` of its own pasted over the real one: its
 *   `byteLength`, `subarray` and every copy from it are those of the whole buffer. `get` makes a true view of it.
 */
import { accessSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { open } from 'lmdb';
import { assert } from '../base/assert.js';
import { compareBytes, EMPTY } from '../base/bytes.js';
import { type StorageFailedError, StorageFullError } from '../base/errors.js';
import { checkLmdbFile } from './lmdb-file.js';
import { PendingWrites, requireKey } from './pending-writes.js';
import { MAX_KEY_BYTES, type RangeOptions, type Storage, type StorageEntry, type StorageStats } from './storage.js';
import { freeBytes, isPanic, LostEnvironmentError, storageError } from './storage-errors.js';

export interface LmdbOptions {
  /** The data file. LMDB puts a lock file beside it, named with `-lock` at the end. */
  readonly path: string;
  /**
   * 'full': every commit is flushed. 'none': only `flush` is, and what it made durable stays so only until the next
   * commit begins: power loss after that may leave the file damaged, not merely old.
   */
  readonly sync: 'full' | 'none';
  /**
   * Address space to reserve for the memory map, in bytes (default 64 GiB); it takes neither memory nor disk.
   * The file may grow beyond, by a larger map each time it has to.
   */
  readonly mapBytes?: number;
  /** Called once, when the environment is lost: this storage is of no use any more, and should be closed and opened anew. */
  readonly onLost?: ((error: LostEnvironmentError) => void) | undefined;
  /** Index 0 is 1 while a transaction is being written, else 0; in shared memory, for whoever watches this thread. */
  readonly inTransaction?: Int32Array | undefined;
}

/**
 * Opens the environment at `path`, and creates it if it is missing (its directory must be there).
 *
 * @throws {StorageFullError} There is no room to create it.
 * @throws {StorageFailedError} The file cannot be opened, or is not an LMDB environment.
 */
export function openLmdbStorage(options: LmdbOptions): Storage {
  let db: Database;
  try {
    // lmdb would create a missing directory: of a disk that is not mounted, on the wrong disk.
    accessSync(dirname(options.path));
    checkLmdbFile(options.path);
    const opened = open<Uint8Array, Uint8Array>({
      path: options.path,
      noSubdir: true,
      keyEncoding: 'binary',
      encoding: 'binary',
      overlappingSync: false,
      noSync: options.sync === 'none',
      mapSize: options.mapBytes ?? RESERVED_BYTES,
    });
    // Its types leave out what its statistics are.
    db = opened as typeof opened & Pick<Database, 'getStats'>;
  } catch (error) {
    throw storageError(error, 'opened', options.path);
  }
  return new LmdbStorage(db, options);
}

/** What is used of lmdb's database. Inside a transaction `put` and `remove` act at once. */
export interface Database {
  /** Lent: valid until the next call. */
  getBinaryFast(key: Uint8Array): Uint8Array | undefined;
  getRange(range: {
    readonly start?: Uint8Array;
    readonly exclusiveStart?: boolean;
    readonly end?: Uint8Array;
  }): Iterable<StorageEntry>;
  transactionSync(work: () => void): void;
  put(key: Uint8Array, value: Uint8Array): unknown;
  remove(key: Uint8Array): unknown;
  /** `bytes`: undefined if they are those of the file. */
  getStats(): { readonly entryCount: number; readonly bytes?: number };
  close(): unknown;
}

/** Storage upon another database than lmdb's own: of which everything is the same but the files. See stage-storage.ts. */
export function storageUpon(db: Database, options: LmdbOptions): Storage {
  return new LmdbStorage(db, options);
}

/**
 * A map that starts small, as lmdb's default does, is mapped anew whenever the file has doubled, and the old maps stay:
 * 200 MB of data took 760 MB of resident memory instead of 380, and loading them 13 % longer. Where address space is
 * limited (ulimit -v), a map that could not grow left a damaged tree in memory; one too large from the start ends the
 * process at opening, before it touches anything.
 */
const RESERVED_BYTES = 64 * 2 ** 30;

/** The part of lmdb's database object that its types leave out. */
interface Internals {
  /** The next read begins a transaction of its own. */
  resetReadTxn(): void;
  readonly env: {
    /** Flushes, in this thread; throws on failure. */
    sync(): void;
  };
}

/** `get` reuses its views of lmdb's buffer by length: a new view costs more than the rest of our part of a get. */
const VIEWS = 1_024;

/** With more than this free a disk is looked at once in so many commits. */
const PLENTY_BYTES = 2 ** 30;
const COMMITS_PER_LOOK = 8;
/** What a commit takes beside its writes: pages of the free list and of the tree's upper levels. */
const COMMIT_BYTES = 64 * 1_024;
/** What a write takes beside its value: its leaf, and what a split of it adds. */
const WRITE_BYTES = 12 * 1_024;

class LmdbStorage implements Storage {
  readonly commitIsDurable: boolean;
  private readonly db: Database;
  private readonly path: string;
  private readonly inTransaction: Int32Array;
  private readonly onLost: LmdbOptions['onLost'];
  private readonly writes = new PendingWrites();
  /** lmdb's own buffer, as last seen: it takes a larger one when a value does not fit. */
  private buffer: Uint8Array = EMPTY;
  private views: Uint8Array[] = [];
  private lost: LostEnvironmentError | undefined;
  private flushFailed: StorageFailedError | StorageFullError | undefined;
  private commitsUntilLook = 0;
  private closed = false;

  constructor(db: Database, { path, sync, inTransaction, onLost }: LmdbOptions) {
    this.db = db;
    this.path = path;
    this.commitIsDurable = sync === 'full';
    this.inTransaction = inTransaction ?? new Int32Array(1);
    this.onLost = onLost;
  }

  get pending(): boolean {
    return this.writes.count > 0;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.assertOpen();
    requireKey(key);
    if (this.writes.count > 0) {
      const index = this.writes.find(key);
      if (index >= 0) return this.writes.values[index];
    }
    let bytes: Uint8Array | undefined;
    try {
      bytes = this.db.getBinaryFast(key);
    } catch (error) {
      throw storageError(error, 'read', this.path);
    }
    if (bytes === undefined) return undefined;
    const { length } = bytes;
    // A large value comes as a true view of the file's memory map.
    if (bytes.byteLength === length) return bytes;
    if (bytes !== this.buffer) {
      this.buffer = bytes;
      this.views = [];
    }
    const known = this.views[length];
    if (known !== undefined) return known;
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset, length);
    if (length < VIEWS) this.views[length] = view;
    return view;
  }

  isPending(key: Uint8Array): boolean {
    return this.writes.count > 0 && this.writes.find(key) >= 0;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.assertOpen();
    assert(!(value.buffer instanceof SharedArrayBuffer), 'LMDB cannot store bytes in shared memory: copy them first');
    this.writes.set(key, value);
  }

  remove(key: Uint8Array): void {
    this.assertOpen();
    this.writes.set(key, undefined);
  }

  range(options: RangeOptions): StorageEntry[] {
    this.assertOpen();
    return this.writes.range(options, (limit) => this.committed(options, limit));
  }

  private committed({ gte, gt, lt }: RangeOptions, limit: number): StorageEntry[] {
    const start = gt ?? gte ?? EMPTY;
    assert(start.length <= MAX_KEY_BYTES && (lt?.length ?? 0) <= MAX_KEY_BYTES, 'A bound is no longer than a key');
    if (lt !== undefined && compareBytes(start, lt) >= 0) return [];
    const entries: StorageEntry[] = [];
    try {
      // `limit` is kept by us: lmdb reads an infinite one as none.
      const rows = this.db.getRange({
        ...(start.length > 0 && { start, exclusiveStart: gt !== undefined }),
        ...(lt !== undefined && { end: lt }),
      });
      for (const entry of rows) {
        entries.push(entry);
        if (entries.length >= limit) break;
      }
    } catch (error) {
      throw storageError(error, 'read', this.path);
    }
    return entries;
  }

  commit(): void {
    this.assertOpen();
    if (this.writes.count === 0) return;
    try {
      if (this.lost !== undefined) throw this.lost;
      this.requireRoom();
      Atomics.store(this.inTransaction, 0, 1);
      this.db.transactionSync(this.writeAll);
    } catch (error) {
      this.loseIfPanicked();
      throw this.lost ?? storageError(error, 'written', this.path);
    } finally {
      // Not reached by a thread that is ended within the transaction.
      Atomics.store(this.inTransaction, 0, 0);
      this.writes.clear();
    }
  }

  /** Whether a commit that failed has cost the environment, any other transaction tells. */
  private loseIfPanicked(): void {
    if (this.lost !== undefined) return;
    try {
      // A read transaction that is under way would see no change.
      (this.db as unknown as Internals).resetReadTxn();
      this.db.getStats();
    } catch (error) {
      if (!isPanic(error)) return;
      this.lost = new LostEnvironmentError(this.path, error);
      this.onLost?.(this.lost);
    }
  }

  /**
   * Throws if the disk may be too full for the group. Reckoned generously, since other nodes write to the same disk; a
   * disk with plenty of room is asked only now and then. Limits that a disk does not tell of (quotas, `ulimit -f`) are
   * met by LMDB itself.
   */
  private requireRoom(): void {
    if (--this.commitsUntilLook > 0) return;
    const free = freeBytes(this.path);
    this.commitsUntilLook = free > PLENTY_BYTES ? COMMITS_PER_LOOK : 0;
    if (free > PLENTY_BYTES) return;
    const { count, values } = this.writes;
    let needed = COMMIT_BYTES + count * WRITE_BYTES;
    for (let index = 0; index < count; index++) needed += values[index]?.length ?? 0;
    if (free >= 2 * needed) return;
    throw new StorageFullError(
      `${this.path} could not be written: the disk has less than ${Math.ceil((free + 1) / 2 ** 20)} MiB left: free some space`,
    );
  }

  /** The body of the transaction: made once, so that a commit allocates nothing of ours. */
  private readonly writeAll = (): void => {
    const { db } = this;
    const { count, keys, values } = this.writes;
    for (let index = 0; index < count; index++) {
      const value = values[index];
      // What these return is settled: inside a transaction they act at once.
      if (value === undefined) void db.remove(keys[index]!);
      else void db.put(keys[index]!, value);
    }
  };

  /**
   * With `sync: 'full'`, every commit has done it already.
   * A flush that failed once fails for good: the system reports an error of the disk to one `fsync` only, and the next
   * would succeed without having written what was lost.
   */
  flush(): void {
    this.assertOpen();
    if (this.commitIsDurable) return;
    if (this.flushFailed !== undefined) throw this.flushFailed;
    try {
      (this.db as unknown as Internals).env.sync();
    } catch (error) {
      this.flushFailed = storageError(error, 'flushed', this.path);
      throw this.flushFailed;
    }
  }

  stats(): StorageStats {
    this.assertOpen();
    try {
      const { entryCount, bytes = statSync(this.path).size } = this.db.getStats();
      return { entries: entryCount, bytes };
    } catch (error) {
      throw storageError(error, 'read', this.path);
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.writes.clear();
    // Closed when it returns: its promise waits only for asynchronous writes, and there are none.
    void this.db.close();
  }

  private assertOpen(): void {
    assert(!this.closed, 'The storage is closed');
  }
}
