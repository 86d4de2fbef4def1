/**
 * Data files that are damaged: how one is told, and how one is set aside. It is kept, under a name with the time, for
 * whoever may still want to look into it; the store never reads or removes it.
 */
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { StorageFailedError } from '../base/errors.js';
import { syncDirectory } from './durable-directory.js';

/** The file holds something, and not what was written to it: opening it again will not help. Definite. */
export class DamagedFileError extends StorageFailedError {
  constructor(message: string, cause?: unknown) {
    super(message, { definite: true, cause });
    // To callers it is the error of the table; the class is for whoever decides what becomes of the file.
    this.name = StorageFailedError.name;
  }
}

/** Renames the file durably, so that another can take its place. @returns its new path. Throws the system's errors. */
export function setAside(path: string): string {
  const time = new Date().toISOString().replaceAll(':', '-');
  const kept = `${path}.damaged-${time}`;
  renameSync(path, kept);
  // LMDB makes it anew; what it says is of processes that had the damaged file open.
  rmSync(`${path}-lock`, { force: true });
  syncDirectory(dirname(path));
  return kept;
}

/** The files that were set aside in place of the one at `path`, oldest first. */
export function filesSetAside(path: string): string[] {
  const directory = dirname(path);
  const prefix = `${basename(path)}.damaged-`;
  const names = readdirSync(directory).filter((name) => name.startsWith(prefix));
  return names.sort().map((name) => join(directory, name));
}
