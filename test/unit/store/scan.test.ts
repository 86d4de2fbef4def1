/** Scans: order, bounds, pages, cursors, deleted keys, values, keys that are not text, nodes that are down. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { type Bucket, type ListBucketsOptions, open, type ScanOptions } from '../../../src/index.js';
import { fails } from '../../support/rejection.js';
import { test } from '../../support/test.js';

const opened = open({ nodes: 3, n: 3 });
/** More than a page of 256 in several partitions; byte order is not the order of the numbers. */
const KEYS = Array.from({ length: 3_000 }, (_, i) => `k${i}`);
const SORTED = [...KEYS].sort();

async function filled(name: string): Promise<Bucket<string>> {
  const bucket = (await opened).bucket<string>(name, { codec: 'text' });
  for (let at = 0; at < KEYS.length; at += 500) {
    await Promise.all(KEYS.slice(at, at + 500).map((key) => bucket.put(key, `value of ${key}`)));
  }
  return bucket;
}

const numbers = filled('numbers');

async function entriesOf<Entry>(scan: AsyncIterable<Entry>): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of scan) entries.push(entry);
  return entries;
}

async function keysOf(bucket: Bucket<string>, options?: ScanOptions): Promise<unknown[]> {
  return (await entriesOf(bucket.scan(options))).map(({ key }) => key);
}

test('a scan gives every key once, in byte order, within all of its bounds', async () => {
  const bucket = await numbers;
  assert.deepEqual(await keysOf(bucket), SORTED);
  const cases: [ScanOptions, (key: string) => boolean][] = [
    [{ prefix: 'k29' }, (key) => key.startsWith('k29')],
    [{ prefix: 'k' }, () => true],
    [{ prefix: 'x' }, () => false],
    [{ prefix: '' }, () => true],
    [{ gte: 'k5', lt: 'k51' }, (key) => key >= 'k5' && key < 'k51'],
    [{ gt: 'k5', lte: 'k51' }, (key) => key > 'k5' && key <= 'k51'],
    [{ gt: 'k5', gte: 'k6', lt: 'k8', lte: 'k7' }, (key) => key >= 'k6' && key <= 'k7'],
    [{ gte: 'k7', lt: 'k7' }, () => false],
    [{ gte: 'k7', lte: 'k7' }, (key) => key === 'k7'],
    [{ gt: 'z', lt: 'a' }, () => false],
    [{ prefix: 'k1', gte: 'k15', lt: 'k17' }, (key) => key >= 'k15' && key < 'k17'],
    [{ prefix: new TextEncoder().encode('k2'), r: 'all' }, (key) => key.startsWith('k2')],
  ];
  for (const [options, isWithin] of cases) {
    assert.deepEqual(await keysOf(bucket, options), SORTED.filter(isWithin), JSON.stringify(options));
  }
  for (const limit of [0, 1, 255, 256, 257, 3_000, 5_000]) {
    assert.deepEqual(await keysOf(bucket, { limit }), SORTED.slice(0, limit));
  }
});

test('a cursor goes on behind its entry, also when the key is gone', async () => {
  const bucket = await numbers;
  let after: string | undefined;
  const keys: unknown[] = [];
  for (;;) {
    const page = await entriesOf(bucket.scan({ limit: 700, ...(after === undefined ? {} : { after }) }));
    if (page.length === 0) break;
    keys.push(...page.map(({ key }) => key));
    after = page.at(-1)!.cursor;
  }
  assert.deepEqual(keys, SORTED);
  const own = (await opened).bucket<string>('cursor', { codec: 'text' });
  for (const key of ['a', 'b', 'c']) await own.put(key, key);
  const [, b] = await entriesOf(own.scan());
  await own.delete('b');
  assert.deepEqual(await keysOf(own, { after: b!.cursor }), ['c']);
  assert.deepEqual(await keysOf(own, { after: b!.cursor, gt: 'a' }), ['c']);
  assert.deepEqual(await keysOf(own, { after: b!.cursor, lt: 'c' }), []);
});

test('deleted keys are skipped, siblings are shown, values only on request', async () => {
  const bucket = (await opened).bucket<string>('values', { codec: 'text' });
  for (const key of ['deleted', 'plain', 'siblings', 'siblings']) await bucket.put(key, key);
  await bucket.delete('deleted');
  const bare = await entriesOf(bucket.scan());
  assert.deepEqual(
    bare.map((entry) => Object.keys(entry).sort()),
    [
      ['cursor', 'key'],
      ['cursor', 'key'],
    ],
  );
  const [plain, siblings] = await entriesOf(bucket.scan({ values: true }));
  assert.deepEqual([plain!.key, plain!.found, plain!.value], ['plain', true, 'plain']);
  assert.deepEqual(
    siblings!.siblings!.map(({ value }) => value),
    ['siblings', 'siblings'],
  );
  await fails(() => siblings!.value, 'CONFLICT');
  // An entry's context answers what it showed.
  await bucket.put('siblings', 'resolved', { causalContext: siblings!.causalContext });
  assert.equal((await bucket.get('siblings')).value, 'resolved');
  assert.match(JSON.stringify(plain), /"key":"plain".*"value":"plain"/);
  assert.match(inspect(plain), /key: 'plain'[\s\S]*value: 'plain'/);
});

test('keys that are not text come as bytes; a bucket shows only its own', async () => {
  const store = await opened;
  const bucket = store.bucket('binary');
  const keys = [
    Uint8Array.of(0),
    Uint8Array.of(0, 0),
    Uint8Array.of(0x41),
    Uint8Array.of(0xff),
    Uint8Array.of(0xff, 0xff),
  ];
  for (const key of keys) await bucket.put(key, Uint8Array.of(1));
  await store.bucket('binar').put('y', Uint8Array.of(1));
  await store.bucket('binary2').put('y', Uint8Array.of(1));
  await store.setBucketType('other');
  await store.bucket('binary', { type: 'other' }).put('y', Uint8Array.of(1));
  const entries = await entriesOf(bucket.scan());
  assert.deepEqual(
    entries.map(({ key }) => key),
    ['\0', '\0\0', 'A', keys[3], keys[4]],
  );
  assert.deepEqual(
    (await entriesOf(bucket.scan({ after: entries[3]!.cursor }))).map(({ key }) => key),
    [keys[4]],
  );
  assert.deepEqual((await entriesOf(bucket.scan({ gte: keys[3]! }))).length, 2);
});

test('a scan that is left early leaves nothing behind; several go on side by side', async () => {
  const store = await opened;
  const bucket = await numbers;
  for await (const { key } of bucket.scan()) {
    if (key === SORTED[10]) break;
  }
  const [a, b] = [bucket.scan(), bucket.scan({ prefix: 'k1' })];
  assert.equal((await a.next()).value.key, 'k0');
  assert.equal((await b.next()).value.key, 'k1');
  assert.equal((await a.next()).value.key, 'k1');
  await a.return?.();
  assert.equal((await a.next()).done, true);
  const deadline = performance.now() + 5_000;
  while ((await store.stats()).inFlight > 0) assert(performance.now() < deadline);
});

test('buckets lists each bucket of a type that has a key, once, and passes the deleted ones by', async () => {
  const store = await opened;
  const namesOf = async (options: ListBucketsOptions) => {
    const names: string[] = [];
    for await (const name of store.buckets(options)) names.push(name);
    return names;
  };
  for (const type of ['liste', 'listed', 'listed2']) await store.setBucketType(type);
  assert.deepEqual(await namesOf({ type: 'listed' }), []);
  const names = ['b', 'a', 'bucket', 'bü', 'x'.repeat(300), '\0', ...Array.from({ length: 30 }, (_, i) => `n${i}`)];
  for (const name of names) {
    const bucket = store.bucket<string>(name, { type: 'listed', codec: 'text' });
    // In many partitions, so that each name must be found more than once and told once.
    await Promise.all(Array.from({ length: 20 }, (_, i) => bucket.put(`k${i}`, 'x')));
  }
  // As types whose names begin alike: their buckets are not of this one.
  await store.bucket('other', { type: 'liste' }).put('k', new Uint8Array());
  await store.bucket('other', { type: 'listed2' }).put('k', new Uint8Array());
  // More deleted and expired keys than a page has, before and after one that is there.
  const sparse = store.bucket<string>('sparse', { type: 'listed', codec: 'text' });
  const gone = store.bucket<string>('gone', { type: 'listed', codec: 'text' });
  for (const bucket of [sparse, gone]) {
    await Promise.all(Array.from({ length: 2_500 }, (_, i) => bucket.delete(`k${i}`, { causalContext: undefined })));
  }
  await sparse.put('k1500', 'there');
  const expected = [...names, 'sparse'].sort((a, b) => {
    const [left, right] = [Buffer.from(a), Buffer.from(b)];
    return left.length - right.length || Buffer.compare(left, right);
  });
  assert.deepEqual(await namesOf({ type: 'listed' }), expected);
  assert.deepEqual(await namesOf({ type: 'listed', r: 'all', timeoutMs: 10_000 }), expected);

  await sparse.delete('k1500');
  assert.equal((await namesOf({ type: 'listed' })).includes('sparse'), false);
  assert.throws(() => store.buckets({ type: '' }), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => store.buckets({ r: 4 }), { code: 'INVALID_ARGUMENT' });
  assert.throws(() => store.buckets({ prefix: 'a' } as never), { code: 'INVALID_ARGUMENT' });
  const controller = new AbortController();
  const listing = store.buckets({ type: 'listed', signal: controller.signal });
  await listing.next();
  controller.abort();
  await fails(() => listing.next(), 'ABORTED');
});

test('a scan goes on where it stopped, while keys come and go: what stays is given once, in order', async () => {
  const bucket = (await opened).bucket<string>('moving', { codec: 'text' });
  const stay = Array.from({ length: 600 }, (_, i) => `k${String(i).padStart(4, '0')}`);
  await bucket.putMany(stay.map((key) => ({ key, value: 'stays' })));
  const given: string[] = [];
  let after: string | undefined;
  for (let round = 0; ; round++) {
    const page = await entriesOf(bucket.scan({ limit: 37, values: true, ...(after === undefined ? {} : { after }) }));
    given.push(...page.map(({ key }) => String(key)));
    if (page.length < 37) break;
    after = page.at(-1)!.cursor;
    // Before and behind the cursor: new keys, deleted ones, values replaced and the cursor's own key gone for a while.
    const gone = String(page.at(-1)!.key);
    const { causalContext } = await bucket.get(gone);
    await bucket.delete(gone, { causalContext, w: 'all' });
    await bucket.putMany(['a', 'k00', `${gone}x`, 'z'].map((key) => ({ key: `${key}-${round}`, value: 'new' })));
    await bucket.update(stay[(round * 97) % stay.length]!, () => 'replaced');
    await bucket.update(gone, () => 'back');
  }
  assert.deepEqual(given, [...new Set(given)].sort());
  const seen = new Set(given);
  assert.deepEqual(
    stay.filter((key) => !seen.has(key)),
    [],
  );
});

test('a scan fetches pages only as its entries are taken', async () => {
  const store = await opened;
  const bucket = await numbers;
  const pages = async () => Object.values((await store.stats()).nodes).reduce((sum, { pages = 0 }) => sum + pages, 0);
  const before = await pages();
  const scan = bucket.scan({ values: true });
  await scan.next();
  const first = (await pages()) - before;
  assert.equal(first, 64, 'one of each partition');
  for (let i = 0; i < 40; i++) await scan.next();
  assert.equal((await pages()) - before, first, 'the pages that are there are used up first');
  await scan.return?.();
  // With a limit, pages are no longer than it.
  assert.equal((await entriesOf(bucket.scan({ limit: 3 }))).length, 3);
});

test('partitions that cannot be read are named: before the first entry, or the scan goes on without them', async () => {
  const store = await open({ nodes: 4, n: 2, r: 2, partitions: 16, maxInFlight: 8 });
  try {
    const bucket = store.bucket<string>('b', { codec: 'text' });
    const names = Array.from({ length: 400 }, (_, i) => `k${i}`);
    for (const result of (await bucket.putMany(names.map((key) => ({ key, value: key })))).values()) {
      assert(!(result instanceof Error), `${result}`);
    }
    const complete = bucket.scan({ partial: true });
    const all: unknown[] = [];
    for await (const { key } of complete) all.push(key);
    assert.deepEqual([all, complete.unreachable], [[...names].sort(), []]);

    await store.admin.crash('b');
    const lost = store.ring().filter(({ primaries }) => primaries.includes('b'));
    const partitions = lost.map(({ partition }) => partition);
    assert(partitions.length > 0 && partitions.length < 16);
    const error = await fails(() => bucket.scan().next(), { code: 'QUORUM_UNAVAILABLE', message: /partial: true/ });
    assert.deepEqual(error.partitions, partitions);
    assert.match(error.message, new RegExp(`${partitions.length} of 16 partitions .*${partitions[0]}`));
    const partial = bucket.scan({ partial: true });
    const some: unknown[] = [];
    for await (const { key } of partial) some.push(key);
    assert.deepEqual(partial.unreachable, partitions);
    assert(some.length > 0 && some.length < names.length);
    assert.deepEqual(some, [...some].sort());
    assert.deepEqual(await keysOf(bucket, { r: 1 }), all);

    // Lost on the way: what was given stays true, and the end is not taken for the end of the bucket.
    await store.admin.start('b');
    await bucket.putMany(Array.from({ length: 8_000 }, (_, i) => ({ key: `x${i}`, value: '' })));
    const [strict, lenient] = [bucket.scan(), bucket.scan({ partial: true })];
    // One after the other: two at once would take more than the client has room for.
    await strict.next();
    await lenient.next();
    await store.admin.crash('b');
    const late = await fails(async () => {
      for (let entry = await strict.next(); entry.done !== true; entry = await strict.next());
    }, 'QUORUM_UNAVAILABLE');
    assert(late.partitions!.length > 0 && late.partitions!.every((partition) => partitions.includes(partition)));
    for (let entry = await lenient.next(); entry.done !== true; entry = await lenient.next());
    assert.deepEqual(lenient.unreachable, partitions);
    for (const options of [{ partial: 1 }, { values: 1 }] as never[]) {
      await fails(() => bucket.scan(options).next(), 'INVALID_ARGUMENT');
    }
    await fails(() => bucket.scan({ partial: true, signal: AbortSignal.abort() }).next(), 'ABORTED');
  } finally {
    await store.close();
  }
});

test('a scan is complete while a node is down, and says so when it cannot be', async () => {
  const store = await opened;
  const bucket = await numbers;
  await store.admin.stop('b');
  assert.deepEqual(await keysOf(bucket), SORTED);
  await fails(() => keysOf(bucket, { r: 'all' }), 'QUORUM_UNAVAILABLE');
  await store.admin.crash('c');
  assert.deepEqual(await keysOf(bucket, { r: 1 }), SORTED);
  await fails(() => keysOf(bucket), 'QUORUM_UNAVAILABLE');
  await fails(() => store.buckets().next(), 'QUORUM_UNAVAILABLE');
  await store.close();
  await fails(() => keysOf(bucket), 'CLOSED');
  await fails(() => store.buckets().next(), 'CLOSED');
});
