/**
 * LMDB's error numbers, as the errors of the store: what happened to which file, and what to do about it.
 * lmdb puts the number of the system (ENOSPC = 28) or of LMDB itself (lmdb.h: −30799 …) into `code`.
 */
import { constants } from 'node:os';
import { StorageFailedError, StorageFullError } from '../base/errors.js';

const { EACCES, EDQUOT, EFBIG, EIO, ENOENT, ENOMEM, ENOSPC, EROFS } = constants.errno;

const MDB_CORRUPTED = -30796;
const MDB_PANIC = -30795;
const MDB_VERSION_MISMATCH = -30794;
const MDB_INVALID = -30793;
const MDB_MAP_FULL = -30792;
const MDB_BAD_TXN = -30782;

const FULL = new Map<unknown, string>([
  [ENOSPC, 'the disk is full: free some space'],
  [EDQUOT, 'the disk quota is used up: free some space, or raise the quota'],
  [EFBIG, 'it would grow over the largest file size allowed: raise the limit (ulimit -f), or free some space'],
  [MDB_MAP_FULL, 'its memory map cannot grow: raise the limit on address space (ulimit -v)'],
]);

const FAILED = new Map<unknown, string>([
  [EIO, 'the disk reports an input/output error: check it, and replace it if it is failing'],
  [EROFS, 'the file system is read-only: remount it writable, and check the disk'],
  [EACCES, 'this process may not use the file: correct its permissions'],
  [ENOENT, 'the file or its directory is missing: restore it'],
  [ENOMEM, 'the system has no memory left: give it more, or lower the number of nodes'],
  [MDB_CORRUPTED, 'the file is damaged: restore it from a backup, or remove it and let the other nodes refill it'],
  [MDB_PANIC, 'an earlier write failed half way: reopen the store, and check the disk'],
  [MDB_VERSION_MISMATCH, 'the file was written by another version of LMDB: open it with that one'],
  [MDB_INVALID, 'the file is not an LMDB environment: restore it from a backup, or name another path'],
  [MDB_BAD_TXN, 'a write of the group failed: check that the disk has space and is well'],
]);

/** `error`, thrown by lmdb while the file at `path` was being `done` to, as one of the store's. */
export function storageError(
  error: unknown,
  done: 'opened' | 'read' | 'written' | 'flushed',
  path: string,
): StorageFullError | StorageFailedError {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  // Nothing is changed by opening or reading; a write or flush that failed may have had its effect.
  const details = { definite: done === 'opened' || done === 'read', cause: error };
  const full = FULL.get(code);
  if (full !== undefined) return new StorageFullError(`${path} could not be ${done}: ${full}`, details);
  const reason = FAILED.get(code) ?? `${error instanceof Error ? error.message : String(error)}: check the disk`;
  return new StorageFailedError(`${path} could not be ${done}: ${reason}`, details);
}
