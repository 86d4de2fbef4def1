/**
 * Goal: whatever is written while a tree is built, folded and built again, by workers that die, are late, or read too
 * early, in the end it is the tree of the records, node for node; and it is never called fresh while it is not.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ChangeLog } from '../../../src/anti-entropy/change-log.js';
import { foldPage, type HashResult, type HashTask, type NumberedTask } from '../../../src/anti-entropy/hash-task.js';
import { leafLow, leafOfRecord } from '../../../src/anti-entropy/leaf.js';
import { TreeKeeper } from '../../../src/anti-entropy/tree-keeper.js';
import { SeededRandom } from '../../../src/base/random.js';
import { partitionRange } from '../../../src/codec/key.js';
import { decodeRecord, encodeRecord } from '../../../src/codec/record.js';
import { merge } from '../../../src/objects/merge.js';
import { choice, historyOfSteps } from '../../support/histories.js';
import { holds } from '../../support/property.js';
import { test } from '../../support/test.js';
import { assertSameTrees, keyOf, PARTITION, plainTree, recordOf, TreeReplica } from '../../support/tree-replica.js';
import { VersionWorld } from '../../support/version-world.js';

type Step =
  | { readonly kind: 'write' | 'remove' | 'rewrite'; readonly key: number }
  | {
      readonly kind: 'build' | 'slice' | 'fold' | 'commit' | 'run' | 'end' | 'die' | 'lose commit';
      readonly key: number;
    };

const WEIGHTS: readonly (readonly [Step['kind'], number])[] = [
  ['write', 12],
  ['remove', 3],
  ['rewrite', 3],
  ['build', 1],
  ['slice', 5],
  ['fold', 3],
  ['commit', 6],
  ['run', 6],
  ['end', 6],
  ['die', 1],
  ['lose commit', 1],
];
const steps = fc.array(
  fc.record({
    kind: fc.oneof(...WEIGHTS.map(([kind, weight]) => ({ weight, arbitrary: fc.constant(kind) }))),
    key: fc.nat({ max: 40 }),
  }) as fc.Arbitrary<Step>,
  { maxLength: 150, size: 'max' },
);

/** Room for about four changes. */
const PAGE_BYTES = 200;

/** A vnode and a worker that reads what is committed, and no more. */
class World {
  readonly replica = new TreeReplica(9, { sliceRecords: 5, pageBytes: PAGE_BYTES });
  /** What a snapshot would see: the committed part of `replica.storage`. */
  private committed = new TreeReplica(9);
  private readonly tasks: NumberedTask<HashTask>[] = [];
  private readonly results: { task: NumberedTask<HashTask>; result: HashResult }[] = [];
  private uncommitted: { key: Uint8Array; record: Uint8Array | undefined }[] = [];
  private written = 0;
  early = 0;
  built = 0;

  take(step: Step): void {
    const { replica } = this;
    const { keeper } = replica;
    switch (step.kind) {
      case 'write':
        this.set(keyOf(step.key), recordOf({ high: 9, low: 1, counter: ++this.written }));
        return;
      case 'rewrite': {
        // Forth and back within one turn: what is between leaves nothing behind.
        const key = keyOf(step.key);
        const before = replica.storage.get(key);
        this.set(key, recordOf({ high: 9, low: 1, counter: ++this.written }));
        this.set(key, before);
        return;
      }
      case 'remove':
        this.set(keyOf(step.key), undefined);
        return;
      case 'build':
        keeper.beginBuild(this.written, step.key * 100);
        return;
      case 'slice':
      case 'fold': {
        const task = step.kind === 'slice' ? keeper.nextSlice() : replica.log.nextFold(step.key > 20);
        if (task === undefined) return;
        if (step.kind === 'slice') replica.writeMark();
        this.tasks.push(task);
        return;
      }
      case 'commit':
        this.commit();
        return;
      case 'run': {
        const [task] = this.tasks.splice(step.key % Math.max(1, this.tasks.length), 1);
        if (task === undefined) return;
        const result = this.committed.run(task.task);
        if (result.type === 'early') this.early++;
        this.results.push({ task, result });
        return;
      }
      case 'end': {
        const building = keeper.isBuilding;
        const [done] = this.results.splice(step.key % Math.max(1, this.results.length), 1);
        if (done !== undefined) replica.done(done.task, done.result);
        if (building && !keeper.isBuilding) this.built++;
        return;
      }
      case 'die': {
        const [task] = this.tasks.splice(step.key % Math.max(1, this.tasks.length), 1);
        if (task !== undefined) replica.failed(task);
        return;
      }
      case 'lose commit':
        this.loseCommit();
        return;
    }
  }

  check(): void {
    const { keeper, storage, log } = this.replica;
    if (keeper.tree === undefined || keeper.isStale || !keeper.isFresh(log.noted)) return;
    assertSameTrees(keeper.tree, plainTree(storage, keeper.tree.depth));
  }

  finish(): void {
    this.commit();
    for (const task of this.tasks) this.replica.failed(task);
    for (const { task, result } of this.results) this.replica.done(task, result);
    const { keeper, storage, log } = this.replica;
    for (let round = 0; !(keeper.isFresh(log.noted) && !keeper.isBuilding && !keeper.wantsBuild); round++) {
      assert.ok(round < 100, 'it comes to an end');
      if (keeper.wantsBuild) keeper.beginBuild(this.written + 1_000 + round, 0);
      for (let task = this.replica.nextTask(); task !== undefined; task = this.replica.nextTask()) {
        this.commit();
        this.replica.done(task, this.committed.run(task.task));
      }
    }
    assertSameTrees(keeper.tree!, plainTree(storage, keeper.tree!.depth));
    assertSameTrees(keeper.settle()!, plainTree(storage, keeper.tree!.depth));
  }

  private set(key: Uint8Array, record: Uint8Array | undefined): void {
    this.uncommitted.push({ key, record: this.replica.storage.get(key)?.slice() });
    this.replica.set(key, record);
  }

  private commit(): void {
    this.uncommitted = [];
    const { storage } = this.replica;
    storage.commit();
    const whole = storage.range({ limit: Number.POSITIVE_INFINITY });
    const kept = new Set(whole.map(({ key }) => Buffer.from(key).toString('hex')));
    const copy = this.committed.storage;
    for (const { key } of copy.range({ limit: Number.POSITIVE_INFINITY })) {
      if (!kept.has(Buffer.from(key).toString('hex'))) copy.remove(key);
    }
    for (const { key, value } of whole) copy.put(key, value);
    copy.commit();
  }

  /** What was written since the last commit is not stored, though the vnode believed so. */
  private loseCommit(): void {
    if (this.uncommitted.length === 0) return;
    const { storage, keeper } = this.replica;
    for (const { key, record } of this.uncommitted.reverse()) {
      if (record === undefined) storage.remove(key);
      else storage.put(key, record);
    }
    keeper.commitFailed();
    this.commit();
  }
}

test('a tree that was built and folded while its records changed is the tree of the records', () => {
  let built = 0;
  let early = 0;
  const property = fc.property(steps, (history) => {
    const world = new World();
    for (const step of history) {
      world.take(step);
      world.check();
    }
    world.finish();
    built += world.built;
    early += world.early;
  });
  holds(property, 400);
  assert.ok(built > 20, `builds came to their end among writes: ${built}`);
  assert.ok(early > 20, `workers read too early: ${early}`);
});

test('replicas that merged the same objects, in whatever order, have equal leaves; others have not', () => {
  const property = fc.property(historyOfSteps, fc.array(choice, { minLength: 3, maxLength: 12 }), (history, picks) => {
    const world = new VersionWorld();
    for (const step of history) world.take(step);
    const records = world.reachableRecords();
    if (records.length < 2) return;
    const objects = picks.map((pick) => decodeRecord(records[pick % records.length]!));
    const forwards = objects.reduce(merge);
    const backwards = objects.reduceRight(merge);
    const leaf = (record: Uint8Array) => [leafOfRecord(keyOf(1), record), leafLow];
    assert.deepEqual(leaf(encodeRecord(forwards)), leaf(encodeRecord(backwards)));
    for (const record of records) {
      const equal = Buffer.compare(record, records[0]!) === 0;
      assert.equal(`${leaf(record)}` === `${leaf(records[0]!)}`, equal);
    }
  });
  holds(property, 200);
});

test('trees that are too far behind are given up and built anew; one too small, too', () => {
  const log = new ChangeLog({ pageBytes: 1_000, maxPages: 2 });
  const keeper = new TreeKeeper({
    partition: PARTITION,
    log,
    maxHeldBytes: 2_000,
    saved: plainTree(new TreeReplica(1).storage),
  });
  const note = (count: number): void => {
    for (let i = 0; i < count; i++) keeper.note(keyOf(i), undefined, recordOf({ high: 1, low: 1, counter: i + 1 }));
  };
  assert.ok(!keeper.wantsBuild);
  note(40);
  assert.ok(keeper.tree !== undefined && log.isWaiting);
  const underWay = log.nextFold()!;
  note(100);
  assert.equal(keeper.tree, undefined);
  assert.ok(keeper.wantsBuild && !keeper.isFresh(0));
  log.folded(underWay.number, foldPage(underWay.task));
  assert.equal(keeper.tree, undefined, 'what comes of it now is for nobody');
  for (let next = log.nextFold(true); next !== undefined; next = log.nextFold(true)) {
    const folded = foldPage(next.task);
    assert.equal(folded.words.length, 0, 'what it held is gone');
    log.folded(next.number, folded);
  }
  keeper.beginBuild(1, 0);
  const slice = keeper.nextSlice();
  assert.ok(slice !== undefined && keeper.nextSlice() === undefined, 'one slice at a time');
  note(100);
  assert.ok(keeper.wantsBuild && !keeper.isBuilding, 'nor does a build hold more than it may');

  const small = new TreeReplica(2);
  const random = new SeededRandom(1);
  small.freshen();
  for (let i = 0; i < 600; i++) small.mint(keyOf(random.uint32()));
  assert.equal(small.keeper.tree!.depth, 1);
  for (let task = small.nextTask(); task !== undefined; task = small.nextTask()) {
    small.done(task, small.run(task.task));
  }
  assert.ok(small.keeper.wantsBuild, '600 keys want 256 segments');
  assert.equal(small.freshen().depth, 2);
  const { storage } = small;
  for (const { key } of storage.range({ ...partitionRange(PARTITION), limit: 500 })) small.set(key, undefined);
  assert.equal(small.freshen().depth, 1, 'it shrinks without a build');
  assert.ok(!small.keeper.wantsBuild);
  assertSameTrees(small.keeper.tree!, plainTree(small.storage, 1));
});
