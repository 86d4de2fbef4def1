/**
 * The storages of one node: its objects, and a small one for what the node must never lose or find damaged: its
 * identity, hints, fences. The latter is always fully synced, whatever the objects' mode (semantics §4).
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory, syncDirectory } from './durable-directory.js';
import { openLmdbStorage } from './lmdb-storage.js';
import { openMemoryStorage } from './memory-storage.js';
import type { Storage } from './storage.js';
import { storageError } from './storage-errors.js';

const OBJECTS_FILE = 'objects.mdb';
const SYSTEM_FILE = 'system.mdb';

export interface NodeStorage {
  readonly objects: Storage;
  readonly system: Storage;
  /**
   * True for a storage that was not there before. If only one of them is new, the other's file was lost, and the node
   * must not go on as who it was.
   */
  readonly created: { readonly objects: boolean; readonly system: boolean };
  /** False in memory: there `flush` throws, and nothing outlives `close`. */
  readonly persistent: boolean;
  /** Ends in order: makes durable what was committed, if that can be, and closes both, even if that fails. */
  stop(): void;
  /** Closes both, without a flush. Idempotent. */
  close(): void;
}

export interface NodeStorageOptions {
  /** Of the objects: see `LmdbOptions`. */
  readonly sync: 'full' | 'none';
  /** Index 0 is 1 while either is inside a transaction: see `LmdbOptions`. */
  readonly inTransaction?: Int32Array | undefined;
}

/**
 * Opens the storages of the node whose data is in `directory`; creates what is missing.
 *
 * @throws {StorageFullError} There is no room to create them.
 * @throws {StorageFailedError} A file cannot be opened, or is damaged.
 */
export function openNodeStorage(directory: string, { sync, inTransaction }: NodeStorageOptions): NodeStorage {
  try {
    makeDirectory(directory);
  } catch (error) {
    throw storageError(error, 'opened', directory);
  }
  const objectsPath = join(directory, OBJECTS_FILE);
  const systemPath = join(directory, SYSTEM_FILE);
  const created = { objects: !existsSync(objectsPath), system: !existsSync(systemPath) };
  const system = openLmdbStorage({ path: systemPath, sync: 'full', inTransaction });
  let objects: Storage | undefined;
  try {
    objects = openLmdbStorage({ path: objectsPath, sync, inTransaction });
    if (created.objects || created.system) syncDirectory(directory);
    return nodeStorage(objects, system, created, true);
  } catch (error) {
    objects?.close();
    system.close();
    throw storageError(error, 'opened', directory);
  }
}

/** The storages of a node that keeps its data in memory. */
export function openMemoryNodeStorage(): NodeStorage {
  return nodeStorage(openMemoryStorage(), openMemoryStorage(), { objects: true, system: true }, false);
}

function nodeStorage(
  objects: Storage,
  system: Storage,
  created: NodeStorage['created'],
  persistent: boolean,
): NodeStorage {
  function close(): void {
    objects.close();
    system.close();
  }
  return {
    objects,
    system,
    created,
    persistent,
    stop() {
      try {
        if (persistent) objects.flush();
        if (persistent) system.flush();
      } finally {
        close();
      }
    },
    close,
  };
}
