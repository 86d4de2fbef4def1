/**
 * The directory of a store on disk, and what was fixed when it was created.
 *
 *     quoral.json    format, id, nodes, n, partitions, ring: written once, whole or not at all
 *     LOCK.…         who has it open (`directory-lock.ts`)
 *     a/ b/ …        one directory for each node, unless the node keeps its data elsewhere
 */
import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { InvalidArgumentError, OptionsMismatchError, UnknownFormatError } from '../base/errors.js';
import { makeDirectory, syncDirectory } from '../storage/durable-directory.js';
import { storageError } from '../storage/storage-errors.js';
import { type DirectoryLock, isLockFile, lockDirectory } from './directory-lock.js';

/**
 * The format that this version writes, and the only one it reads. In format 1 the files are those of lmdb 3, whose lists of
 * free pages lmdb 2 does not understand, and does not tell: it would write over pages in use.
 */
const FORMAT = 2;
const MANIFEST = 'quoral.json';
/** While it is being written; one may be left of a creation that was cut short. */
const UNFINISHED = 'quoral.json.new';

export interface NodeEntry {
  readonly name: string;
  /** Its data's directory: absolute, or relative to the store's, which can then be moved as a whole. */
  readonly path: string;
  readonly zone: string;
  readonly weight: number;
}

/** The options that a store keeps for life. */
export interface FixedOptions {
  readonly nodes: readonly NodeEntry[];
  /** Replicas of each key. */
  readonly n: number;
  /** Partitions of the ring. */
  readonly partitions: number;
}

/** What `quoral.json` holds. */
export interface Manifest extends FixedOptions {
  /** Of this store, and of no other. */
  readonly id: string;
  /** When it was created, as ISO 8601. */
  readonly created: string;
  /** Who owns which partition: a JSON value, of which only `src/ring` knows the shape. */
  readonly ring: unknown;
}

export interface DataDirectory {
  /** Absolute. */
  readonly path: string;
  readonly manifest: Manifest;
  /** True if this opening created the store. */
  readonly isNew: boolean;
  /** The absolute path of a node's data. */
  nodePath(node: NodeEntry): string;
  /** Gives the directory free for others. Idempotent. */
  close(): void;
}

/**
 * Opens the store's directory at `path` for this process alone; creates it if it is missing or empty.
 *
 * @param given - what the caller asked for; an option left out is as it was stored
 * @param create - called for a new store only: all fixed options, those of `given` among them, and the ring
 * @throws {LockedError} It is open already, here or in another process.
 * @throws {UnknownFormatError} It holds something else, is damaged, or is of another version.
 * @throws {OptionsMismatchError} It was created with other options than those given.
 * @throws {StorageFullError} {StorageFailedError} {InvalidArgumentError} It cannot be created or read.
 */
export async function openDataDirectory(
  path: string,
  given: Partial<FixedOptions>,
  create: () => FixedOptions & { readonly ring: unknown },
): Promise<DataDirectory> {
  const directory = resolve(path);
  const locks: DirectoryLock[] = [];
  const close = (): void => {
    for (const lock of locks) lock.release();
  };
  /** What is being looked at: the store's, or that of a node elsewhere. */
  let at = directory;
  try {
    makeDirectory(directory);
    // Looked at before anything is put into it, and again once it is ours: it may have been created in between.
    readManifest(directory);
    locks.push(await lockDirectory(directory));
    const stored = readManifest(directory);
    if (stored !== undefined) requireSame(directory, stored, given);
    const content = stored ?? create();
    const nodePath = (node: NodeEntry): string => resolve(directory, node.path);
    requireDistinct([directory, ...content.nodes.map(nodePath)]);
    for (const node of content.nodes) requireFree(directory, node, nodePath(node));
    for (const node of content.nodes) {
      const path = nodePath(node);
      if (isWithin(directory, path)) continue;
      // Elsewhere, the lock on the store's own directory does not cover it.
      at = path;
      makeDirectory(path);
      locks.push(await lockDirectory(path));
    }
    at = directory;
    const manifest = stored ?? writeManifest(directory, content);
    return { path: directory, manifest, isNew: stored === undefined, nodePath, close };
  } catch (error) {
    close();
    throw directoryError(error, at);
  }
}

/** True if `path` lies below `directory`; both absolute. */
function isWithin(directory: string, path: string): boolean {
  const way = relative(directory, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** The manifest, or undefined if the directory is empty. Throws if it is neither a store nor empty. */
function readManifest(directory: string): Manifest | undefined {
  const names = readdirSync(directory);
  if (!names.includes(MANIFEST)) {
    // A file system's own directory, and what an opening that was cut short leaves behind, is nobody's data.
    const foreign = names.find((name) => name !== 'lost+found' && name !== UNFINISHED && !isLockFile(name));
    if (foreign === undefined) return undefined;
    throw new UnknownFormatError(
      `${directory} is not empty (it has ${JSON.stringify(foreign)}) and holds no store: name an empty or a new directory`,
    );
  }
  const file = join(directory, MANIFEST);
  return parseManifest(readFileSync(file, 'utf8'), file);
}

function parseManifest(text: string, file: string): Manifest {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new UnknownFormatError(`${file} is not JSON: it is damaged; restore it from a backup`);
  }
  const { format } = isRecord(content) ? content : {};
  if (typeof format === 'number' && format > FORMAT) {
    throw new UnknownFormatError(
      `${file} has format ${format}, and this version of quoral knows up to ${FORMAT}: use a newer version`,
    );
  }
  if (format === 1) {
    throw new UnknownFormatError(
      `${file} has format 1, whose files only the version of quoral that wrote them can read (with lmdb 3): export the ` +
        'store with that one, and import it into a new directory',
    );
  }
  if (format !== FORMAT || !isManifest(content)) {
    throw new UnknownFormatError(`${file} is not what quoral writes: it is damaged; restore it from a backup`);
  }
  const { id, created, nodes, n, partitions, ring } = content;
  return { id, created, nodes, n, partitions, ring };
}

function isManifest(content: unknown): content is Manifest {
  return (
    isRecord(content) &&
    typeof content.id === 'string' &&
    typeof content.created === 'string' &&
    isCount(content.n) &&
    isCount(content.partitions) &&
    content.ring !== undefined &&
    Array.isArray(content.nodes) &&
    content.nodes.length > 0 &&
    content.nodes.every(isNodeEntry)
  );
}

function isNodeEntry(node: unknown): node is NodeEntry {
  return (
    isRecord(node) &&
    typeof node.name === 'string' &&
    typeof node.path === 'string' &&
    typeof node.zone === 'string' &&
    typeof node.weight === 'number'
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

function requireSame(directory: string, stored: Manifest, given: Partial<FixedOptions>): void {
  for (const option of ['n', 'partitions', 'nodes'] as const) {
    const asked = given[option];
    if (asked === undefined) continue;
    const [was, is] = [shown(stored[option]), shown(asked)];
    if (was === is) continue;
    throw new OptionsMismatchError(
      `${directory} was created with ${option}: ${was}, not ${is}: open it with that, or leave ${option} out`,
    );
  }
}

/** An option as text: for people, and equal exactly if the options are. */
function shown(option: number | readonly NodeEntry[]): string {
  if (typeof option === 'number') return `${option}`;
  return JSON.stringify(option.map(({ name, path, zone, weight }) => ({ name, path, zone, weight })));
}

/** Whole or not at all, whenever the power fails: written aside, flushed, then renamed. */
function writeManifest(directory: string, content: FixedOptions & { readonly ring: unknown }): Manifest {
  const { nodes, n, partitions, ring } = content;
  const manifest: Manifest = { id: randomUUID(), created: new Date().toISOString(), nodes, n, partitions, ring };
  const unfinished = join(directory, UNFINISHED);
  const text = `${JSON.stringify({ format: FORMAT, ...manifest }, undefined, 2)}\n`;
  try {
    const file = openSync(unfinished, 'w');
    try {
      writeWhole(file, Buffer.from(text));
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(unfinished, join(directory, MANIFEST));
    syncDirectory(directory);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
  return manifest;
}

function writeWhole(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

/** @throws {InvalidArgumentError} The node's data would lie where the store keeps files of its own. */
function requireFree(directory: string, { name }: NodeEntry, path: string): void {
  const [first = ''] = relative(directory, path).split(sep);
  if (first !== MANIFEST && first !== UNFINISHED && !first.startsWith('LOCK')) return;
  throw new InvalidArgumentError(
    `node "${name}" cannot keep its data in ${path}: the store keeps files of such names there; give it another name or path`,
  );
}

function requireDistinct(paths: readonly string[]): void {
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice === undefined) return;
  throw new InvalidArgumentError(`${twice} is to hold more than one node or store: give each a path of its own`);
}

/** The store's error for one of the file system's; any other is returned as it is. */
function directoryError(error: unknown, directory: string): unknown {
  if (!(error instanceof Error) || !('errno' in error && 'code' in error)) return error;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST' || code === 'ENOTDIR') {
    return new InvalidArgumentError(`${directory} is not a directory: name one, or a new path`);
  }
  if (code === 'ENAMETOOLONG') return new InvalidArgumentError(`${directory} is too long for a path: name another one`);
  if (code === 'ENOENT' && syscall === 'mkdir') {
    // As /proc says it, and a drive that is not there.
    return new InvalidArgumentError(
      `${directory} cannot be made, its file system takes no directories: name another path`,
    );
  }
  return storageError(error, 'opened', directory);
}
