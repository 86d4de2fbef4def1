/** The tree: its leaves, sums, size and saved form. */
import assert from 'node:assert/strict';
import { KeyLeafReader, KeyLeafWriter } from '../../../src/anti-entropy/key-leaves.js';
import { leafLow, leafOfRecord } from '../../../src/anti-entropy/leaf.js';
import { depthFor, MAX_DEPTH, MerkleTree, nodeOf, nodesAt, WIDTH } from '../../../src/anti-entropy/merkle-tree.js';
import { DeltaBuilder } from '../../../src/anti-entropy/tree-delta.js';
import { readTree, saveTree } from '../../../src/anti-entropy/tree-form.js';
import { below, SeededRandom } from '../../../src/base/random.js';
import { CorruptRecordError } from '../../../src/codec/errors.js';
import { setPartition } from '../../../src/codec/key.js';
import { encodeRecord } from '../../../src/codec/record.js';
import { anObject } from '../../support/records.js';
import { test } from '../../support/test.js';
import { assertSameTrees, keyOf, recordOf } from '../../support/tree-replica.js';

interface AnyLeaf {
  readonly keyLow: number;
  readonly high: number;
  readonly low: number;
}

function randomLeaves(count: number, seed: number): AnyLeaf[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: count }, () => {
    return { keyLow: random.uint32(), high: random.uint32(), low: random.uint32() };
  });
}

function treeOf(leaves: readonly AnyLeaf[], depth: number): MerkleTree {
  const delta = new DeltaBuilder(depth);
  for (const { keyLow, high, low } of leaves) delta.add(keyLow, high, low);
  const tree = new MerkleTree(depth);
  tree.apply(delta.finish());
  return tree;
}

function leafText(key: Uint8Array, record: Uint8Array): string {
  const high = leafOfRecord(key, record);
  return `${high.toString(16)}:${leafLow.toString(16)}`;
}

test('a node is the sum of the leaves below it modulo 2^64, whatever the depth of the tree', () => {
  const leaves = randomLeaves(3_000, 1);
  for (const depth of [1, 2, 3]) {
    const tree = treeOf(leaves, depth);
    assert.equal(tree.keys, leaves.length);
    for (let level = 0; level <= depth; level++) {
      const sums = new Map<number, bigint>();
      for (const { keyLow, high, low } of leaves) {
        const node = nodeOf(keyLow, level);
        sums.set(node, BigInt.asUintN(64, (sums.get(node) ?? 0n) + (BigInt(high) << 32n) + BigInt(low)));
      }
      for (let node = 0; node < nodesAt(level); node++) {
        assert.equal((BigInt(tree.high(level, node)) << 32n) + BigInt(tree.low(level, node)), sums.get(node) ?? 0n);
      }
    }
    for (let shallower = 1; shallower <= depth; shallower++) {
      assertSameTrees(tree.shrunk(shallower), treeOf(leaves, shallower));
    }
  }
});

test('leaves that come and go leave nothing behind, in any order, by deltas of any depth', () => {
  const leaves = randomLeaves(500, 2);
  const gone = randomLeaves(500, 3);
  const expected = treeOf(leaves, 2);
  const random = new SeededRandom(4);
  const tree = new MerkleTree(2);
  const changes = [
    ...leaves.map((leaf) => ({ leaf, comes: true })),
    ...gone.flatMap((leaf) => [true, false].map((comes) => ({ leaf, comes }))),
  ]
    .map((change) => ({ change, order: random.uint32() }))
    .sort((a, b) => a.order - b.order);
  for (let from = 0; from < changes.length; from += 70) {
    const delta = new DeltaBuilder(2 + (from % 3));
    for (const { change } of changes.slice(from, from + 70)) {
      const { keyLow, high, low } = change.leaf;
      if (change.comes) delta.add(keyLow, high, low);
      else delta.subtract(keyLow, high, low);
    }
    tree.apply(delta.finish());
  }
  assertSameTrees(tree, expected);
  // The negative of a leaf with a low half of 0 borrows from nowhere.
  const edge = new DeltaBuilder(2);
  for (const [high, low] of [
    [1, 0],
    [0, 0],
    [0xffff_ffff, 0xffff_ffff],
    [0, 1],
  ] as const) {
    edge.add(77, high, low);
    edge.subtract(77, high, low);
  }
  assert.deepEqual([...edge.finish().words], [nodeOf(77, 2), 0, 0, 0]);
});

test('a leaf tells keys, contexts and dots apart, and nothing else', () => {
  const dot = { high: 1, low: 2, counter: 3 };
  const record = recordOf(dot);
  const same = leafText(keyOf(1), record);
  assert.equal(leafText(keyOf(1), recordOf({ ...dot })), same);
  const elsewhere = keyOf(1).slice();
  setPartition(elsewhere, 63);
  assert.equal(leafText(elsewhere, record), same, 'the number of partitions is no part of the state');
  assert.notEqual(leafText(keyOf(2), record), same);
  assert.notEqual(leafText(keyOf(1), recordOf({ ...dot, counter: 4 })), same);
  assert.notEqual(leafText(keyOf(1), recordOf(dot, 9)), same, 'one that has seen more is another');
  const object = anObject(1);
  const aware = { ...object, context: { ...object.context, extra: [1, 5, 6, 7] } };
  assert.notEqual(leafText(keyOf(1), encodeRecord(aware)), leafText(keyOf(1), encodeRecord(object)));
});

test('a tree is as deep as its keys want, and does not waver', () => {
  assert.deepEqual(
    [0, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 400_000_000].map((keys) => depthFor(keys)),
    [1, 1, 2, 3, 3, 4, 5, 6],
  );
  for (let depth = 1; depth <= MAX_DEPTH; depth++) {
    for (let keys = 1; keys < 1e9; keys = Math.ceil(keys * 1.3)) {
      const wanted = depthFor(keys, depth);
      assert.equal(depthFor(keys, wanted), wanted, 'it stays what it has become');
      if (wanted > depth) {
        assert.equal(depthFor(keys * 0.3, wanted), wanted, 'nor is it undone by a few deletions');
      }
      if (wanted < depth) assert.equal(depthFor(keys * 3, wanted), wanted, 'nor by a few writes');
      const perSegment = keys / nodesAt(wanted);
      if (keys > 512 && wanted < MAX_DEPTH) assert.ok(perSegment > 1 / 2 && perSegment <= 32, `${keys} at ${wanted}`);
    }
  }
  assert.equal(WIDTH ** 2, nodesAt(2));
});

test('listed keys come back in order with their leaves, in few bytes; cut off, they are refused', () => {
  const random = new SeededRandom(5);
  const long = new Uint8Array(1_906).fill(7);
  const keys = [
    ...Array.from({ length: 2_000 }, (_, i) => keyOf(i)),
    long,
    Uint8Array.of(9, 9, 9),
    Uint8Array.of(9, 10),
  ];
  keys.sort((a, b) => Buffer.compare(a, b));
  const entries = keys.map((key) => {
    return { key, place: below(random, 20_000), high: random.uint32(), low: random.uint32() };
  });
  const writer = new KeyLeafWriter();
  // As lmdb lends its keys: one piece of memory for all.
  const lent = new Uint8Array(2_000);
  for (const { key, place, high, low } of entries) {
    lent.set(key);
    writer.add(lent.subarray(0, key.length), place, high, low);
  }
  const bytes = writer.finish();
  const plain = keys.reduce((sum, { length }) => sum + length, 0);
  assert.ok(bytes.length < plain, `${bytes.length} bytes, leaves and all, for ${plain} of keys`);
  const reader = new KeyLeafReader(bytes);
  for (const { key, place, high, low } of entries) {
    assert.ok(!reader.atEnd);
    assert.deepEqual([reader.place, reader.leafHigh, reader.leafLow], [place, high, low]);
    assert.equal(Buffer.compare(reader.key, key), 0);
    reader.advance();
  }
  assert.ok(reader.atEnd);
  assert.ok(new KeyLeafReader(new Uint8Array(0)).atEnd);

  const few = new KeyLeafWriter();
  few.add(keyOf(1), 3, 4, 5);
  const whole = few.finish();
  for (let length = 1; length < whole.length; length++) {
    assert.throws(() => new KeyLeafReader(whole.slice(0, length)), CorruptRecordError);
  }
  const borrowing = whole.slice();
  borrowing[0] = 1;
  assert.throws(() => new KeyLeafReader(borrowing), CorruptRecordError, 'there is no key before it');
});

const STOP = new Uint8Array(16).fill(1);
const LATER = new Uint8Array(16).fill(2);

/** Where trees are saved, by key; counts what is written. */
class Shelf {
  readonly values = new Map<string, Uint8Array>();
  writes = 0;

  get(key: Uint8Array): Uint8Array | undefined {
    return this.values.get(Buffer.from(key).toString('hex'));
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.writes++;
    this.values.set(Buffer.from(key).toString('hex'), Uint8Array.from(value));
  }

  remove(key: Uint8Array): void {
    this.values.delete(Buffer.from(key).toString('hex'));
  }

  copy(): Shelf {
    const copy = new Shelf();
    for (const [name, value] of this.values) copy.values.set(name, Uint8Array.from(value));
    return copy;
  }
}

test('a saved tree comes back as it was; what was changed, cut off or taken from another save is refused', () => {
  for (const depth of [1, 3, 4]) {
    const tree = treeOf(randomLeaves(200, depth), depth);
    const shelf = new Shelf();
    // Of a tree that was deeper, and must not be taken for this one's.
    saveTree(shelf, 7, { tree: treeOf(randomLeaves(9, 9), 4), builtAtMs: 0 }, STOP);
    saveTree(shelf, 7, { tree, builtAtMs: 1_700_000_000_123 }, STOP);
    assert.equal(shelf.values.size, 1 + tree.blocks, 'nothing of another tree is left');
    const back = readTree(shelf, 7, STOP)!;
    assertSameTrees(back.tree, tree);
    assert.equal(back.builtAtMs, 1_700_000_000_123);
    assert.equal(readTree(shelf, 8, STOP), undefined);
    assert.equal(readTree(shelf, 7, LATER), undefined, 'there was another stop since');

    // What changes afterwards is in few blocks, and only those are written.
    const before = shelf.copy();
    const more = new DeltaBuilder(depth);
    for (const { keyLow, high, low } of randomLeaves(1, 99)) more.add(keyLow, high, low);
    back.tree.apply(more.finish());
    shelf.writes = 0;
    saveTree(shelf, 7, back, LATER);
    assert.equal(shelf.writes, 2);
    assertSameTrees(readTree(shelf, 7, LATER)!.tree, back.tree);

    for (const [name, value] of shelf.values) {
      const stale = shelf.copy();
      const old = before.values.get(name)!;
      stale.values.set(name, old);
      // A head of the other stop is no damage: nothing was saved by this one.
      if (name.length === 10) assert.equal(readTree(stale, 7, LATER), undefined);
      else if (Buffer.compare(old, value) !== 0) assert.throws(() => readTree(stale, 7, LATER), CorruptRecordError);
      stale.values.delete(name);
      if (name.length === 10) assert.equal(readTree(stale, 7, LATER), undefined);
      else assert.throws(() => readTree(stale, 7, LATER), CorruptRecordError);
      for (let at = 0; at < value.length; at += name.length === 10 ? 1 : 9_973) {
        const changed = value.slice();
        changed[at]! ^= 1;
        for (const damaged of [changed, value.slice(0, at)]) {
          stale.values.set(name, damaged);
          assert.throws(() => readTree(stale, 7, LATER), CorruptRecordError, `byte ${at} of ${name}`);
        }
      }
    }
    if (depth === 4) {
      const [first, second] = [...shelf.values.keys()].filter((name) => name.length > 10);
      const mixed = shelf.copy();
      mixed.values.set(first!, shelf.values.get(second!)!);
      assert.throws(() => readTree(mixed, 7, LATER), CorruptRecordError);
    }
  }
});
