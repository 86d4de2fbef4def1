/**
 * One replica of a partition as an exchange sees it: records in memory, and a tree that is kept as a vnode keeps it.
 * Whoever tests decides when its tasks run, and whether their workers die; writes are merged as a vnode merges them.
 */
import assert from 'node:assert/strict';
import { ChangeLog, type ChangeLogOptions } from '../../src/anti-entropy/change-log.js';
import {
  answerFromTree,
  type ExchangeAnswer,
  type ExchangeAsk,
  leavesOf,
} from '../../src/anti-entropy/exchange-asks.js';
import {
  type HashResult,
  type HashTask,
  type NumberedTask,
  runHashTask,
  type Snapshot,
} from '../../src/anti-entropy/hash-task.js';
import { leafLow, leafOfRecord } from '../../src/anti-entropy/leaf.js';
import { depthFor, MerkleTree } from '../../src/anti-entropy/merkle-tree.js';
import { DeltaBuilder } from '../../src/anti-entropy/tree-delta.js';
import { TreeKeeper, type TreeKeeperOptions } from '../../src/anti-entropy/tree-keeper.js';
import { utf8 } from '../../src/base/bytes.js';
import type { EventId } from '../../src/clocks/event-id.js';
import { encodeLocatedKey, keyHash, partitionRange } from '../../src/codec/key.js';
import { encodeRecord, sameDigest } from '../../src/codec/record.js';
import { mergeRecords } from '../../src/codec/record-update.js';
import { openMemoryStorage } from '../../src/storage/memory-storage.js';
import type { Storage } from '../../src/storage/storage.js';

export const PARTITION = 5;
const TYPE = utf8('default');
const BUCKET = utf8('things');

/** The located key of a number. */
export function keyOf(number: number, partition = PARTITION): Uint8Array {
  return encodeLocatedKey(partition, { type: TYPE, bucket: BUCKET, key: utf8(`key-${number}`) });
}

/** The record of an object that one write made: another one for each dot, if `covered` says that it replaced that many before. */
export function recordOf(dot: EventId, covered = 0): Uint8Array {
  const vv = [dot.high, dot.low, dot.counter];
  if (covered > 0) vv.push(0xffff_ffff, 7, covered);
  return encodeRecord({
    context: { vv, extra: [] },
    siblings: [
      {
        dot,
        attempt: { high: 3, low: 4, counter: dot.counter },
        timestamp: { ms: 1_000, logical: 0 },
        tombstone: false,
        expiresAtMs: 0,
        body: utf8(`${dot.counter}`),
      },
    ],
  });
}

/** The tree of what is in the storage, built in the plainest way there is. */
export function plainTree(storage: Storage, depth?: number, partition = PARTITION): MerkleTree {
  const entries = storage.range({ ...partitionRange(partition), limit: Number.POSITIVE_INFINITY });
  const tree = new MerkleTree(depth ?? depthFor(entries.length));
  const delta = new DeltaBuilder(tree.depth);
  for (const { key, value } of entries) delta.add(keyHash(key).low, leafOfRecord(key, value), leafLow);
  tree.apply(delta.finish());
  return tree;
}

/** True if every node of the trees, of one depth, is the same. */
export function assertSameTrees(actual: MerkleTree, expected: MerkleTree): void {
  assert.equal(actual.depth, expected.depth);
  assert.equal(actual.keys, expected.keys);
  assert.deepEqual([actual.low(0, 0), actual.high(0, 0)], [expected.low(0, 0), expected.high(0, 0)]);
  for (let block = 0; block < expected.blocks; block++) {
    assert.deepEqual(actual.blockSums(block), expected.blockSums(block));
  }
}

/** What a storage of the contract holds now. */
export function storageSnapshot(storage: Storage): Snapshot {
  return {
    get: (key) => storage.get(key),
    *keys(gte, lt) {
      for (const { key } of storage.range({ gte, lt, limit: Number.POSITIVE_INFINITY })) yield key;
    },
  };
}

export class TreeReplica {
  readonly storage = openMemoryStorage();
  readonly log: ChangeLog;
  readonly keeper: TreeKeeper;
  private counter = 0;
  private readonly writer: number;

  constructor(writer: number, options: Omit<TreeKeeperOptions, 'partition' | 'log'> & ChangeLogOptions = {}) {
    this.writer = writer;
    this.log = new ChangeLog(options);
    this.keeper = new TreeKeeper({ partition: PARTITION, ...options, log: this.log });
  }

  /** A write of its own, unseen by the others until it is sent to them: returns the record. */
  mint(key: Uint8Array): Uint8Array {
    this.counter++;
    const record = recordOf({ high: this.writer, low: 1, counter: this.counter });
    this.merge(key, record);
    return record;
  }

  /** Takes another replica's record in. */
  merge(key: Uint8Array, record: Uint8Array): void {
    const before = this.storage.get(key);
    const after = mergeRecords(before, record);
    if (before === undefined || !sameDigest(before, after)) this.set(key, after);
  }

  /** Puts a record in the place of what is there, merging or not. */
  set(key: Uint8Array, record: Uint8Array | undefined): void {
    this.keeper.note(key, this.storage.get(key), record);
    if (record === undefined) this.storage.remove(key);
    else this.storage.put(key, record);
    this.writeMark();
  }

  /** As a vnode does in each turn in which a tree is being built. */
  writeMark(): void {
    const { mark } = this.keeper;
    if (mark !== undefined) this.storage.put(mark.key, mark.value);
  }

  run(task: HashTask): HashResult {
    return runHashTask(task, () => storageSnapshot(this.storage));
  }

  /** Runs all tasks there are, until the tree is built and has everything. */
  freshen(): MerkleTree {
    const { keeper } = this;
    if (keeper.wantsBuild) keeper.beginBuild(this.counter, this.storage.stats().entries);
    for (let task = this.nextTask(); task !== undefined; task = this.nextTask()) {
      this.storage.commit();
      this.done(task, this.run(task.task));
    }
    assert.ok(keeper.isFresh(this.log.noted));
    return keeper.tree!;
  }

  nextTask(): NumberedTask<HashTask> | undefined {
    const slice = this.keeper.nextSlice();
    if (slice !== undefined) this.writeMark();
    return slice ?? this.log.nextFold(true);
  }

  /** A task has come to its end. */
  done({ number, task }: NumberedTask<HashTask>, result: HashResult): void {
    if (task.type !== 'fold') this.keeper.done(number, result);
    else if (result.type === 'folded') this.log.folded(number, result);
    else assert.fail('changes are folded');
  }

  /** A task has come to nothing. */
  failed({ number, task }: NumberedTask<HashTask>): void {
    if (task.type === 'fold') this.log.failed(number);
    else this.keeper.failed(number);
  }

  answer(ask: ExchangeAsk, pageKeys = 100): ExchangeAnswer {
    if (ask.type === 'leaves') return leavesOf(ask.keys, (key) => this.storage.get(key));
    if (ask.type !== 'keys') return answerFromTree(this.freshen(), ask);
    const { level, segments } = ask;
    const from = ask.from.length === 0 ? partitionRange(PARTITION).gte : ask.from;
    const found = this.run({
      type: 'keys',
      partition: PARTITION,
      depth: level,
      segments,
      from,
      limit: pageKeys,
      limitScanned: 1_000,
    });
    assert.ok(found.type === 'keys');
    return { type: 'keys', leaves: found.leaves, next: found.next ?? new Uint8Array(0) };
  }
}
