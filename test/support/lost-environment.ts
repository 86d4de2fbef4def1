/** Has the next commit to an LMDB file of this process fail at the write of its meta page, which costs the environment. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';

/** By `O_DSYNC` LMDB writes meta pages, and nothing else. */
const O_DSYNC = 0o10000;

/** True where files that are open can be told: on Linux. */
export const CAN_LOSE = process.platform === 'linux';

/** @param path - of a file that is open here, in whatever thread, with `sync: 'full'` */
export function loseEnvironment(path: string): void {
  const real = realpathSync(path);
  const descriptor = readdirSync('/proc/self/fd')
    .map(Number)
    .find((fd) => isMetaOf(real, fd));
  assert(descriptor !== undefined, `no thread writes meta pages of ${path}`);
  // Its number is to be taken at once, by what cannot be written to, and LMDB closes it in the end: so no lower one is free.
  const fillers: number[] = [];
  for (let filler = 0; filler < descriptor; fillers.push(filler)) filler = openSync('/dev/null', 'r');
  closeSync(descriptor);
  assert.equal(openSync('/dev/null', 'r'), descriptor);
  for (const filler of fillers) closeSync(filler);
}

function isMetaOf(path: string, fd: number): boolean {
  try {
    if (readlinkSync(`/proc/self/fd/${fd}`) !== path) return false;
    const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
    return (Number.parseInt(flags ?? '0', 8) & O_DSYNC) !== 0;
  } catch (error) {
    // Closed meanwhile, as the one is by which the directory was read.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
