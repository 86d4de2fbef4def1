/**
 * Error numbers of LMDB and of the system, as the errors of the store: what happened to which file, and what to do.
 * lmdb puts the number of the system (ENOSPC: 28) or of LMDB itself (lmdb.h: −30799 …) into `code`.
 */
import { statfsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { StorageFailedError, StorageFullError } from '../base/errors.js';
import { DamagedFileError } from './damaged-file.js';

const { EACCES, EDQUOT, EFBIG, EIO, EMFILE, ENFILE, ENOENT, ENOMEM, ENOSPC, EPERM, EROFS } = constants.errno;

const MDB_PAGE_NOTFOUND = -30797;
const MDB_CORRUPTED = -30796;
const MDB_PANIC = -30795;
const MDB_VERSION_MISMATCH = -30794;
const MDB_INVALID = -30793;
const MDB_MAP_FULL = -30792;
const MDB_CURSOR_FULL = -30787;
const MDB_BAD_TXN = -30782;

const FULL = new Map<unknown, string>([
  [ENOSPC, 'the disk is full: free some space'],
  [EDQUOT, 'the disk quota is used up: free some space, or raise the quota'],
  [EFBIG, 'it would grow over the largest file size allowed: raise the limit (ulimit -f), or free some space'],
  [MDB_MAP_FULL, 'its memory map cannot grow: raise the limit on address space (ulimit -v)'],
]);

const FAILED = new Map<unknown, string>([
  [EIO, 'the disk did not take it whole: check that the disk is well and that the file may grow (ulimit -f)'],
  [EROFS, 'the file system is read-only: remount it writable, and check the disk'],
  [EACCES, 'this process may not use it: correct its permissions and those of its directory, or name another path'],
  [EPERM, 'the system does not allow it: correct the permissions of its directory, or name another path'],
  [ENOENT, 'the file or its directory is missing: restore it'],
  [EMFILE, 'this process has as many files open as it may: raise the limit (ulimit -n), or lower the number of nodes'],
  [ENFILE, 'the system has as many files open as it may: raise its limit (fs.file-max)'],
  [ENOMEM, 'the system has no memory left: give it more, or lower the number of nodes'],
  [
    MDB_PAGE_NOTFOUND,
    'a page of it is missing: restore it from a backup, or remove it and let the other nodes refill it',
  ],
  [MDB_CURSOR_FULL, 'its tree is too deep: restore it from a backup, or remove it and let the other nodes refill it'],
  [MDB_CORRUPTED, 'the file is damaged: restore it from a backup, or remove it and let the other nodes refill it'],
  [MDB_PANIC, 'a write of its meta page failed, and it must be opened anew: check that the disk is well'],
  [MDB_VERSION_MISMATCH, 'the file was written by another version of LMDB: open it with that one'],
  [MDB_INVALID, 'the file is not an LMDB environment: restore it from a backup, or name another path'],
]);

/** What LMDB finds in a file that was written well only if it was damaged since. */
const DAMAGED = new Set<unknown>([MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_INVALID, MDB_CURSOR_FULL]);

/**
 * The environment takes and gives nothing any more, whatever the disk does: a write of its meta page has failed
 * (MDB_PANIC). What its last commit left is known once it is opened anew. Indefinite, as that commit is.
 */
export class LostEnvironmentError extends StorageFailedError {
  constructor(path: string, cause: unknown) {
    super(`${path} could not be written: ${FAILED.get(MDB_PANIC)}`, { definite: false, cause });
    // To callers it is the error of the table; the class is for whoever opens the environment anew.
    this.name = StorageFailedError.name;
  }
}

/** True if LMDB says that the environment is lost: see `LostEnvironmentError`. */
export function isPanic(error: unknown): boolean {
  return numberOf(error) === MDB_PANIC;
}

/** With less than this free a disk counts as full, in bytes. A failed group may have freed what it had taken. */
const NEARLY_FULL_BYTES = 4 << 20;

/**
 * The store's error for one that lmdb or the file system threw, while the file at `path` was being `done` to.
 * An error that is one of the store's already is returned as it is.
 */
export function storageError(
  error: unknown,
  done: 'opened' | 'read' | 'written' | 'flushed',
  path: string,
): StorageFullError | StorageFailedError {
  if (error instanceof StorageFullError || error instanceof StorageFailedError) return error;
  const number = numberOf(error);
  // Nothing is changed by opening or reading; a write or flush that failed may have had its effect.
  const details = { definite: done === 'opened' || done === 'read', cause: error };
  // LMDB reports a write that was cut short as EIO, and that is how a disk that fills up first shows.
  const full = FULL.get(number === EIO && diskIsFull(path) ? ENOSPC : number);
  if (full !== undefined) return new StorageFullError(`${path} could not be ${done}: ${full}`, details);
  const told = error instanceof Error ? error.message : String(error);
  const reason =
    number === MDB_BAD_TXN ? givenUp(told) : (FAILED.get(number) ?? `${told}: check that the disk is well`);
  const message = `${path} could not be ${done}: ${reason}`;
  if (details.definite && DAMAGED.has(number)) return new DamagedFileError(message, error);
  return new StorageFailedError(message, details);
}

/**
 * Why LMDB gave up a group, in its own words: it says MDB_BAD_TXN of whatever failed within, be it a write that the disk did
 * not take or a slip in its books of free pages, which concerns no disk (see `lmdb-storage.ts`).
 */
function givenUp(told: string): string {
  if (/free-?(list|space)/.test(told)) {
    return `LMDB could not enter the group into its list of free pages (${told.trim()}): write it again; if that keeps failing, restart the node`;
  }
  return `LMDB gave up the group (${told.trim()}): check that the disk has space and is well`;
}

/** The number of an error of lmdb (`code`) or of Node (`errno`, negative). */
function numberOf(error: unknown): unknown {
  if (!(error instanceof Error)) return undefined;
  // lmdb gives it the number of whatever the system said last.
  if (error.message.includes('MDB_PANIC')) return MDB_PANIC;
  if ('errno' in error && typeof error.errno === 'number') return -error.errno;
  return 'code' in error ? error.code : undefined;
}

function diskIsFull(path: string): boolean {
  return freeBytes(path) < NEARLY_FULL_BYTES;
}

/** What the disk under `path` has free, in bytes; infinite where nobody can tell. */
export function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize;
  } catch {
    // A file system that cannot even be asked is failing, not full: whoever writes to it will hear so.
    return Number.POSITIVE_INFINITY;
  }
}
