/**
 * Looks through a store that nobody has open: every record of every node, and every key across its replicas.
 *
 *     each node's files ─▶ walked by a child process: does its tree hold, and are its keys in order?
 *     what they say     ─▶ of each other: fences, writers' names, hints and their owners (verify/own-files.ts)
 *     each partition    ─▶ its replicas, side by side in key order: readable, and the same on all, or not?
 *     each replica      ─▶ the Merkle tree that was saved with it, if the node stopped in order: is it that of its records?
 *
 * Nothing is changed. Replicas that differ are no damage: a write that was under way when the store was closed is
 * on some of them, and the next read or exchange brings them together.
 */
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { InvalidArgumentError } from '../base/errors.js';
import { STOP_KEY } from '../codec/own-keys.js';
import { ringFromJson } from '../ring/ring-json.js';
import { checkInChild } from '../storage/check-in-child.js';
import { openLmdbStorage } from '../storage/lmdb-storage.js';
import { hintsFile, objectsFile, systemFile } from '../storage/node-storage.js';
import type { Storage } from '../storage/storage.js';
import { openDataDirectory } from './data-directory.js';
import { type HintsReport, walkHints } from './verify/hint-walk.js';
import { type Complain, Fences, SystemState } from './verify/own-files.js';
import { type ReplicaReport, ReplicaWalk } from './verify/replica-walk.js';
import { SavedTrees } from './verify/saved-trees.js';

export interface VerifiedNode extends HintsReport {
  readonly name: string;
  /** Undefined if the file is missing or damaged. */
  readonly records: number | undefined;
  /** What is wrong with its files as a whole; undefined if nothing is. */
  readonly damage: string | undefined;
  /** Merkle trees that its last stop has saved; those of them that are damaged, or are not those of the records. */
  readonly trees: number;
  readonly treesAmiss: number;
}

/** Something that a node keeps for itself or for others, and that cannot be so. */
export interface Contradiction {
  readonly node: string;
  readonly what: string;
}

export interface VerifyReport extends ReplicaReport {
  readonly nodes: readonly VerifiedNode[];
  /** Partitions of which no node has an objects file that can be read: what was in them is nowhere. */
  readonly partitionsLost: number;
  readonly contradictions: number;
  /** The first of them, at most so many as were asked for. */
  readonly contradicting: readonly Contradiction[];
}

export interface VerifyOptions {
  /** The module that a child process runs to walk a file: `checkInChild`. */
  readonly checker: URL;
  /** How many findings, and how many contradictions, are listed (default 100 of each); all are counted. */
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
  const nodes: OpenedNode[] = [];
  try {
    const ring = ringFromJson(opened.manifest.ring);
    const lists = ring.preferenceLists;
    const names = ring.members.map(({ name }) => name);
    const maxFindings = options.maxFindings ?? 100;
    const contradicting: Contradiction[] = [];
    let contradictions = 0;
    const complain: Complain = (node, what) => {
      contradictions++;
      if (contradicting.length < maxFindings) contradicting.push({ node: names[node]!, what });
    };
    for (const [index, name] of names.entries()) {
      options.progress?.(`node ${name}`, index / names.length);
      const entry = opened.manifest.nodes.find((node) => node.name === name)!;
      nodes.push(await openNode(opened.nodePath(entry), options.checker));
    }
    const stops = nodes.map(({ objects }) => {
      const stop = objects?.get(STOP_KEY);
      // A copy: the bytes are lent until the next call.
      return stop === undefined ? undefined : Uint8Array.from(stop);
    });
    const states = nodes.map(({ system }, node) => {
      return system && new SystemState(system, { node, lists, nodes: names.length, stop: stops[node] }, complain);
    });
    const fences = new Fences(lists, states, complain);
    const hints = nodes.map((node, index) => {
      options.progress?.('hints', index / names.length);
      const of = { node: index, names, lists, fences, complain };
      return node.hints === undefined ? NO_HINTS : walkHints(node.hints, of);
    });
    const trees = nodes.map(({ objects }, node) => {
      return new SavedTrees(objects, states[node]?.endedInOrder === true ? stops[node] : undefined);
    });
    const storages = nodes.map(({ objects }) => objects);
    let partitionsLost = 0;
    const walk = new ReplicaWalk(maxFindings, (node) => names[node]!);
    for (const [partition, { primaries }] of lists.entries()) {
      options.progress?.('replicas', partition / ring.partitions);
      const there = primaries.filter((node) => storages[node] !== undefined);
      if (there.length === 0) partitionsLost++;
      const markers = primaries.flatMap((node) => states[node]?.markers.get(partition) ?? []);
      const outdone = walk.partition(partition, there, storages, trees, markers);
      for (const node of primaries) {
        if (outdone.every((marker) => marker !== states[node]?.markers.get(partition))) continue;
        complain(
          node,
          `records of partition ${partition} have seen more of its writer than the marker says that it minted`,
        );
      }
    }
    const verified = nodes.map(({ damage, objects }, node) => ({
      name: names[node]!,
      records: objects === undefined ? undefined : (walk.records[node] ?? 0),
      damage: damage.length === 0 ? undefined : damage.join('; '),
      trees: trees[node]!.saved,
      treesAmiss: trees[node]!.amiss,
      ...hints[node]!,
    }));
    return { nodes: verified, partitionsLost, contradictions, contradicting, ...walk.report() };
  } finally {
    for (const { objects, system, hints } of nodes) for (const one of [objects, system, hints]) one?.close();
    opened.close();
  }
}

/** The storages of a node that could be opened, and what is wrong with the files of the others. */
interface OpenedNode {
  readonly objects: Storage | undefined;
  readonly system: Storage | undefined;
  readonly hints: Storage | undefined;
  readonly damage: readonly string[];
}

const NO_HINTS: HintsReport = { hints: 0, hintsUnreadable: 0, hintsSetAside: 0 };

async function openNode(directory: string, checker: URL): Promise<OpenedNode> {
  const damage: string[] = [];
  const open = async (path: string, what: 'tree' | 'order'): Promise<Storage | undefined> => {
    const wrong = existsSync(path) ? await checkInChild(checker, path, what) : 'the file is missing';
    if (wrong === undefined) return openLmdbStorage({ path, sync: 'full' });
    damage.push(`${basename(path)}: ${wrong}`);
    return undefined;
  };
  const objects = await open(objectsFile(directory), 'tree');
  const system = await open(systemFile(directory), 'order');
  const hints = await open(hintsFile(directory), 'order');
  return { objects, system, hints, damage };
}
