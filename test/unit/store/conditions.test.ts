/** Conditional puts, sibling limits and lifetimes: what the coordinating vnode checks before it mints. */
import assert from 'node:assert/strict';
import { open, PreconditionFailedError, QuoralError, type Sibling } from '../../../src/index.js';
import { fails, refuses } from '../../support/rejection.js';
import { test } from '../../support/test.js';

const opened = open({ nodes: 3, n: 3 });
/** Conditions are checked where a put is minted: that is one place only if there is one. */
const lone = open({ nodes: 1, n: 1 });
const FAILED = { code: 'PRECONDITION_FAILED', definite: true } as const;
const texts = (siblings: readonly Sibling<string>[]) => siblings.map(({ value }) => value);

test('ifNoneMatch: only where no value is, whether there never was one, it was deleted, or it has expired', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('none', { codec: 'text' });
  await bucket.put('k', 'first', { ifNoneMatch: true, w: 'all' });
  await fails(() => bucket.put('k', 'second', { ifNoneMatch: true }), FAILED);
  const { causalContext } = await bucket.get('k');
  // A context does not help: the condition is about what is there, not about what was seen.
  await fails(() => bucket.put('k', 'second', { ifNoneMatch: true, causalContext }), FAILED);
  assert.deepEqual(texts((await bucket.get('k', { r: 'all' })).siblings), ['first']);
  await bucket.delete('k', { w: 'all' });
  await bucket.put('k', 'again', { ifNoneMatch: true, w: 'all' });
  assert.deepEqual(texts((await bucket.get('k', { r: 'all' })).siblings), ['again']);
  await bucket.put('k', 'sibling', { ifNoneMatch: false });
  assert.deepEqual(texts((await bucket.get('k')).siblings), ['again', 'sibling']);

  await bucket.put('short', 'v', { ttlMs: 30 });
  const deadline = performance.now() + 10_000;
  while ((await bucket.get('short')).found) assert(performance.now() < deadline);
  await bucket.put('short', 'next', { ifNoneMatch: true });
  assert.deepEqual(texts((await bucket.get('short')).siblings), ['next']);

  // Of many at the same time, one wins.
  const alone = (await lone).bucket<string>('none', { codec: 'text' });
  const racers = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => alone.put('race', `${i}`, { ifNoneMatch: true })),
  );
  assert.equal(racers.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const racer of racers) assert(racer.status === 'fulfilled' || racer.reason instanceof PreconditionFailedError);
  assert.equal((await alone.get('race')).siblings.length, 1);
});

test('ifMatch: only if nothing was written since; it replaces what it matched', async () => {
  const store = await opened;
  for (const resolution of ['siblings', 'last-write-wins'] as const) {
    const bucket = store.bucket<string>(`match ${resolution}`, { codec: 'text', resolution });
    const first = await bucket.put('k', '1', { w: 'all' });
    const second = await bucket.put('k', '2', { ifMatch: first.causalContext, w: 'all' });
    assert.deepEqual(texts((await bucket.get('k', { r: 'all' })).siblings), ['2']);
    await fails(() => bucket.put('k', 'x', { ifMatch: first.causalContext }), FAILED);
    await fails(
      () => bucket.put('k', 'x', { ifMatch: first.causalContext, causalContext: second.causalContext }),
      FAILED,
    );
    const { causalContext } = await bucket.get('k');
    assert(causalContext !== undefined);
    await bucket.put('k', '3', { ifMatch: causalContext, w: 'all' });
    const beforeDelete = (await bucket.get('k')).causalContext!;
    await bucket.delete('k', { w: 'all' });
    await fails(() => bucket.put('k', 'x', { ifMatch: beforeDelete }), FAILED);
    const deleted = await bucket.get('k');
    assert.equal(deleted.found, false);
    await bucket.put('k', '4', { ifMatch: deleted.causalContext! });
    assert.equal((await bucket.get('k')).value, '4');
    await bucket.delete('other');
    await fails(
      () => bucket.put('k', 'x', { ifMatch: deleted.causalContext!, ifNoneMatch: true } as never),
      'INVALID_ARGUMENT',
    );
    const other = await bucket.put('other', 'v');
    await fails(() => bucket.put('k', 'x', { ifMatch: other.causalContext }), 'INVALID_ARGUMENT');
    for (const ifMatch of ['', 'x', 5, null, undefined]) {
      await fails(() => bucket.put('k', 'x', { ifMatch } as never), 'INVALID_ARGUMENT');
    }
    await fails(() => bucket.put('k', 'x', { ifNoneMatch: 'yes' } as never), 'INVALID_ARGUMENT');
  }
  // A counter by read and ifMatch loses no step, however many count at the same time.
  const counter = (await lone).bucket<number>('steps', { codec: 'json' });
  await counter.put('k', 0);
  const step = async (): Promise<void> => {
    for (;;) {
      const read = await counter.get('k');
      try {
        await counter.put('k', read.value! + 1, { ifMatch: read.causalContext! });
        return;
      } catch (error) {
        assert(error instanceof PreconditionFailedError, `${error}`);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, step));
  assert.equal((await counter.get('k')).value, 8);
});

test('conditions within putMany; not for update or delete, which have contexts', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('many', { codec: 'text' });
  await bucket.put('b', 'there', { w: 'all' });
  const results = await bucket.putMany(
    ['a', 'b', 'c'].map((key) => ({ key, value: 'new' })),
    { ifNoneMatch: true },
  );
  assert(results.get('b') instanceof PreconditionFailedError);
  assert.deepEqual(
    [...(await bucket.getMany(['a', 'b', 'c'])).values()].map((read) => !(read instanceof Error) && read.value),
    ['new', 'there', 'new'],
  );
  for (const options of [{ ifNoneMatch: true }, { ifMatch: 'x' }] as never[]) {
    await fails(() => bucket.update('a', () => 'x', options), 'INVALID_ARGUMENT');
    await fails(() => bucket.delete('a', options), 'INVALID_ARGUMENT');
  }
  await fails(() => bucket.putMany([], { ifMatch: 'x' } as never), 'INVALID_ARGUMENT');
  // A put that has a condition of its own has that alone.
  const ifMatch = (await bucket.get('a')).causalContext!;
  const mixed = await bucket.putMany(
    [
      { key: 'a', value: 'newer', ifMatch },
      { key: 'b', value: 'newer' },
      { key: 'c', value: 'newer', ifMatch, ifNoneMatch: true } as never,
    ],
    { ifNoneMatch: true },
  );
  assert.deepEqual(
    [...mixed.values()].map((result) => (result instanceof QuoralError ? result.code : 'stored')),
    ['stored', 'PRECONDITION_FAILED', 'INVALID_ARGUMENT'],
  );
});

test('maxSiblings: a handle may set its own limit, below that of the store', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('siblings', { codec: 'text', maxSiblings: 2 });
  await bucket.put('k', '1', { w: 'all' });
  await bucket.put('k', '2', { w: 'all' });
  await refuses(() => bucket.put('k', '3'), 'TOO_MANY_SIBLINGS');
  const read = await bucket.get('k');
  assert.deepEqual(texts(read.siblings), ['1', '2']);
  // Another handle has its own; the limit is of the put, not of the key.
  const wider = store.bucket<string>('siblings', { codec: 'text' });
  const third = await wider.put('k', '3', { w: 'all' });
  // It would replace one of three.
  await refuses(() => bucket.put('k', '4', { causalContext: third.causalContext }), 'TOO_MANY_SIBLINGS');
  await bucket.put('k', 'one', { causalContext: (await bucket.get('k', { r: 'all' })).causalContext });
  assert.deepEqual(texts((await bucket.get('k')).siblings), ['one']);
  for (const maxSiblings of [0, 101, 1.5, '5', null]) {
    await fails(() => store.bucket('b', { maxSiblings } as never), 'INVALID_ARGUMENT');
  }
  const single = store.bucket<string>('siblings', { codec: 'text', maxSiblings: 1, resolution: 'last-write-wins' });
  for (const value of ['a', 'b', 'c']) await single.put('lww', value);
  assert.equal((await single.get('lww')).value, 'c');
});

test('lifetimes: of the handle, of the put, and none; an expired sibling stands for an absence', async () => {
  const store = await opened;
  const hour = store.bucket<string>('ttl', { codec: 'text', ttlMs: 3_600_000 });
  const plain = store.bucket<string>('ttl', { codec: 'text' });
  const gone = async (key: string) => {
    const deadline = performance.now() + 10_000;
    while ((await plain.get(key)).siblings.some(({ value }) => value === 'short')) assert(performance.now() < deadline);
  };
  await hour.put('k', 'short', { ttlMs: 1 });
  await plain.put('k', 'long');
  await gone('k');
  assert.deepEqual(
    texts((await plain.get('k', { r: 'all' })).siblings),
    ['long'],
    'only the sibling that expired is gone',
  );
  await plain.put('k', 'next', { causalContext: (await plain.get('k')).causalContext });
  assert.equal((await plain.get('k')).value, 'next');
  // The largest lifetime; and one that a later put without a lifetime takes away.
  await plain.put('far', 'v', { ttlMs: 2 ** 45 });
  assert.equal((await plain.get('far')).value, 'v');
  const short = await plain.put('kept', 'short', { ttlMs: 3_600_000 });
  await plain.put('kept', 'v', { causalContext: short.causalContext });
  assert.equal((await plain.get('kept')).value, 'v');
  await plain.update('made', () => 'short', { ttlMs: 1 });
  await gone('made');
  await plain.update('made', (value) => value ?? 'from nothing');
  assert.equal((await plain.get('made')).value, 'from nothing');
  // Under last-write-wins the latest counts, even if it has expired since.
  const lww = store.bucket<string>('ttl', { codec: 'text', resolution: 'last-write-wins' });
  await lww.put('lww', 'old');
  await lww.put('lww', 'short', { ttlMs: 1 });
  await gone('lww');
  assert.deepEqual([(await lww.get('lww')).found, (await plain.get('lww')).found], [false, false]);
});

test('metadata and content type: 64 KiB together, and no byte more', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('metadata', { codec: 'text' });
  const put = (length: number) => bucket.put('k', '', { metadata: { name: 'x'.repeat(length) }, ifNoneMatch: false });
  // 1 code of the content type, 1 count of the entries, 1 + 4 the name, 3 the length of the value.
  const longest = 65_536 - 10;
  await put(longest);
  assert.equal((await bucket.get('k')).siblings[0]!.metadata.name!.length, longest);
  await fails(() => put(longest + 1), { code: 'VALUE_TOO_LARGE', message: /65536/ });
  await fails(() => bucket.put('k', '', { contentType: `text/${'x'.repeat(65_536)}` }), 'VALUE_TOO_LARGE');
  const names = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`name ${i}`, `${i}`]));
  await bucket.put('many', '', { metadata: { ...names, '': 'empty', constructor: 'x' } });
  assert.deepEqual(
    { ...(await bucket.get('many')).siblings[0]!.metadata },
    { ...names, '': 'empty', constructor: 'x' },
  );
});

test('the store of these stories closes', async () => {
  await (await opened).close();
  await (await lone).close();
});
