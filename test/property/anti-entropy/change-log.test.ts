/**
 * Goal: the trees of a node that share one log of changes are those of its records, whichever of them are built, given up,
 * saved and taken over meanwhile; whatever order pages come back in, and whoever dies with one in his hands. What the log holds
 * is bounded: where it is too little the trees are dropped, and built anew.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ChangeLog } from '../../../src/anti-entropy/change-log.js';
import {
  type FoldResult,
  type FoldTask,
  foldPage,
  type NumberedTask,
  runHashTask,
} from '../../../src/anti-entropy/hash-task.js';
import { readTree, saveTree } from '../../../src/anti-entropy/tree-form.js';
import { TreeKeeper } from '../../../src/anti-entropy/tree-keeper.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import { holds } from '../../support/property.js';
import { test } from '../../support/test.js';
import { assertSameTrees, keyOf, plainTree, recordOf, storageSnapshot } from '../../support/tree-replica.js';

const PARTITIONS = 3;
const KEYS = 12;
const MAX_PAGES = 2;
/** Room for about four changes. */
const SIZES = { pageBytes: 200, maxPages: MAX_PAGES };

const WEIGHTS = {
  write: 30,
  remove: 6,
  begin: 3,
  slice: 6,
  take: 8,
  'take all': 4,
  end: 8,
  die: 3,
  'lose a commit': 1,
  'vnode dies': 1,
  stop: 1,
  crash: 1,
} as const;
type Kind = keyof typeof WEIGHTS;

const steps = fc.array(
  fc.record({
    kind: fc.oneof(
      ...Object.entries(WEIGHTS).map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind as Kind) })),
    ),
    partition: fc.nat({ max: PARTITIONS - 1 }),
    pick: fc.nat({ max: 1_000 }),
  }),
  { maxLength: 200, size: 'max' },
);
type Step = typeof steps extends fc.Arbitrary<readonly (infer S)[]> ? S : never;

/** The trees of a node over its starts and ends; snapshots have all that was written. */
class Node {
  readonly seen = { folded: 0, dropped: 0, restored: 0, late: 0 };
  private readonly storage = openMemoryStorage();
  private log = new ChangeLog(SIZES);
  private keepers: TreeKeeper[] = [];
  /** With the log that they are of: some outcomes come when there is another one. */
  private tasks: { log: ChangeLog; task: NumberedTask<FoldTask> }[] = [];
  private written = 0;
  private stops = 0;

  constructor() {
    this.start(undefined);
  }

  take({ kind, partition, pick }: Step): void {
    const { storage, log } = this;
    const keeper = this.keepers[partition]!;
    const key = keyOf(pick % KEYS, partition);
    switch (kind) {
      case 'write':
      case 'remove': {
        const record = kind === 'write' ? recordOf({ high: 9, low: 1, counter: ++this.written }) : undefined;
        const had = keeper.tree !== undefined;
        keeper.note(key, storage.get(key), record);
        if (had && keeper.tree === undefined) this.seen.dropped++;
        if (record === undefined) storage.remove(key);
        else storage.put(key, record);
        this.mark();
        return;
      }
      case 'begin':
        keeper.beginBuild(++this.written, KEYS);
        return;
      case 'slice': {
        const slice = keeper.nextSlice();
        if (slice === undefined) return;
        this.mark();
        keeper.done(
          slice.number,
          runHashTask({ ...slice.task, limit: 5 }, () => storageSnapshot(storage)),
        );
        return;
      }
      case 'take':
      case 'take all': {
        const task = log.nextFold(kind === 'take all');
        if (task !== undefined) this.tasks.push({ log, task });
        return;
      }
      case 'end': {
        const ended = this.drawTask(pick);
        if (ended === undefined) return;
        if (ended.log !== log) this.seen.late++;
        ended.log.folded(ended.task.number, overThreads(foldPage(ended.task.task)));
        this.seen.folded++;
        return;
      }
      case 'die': {
        const dead = this.drawTask(pick);
        dead?.log.failed(dead.task.number);
        return;
      }
      case 'lose a commit':
        // What of it was stored, nobody knows: here, all.
        keeper.commitFailed();
        return;
      case 'vnode dies':
        keeper.retire();
        this.keepers[partition] = new TreeKeeper({ partition, log });
        return;
      case 'stop': {
        const stop = new Uint8Array(16).fill(++this.stops);
        for (const [of, one] of this.keepers.entries()) {
          const tree = one.settle();
          if (tree !== undefined) saveTree(storage, of, { tree, builtAtMs: 1 }, stop);
        }
        this.start(stop);
        return;
      }
      case 'crash':
        this.start(new Uint8Array(16).fill(0xff));
        return;
    }
  }

  /** No tree calls itself fresh that is not that of its records. */
  check(): void {
    for (const [partition, keeper] of this.keepers.entries()) {
      if (keeper.tree === undefined || keeper.isStale || !keeper.isFresh(this.log.noted)) continue;
      assertSameTrees(keeper.tree, plainTree(this.storage, keeper.tree.depth, partition));
    }
  }

  finish(): void {
    for (const { log, task } of this.tasks) log.failed(task.number);
    for (const [partition, keeper] of this.keepers.entries()) {
      // One whose tree was dropped while it was being built is given up, and begun anew.
      for (let left = 100; keeper.isBuilding || keeper.wantsBuild; left--) {
        assert.ok(left > 0, 'a build comes to its end');
        if (keeper.wantsBuild) keeper.beginBuild(++this.written, KEYS);
        this.take({ kind: 'slice', partition, pick: 0 });
      }
    }
    for (let next = this.log.nextFold(true); next !== undefined; next = this.log.nextFold(true)) {
      this.log.folded(next.number, foldPage(next.task));
    }
    for (const [partition, keeper] of this.keepers.entries()) {
      assert.ok(!keeper.wantsBuild && keeper.isFresh(this.log.noted), `${partition} is there, and fresh`);
    }
    this.check();
  }

  /** @param stop - how the run before ended; undefined: there was none */
  private start(stop: Uint8Array | undefined): void {
    const log = new ChangeLog(SIZES);
    this.log = log;
    this.keepers = Array.from({ length: PARTITIONS }, (_, partition) => {
      const saved = stop === undefined ? undefined : readTree(this.storage, partition, stop)?.tree;
      if (saved !== undefined) this.seen.restored++;
      return new TreeKeeper({ partition, log, saved, sliceRecords: 5 });
    });
  }

  private mark(): void {
    for (const { mark } of this.keepers) if (mark !== undefined) this.storage.put(mark.key, mark.value);
  }

  private drawTask(pick: number): { log: ChangeLog; task: NumberedTask<FoldTask> } | undefined {
    return this.tasks.splice(pick % Math.max(1, this.tasks.length), 1)[0];
  }
}

/** As a result comes from another thread. */
function overThreads(result: FoldResult): FoldResult {
  return structuredClone(result);
}

test('trees that share one log are those of their records, over builds, deaths of workers and vnodes, stops and crashes', () => {
  const all = { folded: 0, dropped: 0, restored: 0, late: 0 };
  const property = fc.property(steps, (history) => {
    const node = new Node();
    for (const step of history) {
      node.take(step);
      node.check();
    }
    node.finish();
    for (const what of Object.keys(all) as (keyof typeof all)[]) all[what] += node.seen[what];
  });
  holds(property, 300);
  for (const [what, count] of Object.entries(all)) assert.ok(count > 0, `${what}: ${count} times`);
});

test('a log that nobody folds holds no more than its pages, and what it drops is built anew', () => {
  let made = 0;
  const newMemory = (bytes: number): ArrayBuffer => {
    made++;
    return new ArrayBuffer(bytes);
  };
  const log = new ChangeLog({ ...SIZES, newMemory });
  const storage = openMemoryStorage();
  const keepers = [0, 1].map(
    (partition) => new TreeKeeper({ partition, log, saved: plainTree(storage, 1, partition) }),
  );
  const underWay: NumberedTask<FoldTask>[] = [];
  for (let i = 0; keepers.every(({ tree }) => tree !== undefined); i++) {
    assert.ok(i < 100, 'there is an end to it');
    keepers[i % 2]!.note(keyOf(i, i % 2), undefined, recordOf({ high: 1, low: 1, counter: i + 1 }));
    const task = log.nextFold();
    if (task !== undefined) underWay.push(task);
  }
  assert.ok(underWay.length <= MAX_PAGES && made <= MAX_PAGES + 1, `${underWay.length} pages, of ${made}`);
  assert.ok(keepers.every((keeper) => keeper.wantsBuild && !keeper.isFresh(log.noted)));
  const before = made;
  for (let i = 0; i < 1_000; i++)
    keepers[0]!.note(keyOf(i, 0), undefined, recordOf({ high: 1, low: 1, counter: i + 1 }));
  assert.equal(made, before, 'nothing is noted for trees that are not there');
});
