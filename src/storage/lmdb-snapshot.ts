/**
 * A snapshot of an LMDB file that another thread of this process has open for writing: what was committed last when the
 * snapshot was opened, and nothing that comes later.
 *
 * What was found out about lmdb (3.5 and 2.9; `src/env.cpp`), and shaped this file:
 * - Within a process a file is one environment, shared by all threads that open it, found by its device and inode and
 *   counted. It is as whoever came first opened it: a thread that joins read-only an environment that is written to reads
 *   it, takes no lock, and cannot hold the writer up, nor be ended within a transaction.
 * - But whoever opens a file read-only *first* makes it so for the whole process, and the writer's opening fails. So
 *   a snapshot is opened only while the writer has the file open, and is counted meanwhile: `shared-opening.ts`.
 * - A snapshot keeps the pages that it sees from being used again: it is closed soon, or the file grows.
 * - Opening and closing costs 0.2 to 0.3 ms. A thread that ends with a snapshot open frees it.
 */
import { open, type RootDatabase, type Transaction } from 'lmdb';
import type { SharedOpening } from './shared-opening.js';
import { storageError } from './storage-errors.js';

export interface LmdbSnapshot {
  /** The value under `key`, valid until the next call. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** The keys from `gte` up to and without `lt`, in byte order. */
  keys(gte: Uint8Array, lt: Uint8Array): Iterable<Uint8Array>;
  close(): void;
}

/**
 * Opens the file at `path` as it is now; undefined if its writer does not have it open.
 * @throws {StorageFailedError} It cannot be opened.
 */
export function openLmdbSnapshot(path: string, opening: SharedOpening): LmdbSnapshot | undefined {
  if (!opening.enter()) return undefined;
  try {
    return new Snapshot(path, opening);
  } catch (error) {
    opening.leave();
    throw storageError(error, 'opened', path);
  }
}

/** What lmdb's types leave out. */
interface Internals {
  getBinaryFast(key: Uint8Array, options: { readonly transaction: Transaction }): Uint8Array | undefined;
}

class Snapshot implements LmdbSnapshot {
  private readonly opening: SharedOpening;
  private readonly db: RootDatabase<Uint8Array, Uint8Array>;
  private readonly transaction: Transaction;
  private readonly within: { readonly transaction: Transaction };

  constructor(path: string, opening: SharedOpening) {
    this.opening = opening;
    this.db = open<Uint8Array, Uint8Array>({
      path,
      noSubdir: true,
      readOnly: true,
      keyEncoding: 'binary',
      encoding: 'binary',
      overlappingSync: false,
    });
    this.transaction = this.db.useReadTransaction();
    this.within = { transaction: this.transaction };
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const bytes = (this.db as unknown as Internals).getBinaryFast(key, this.within);
    // lmdb's own buffer has a `length` pasted over its real one.
    return bytes === undefined ? undefined : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  keys(gte: Uint8Array, lt: Uint8Array): Iterable<Uint8Array> {
    return this.db.getKeys({ start: gte, end: lt, transaction: this.transaction });
  }

  close(): void {
    this.transaction.done();
    // Closed when it returns: its promise waits only for writes, and there are none.
    void this.db.close();
    this.opening.leave();
  }
}
