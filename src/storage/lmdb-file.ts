/**
 * Looks at an LMDB data file before LMDB maps it: lmdb (3.5 and 2.9) ends the whole process (SIGSEGV, SIGBUS) when it is
 * given a file that is no environment, is cut short, or begins with zeros; and where only the newer of its two meta pages
 * is damaged, it goes back to the older one without a word. All of that is refused here.
 * A look at two pages cannot find damage further in: that is for whoever walks the whole file.
 *
 * Layout, of LMDB's data version 2 (`mdb.c`: `MDB_page`, `MDB_meta`): pages 0 and 1 are meta pages, written in turn;
 * the one with the higher transaction id counts.
 *
 *     0 page number u64 │ 18 flags u16 │ 24 magic u32 │ 28 version u32 │ 48 page size u32 │ 88, 136 roots u64 │ 152 transaction u64
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { DamagedFileError } from './damaged-file.js';

const MAGIC = 0xbeefc0de;
const VERSION = 2;
const META_BYTES = 160;
/** Flags of a page that can be the root of a tree: branch or leaf. */
const ROOT_FLAGS = 0b11;
/** Where a meta page names the roots of its two trees: the free list, and the data. */
const ROOTS = [88, 136];
/** The root of an empty tree. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;

/**
 * Throws if the file at `path` cannot be an LMDB environment. A file that is missing or empty is fine: LMDB creates it.
 * A system's error (the file may not be read, …) is thrown as it is.
 *
 * @throws {DamagedFileError} The file is damaged, or not of LMDB.
 */
export function checkLmdbFile(path: string): void {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    if (fstatSync(file).size > 0) check(file, path);
  } finally {
    closeSync(file);
  }
}

function check(file: number, path: string): void {
  const first = readAt(file, 0);
  requireThat(first?.readUInt32LE(24) === MAGIC, path);
  // Of another version: LMDB itself says so, with MDB_VERSION_MISMATCH.
  if (first.readUInt32LE(28) !== VERSION) return;
  const pageSize = first.readUInt32LE(48);
  requireThat(pageSize >= 512 && pageSize <= 0x1_0000 && (pageSize & (pageSize - 1)) === 0, path);
  for (;;) {
    const newest = newestMeta(file, pageSize, path);
    if (hasRoots(file, newest, pageSize)) return;
    // Another thread that has the file open may have committed meanwhile, and used these pages again.
    requireThat(transactionOf(newestMeta(file, pageSize, path)) !== transactionOf(newest), path);
  }
}

/** Of the two descriptions of the file, which are written by turns, the later one. */
function newestMeta(file: number, pageSize: number, path: string): Buffer {
  const first = readAt(file, 0);
  const second = readAt(file, pageSize);
  requireThat(first !== undefined, path);
  requireThat(second?.readUInt32LE(24) === MAGIC && second.readUInt32LE(28) === VERSION, path);
  return transactionOf(first) >= transactionOf(second) ? first : second;
}

/** The number of the transaction that wrote it. */
function transactionOf(meta: Buffer): bigint {
  return meta.readBigUInt64LE(152);
}

function hasRoots(file: number, meta: Buffer, pageSize: number): boolean {
  // Later than what it is compared with: a file that is written to grows.
  const { size } = fstatSync(file);
  return ROOTS.every((at) => {
    const root = meta.readBigUInt64LE(at);
    if (root === NO_PAGE) return true;
    if ((root + 1n) * BigInt(pageSize) > BigInt(size)) return false;
    const page = readAt(file, Number(root) * pageSize);
    return page?.readBigUInt64LE(0) === root && (page.readUInt16LE(18) & ROOT_FLAGS) !== 0;
  });
}

/** The beginning of the page at `position`, or undefined if the file ends before it. */
function readAt(file: number, position: number): Buffer | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  return readSync(file, bytes, 0, META_BYTES, position) === META_BYTES ? bytes : undefined;
}

function requireThat(condition: boolean, path: string): asserts condition {
  if (condition) return;
  throw new DamagedFileError(
    `${path} is damaged, or is not an LMDB file: restore it from a backup, or move it away and let the other nodes refill it`,
  );
}
