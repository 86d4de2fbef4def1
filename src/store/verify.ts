/**
 * Looks through a store that nobody has open: every record of every node, and every key across its replicas.
 *
 *     each node's file ──▶ walked by a child process: does its tree hold, and are its keys in order?
 *     each partition   ──▶ its replicas, side by side in key order: readable, and the same on all, or not?
 *
 * Nothing is changed. Replicas that differ are no damage: a write that was under way when the store was closed is
 * on some of them, and the next read or exchange brings them together.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { compareBytes } from '../base/bytes.js';
import { InvalidArgumentError } from '../base/errors.js';
import { decodeLocatedKey, type LocatedKey, partitionRange } from '../codec/key.js';
import { isSoundRecord, sameDigest } from '../codec/record.js';
import { ringFromJson } from '../ring/ring-json.js';
import { checkInChild } from '../storage/check-in-child.js';
import { openLmdbStorage } from '../storage/lmdb-storage.js';
import type { Storage, StorageEntry } from '../storage/storage.js';
import { openDataDirectory } from './data-directory.js';

export interface VerifiedNode {
  readonly name: string;
  /** Undefined if the file is missing or damaged. */
  readonly records: number | undefined;
  /** What is wrong with its file as a whole; undefined if nothing is. */
  readonly damage: string | undefined;
}

/** A key whose replicas are not all the same and readable. */
export interface Finding extends LocatedKey {
  readonly what: 'unreadable' | 'missing' | 'different';
  /** The nodes where it is so. Of 'different': all that have the key. */
  readonly nodes: readonly string[];
}

export interface VerifyReport {
  readonly nodes: readonly VerifiedNode[];
  /** Distinct keys, deleted ones among them. */
  readonly keys: number;
  readonly unreadable: number;
  readonly missing: number;
  readonly different: number;
  /** The first of them, at most `maxFindings`. */
  readonly findings: readonly Finding[];
}

export interface VerifyOptions {
  /** The module that a child process runs to walk a file: `checkInChild`. */
  readonly checker: URL;
  /** How many findings are listed (default 100); all are counted. */
  readonly maxFindings?: number;
  /** Called now and then: what is looked at, and how much of it is done, 0 to 1. */
  readonly progress?: (what: string, share: number) => void;
}

/** Entries that are read at a time. */
const PAGE = 64;

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
  try {
    const ring = ringFromJson(opened.manifest.ring);
    const nodes: VerifiedNode[] = [];
    for (const [index, { name }] of ring.members.entries()) {
      options.progress?.(`node ${name}`, index / ring.members.length);
      const entry = opened.manifest.nodes.find((node) => node.name === name)!;
      const file = join(opened.nodePath(entry), 'objects.mdb');
      const damage = existsSync(file) ? await checkInChild(options.checker, file, 'tree') : 'the file is missing';
      const storage = damage === undefined ? openLmdbStorage({ path: file, sync: 'full' }) : undefined;
      storages.push(storage);
      nodes.push({ name, damage, records: storage?.stats().entries });
    }
    const walk = new Walk(options.maxFindings ?? 100, (node) => nodes[node]!.name);
    for (const [partition, { primaries }] of ring.preferenceLists.entries()) {
      options.progress?.('replicas', partition / ring.partitions);
      walk.partition(
        partition,
        primaries.filter((node) => storages[node] !== undefined),
        storages,
      );
    }
    return { nodes, ...walk.report() };
  } finally {
    for (const storage of storages) storage?.close();
    opened.close();
  }
}

/** Goes through the replicas of a partition side by side, in key order. */
class Walk {
  private keys = 0;
  private readonly counts = { unreadable: 0, missing: 0, different: 0 };
  private readonly findings: Finding[] = [];
  private readonly maxFindings: number;
  private readonly nameOf: (node: number) => string;

  constructor(maxFindings: number, nameOf: (node: number) => string) {
    this.maxFindings = maxFindings;
    this.nameOf = nameOf;
  }

  partition(partition: number, nodes: readonly number[], storages: readonly (Storage | undefined)[]): void {
    const range = partitionRange(partition);
    const cursors = nodes.map((node) => new Cursor(node, storages[node]!, range));
    for (;;) {
      const key = lowestOf(cursors);
      if (key === undefined) return;
      this.keys++;
      this.compare(key, cursors);
      for (const cursor of cursors) if (cursor.isAt(key)) cursor.advance();
    }
  }

  report(): Omit<VerifyReport, 'nodes'> {
    return { keys: this.keys, ...this.counts, findings: this.findings };
  }

  private compare(key: Uint8Array, cursors: readonly Cursor[]): void {
    const having = cursors.filter((cursor) => cursor.isAt(key));
    const unreadable = having.filter((cursor) => !isSoundRecord(cursor.record));
    const missing = cursors.filter((cursor) => !cursor.isAt(key));
    const readable = having.filter((cursor) => !unreadable.includes(cursor));
    this.note('unreadable', key, unreadable);
    this.note('missing', key, missing);
    const first = readable[0];
    if (first !== undefined && readable.some((other) => !sameDigest(other.record, first.record))) {
      this.note('different', key, readable);
    }
  }

  private note(what: Finding['what'], key: Uint8Array, at: readonly Cursor[]): void {
    if (at.length === 0) return;
    this.counts[what]++;
    if (this.findings.length >= this.maxFindings) return;
    this.findings.push({ what, ...decodeLocatedKey(key), nodes: at.map(({ node }) => this.nameOf(node)) });
  }
}

/** One replica's entries of a partition, a page at a time. */
class Cursor {
  readonly node: number;
  private readonly storage: Storage;
  private readonly lt: Uint8Array;
  private page: StorageEntry[];
  private at = 0;

  constructor(node: number, storage: Storage, { gte, lt }: { readonly gte: Uint8Array; readonly lt: Uint8Array }) {
    this.node = node;
    this.storage = storage;
    this.lt = lt;
    this.page = storage.range({ gte, lt, limit: PAGE });
  }

  get key(): Uint8Array | undefined {
    return this.page[this.at]?.key;
  }

  get record(): Uint8Array {
    return this.page[this.at]!.value;
  }

  isAt(key: Uint8Array): boolean {
    return this.key !== undefined && compareBytes(this.key, key) === 0;
  }

  advance(): void {
    const last = this.key!;
    this.at++;
    if (this.at < this.page.length || this.page.length < PAGE) return;
    this.page = this.storage.range({ gt: last, lt: this.lt, limit: PAGE });
    this.at = 0;
  }
}

function lowestOf(cursors: readonly Cursor[]): Uint8Array | undefined {
  let lowest: Uint8Array | undefined;
  for (const { key } of cursors) {
    if (key !== undefined && (lowest === undefined || compareBytes(key, lowest) < 0)) lowest = key;
  }
  return lowest;
}
