/**
 * The storages of one node: its objects; the hints that it keeps for others; and a small system storage, its identity and
 * fences. The latter is always fully synced; objects and hints are as the store's mode says.
 *
 * How an objects or hints file is opened:
 *
 *     cannot be LMDB's ─────────────────────────────────────────┐
 *     not synced, and the system went down with it open          │
 *        └─ a child process walks it ── damaged ─────────────────┤
 *                                    └─ whole: may be old        │
 *     LMDB says that it is damaged ──────────────────────────────┴▶ set aside; another one, empty, if others have the data
 *
 * Objects that may be old: after a run that did not end in order, no marker of the node's writerIds is there. Hints that may
 * be old: deletions of hints that were delivered may be undone, and tags below which hints are refused lowered; that is
 * written into the file before anything else (`distrustHints`), as of a copy that was restored.
 *
 * A system file that is damaged is set aside, too, if others have the node's data. Without its identity the node draws new
 * writerIds, and learns from the others whether what it has is older than what was reaped. Hints are copies of what other
 * replicas took, and lost as those on a lost disk are.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StorageFailedError } from '../base/errors.js';
import { DamagedFileError, filesSetAside, setAside } from './damaged-file.js';
import { makeDirectory, syncDirectory } from './durable-directory.js';
import { removeUnfinishedCopy, replaceByCopy } from './file-copy.js';
import { checkLmdbFile } from './lmdb-file.js';
import { openLmdbStorage } from './lmdb-storage.js';
import { openMemoryStorage } from './memory-storage.js';
import { isTrusted, RUN_KEY, type RunMark, readRunMark, writeRunMark } from './run-mark.js';
import type { Storage } from './storage.js';
import { storageError } from './storage-errors.js';

const OBJECTS_FILE = 'objects.mdb';
const SYSTEM_FILE = 'system.mdb';
const HINTS_FILE = 'hints.mdb';
/** Of a node that has lost its objects. */
const EMPTY = 'starts empty, under a new identity: ';
/** Of one that has lost its system file, or its hints. */
const NO_IDENTITY = 'has lost its identity and its fences, and takes new ones: its system file';
const NO_HINTS = 'has lost what it kept for other nodes: its hints file';

export interface NodeStorage {
  readonly objects: Storage;
  readonly system: Storage;
  readonly hints: Storage;
  /** How often the node has lost its objects over its life, and started empty. */
  readonly losses: number;
  /** False in memory: there `flush` throws, and nothing outlives `close`. */
  readonly persistent: boolean;
  /** False if the mark of its last run was there, and could not be read. */
  readonly isMarkReadable: boolean;
  /** What whoever runs the node must know of its opening: a file that was set aside, one that is missing. */
  readonly warnings: readonly string[];
  /** How many damaged files lie beside those in use, set aside at some time. */
  filesSetAside(): number;
  /** Ends in order: makes durable what was committed, if that can be, and closes all, even if that fails. */
  stop(): void;
  /** Closes all, without a flush. Idempotent. */
  close(): void;
}

export interface NodeStorageOptions {
  /** Of objects and hints: see `LmdbOptions`. */
  readonly sync: 'full' | 'none';
  /** What the system was booted as: another text after every start of it. */
  readonly boot: string;
  /** False if the node was started before: that there are no files is a loss then (default true). */
  readonly isNew?: boolean;
  /** True if other nodes have what this one loses when it starts empty. Else a damaged file is an error. */
  readonly mayStartEmpty: boolean;
  /**
   * Looks through a file that may be damaged, in a process of its own: one of objects ('all'), or of hints, each of which
   * is checked when it is read ('order'); see `checkInChild`.
   * @returns what is wrong with it, or undefined. @throws {StorageFailedError} Nobody knows.
   */
  readonly check: (path: string, what: 'all' | 'order') => Promise<string | undefined>;
  /**
   * Writes into a hints file that is whole what has its reader take it for one that went back to an older state. What it
   * writes is committed before the node's run counts as begun: a start that is cut off does it again.
   */
  readonly distrustHints: (hints: Storage) => void;
  /** See `LmdbOptions`: of any of them, which all are to be closed and opened anew then. */
  readonly onLost?: (error: StorageFailedError) => void;
  /** Index 0 is 1 while one of them is inside a transaction: see `LmdbOptions`. */
  readonly inTransaction?: Int32Array | undefined;
  /** True if a thread of this process died inside a transaction on them: then they are replaced by copies first. */
  readonly stranded?: boolean;
}

/** The file of the objects of the node whose data is in `directory`. */
export function objectsFile(directory: string): string {
  return join(directory, OBJECTS_FILE);
}

/** The file of what it must never lose or find damaged. */
export function systemFile(directory: string): string {
  return join(directory, SYSTEM_FILE);
}

/** The file of what it keeps for other nodes. */
export function hintsFile(directory: string): string {
  return join(directory, HINTS_FILE);
}

/**
 * Opens the storages of the node whose data is in `directory`; creates what is missing. Takes as long as a walk through
 * the files of objects and hints if they are not to be trusted.
 *
 * @throws {StorageFullError} There is no room to create them.
 * @throws {StorageFailedError} A file cannot be opened; or is damaged, and must not be set aside.
 */
export async function openNodeStorage(directory: string, options: NodeStorageOptions): Promise<NodeStorage> {
  const { sync, boot, mayStartEmpty, inTransaction, onLost } = options;
  const objectsPath = objectsFile(directory);
  const systemPath = systemFile(directory);
  const hintsPath = hintsFile(directory);
  const warnings: string[] = [];
  let system: Storage;
  let isMarkReadable = true;
  let losses = 0;

  /**
   * Out of the way with a damaged file, if that loses nothing. @param loss - what that means, up to the name of the file
   * @throws {StorageFailedError} No other node has what was in it.
   */
  function putAside(path: string, damage: string, loss: string): void {
    if (!mayStartEmpty) {
      throw new StorageFailedError(
        `${path} is damaged (${damage}), and no other node has its data: restore it from a backup`,
        { definite: true },
      );
    }
    warnings.push(`${loss} is damaged, and kept as ${setAside(path)} (${damage})`);
  }

  /** Opens the file; another one if LMDB says that it is damaged, after `lose`, which puts it aside. */
  function openOr(path: string, mode: 'full' | 'none', lose: (damage: string) => void): Storage {
    const opening = { path, sync: mode, inTransaction, onLost } as const;
    try {
      return openLmdbStorage(opening);
    } catch (error) {
      if (!(error instanceof DamagedFileError)) throw error;
      lose(error.message);
      return openLmdbStorage(opening);
    }
  }

  const objectsAreNew = !existsSync(objectsPath);
  const systemIsNew = !existsSync(systemPath);
  const hintsAreNew = !existsSync(hintsPath);
  try {
    makeDirectory(directory);
    for (const path of [objectsPath, systemPath, hintsPath]) {
      if (options.stranded) await replaceByCopy(path);
      else removeUnfinishedCopy(path);
    }
    if (systemIsNew && !objectsAreNew) warnings.push(`${NO_IDENTITY} ${systemPath} is missing`);
    const damage = damageOfHead(systemPath);
    if (damage !== undefined) putAside(systemPath, damage, NO_IDENTITY);
    system = openOr(systemPath, 'full', (found) => putAside(systemPath, found, NO_IDENTITY));
  } catch (error) {
    throw storageError(error, 'opened', directory);
  }

  function startEmpty(damage: string): void {
    putAside(objectsPath, damage, `${EMPTY}its objects file`);
    losses++;
  }

  const loseHints = (damage: string): void => putAside(hintsPath, damage, NO_HINTS);
  let objects: Storage | undefined;
  let hints: Storage | undefined;
  try {
    const last = readRunMark(system);
    isMarkReadable = last !== undefined || system.get(RUN_KEY) === undefined;
    losses = last?.losses ?? 0;
    const isNew = objectsAreNew && (last?.isNew ?? options.isNew ?? true);
    const check = isTrusted(last, boot) ? undefined : options.check;
    if (hintsAreNew) {
      if (!isNew) warnings.push(`${NO_HINTS} ${hintsPath} is missing`);
    } else {
      const damage = await damageOf(hintsPath, 'order', check);
      if (damage !== undefined) loseHints(damage);
      else if (check !== undefined) {
        hints = openOr(hintsPath, sync, loseHints);
        options.distrustHints(hints);
        hints.commit();
      }
    }
    if (objectsAreNew) {
      if (!isNew) {
        losses++;
        warnings.push(`${EMPTY}its objects file ${objectsPath} is missing`);
      }
    } else {
      const damage = await damageOf(objectsPath, 'all', check);
      if (damage !== undefined) startEmpty(damage);
    }
    // From here on the files may be written to: should the system go down, they must not be taken for what they were. And
    // of objects that were lost this tells, before there is another file in their place.
    const running: RunMark = {
      boot,
      sync: unsynced(last, objectsAreNew && hintsAreNew) ? 'none' : sync,
      isNew,
      losses,
      clean: false,
    };
    writeRunMark(system, running);
    const mark = system;
    objects = openOr(objectsPath, sync, (damage) => {
      startEmpty(damage);
      writeRunMark(mark, { ...running, losses });
    });
    hints ??= openOr(hintsPath, sync, loseHints);
    if (objectsAreNew || systemIsNew || hintsAreNew || warnings.length > 0) syncDirectory(directory);
    if (isNew) writeRunMark(system, { ...running, isNew: false });
  } catch (error) {
    objects?.close();
    hints?.close();
    system.close();
    throw storageError(error, 'opened', directory);
  }
  const storages = together(objects, system, hints);
  return {
    ...storages,
    losses,
    isMarkReadable,
    persistent: true,
    warnings,
    filesSetAside: () => [objectsPath, systemPath, hintsPath].flatMap(filesSetAside).length,
    stop() {
      try {
        objects.flush();
        hints.flush();
        // Last of all, and only now: everything that the mark speaks for is on disk.
        writeRunMark(system, { boot, sync, isNew: false, losses, clean: true });
      } finally {
        storages.close();
      }
    },
  };
}

/** The storages of a node that keeps its data in memory. One that is not new has lost what it had. */
export function openMemoryNodeStorage({ isNew }: { readonly isNew: boolean }): NodeStorage {
  const storages = together(openMemoryStorage(), openMemoryStorage(), openMemoryStorage());
  return {
    ...storages,
    losses: isNew ? 0 : 1,
    isMarkReadable: true,
    persistent: false,
    warnings: [],
    filesSetAside: () => 0,
    stop: storages.close,
  };
}

function together(
  objects: Storage,
  system: Storage,
  hints: Storage,
): Pick<NodeStorage, 'objects' | 'system' | 'hints' | 'close'> {
  function close(): void {
    objects.close();
    hints.close();
    system.close();
  }
  return { objects, system, hints, close };
}

/** What is wrong with the file, or undefined. With `check`, it is looked through as a whole. */
async function damageOf(
  path: string,
  what: 'all' | 'order',
  check: NodeStorageOptions['check'] | undefined,
): Promise<string | undefined> {
  return damageOfHead(path) ?? (await check?.(path, what));
}

/** What its first pages and its length say; undefined if nothing is wrong with them, or there is no file. */
function damageOfHead(path: string): string | undefined {
  try {
    checkLmdbFile(path);
    return undefined;
  } catch (error) {
    if (!(error instanceof DamagedFileError)) throw error;
    return 'it is cut short, or is no file of LMDB';
  }
}

/** True if the files may hold pages that no commit has synced, and none will, now that this run syncs its own. */
function unsynced(last: RunMark | undefined, isNew: boolean): boolean {
  return !isNew && last?.clean !== true && last?.sync !== 'full';
}
