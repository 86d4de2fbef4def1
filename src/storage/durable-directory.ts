/**
 * Names that survive power loss: a file that was flushed is still lost if the directory that names it was not.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/** Makes the names in the directory at `path` durable. */
export function syncDirectory(path: string): void {
  // Windows has no such call, and needs none.
  if (process.platform === 'win32') return;
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/**
 * Makes the directory at `path`, and those above it, durably. One that is there already is left as it is. Throws the
 * system's errors; EEXIST, if `path` is something else.
 *
 * Not by `mkdirSync`'s own `recursive`: where a file system takes no directory and says that the one above is missing
 * (/proc does), that makes the one above again and again, and never returns (Node 20 and 22).
 */
export function makeDirectory(path: string): void {
  const missing: string[] = [];
  let at = resolve(path);
  // The root is there, but for a drive that is not: the root is what is above itself.
  for (; !isThere(at); at = dirname(at)) {
    missing.push(at);
    if (dirname(at) === at) break;
  }
  if (missing.length === 0 && !isDirectory(at)) mkdirSync(at);
  for (const next of missing.reverse()) {
    try {
      mkdirSync(next);
    } catch (error) {
      // Another process has just made it.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || !isDirectory(next)) throw error;
    }
    syncDirectory(dirname(next));
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
