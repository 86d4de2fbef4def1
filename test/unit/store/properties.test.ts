/** Properties that are kept with the cluster: for whom they hold, who wins, and how soon a change is seen. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bucket, InvalidArgumentError, type OpenOptions, open, type Store } from '../../../src/index.js';
import type { BucketHome } from '../../../src/store/bucket-home.js';
import { PropertyCache } from '../../../src/store/property-cache.js';
import { fails, refuses } from '../../support/rejection.js';
import { test } from '../../support/test.js';

async function withStore(options: OpenOptions, use: (store: Store) => Promise<void>): Promise<void> {
  await using store = await open(options);
  await use(store);
}

async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'quoral-properties-'));
  try {
    await use(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

const text = { codec: 'text' } as const;

async function siblingsOf(bucket: Bucket<string>, key: string): Promise<string[]> {
  return (await bucket.get(key)).siblings.map(({ value }) => value);
}

/** Puts two values that know nothing of each other, and gives what is there then. */
async function twoWriters(bucket: Bucket<string>, key: string): Promise<string[]> {
  // Whoever mints the second one is to have the first: on a busy machine that may be another replica.
  await bucket.put(key, 'one', { pw: 'all' });
  await bucket.put(key, 'two', { pw: 'all' });
  return siblingsOf(bucket, key);
}

test('call over handle over bucket over type over open', () =>
  withStore({ nodes: 3, w: 3, r: 1 }, async (store) => {
    await store.setBucketType('t', { w: 2, pw: 1, notfoundOk: false, maxSiblings: 7 });
    await store.setBucketProperties('b', { w: 'one', ttlMs: 60_000 }, { type: 't' });
    assert.deepEqual(await store.bucketProperties('b', { type: 't' }), {
      ...{ n: 3, r: 1, w: 'one', pr: 0, pw: 1, dw: 0, notfoundOk: false, basicQuorum: false },
      ...{ ttlMs: 60_000, maxSiblings: 7, resolution: 'siblings' },
    });
    const ofType = await store.bucketType('t');
    assert.deepEqual([ofType.w, ofType.ttlMs], [2, undefined]);
    assert.equal((await store.bucketProperties('b')).w, 3, 'a bucket of another type is another bucket');

    // With two of three nodes, w = 3 cannot be had.
    await store.admin.stop('c');
    const accepts = async (bucket: string, handle: object, call: object): Promise<boolean> => {
      try {
        await store.bucket<string>(bucket, { ...text, ...handle }).put('k', 'v', call);
        return true;
      } catch {
        return false;
      }
    };
    assert.equal(await accepts('b', {}, {}), false, 'the option of open');
    assert.equal(await accepts('other', { type: 't' }, {}), true, "the type's");
    await store.setBucketProperties('b', { w: 'all' }, { type: 't' });
    assert.equal(await accepts('b', { type: 't' }, {}), false, "the bucket's over the type's");
    assert.equal(await accepts('b', { type: 't', w: 1 }, {}), true, "the handle's over the bucket's");
    assert.equal(await accepts('b', { type: 't', w: 1 }, { w: 3 }), false, "the call's over the handle's");
    await store.setBucketProperties('b', { w: null }, { type: 't' });
    assert.equal(await accepts('b', { type: 't' }, {}), true, 'taken back, the type has its say again');
  }));

test('a handle follows a change at once, whatever it is of', () =>
  withStore({ nodes: 3 }, async (store) => {
    const bucket = store.bucket<string>('b', text);
    const loud = store.bucket<string>('b', { ...text, resolution: 'siblings', maxSiblings: 100 });
    assert.deepEqual(await twoWriters(bucket, 'a'), ['one', 'two']);

    await store.setBucketProperties('b', { resolution: 'last-write-wins' });
    assert.deepEqual(await siblingsOf(bucket, 'a'), ['two'], 'a read picks the last one');
    assert.deepEqual(await siblingsOf(loud, 'a'), ['one', 'two'], 'not for a handle that has its own say');
    assert.deepEqual(await twoWriters(bucket, 'b'), ['two']);
    assert.deepEqual(await siblingsOf(loud, 'b'), ['two'], 'and a put leaves no siblings');

    await store.setBucketType('default', { maxSiblings: 1 });
    await store.setBucketProperties('b', { resolution: null, ttlMs: 1 });
    await bucket.put('c', 'gone at once');
    await store.setBucketProperties('b', { ttlMs: null });
    await refuses(() => twoWriters(bucket, 'd'), 'TOO_MANY_SIBLINGS');
    assert.deepEqual(await twoWriters(loud, 'e'), ['one', 'two']);
    const nowMs = Date.now();
    while (Date.now() <= nowMs + 1) await bucket.get('c');
    assert.equal((await bucket.get('c')).found, false);

    // A scan asks, too.
    const seen: string[] = [];
    await store.setBucketProperties('b', { resolution: 'last-write-wins' });
    for await (const { key, value } of bucket.scan({ values: true })) seen.push(`${String(key)} ${value}`);
    assert.deepEqual(seen, ['a two', 'b two', 'd one', 'e two']);
  }));

test('a bucket type must be created: every call says so, and what to do', () =>
  withStore({ nodes: 3 }, async (store) => {
    const bucket = store.bucket<string>('b', { ...text, type: 'new' });
    const expected = {
      code: 'INVALID_ARGUMENT',
      message: /no bucket type "new": create it with setBucketType/,
    } as const;
    const calls: (() => unknown)[] = [
      () => bucket.get('k'),
      () => bucket.put('k', 'v'),
      () => bucket.delete('k'),
      () => bucket.update('k', () => 'v'),
      () => bucket.scan().next(),
      () => store.buckets({ type: 'new' }).next(),
      () => store.bucketProperties('b', { type: 'new' }),
      () => store.setBucketProperties('b', { r: 1 }, { type: 'new' }),
      () => store.bucketType('new'),
    ];
    for (const call of calls) {
      const error = await fails(call, expected);
      assert(error instanceof InvalidArgumentError && error.bucketType === 'new');
    }
    const many = await bucket.getMany(['k', 'l']);
    for (const result of many.values()) assert(result instanceof InvalidArgumentError);

    await store.setBucketType('new');
    await bucket.put('k', 'v');
    assert.equal((await bucket.get('k')).value, 'v');
    assert.equal((await store.bucketType('new')).r, 2);
    // The default type is there without being created, and is no other for being changed.
    await store.bucket<string>('b', { ...text, type: 'default' }).put('k', 'w');
    await store.setBucketType('default', { r: 1 });
    assert.equal((await store.bucket<string>('b', text).get('k')).value, 'w');
  }));

test('changes at the same time: different properties all hold, of one the same change for everybody', () =>
  withStore({ nodes: 3 }, async (store) => {
    await Promise.all([
      store.setBucketProperties('b', { r: 1 }),
      store.setBucketProperties('b', { w: 1 }),
      store.setBucketProperties('b', { ttlMs: 5_000 }),
      ...[1, 2, 3, 4, 5].map((maxSiblings) => store.setBucketProperties('b', { maxSiblings })),
    ]);
    const { r, w, ttlMs, maxSiblings } = await store.bucketProperties('b');
    assert.deepEqual([r, w, ttlMs], [1, 1, 5_000]);
    assert(maxSiblings >= 1 && maxSiblings <= 5);
    for (let i = 0; i < 5; i++) assert.equal((await store.bucketProperties('b')).maxSiblings, maxSiblings);
    await store.setBucketProperties('b', { maxSiblings: 50 });
    assert.equal((await store.bucketProperties('b')).maxSiblings, 50);
  }));

test('they are stored: replicated, out of sight, for names of every length, and there after reopening', () =>
  withDirectory(async (directory) => {
    const type = 't'.repeat(900);
    const long = 'b'.repeat(999);
    await withStore({ path: directory, nodes: 3 }, async (store) => {
      await store.setBucketType(type, { r: 3 });
      await store.setBucketProperties(long, { w: 1 }, { type });
      await store.setBucketProperties('plain', { dw: 1 });
      const seen: string[] = [];
      for (const of of ['default', type]) for await (const name of store.buckets({ type: of })) seen.push(name);
      assert.deepEqual(seen, []);
      await store.bucket(long, { type }).put('k', Uint8Array.of(1));
      await fails(() => store.setBucketProperties(`${long}x`, {}, { type }), 'KEY_TOO_LONG');
    });
    await withStore({ path: directory }, async (store) => {
      // One replica of each is enough to know them.
      await store.admin.stop('a');
      await store.admin.stop('b');
      const { r, w } = await store.bucketProperties(long, { type });
      assert.deepEqual([r, w], [3, 1]);
      await fails(() => store.bucket(long, { type }).get('k'), 'QUORUM_UNAVAILABLE');
      assert.equal((await store.bucket(long, { type }).get('k', { r: 1 })).found, true);
      const receipt = await store.bucket('plain', { w: 1 }).put('k', Uint8Array.of(1));
      assert(receipt.acks.some(({ durable }) => durable));
    });
    // What cannot be had in this mode is refused, not passed over; reads are none the worse.
    await withStore({ path: directory, sync: 'none' }, async (store) => {
      assert.equal((await store.bucket('plain').get('k')).found, true);
      const refused = { code: 'INVALID_ARGUMENT', message: /dw above 0 needs storage/ } as const;
      await fails(() => store.bucket('plain').put('k', Uint8Array.of(1)), refused);
    });
  }));

test('what is known holds while nobody answers; of what nothing is known, calls are refused, definitely', () =>
  withDirectory(async (path) => {
    await using store = await open({ path, nodes: 3, r: 1, w: 1 });
    await store.setBucketProperties('known', { maxSiblings: 1 });
    await store.bucket<string>('known', text).put('k', 'v', { w: 'all' });
    for (const node of ['a', 'b', 'c']) await store.admin.stop(node);
    await fails(() => store.bucket('unknown').put('k', Uint8Array.of(1)), 'QUORUM_UNAVAILABLE');
    await fails(() => store.bucketProperties('known'), 'QUORUM_UNAVAILABLE');
    await fails(() => store.setBucketProperties('known', { r: 1 }), 'QUORUM_UNAVAILABLE');
    await store.admin.start('a');
    await fails(() => store.bucket<string>('known', text).put('k', 'w'), 'TOO_MANY_SIBLINGS');
    await store.bucket('unknown').put('k', Uint8Array.of(1));
  }));

test('the first calls of a handle: in time, abortable, no more than may be in flight, finished before the store closes', () =>
  withStore({ nodes: 3, maxInFlight: 5 }, async (store) => {
    const many = Array.from({ length: 8 }, (_, i) => store.bucket('b').put(`k${i}`, Uint8Array.of(i)));
    const refused = (await Promise.allSettled(many)).filter(({ status }) => status === 'rejected');
    assert(refused.length > 0 && refused.length < 8);
    for (const { reason } of refused as PromiseRejectedResult[]) assert.equal(reason.code, 'OVERLOADED');

    const gone = new AbortController();
    const aborted = store.bucket('c').put('k', Uint8Array.of(1), { signal: gone.signal });
    gone.abort();
    await fails(() => aborted, 'ABORTED');
    // What is wrong with a call is found before anything is waited for.
    const key = Uint8Array.of(1);
    const value = Uint8Array.of(2);
    const pending = store.bucket('d').put(key, value);
    key[0] = value[0] = 9;
    await pending;
    assert.deepEqual((await store.bucket('d').get(Uint8Array.of(1))).value, Uint8Array.of(2));
    await fails(() => store.bucket('e').get('k', { r: 4 }), 'INVALID_ARGUMENT');
    assert.equal((await store.stats()).gets.count, 1, 'reads of properties are nobody’s calls');

    const last = store.bucket('last').put('k', Uint8Array.of(1));
    await store.close();
    assert.equal((await last).acks.length >= 2, true);
    await fails(() => store.bucket('after').get('k'), 'CLOSED');
    await fails(() => store.setBucketProperties('after', { r: 1 }), 'CLOSED');
  }));

test('reads of properties beside calls take none of their room', () =>
  withStore({ nodes: 3, maxInFlight: 1 }, async (store) => {
    const bucket = store.bucket('b');
    await bucket.put('k', Uint8Array.of(1));
    const beside = store.bucketProperties('b');
    assert.equal((await bucket.get('k')).found, true);
    await beside;
  }));

// Another thread has a cache of its own; here one of this thread, with a clock that the test holds.
test('another cache sees a change after 10 seconds at the most, and reads only when it must', () =>
  withStore({ nodes: 3 }, async (store) => {
    const { home } = store as unknown as { readonly home: BucketHome };
    let now = 0;
    let reads = 0;
    const elsewhere: BucketHome = {
      ...home,
      now: () => now,
      run: (act, ofCompound) => {
        reads++;
        return home.run(act, ofCompound);
      },
    };
    const cache = new PropertyCache(elsewhere, 3);
    const wait = { timeoutMs: 5_000, signal: undefined };
    const known = cache.entryOf('default', 'b');
    assert.equal(known.given, undefined);
    assert.deepEqual(await cache.known(known, wait), {});
    assert.equal(reads, 2, 'of the type and of the bucket');
    assert.equal(cache.entryOf('default', 'b'), known);
    assert(now < known.dueAt && reads === 2);

    await store.setBucketProperties('b', { r: 1 });
    now = 4_999;
    assert(now < known.dueAt, 'used as it is');
    // Due: used, and read anew beside it.
    now = 5_000;
    assert.deepEqual(cache.entryOf('default', 'b').given, {});
    await known.lookup;
    assert.deepEqual(known.given, { r: 1 });
    const same = known.given;

    // Late: to be waited for.
    await store.setBucketType('default', { w: 1 });
    now += 9_000;
    assert(now >= known.lateAt);
    assert.deepEqual(await cache.known(known, wait), { r: 1, w: 1 });
    await store.setBucketType('default', { w: null });
    now += 9_000;
    assert.deepEqual(await cache.known(known, wait), same);

    // No more entries than allowed: the one used longest ago goes, and is not trusted any more.
    for (const bucket of ['c', 'd', 'e']) await cache.known(cache.entryOf('default', bucket), wait);
    assert(now >= known.dueAt);
    assert.notEqual(cache.entryOf('default', 'b'), known);

    // Nobody answers: what was known holds, and is asked for again a second later.
    for (const node of ['a', 'b', 'c']) await store.admin.stop(node);
    const last = cache.entryOf('default', 'e');
    now += 9_000;
    assert.deepEqual(await cache.known(last, wait), {});
    assert(now < last.dueAt && last.dueAt <= now + 1_000);
  }));
