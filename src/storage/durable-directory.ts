/**
 * Names that survive power loss: a file that was flushed is still lost if the directory that names it was not.
 */
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
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

/** Makes the directory at `path`, and those above it, durably. One that is there already is left as it is. */
export function makeDirectory(path: string): void {
  const first = mkdirSync(path, { recursive: true });
  if (first === undefined) return;
  const top = dirname(resolve(first));
  let parent = resolve(path);
  do {
    parent = dirname(parent);
    syncDirectory(parent);
  } while (parent !== top);
}
