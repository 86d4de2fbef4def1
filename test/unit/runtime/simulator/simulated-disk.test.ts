/** What the simulated disk loses, refuses and damages, beyond the storage contract that its conformance tests hold. */
import assert from 'node:assert/strict';
import { InvariantError } from '../../../../src/base/assert.js';
import { utf8 } from '../../../../src/base/bytes.js';
import { StorageFailedError, StorageFullError } from '../../../../src/base/errors.js';
import { SeededRandom } from '../../../../src/base/random.js';
import { SimulatedDisk } from '../../../../src/runtime/simulator/simulated-disk.js';
import { test } from '../../../support/test.js';

const SEEDS = Array.from({ length: 40 }, (_, i) => i + 1);

function text(disk: SimulatedDisk, key: string): string | undefined {
  const value = disk.peek(utf8(key));
  return value && Buffer.from(value).toString();
}

/** A disk with commits 1 … 5, each of which sets 'last' and a key of its own; flushed after the second. */
function written(seed: number, sync: 'full' | 'none'): SimulatedDisk {
  const disk = new SimulatedDisk(new SeededRandom(seed), { sync });
  const storage = disk.open();
  for (let i = 1; i <= 5; i++) {
    storage.put(utf8('last'), utf8(String(i)));
    storage.put(utf8(`key ${i}`), utf8('there'));
    if (i === 4) storage.remove(utf8('key 3'));
    storage.commit();
    if (i === 2) storage.flush();
  }
  storage.put(utf8('last'), utf8('pending'));
  return disk;
}

test('a crash of the process loses what was pending, and nothing that was committed', () => {
  for (const sync of ['full', 'none'] as const) {
    const disk = written(1, sync);
    disk.detach();
    assert.equal(text(disk, 'last'), '5');
    assert.equal(disk.open().stats().entries, 5);
  }
});

test('a power failure keeps what was durable, and of the rest the commits up to an arbitrary one', () => {
  const lasts = new Set<string>();
  for (const seed of SEEDS) {
    const whole = written(seed, 'full');
    whole.powerFail();
    assert.equal(text(whole, 'last'), '5');

    const disk = written(seed, 'none');
    disk.powerFail();
    const last = Number(text(disk, 'last'));
    lasts.add(String(last));
    const keys = disk.peekAll().map(({ key }) => Buffer.from(key).toString());
    const wanted = ['key 1', 'key 2', 'key 3', 'key 4', 'key 5']
      .slice(0, last)
      .filter((key) => last < 4 || key !== 'key 3');
    assert.deepEqual(keys, [...wanted, 'last'], 'whole groups, none of them in part');
    assert.equal(disk.open().stats().entries, keys.length);
    // What has survived one failure is durable.
    disk.powerFail();
    assert.equal(text(disk, 'last'), String(last));
  }
  assert.deepEqual([...lasts].sort(), ['2', '3', '4', '5']);
});

test('a failed commit throws, drops what was pending, and is stored or lost', () => {
  for (const outcome of ['stored', 'lost'] as const) {
    const disk = new SimulatedDisk(new SeededRandom(1));
    const storage = disk.open();
    storage.put(utf8('k'), utf8('before'));
    storage.commit();
    disk.failNextCommit(outcome);
    storage.put(utf8('k'), utf8('after'));
    assert.throws(() => storage.commit(), StorageFailedError);
    assert.equal(storage.pending, false);
    assert.equal(text(disk, 'k'), outcome === 'stored' ? 'after' : 'before');
    storage.put(utf8('other'), utf8('goes on'));
    storage.commit();
    assert.equal(text(disk, 'other'), 'goes on');
  }
  const outcomes = new Set<boolean>();
  for (const seed of SEEDS) {
    const disk = new SimulatedDisk(new SeededRandom(seed));
    disk.setFaults({ commitFailure: 1 });
    const storage = disk.open();
    storage.put(utf8('k'), utf8('v'));
    assert.throws(() => storage.commit(), StorageFailedError);
    const stored = text(disk, 'k') !== undefined;
    outcomes.add(stored);
    // What a failed commit has stored need not be durable.
    disk.powerFail();
    if (!stored) assert.equal(text(disk, 'k'), undefined);
  }
  assert.equal(outcomes.size, 2);
});

test('a failed flush makes nothing durable', () => {
  const lost = SEEDS.map((seed) => {
    const disk = new SimulatedDisk(new SeededRandom(seed), { sync: 'none' });
    const storage = disk.open();
    storage.put(utf8('k'), utf8('v'));
    storage.commit();
    disk.failNextFlush();
    assert.throws(() => storage.flush(), StorageFailedError);
    if (seed % 2 === 0) storage.flush();
    disk.powerFail();
    return text(disk, 'k') === undefined;
  });
  assert(lost.some((gone, i) => gone && SEEDS[i]! % 2 === 1));
  assert(
    lost.every((gone, i) => !gone || SEEDS[i]! % 2 === 1),
    'after a flush that worked, it stays',
  );
});

test('a full disk refuses what would grow it, and lets room be freed', () => {
  const disk = new SimulatedDisk(new SeededRandom(1), { capacityBytes: 100 });
  const storage = disk.open();
  storage.put(utf8('a'), new Uint8Array(90));
  storage.commit();
  storage.put(utf8('b'), new Uint8Array(20));
  assert.throws(() => storage.commit(), StorageFullError);
  assert.equal(text(disk, 'b'), undefined);
  storage.remove(utf8('a'));
  storage.put(utf8('b'), new Uint8Array(20));
  storage.commit();
  assert.deepEqual(storage.stats(), { entries: 1, bytes: 21 });
  disk.setCapacity(10);
  storage.remove(utf8('b'));
  storage.commit();
  assert.equal(storage.stats().bytes, 0);
});

test('a rotten record has one bit flipped, in every later read', () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  assert.equal(disk.rot(), undefined, 'nothing to rot');
  const storage = disk.open();
  storage.put(utf8('k'), new Uint8Array(8));
  storage.put(utf8('other'), new Uint8Array(8));
  storage.commit();
  assert.deepEqual(disk.rot(utf8('k')), Buffer.from('k'));
  const bits = [...storage.get(utf8('k'))!].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
  assert.equal(bits, 1);
  assert.equal(Buffer.compare(disk.peek(utf8('other'))!, new Uint8Array(8)), 0);
  assert(disk.rot() !== undefined);
});

test('a disk has one writer at a time, and a handle does not outlive its process', () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  const storage = disk.open();
  assert.throws(() => disk.open(), InvariantError);
  disk.detach();
  const next = disk.open();
  assert.throws(() => storage.put(utf8('k'), utf8('of the dead')), InvariantError);
  storage.close();
  next.put(utf8('k'), utf8('v'));
  next.commit();
  assert.equal(text(disk, 'k'), 'v');
});

test('bytes that were lent show it when they are used too late', () => {
  const storage = new SimulatedDisk(new SeededRandom(1)).open();
  storage.put(utf8('k'), utf8('value'));
  const lent = storage.get(utf8('k'))!;
  assert.equal(Buffer.from(lent).toString(), 'value');
  storage.get(utf8('another'));
  assert.notEqual(Buffer.from(lent).toString(), 'value');
  assert.equal(Buffer.from(storage.get(utf8('k'))!).toString(), 'value');
});

test('latencies are drawn as set', () => {
  const disk = new SimulatedDisk(new SeededRandom(1));
  disk.setLatency({ minMs: 10, meanExtraMs: 5 }, { minMs: 100, meanExtraMs: 0 });
  const storage = disk.open();
  const drawn = Array.from({ length: 500 }, () => storage.commitMs());
  assert(Math.min(...drawn) >= 10);
  const mean = drawn.reduce((sum, ms) => sum + ms, 0) / drawn.length;
  assert(mean > 14 && mean < 16, `a mean of ${mean} ms`);
  assert.equal(storage.flushMs(), 100);
});
