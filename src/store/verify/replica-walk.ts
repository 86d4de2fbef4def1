/** Goes through the replicas of each partition side by side, in key order, and compares them key by key. */
import { compareBytes } from '../../base/bytes.js';
import { decodeLocatedKey, type KeyRange, type LocatedKey, partitionRange } from '../../codec/key.js';
import { isSoundRecord, sameDigest } from '../../codec/record.js';
import { highestCounterIn } from '../../codec/record-update.js';
import type { MarkerEntry } from '../../codec/system-entries.js';
import type { Storage, StorageEntry } from '../../storage/storage.js';
import { type SavedTrees, TreeCheck } from './saved-trees.js';

/** A key whose replicas are not all the same and readable. */
export interface Finding extends LocatedKey {
  readonly what: 'unreadable' | 'missing' | 'different';
  /** The nodes where it is so. Of 'different': all that have the key. */
  readonly nodes: readonly string[];
}

export interface ReplicaReport {
  /** Distinct keys, deleted ones among them. */
  readonly keys: number;
  readonly unreadable: number;
  readonly missing: number;
  readonly different: number;
  /** The first of them, at most so many as were asked for. */
  readonly findings: readonly Finding[];
}

/** Entries that are read at a time. */
const PAGE = 64;

export class ReplicaWalk {
  /** Of the partition that is gone through, who its vnodes were, of which some record has seen more than they minted. */
  private readonly outdone = new Set<MarkerEntry>();
  /** By node, of the partitions that were gone through. */
  readonly records: number[] = [];
  private keys = 0;
  private readonly counts = { unreadable: 0, missing: 0, different: 0 };
  private readonly findings: Finding[] = [];
  private readonly maxFindings: number;
  private readonly nameOf: (node: number) => string;

  constructor(maxFindings: number, nameOf: (node: number) => string) {
    this.maxFindings = maxFindings;
    this.nameOf = nameOf;
  }

  /** @returns those of `markers` that name a lower counter than some record has seen of their writers */
  partition(
    partition: number,
    nodes: readonly number[],
    storages: readonly (Storage | undefined)[],
    trees: readonly SavedTrees[],
    markers: readonly MarkerEntry[],
  ): MarkerEntry[] {
    const range = partitionRange(partition);
    const cursors = nodes.map((node) => {
      const tree = trees[node]!.treeOf(partition);
      return new Cursor(node, storages[node]!, range, tree === undefined ? undefined : new TreeCheck(tree));
    });
    for (let key = lowestOf(cursors); key !== undefined; key = lowestOf(cursors)) {
      this.keys++;
      this.compare(key, cursors, markers);
      for (const cursor of cursors) {
        if (!cursor.isAt(key)) continue;
        this.records[cursor.node] = (this.records[cursor.node] ?? 0) + 1;
        cursor.advance();
      }
    }
    for (const { node, tree } of cursors) if (tree?.fits() === false) trees[node]!.amiss++;
    return markers.filter((marker) => this.outdone.has(marker));
  }

  report(): ReplicaReport {
    return { keys: this.keys, ...this.counts, findings: this.findings };
  }

  private compare(key: Uint8Array, cursors: readonly Cursor[], markers: readonly MarkerEntry[]): void {
    const having = cursors.filter((cursor) => cursor.isAt(key));
    const unreadable = having.filter((cursor) => !isSoundRecord(cursor.record));
    const missing = cursors.filter((cursor) => !cursor.isAt(key));
    const readable = having.filter((cursor) => !unreadable.includes(cursor));
    this.note('unreadable', key, unreadable);
    this.note('missing', key, missing);
    for (const marker of markers) {
      if (readable.some(({ record }) => highestCounterIn(record, marker.writer) > marker.counter))
        this.outdone.add(marker);
    }
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
  /** Shown every entry; undefined: no tree was saved. */
  readonly tree: TreeCheck | undefined;
  private readonly storage: Storage;
  private readonly lt: Uint8Array;
  private page: StorageEntry[];
  private at = 0;

  constructor(node: number, storage: Storage, { gte, lt }: KeyRange, tree: TreeCheck | undefined) {
    this.node = node;
    this.tree = tree;
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
    this.tree?.add(last, this.record);
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
