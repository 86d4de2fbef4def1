/** Calls that consist of several operations: update and its merge functions, getMany, putMany. */
import assert from 'node:assert/strict';
import { type Key, open, QuoralError, type ReadResult, type Receipt, type Sibling } from '../../../src/index.js';
import { fails } from '../../support/rejection.js';
import { test } from '../../support/test.js';

const opened = open({ nodes: 3, n: 3 });

interface Cart {
  readonly items: readonly string[];
}

const union = (siblings: readonly Sibling<Cart>[]): Cart => ({
  items: [...new Set(siblings.flatMap(({ value }) => value.items))],
});

test('update: makes the first value, then the next one, or none', async () => {
  const store = await opened;
  const counts = store.bucket<number>('counts', { codec: 'json' });
  const seen: (number | undefined)[] = [];
  const next = (value: number | undefined) => {
    seen.push(value);
    return (value ?? 0) + 1;
  };
  const first = await counts.update('k', next);
  assert.equal(first!.acks.length >= 2, true);
  await counts.update('k', async (value) => next(value), { w: 'all', metadata: { by: 'test' }, contentType: 'text/x' });
  const read = await counts.get('k', { r: 'all' });
  assert.deepEqual([seen, read.siblings.length, read.value], [[undefined, 1], 1, 2]);
  assert.deepEqual([{ ...read.siblings[0]!.metadata }, read.siblings[0]!.contentType], [{ by: 'test' }, 'text/x']);
  assert.equal(await counts.update('k', () => undefined), undefined);
  assert.equal(await counts.update('k', async () => undefined), undefined);
  assert.equal((await counts.get('k')).value, 2);
  // A deleted key is made anew, and does not come back as a sibling of its tombstone.
  await counts.delete('k');
  await counts.update('k', (value) => (value === undefined ? 10 : -1));
  assert.deepEqual(
    (await counts.get('k', { r: 'all' })).siblings.map(({ value }) => value),
    [10],
  );
  // What comes of an update covers what it read: no sibling is left of updates that follow each other.
  for (let i = 0; i < 20; i++) await counts.update('k', (value) => value! + 1);
  assert.equal((await counts.get('k')).value, 30);
});

test('update: siblings are resolved by the merge function, and its result is written back; else CONFLICT', async () => {
  const store = await opened;
  const plain = store.bucket<Cart>('carts', { codec: 'json' });
  let merges = 0;
  const carts = store.bucket<Cart>('carts', {
    codec: 'json',
    resolution: 'merge',
    merge: (siblings) => {
      merges++;
      assert(siblings.length >= 2);
      const ages = siblings.map(({ timestampMs }) => timestampMs);
      assert.deepEqual(
        ages,
        [...ages].sort((a, b) => a - b),
        'oldest first',
      );
      return union(siblings);
    },
  });
  await carts.put('k', { items: ['milk'] });
  assert.deepEqual([(await carts.get('k')).value, merges], [{ items: ['milk'] }, 0]);
  await carts.put('k', { items: ['bread'] });
  const read = await carts.get('k');
  assert.equal(merges, 0, 'what nobody looks at is not merged');
  assert.deepEqual([read.value, read.value, merges], [{ items: ['milk', 'bread'] }, { items: ['milk', 'bread'] }, 1]);
  assert.equal(read.siblings.length, 2, 'a read changes nothing');
  assert.deepEqual(JSON.parse(JSON.stringify(read)).value, { items: ['milk', 'bread'] });

  await fails(() => plain.update('k', () => assert.fail('not called')), { code: 'CONFLICT', definite: true });
  await carts.update('k', (cart) => ({ items: [...cart!.items, 'eggs'] }));
  assert.deepEqual((await plain.get('k', { r: 'all' })).value, { items: ['milk', 'bread', 'eggs'] });
  await carts.update('k', (cart) => cart);
  assert.equal((await plain.get('k', { r: 'all' })).siblings.length, 1);

  // No compare-and-swap: of two updates at the same time both are kept, and the next one merges them.
  await Promise.all(['tea', 'salt'].map((item) => carts.update('k', (cart) => ({ items: [...cart!.items, item] }))));
  assert.deepEqual([...(await carts.get('k')).value!.items].sort(), ['bread', 'eggs', 'milk', 'salt', 'tea']);
  // Scans resolve as reads do.
  for await (const entry of carts.scan({ values: true })) assert.equal(entry.value!.items.length, 5);

  const broken = store.bucket<Cart>('carts', { codec: 'json', resolution: 'merge', merge: () => assert.fail('oh') });
  await plain.put('two', { items: [] });
  await plain.put('two', { items: [] });
  await assert.rejects(() => broken.update('two', (cart) => cart), /oh/);
  const late = async () => ({ items: [] });
  const promising = store.bucket<Cart>('carts', { codec: 'json', resolution: 'merge', merge: late as never });
  await fails(() => promising.update('two', (cart) => cart), { code: 'INVALID_ARGUMENT', message: /promise/ });
});

test('update: what goes wrong before the write leaves nothing', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('wrong', { codec: 'text' });
  const why = new Error('no');
  await assert.rejects(() => bucket.update('k', () => Promise.reject(why)), why);
  await assert.rejects(
    () =>
      bucket.update('k', () => {
        throw why;
      }),
    why,
  );
  await fails(() => bucket.update('k', () => 5 as never), 'INVALID_ARGUMENT');
  await fails(() => bucket.update('k', 5 as never), 'INVALID_ARGUMENT');
  const unused = () => assert.fail('not called');
  for (const options of [null, { r: 0 }, { w: 9 }, { dw: 1 }, { causalContext: '' }, { ttlMs: -1 }, { signal: 5 }]) {
    await fails(() => bucket.update('k', unused, options as never), 'INVALID_ARGUMENT');
  }
  for (const options of [{ timeoutMs: 0 }, { metadata: 5 }, { contentType: '' }]) {
    await fails(() => bucket.update('k', unused, options as never), 'INVALID_ARGUMENT');
  }
  const controller = new AbortController();
  const never = bucket.update('k', () => new Promise<string>(() => controller.abort(why)), {
    signal: controller.signal,
  });
  assert.equal((await fails(() => never, { code: 'ABORTED', definite: true })).cause, why);
  await fails(() => bucket.update('k', unused, { signal: AbortSignal.abort() }), 'ABORTED');
  assert.equal((await bucket.get('k')).causalContext, undefined);
});

test('update: the store waits for one with a plain function, not for one that awaits the application', async () => {
  const store = await open({ nodes: 1, n: 1 });
  const bucket = store.bucket<string>('b', { codec: 'text' });
  const plain = bucket.update('plain', () => 'v');
  let go: (value: string) => void = () => {};
  const started = new Promise<void>((begun) => {
    void fails(
      () =>
        bucket.update('slow', () => {
          begun();
          return new Promise<string>((resolve) => {
            go = resolve;
          });
        }),
      { code: 'CLOSED', definite: true },
    ).then(() => refused());
  });
  let refused = () => {};
  const ended = new Promise<void>((resolve) => {
    refused = resolve;
  });
  await started;
  const closing = store.close();
  assert.equal((await plain)!.acks.length, 1);
  await closing;
  go('too late');
  await ended;
});

const valuesOf = <V>(results: Map<Key, ReadResult<V> | Error>) =>
  [...results].map(([key, result]) => [key, result instanceof Error ? result.name : result.value]);

test('putMany and getMany answer each key by itself, in the order given', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('many', { codec: 'text' });
  const keys: Key[] = Array.from({ length: 1_000 }, (_, i) => `k${i}`);
  function* entries() {
    for (const key of keys) yield { key, value: `value of ${String(key)}` };
  }
  const receipts = await bucket.putMany(entries(), { w: 'all' });
  assert.deepEqual([...receipts.keys()], keys);
  for (const receipt of receipts.values()) assert.equal((receipt as Receipt).acks.length, 3);
  const bytes = Uint8Array.of(0xff);
  const asked = new Set<Key>([...keys, 'absent', bytes]);
  const read = await bucket.getMany(asked, { r: 1 });
  assert.deepEqual([...read.keys()], [...asked]);
  assert.deepEqual(valuesOf(read), [
    ...keys.map((key) => [key, `value of ${String(key)}`]),
    ['absent', undefined],
    [bytes, undefined],
  ]);
  assert.equal(read.get(bytes), [...read.values()].at(-1), 'found by the very key that was asked for');
  assert.deepEqual([(await bucket.getMany([])).size, (await bucket.putMany([])).size], [0, 0]);

  // An entry's own options, contexts among them, go before those of the call.
  const first = receipts.get('k1') as Receipt;
  const mixed = await bucket.putMany(
    [
      { key: 'k0', value: 'sibling' },
      { key: 'k1', value: 'next', causalContext: first.causalContext, metadata: { own: '1' } },
      { key: 'k2', value: 'x', causalContext: first.causalContext },
      { key: 'k3', value: 5 as never },
      { key: 'k4', value: 'x', w: 9 },
      { key: 'k5', value: 'x'.repeat(9 * 2 ** 20) },
      { key: 'x'.repeat(2_000), value: 'x' },
      { key: 'k6', value: 'x', signal: AbortSignal.abort() },
      { key: 'k7', value: 'x', r: 1 } as never,
    ],
    { metadata: { shared: '1' }, w: 3 },
  );
  const codes = [...mixed.values()].map((result) =>
    result instanceof QuoralError ? result.code : result.constructor.name,
  );
  assert.deepEqual(codes, [
    ...['PutReceipt', 'PutReceipt', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', 'INVALID_ARGUMENT'],
    ...['VALUE_TOO_LARGE', 'KEY_TOO_LONG', 'ABORTED', 'INVALID_ARGUMENT'],
  ]);
  const [k0, k1, ...others] = [...(await bucket.getMany(['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'k6', 'k7'])).values()];
  assert.equal((k0 as ReadResult<string>).siblings.length, 2);
  const { siblings } = k1 as ReadResult<string>;
  assert.deepEqual([siblings.length, siblings[0]!.value, { ...siblings[0]!.metadata }], [1, 'next', { own: '1' }]);
  for (const [i, result] of others.entries()) assert.equal((result as ReadResult<string>).value, `value of k${i + 2}`);
});

test('a key that is there twice, or anything else that is wrong with the whole, is refused before anything is sent', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('twice', { codec: 'text' });
  const entry = { key: 'a', value: 'v' };
  for (const keys of [
    ['a', 'b', 'a'],
    ['a', new TextEncoder().encode('a')],
    'a',
    5,
    null,
    undefined,
    [5],
    [null],
    {},
  ]) {
    await fails(() => bucket.getMany(keys as never), 'INVALID_ARGUMENT');
  }
  for (const entries of [
    [entry, { ...entry }],
    'a',
    5,
    null,
    [5],
    [null],
    [{ key: 'a' }],
    [{ value: 'v' }],
    {},
    [{ ...entry, key: 5 }],
  ]) {
    await fails(() => bucket.putMany(entries as never), 'INVALID_ARGUMENT');
  }
  for (const options of [null, 5, { w: 1 }, { r: 0 }, { timeoutMs: 0 }, { signal: 5 }]) {
    await fails(() => bucket.getMany(['a'], options as never), 'INVALID_ARGUMENT');
  }
  for (const options of [null, { causalContext: '' }, { r: 1 }, { w: 0 }, { dw: 1 }, { ttlMs: 0 }, { metadata: 5 }]) {
    await fails(() => bucket.putMany([entry], options as never), 'INVALID_ARGUMENT');
  }
  assert.equal((await bucket.get('a')).causalContext, undefined);
});

test('many keys go through a client with little room, also beside other calls', async () => {
  const store = await open({ nodes: 1, n: 1, maxInFlight: 4 });
  try {
    const bucket = store.bucket<string>('b', { codec: 'text' });
    const put = (from: number) =>
      bucket.putMany(Array.from({ length: 50 }, (_, i) => ({ key: `k${from + i}`, value: 'v' })));
    const errors = [...(await put(0)).values()].filter((result) => result instanceof Error);
    assert.deepEqual(errors, [], 'alone it takes no more room than there is');
    // Single calls take room away: those that are refused are refused at once, and the many go on with what is left.
    const [many, ...single] = await Promise.all([
      put(100),
      ...['a', 'b'].map((key) => bucket.get(key).catch((e: unknown) => e)),
    ]);
    for (const [key, result] of many) {
      assert(!(result instanceof Error), `${String(key)}: ${result}`);
      assert.equal((await bucket.get(key)).value, 'v');
    }
    assert.equal(single.length, 2);
    // With no room at all each key says so.
    const held = Array.from({ length: 4 }, () => bucket.get('a'));
    for (const result of (await bucket.getMany(['a', 'b'])).values()) {
      assert(result instanceof QuoralError && result.code === 'OVERLOADED');
    }
    await Promise.all(held);
  } finally {
    await store.close();
  }
});

test('a store that closes finishes many calls, and refuses new ones', async () => {
  const store = await open({ nodes: 2, n: 2 });
  const bucket = store.bucket<string>('b', { codec: 'text' });
  const many = bucket.putMany(Array.from({ length: 500 }, (_, i) => ({ key: `${i}`, value: 'v' })));
  const closing = store.close();
  for (const result of (await many).values()) assert(!(result instanceof Error), `${result}`);
  await fails(() => bucket.putMany([{ key: 'a', value: 'v' }]), 'CLOSED');
  await fails(() => bucket.getMany(['a']), 'CLOSED');
  await fails(() => bucket.update('a', () => 'v'), 'CLOSED');
  await closing;
});

test('the store of these stories closes', async () => {
  const store = await opened;
  assert.equal((await store.stats()).inFlight, 0);
  await store.close();
});
