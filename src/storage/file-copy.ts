/**
 * A copy in a file's place: what makes an LMDB file usable again whose lock is held by a thread that died inside a
 * transaction. The copy is another file under the same name, with a lock of its own. It holds what was committed: LMDB
 * writes to pages that nothing committed refers to, and the dead thread commits no more.
 *
 * The old file has no name then. Whoever has it open keeps it, with the room that it takes, until the process ends.
 */
import { constants, existsSync, rmSync } from 'node:fs';
import { copyFile, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from './durable-directory.js';

/**
 * Replaces the file by a copy of itself, durably: whenever the process or the system ends, one of the two has the name.
 * Nothing if it is missing. Takes as much room as the file, where the file system cannot share it. Throws the system's
 * errors; the file is as it was then.
 */
export async function replaceByCopy(path: string): Promise<void> {
  removeUnfinishedCopy(path);
  if (!existsSync(path)) return;
  const copy = copyOf(path);
  try {
    await copyFile(path, copy, constants.COPYFILE_FICLONE);
    const file = await open(copy, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    // Made anew by LMDB. This one is locked, by that thread; no other process has the file open.
    rmSync(`${path}-lock`, { force: true });
    await rename(copy, path);
  } catch (error) {
    removeUnfinishedCopy(path);
    throw error;
  }
  syncDirectory(dirname(path));
}

/** Removes what a replacement that was cut short has left. */
export function removeUnfinishedCopy(path: string): void {
  rmSync(copyOf(path), { force: true });
}

function copyOf(path: string): string {
  return `${path}.copy`;
}
