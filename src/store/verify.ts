/**
 * Looks through a store that nobody has open: every record of every node, and every key across its replicas.
 *
 *     each node's file ──▶ walked by a child process: does its tree hold, and are its keys in order?
 *     each partition   ──▶ its replicas, side by side in key order: readable, and the same on all, or not?
 *     each replica     ──▶ the Merkle tree that was saved with it, if the node stopped in order: is it that of its records?
 *
 * Nothing is changed. Replicas that differ are no damage: a write that was under way when the store was closed is
 * on some of them, and the next read or exchange brings them together.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { InvalidArgumentError } from '../base/errors.js';
import { ringFromJson } from '../ring/ring-json.js';
import { checkInChild } from '../storage/check-in-child.js';
import { openLmdbStorage } from '../storage/lmdb-storage.js';
import { objectsFile } from '../storage/node-storage.js';
import type { Storage } from '../storage/storage.js';
import { openDataDirectory } from './data-directory.js';
import { type ReplicaReport, ReplicaWalk } from './verify/replica-walk.js';
import { SavedTrees } from './verify/saved-trees.js';

export interface VerifiedNode {
  readonly name: string;
  /** Undefined if the file is missing or damaged. */
  readonly records: number | undefined;
  /** What is wrong with its file as a whole; undefined if nothing is. */
  readonly damage: string | undefined;
  /** Merkle trees that its last stop has saved; those of them that are damaged, or are not those of the records. */
  readonly trees: number;
  readonly treesAmiss: number;
}

export interface VerifyReport extends ReplicaReport {
  readonly nodes: readonly VerifiedNode[];
}

export interface VerifyOptions {
  /** The module that a child process runs to walk a file: `checkInChild`. */
  readonly checker: URL;
  /** How many findings are listed (default 100); all are counted. */
  readonly maxFindings?: number;
  /** Called now and then: what is looked at, and how much of it is done, 0 to 1. */
  readonly progress?: (what: string, share: number) => void;
}

/**
 * @throws {LockedError} The store is open. @throws {InvalidArgumentError} There is none.
 * @throws {UnknownFormatError} It is of another format.
 */
export async function verifyStore(path: string, options: VerifyOptions): Promise<VerifyReport> {
  const directory = resolve(path);
  if (!existsSync(join(directory, 'quoral.json'))) {
    throw new InvalidArgumentError(`${directory} holds no store: name the directory that was given to open`);
  }
  const opened = await openDataDirectory(directory, {}, () => {
    throw new InvalidArgumentError(`${directory} holds no store any more`);
  });
  const storages: (Storage | undefined)[] = [];
  const trees: SavedTrees[] = [];
  try {
    const ring = ringFromJson(opened.manifest.ring);
    const files: Pick<VerifiedNode, 'name' | 'damage'>[] = [];
    for (const [index, { name }] of ring.members.entries()) {
      options.progress?.(`node ${name}`, index / ring.members.length);
      const entry = opened.manifest.nodes.find((node) => node.name === name)!;
      const directory = opened.nodePath(entry);
      const file = objectsFile(directory);
      const damage = existsSync(file) ? await checkInChild(options.checker, file, 'tree') : 'the file is missing';
      const storage = damage === undefined ? openLmdbStorage({ path: file, sync: 'full' }) : undefined;
      storages.push(storage);
      trees.push(new SavedTrees(storage, directory));
      files.push({ name, damage });
    }
    const walk = new ReplicaWalk(options.maxFindings ?? 100, (node) => files[node]!.name);
    for (const [partition, { primaries }] of ring.preferenceLists.entries()) {
      options.progress?.('replicas', partition / ring.partitions);
      walk.partition(
        partition,
        primaries.filter((node) => storages[node] !== undefined),
        storages,
        trees,
      );
    }
    const nodes = files.map((file, node) => ({
      ...file,
      records: storages[node] === undefined ? undefined : (walk.records[node] ?? 0),
      trees: trees[node]!.saved,
      treesAmiss: trees[node]!.amiss,
    }));
    return { nodes, ...walk.report() };
  } finally {
    for (const storage of storages) storage?.close();
    opened.close();
  }
}
