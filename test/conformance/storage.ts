/**
 * What every storage must do, as its contract says: run over each engine (LMDB, memory, the simulator's disk).
 * The last test plays random commands against a sorted map that cannot be wrong.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { compareBytes, utf8 } from '../../src/base/bytes.js';
import { StorageFailedError } from '../../src/base/errors.js';
import type { RangeOptions, Storage, StorageEntry } from '../../src/storage/storage.js';

/** A place for one storage, empty at first. */
export interface StorageUnderTest {
  /** True if what was committed is still there when the storage is closed and opened again. */
  readonly persistent: boolean;
  /** True if `flush` can make it durable; else it throws. */
  readonly durable: boolean;
  /** Opens the storage at this place; again after a close. */
  open(): Storage;
  /** Frees the place. The storage is closed. */
  dispose?(): void;
}

/** How long the random commands run, in milliseconds. */
const PROPERTY_MS = Number(process.env.QUORAL_PROPERTY_MS ?? 1_500);

export function storageConformance(name: string, make: () => StorageUnderTest): void {
  /** A test on a storage of its own. */
  function story(what: string, run: (storage: Storage, place: StorageUnderTest) => Storage | undefined): void {
    test(`${name}: ${what}`, (t) => {
      const place = make();
      let storage = place.open();
      try {
        storage = run(storage, place) ?? storage;
      } finally {
        storage.close();
        place.dispose?.();
      }
      // Tap counts its own assertions only: a test without one is reported as skipped.
      t.pass('held');
      t.end();
    });
  }

  story('a put is read back before and after the commit', (storage) => {
    storage.put(utf8('k'), utf8('one'));
    assert.equal(read(storage, 'k'), 'one');
    storage.commit();
    assert.equal(read(storage, 'k'), 'one');
    storage.put(utf8('k'), utf8('two'));
    assert.equal(read(storage, 'k'), 'two');
    storage.put(utf8('k'), utf8('three'));
    assert.equal(read(storage, 'k'), 'three');
    storage.commit();
    assert.equal(read(storage, 'k'), 'three');
    assert.equal(read(storage, 'other'), undefined);
    return undefined;
  });

  story('a removed key is gone before and after the commit, and can be put again', (storage) => {
    storage.put(utf8('k'), utf8('v'));
    storage.commit();
    storage.remove(utf8('k'));
    storage.remove(utf8('never there'));
    assert.equal(read(storage, 'k'), undefined);
    assert.deepEqual(list(storage, { limit: 9 }), []);
    storage.commit();
    assert.equal(read(storage, 'k'), undefined);
    assert.equal(storage.stats().entries, 0);
    storage.put(utf8('k'), utf8('new'));
    storage.remove(utf8('k'));
    storage.put(utf8('k'), utf8('newer'));
    storage.commit();
    assert.equal(read(storage, 'k'), 'newer');
    return undefined;
  });

  story('pending tells of uncommitted writes', (storage) => {
    const told = (): boolean[] => [storage.pending, storage.isPending(utf8('k')), storage.isPending(utf8('other'))];
    assert.deepEqual(told(), [false, false, false]);
    storage.put(utf8('k'), utf8('v'));
    assert.deepEqual(told(), [true, true, false]);
    storage.commit();
    assert.deepEqual(told(), [false, false, false]);
    storage.remove(utf8('k'));
    assert.deepEqual(told(), [true, true, false]);
    storage.commit();
    assert.deepEqual(told(), [false, false, false]);
    storage.commit(); // Nothing to do is no error.
    assert.equal(storage.pending, false);
    return undefined;
  });

  story('ranges are in byte order, bounded, and merge what is pending', (storage) => {
    for (const key of ['b', 'd', 'f', 'h']) storage.put(utf8(key), utf8(`${key} stored`));
    storage.commit();
    storage.put(utf8('a'), utf8('a pending'));
    storage.put(utf8('d'), utf8('d pending'));
    storage.put(utf8('e'), utf8('e pending'));
    storage.remove(utf8('f'));
    storage.put(utf8('i'), utf8('i pending'));
    assert.deepEqual(list(storage, { limit: 99 }), [
      'a: a pending',
      'b: b stored',
      'd: d pending',
      'e: e pending',
      'h: h stored',
      'i: i pending',
    ]);
    const keys = (options: RangeOptions): string =>
      list(storage, options)
        .map((line) => line[0])
        .join('');
    assert.equal(keys({ limit: 0 }), '');
    assert.equal(keys({ limit: 3 }), 'abd');
    assert.equal(keys({ limit: 4 }), 'abde');
    assert.equal(keys({ limit: 5 }), 'abdeh');
    assert.equal(keys({ limit: Number.POSITIVE_INFINITY }), 'abdehi');
    assert.equal(keys({ gte: utf8('d'), limit: 9 }), 'dehi');
    assert.equal(keys({ gt: utf8('d'), limit: 9 }), 'ehi');
    assert.equal(keys({ gte: utf8('c'), lt: utf8('h'), limit: 9 }), 'de');
    assert.equal(keys({ gt: utf8('b'), lt: utf8('i'), limit: 2 }), 'de');
    assert.equal(keys({ gte: utf8('f'), lt: utf8('g'), limit: 9 }), '');
    assert.equal(keys({ gte: utf8('x'), lt: utf8('b'), limit: 9 }), '');
    assert.equal(keys({ gt: utf8('b'), lt: utf8('b'), limit: 9 }), '');
    assert.equal(keys({ gte: new Uint8Array(0), lt: utf8('c'), limit: 9 }), 'ab');
    assert.equal(keys({ gt: new Uint8Array(0), limit: 1 }), 'a');
    assert.equal(keys({ lt: new Uint8Array(0), limit: 9 }), '');
    return undefined;
  });

  story('keys are ordered as unsigned bytes, a prefix before what it begins', (storage) => {
    const keys = [
      [0],
      [0, 0],
      [0, 1],
      [1],
      [0x7f],
      [0x80],
      [0x80, 0],
      [0xc3, 0xbc],
      [0xfe, 0xff],
      [0xff],
      [0xff, 0xff],
    ];
    for (const key of [...keys].reverse()) storage.put(Uint8Array.from(key), Uint8Array.from(key));
    const pending = storage.range({ limit: 99 }).map(({ key }) => [...key]);
    assert.deepEqual(pending, keys);
    storage.commit();
    const stored = storage.range({ limit: 99 });
    assert.deepEqual(
      stored.map(({ key }) => [...key]),
      keys,
    );
    assert.deepEqual(
      stored.map(({ value }) => [...value]),
      keys,
    );
    assert.deepEqual(
      storage.range({ gt: Uint8Array.of(0x80), lt: Uint8Array.of(0xff), limit: 9 }).map(({ key }) => [...key]),
      [
        [0x80, 0],
        [0xc3, 0xbc],
        [0xfe, 0xff],
      ],
    );
    return undefined;
  });

  story('keys of 1 and of 1,978 bytes, values of none and of 3 MiB', (storage) => {
    const sizes = [0, 1, 100, 5_000, 40_000, 100_000, 3 << 20, 7];
    const long = (last: number): Uint8Array => new Uint8Array(1_978).fill(last, 1_977);
    for (const [index, size] of sizes.entries()) storage.put(long(index), filled(size, index));
    storage.put(Uint8Array.of(1), filled(10, 9));
    for (const when of ['pending', 'committed']) {
      sizes.forEach((size, index) => {
        const value = storage.get(long(index));
        assert.ok(value !== undefined && Buffer.from(value).equals(filled(size, index)), `${size} bytes, ${when}`);
      });
      assert.equal(storage.get(Uint8Array.of(1))?.length, 10);
      assert.equal(storage.get(long(0))?.length, 0, 'an empty value is there');
      const entries = storage.range({ gte: long(0), limit: 99 });
      assert.deepEqual(
        entries.map(({ value }) => value.length),
        [...sizes, 10],
      );
      entries.slice(0, -1).forEach(({ value }, index) => {
        assert.ok(Buffer.from(value).equals(filled(sizes[index]!, index)), `${sizes[index]} bytes, range, ${when}`);
      });
      storage.commit();
    }
    return undefined;
  });

  story('an empty key or one of 1,979 bytes is a programmer’s error, before anything is written', (storage) => {
    storage.put(utf8('k'), utf8('v'));
    assert.throws(() => storage.put(new Uint8Array(0), utf8('v')), { name: 'InvariantError' });
    assert.throws(() => storage.put(new Uint8Array(1_979), utf8('v')), { name: 'InvariantError' });
    storage.commit();
    assert.deepEqual(list(storage, { limit: 9 }), ['k: v']);
    return undefined;
  });

  story('what get returns is a true view: it copies as what it is', (storage) => {
    storage.put(utf8('long'), filled(900, 3));
    storage.put(utf8('short'), filled(5, 4));
    storage.commit();
    storage.get(utf8('long'));
    for (let time = 0; time < 2; time++) {
      const value = storage.get(utf8('short'))!;
      assert.equal(value.byteLength, 5);
      assert.equal(value.subarray(0).length, 5);
      assert.equal(Buffer.from(value).length, 5);
      assert.equal(new Uint8Array(value).length, 5);
      assert.equal(value.slice().length, 5);
      const target = new Uint8Array(6);
      target.set(value, 1);
      assert.deepEqual([...target], [0, 4, 4, 4, 4, 4]);
    }
    return undefined;
  });

  story('the bytes of a range are the caller’s, and stay', (storage) => {
    storage.put(utf8('a'), utf8('first'));
    storage.put(utf8('b'), filled(70_000, 1));
    storage.commit();
    storage.put(utf8('c'), utf8('pending'));
    const before = storage.range({ limit: 9 });
    const wanted = before.map(({ key, value }) => [Buffer.from(key), Buffer.from(value)]);
    for (const key of ['a', 'b', 'c']) storage.put(utf8(key), utf8('changed'));
    storage.commit();
    for (let round = 0; round < 20; round++) {
      for (const key of ['a', 'b', 'c', 'd']) storage.put(utf8(key), filled(70_000, round));
      storage.commit();
      storage.range({ limit: 9 });
      storage.get(utf8('b'));
    }
    assert.deepEqual(
      before.map(({ key, value }) => [Buffer.from(key), Buffer.from(value)]),
      wanted,
    );
    // And writing into them changes nothing stored.
    for (const { key, value } of storage.range({ limit: 9 })) {
      key.fill(0);
      value.fill(0);
    }
    assert.deepEqual(
      storage.range({ limit: 9 }).map(({ key, value }) => [key[0], value[0], value.length]),
      [
        [97, 19, 70_000],
        [98, 19, 70_000],
        [99, 19, 70_000],
        [100, 19, 70_000],
      ],
    );
    return undefined;
  });

  story('buffers are the caller’s again after the commit', (storage) => {
    const key = utf8('key');
    const value = utf8('value');
    storage.put(key, value);
    storage.commit();
    key.fill(0);
    value.fill(0);
    assert.deepEqual(list(storage, { limit: 9 }), ['key: value']);
    assert.equal(read(storage, 'key'), 'value');
    return undefined;
  });

  story('a large group is stored whole, and small ones go on after it', (storage) => {
    for (let i = 0; i < 5_000; i++) storage.put(utf8(`key ${i}`), utf8(`value ${i}`));
    assert.equal(read(storage, 'key 4999'), 'value 4999');
    assert.equal(read(storage, 'key 5000'), undefined);
    storage.commit();
    assert.equal(storage.stats().entries, 5_000);
    for (let i = 0; i < 5_000; i += 2) storage.remove(utf8(`key ${i}`));
    storage.commit();
    assert.equal(storage.stats().entries, 2_500);
    for (let i = 0; i < 5_000; i++) assert.equal(read(storage, `key ${i}`), i % 2 === 0 ? undefined : `value ${i}`);
    assert.equal(storage.range({ limit: Number.POSITIVE_INFINITY }).length, 2_500);
    return undefined;
  });

  story('stats count committed entries and their bytes', (storage) => {
    storage.put(utf8('a'), filled(100_000, 1));
    storage.put(utf8('b'), filled(100_000, 2));
    storage.commit();
    const { entries, bytes } = storage.stats();
    assert.equal(entries, 2);
    assert.ok(bytes >= 200_000, `${bytes} bytes`);
    return undefined;
  });

  story('flush makes durable, or says that it cannot', (storage, place) => {
    storage.put(utf8('k'), utf8('v'));
    storage.commit();
    if (place.durable) storage.flush();
    else assert.throws(() => storage.flush(), StorageFailedError);
    assert.equal(read(storage, 'k'), 'v');
    return undefined;
  });

  story('close drops what is pending, is idempotent, and ends all use', (storage, place) => {
    storage.put(utf8('committed'), utf8('v'));
    storage.commit();
    storage.put(utf8('pending'), utf8('v'));
    storage.close();
    storage.close();
    for (const use of [
      () => storage.get(utf8('k')),
      () => storage.put(utf8('k'), utf8('v')),
      () => storage.remove(utf8('k')),
      () => storage.range({ limit: 1 }),
      () => storage.commit(),
      () => storage.flush(),
      () => storage.stats(),
    ]) {
      assert.throws(use, { name: 'InvariantError' });
    }
    const again = place.open();
    assert.deepEqual(list(again, { limit: 9 }), place.persistent ? ['committed: v'] : []);
    return again;
  });

  // Goal: every engine is the same ordered map, whatever it is made of. Method: random commands on few keys, so that
  // writes, removals, commits and reopenings meet; every read is compared with a map sorted at each question.
  test(`${name}: random commands agree with a sorted map`, (t) => {
    let commands = 0;
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: 'max' }), (list) => {
        commands += list.length;
        play(make(), list);
      }),
      { interruptAfterTimeLimit: PROPERTY_MS, numRuns: 1_000_000, markInterruptAsFailure: false },
    );
    assert.ok(commands > 100, `only ${commands} commands were played`);
    t.pass(`${commands} commands`);
    t.end();
  });
}

type Command =
  | { type: 'put'; key: Uint8Array; value: Uint8Array }
  | { type: 'remove' | 'get'; key: Uint8Array }
  | { type: 'range'; options: RangeOptions }
  | { type: 'commit' | 'reopen' };

/** Few keys, so that commands meet: prefixes of each other, and either side of the highest bit. */
const someKey = fc.array(fc.constantFrom(0, 0x61, 0xff), { minLength: 1, maxLength: 2 }).map(toBytes);
const someBound = fc.array(fc.constantFrom(0, 0x60, 0x61, 0xff), { maxLength: 3 }).map(toBytes);
const someValue = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 20 }) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(9_000), fc.nat(255)).map(([size, fill]) => filled(size, fill)) },
);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('put' as const), key: someKey, value: someValue }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('remove' as const), key: someKey }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('get' as const), key: someKey }) },
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('range' as const),
      options: fc
        .tuple(
          fc.oneof(
            fc.constant({}),
            someBound.map((gte) => ({ gte })),
            someBound.map((gt) => ({ gt })),
          ),
          fc.option(someBound, { nil: undefined }),
          fc.oneof(fc.nat(6), fc.constant(Number.POSITIVE_INFINITY)),
        )
        .map(([from, lt, limit]) => ({ ...from, ...(lt && { lt }), limit })),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ type: 'commit' as const }) },
  { weight: 1, arbitrary: fc.constant({ type: 'reopen' as const }) },
);

function play(place: StorageUnderTest, commands: readonly Command[]): void {
  let storage = place.open();
  let committed = new Map<string, Buffer>();
  let now = new Map<string, Buffer>();
  let pending = false;
  try {
    for (const each of commands) {
      switch (each.type) {
        case 'put':
          storage.put(each.key, each.value);
          now.set(hex(each.key), Buffer.from(each.value));
          pending = true;
          break;
        case 'remove':
          storage.remove(each.key);
          now.delete(hex(each.key));
          pending = true;
          break;
        case 'get': {
          const value = storage.get(each.key);
          assert.deepEqual(value && Buffer.from(value), now.get(hex(each.key)));
          break;
        }
        case 'range':
          assert.deepEqual(storage.range(each.options).map(plain), naiveRange(now, each.options));
          break;
        case 'commit':
          storage.commit();
          committed = new Map(now);
          pending = false;
          break;
        case 'reopen':
          storage.close();
          storage = place.open();
          if (!place.persistent) committed = new Map();
          now = new Map(committed);
          pending = false;
          break;
      }
      assert.equal(storage.pending, pending);
    }
    const all = { limit: Number.POSITIVE_INFINITY };
    assert.deepEqual(storage.range(all).map(plain), naiveRange(now, all));
    storage.commit();
    assert.equal(storage.stats().entries, now.size);
  } finally {
    storage.close();
    place.dispose?.();
  }
}

function naiveRange(map: ReadonlyMap<string, Buffer>, { gte, gt, lt, limit }: RangeOptions): unknown[] {
  return [...map]
    .map(([key, value]) => ({ key: Buffer.from(key, 'hex'), value }))
    .filter(({ key }) => gte === undefined || compareBytes(key, gte) >= 0)
    .filter(({ key }) => gt === undefined || compareBytes(key, gt) > 0)
    .filter(({ key }) => lt === undefined || compareBytes(key, lt) < 0)
    .sort((a, b) => compareBytes(a.key, b.key))
    .slice(0, limit)
    .map(plain);
}

function plain({ key, value }: StorageEntry): unknown {
  return { key: hex(key), value: hex(value) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function toBytes(numbers: number[]): Uint8Array {
  return Uint8Array.from(numbers);
}

function filled(size: number, fill: number): Buffer {
  return Buffer.alloc(size, fill);
}

function read(storage: Storage, key: string): string | undefined {
  const value = storage.get(utf8(key));
  return value && Buffer.from(value).toString();
}

function list(storage: Storage, options: RangeOptions): string[] {
  return storage.range(options).map(({ key, value }) => `${Buffer.from(key)}: ${Buffer.from(value)}`);
}
