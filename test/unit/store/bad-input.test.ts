/** Everything that is wrong is refused with INVALID_ARGUMENT or its like, before anything is sent, and says what to do. */
import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { type Bucket, type OpenOptions, open, type Store } from '../../../src/index.js';
import { fails } from '../../support/rejection.js';
import { test } from '../../support/test.js';

/** Options as a caller without types may give them. */
const opening = (options: unknown) => () => open(options as OpenOptions);

test('open: each option is checked, by name and by value', async () => {
  const wrong: unknown[] = [
    ...[null, 'data', 5].map((options) => options),
    ...[{ node: 5 }, { toString: 1 }, { Nodes: 3 }],
    ...['', 5, {}].map((path) => ({ path })),
    ...[0, -1, 33, 1.5, Number.NaN, '5', [], {}, null].map((nodes) => ({ nodes })),
    ...[5, null, {}, { name: '' }, { name: 5 }, { name: 'a/b' }, { name: 'x'.repeat(65) }].map((node) => ({
      nodes: [node],
      n: 1,
    })),
    ...[{ name: '.' }, { name: '..' }].map((node) => ({ nodes: [node], n: 1 })),
    { nodes: [{ name: 'a' }, { name: 'a' }], n: 1 },
    ...[{ zone: '' }, { zone: 5 }, { weight: 0 }, { weight: -1 }, { weight: Number.NaN }, { weight: '1' }].map(
      (more) => ({
        nodes: [{ name: 'a', ...more }],
        n: 1,
      }),
    ),
    ...[{ path: '' }, { path: 5 }, { path: 'a\0b' }, { wieght: 2 }].map((more) => ({
      nodes: [{ name: 'a', ...more }],
      n: 1,
    })),
    // Nobody would see that it is in memory only.
    { nodes: [{ name: 'a', path: './a' }], n: 1 },
    ...[0, 6, 2.5, '3', Number.NaN].map((n) => ({ n })),
    { nodes: 2, n: 3 },
    ...[0, 4, -1, 1.5, '2', 'most', Number.NaN, null, {}].flatMap((quorum) => [{ r: quorum }, { w: quorum }]),
    ...[-1, 4, 1.5, '1', 'none', null].flatMap((quorum) => [{ pr: quorum }, { pw: quorum }, { dw: quorum }]),
    { n: 1, w: 2 },
    // Memory cannot be made durable.
    ...[1, 'one', 'all'].map((dw) => ({ dw })),
    ...[7, 12, 4, 2_048, 64.5, '64', 0].map((partitions) => ({ partitions })),
    ...['journal', '', true, null].map((sync) => ({ sync })),
    ...[0, -5, 3_600_001, Number.NaN, Number.POSITIVE_INFINITY, '5', null].map((timeoutMs) => ({ timeoutMs })),
    ...[0, -1, 64 * 2 ** 20 + 1, 1.5, '8'].map((maxValueBytes) => ({ maxValueBytes })),
    ...[0, -1, 65_537, 1.5].map((maxInFlight) => ({ maxInFlight })),
    ...[-1, 2 ** 46 + 1, 1.5, '8'].map((maxHintBytes) => ({ maxHintBytes })),
    ...[-1, 33, 1.5, '2'].map((maxShares) => ({ maxShares })),
    ...[0, 99, 604_800_001, 100.5, '8'].map((exchangeIntervalMs) => ({ exchangeIntervalMs })),
    ...[0, 99, 31_536_000_001, 100.5, '8'].map((tombstoneGraceMs) => ({ tombstoneGraceMs })),
    ...[0, 17, 1.5, '2'].map((hashingThreads) => ({ hashingThreads })),
    ...[0, 59_999, 31_536_000_001, 60_000.5].map((rebuildIntervalMs) => ({ rebuildIntervalMs })),
    ...[null, 'night', {}, { from: '1:00', to: '02:00' }, { from: '01:00', to: '24:00' }, { from: 60, to: 120 }].map(
      (exchangeWindow) => ({ exchangeWindow }),
    ),
    ...[
      { from: '01:00', to: '01:00' },
      { from: '01:00', to: '02:00', days: 2 },
    ].map((exchangeWindow) => ({
      exchangeWindow,
    })),
    { n: Object.create(null) },
    { sync: Symbol('full') },
  ];
  await refuseAll('open', wrong, (options) => open(options as OpenOptions));
  const error = await fails(opening({ timeoutms: 5 }), 'INVALID_ARGUMENT');
  assert.match(error.message, /no option "timeoutms"; it has .*timeoutMs/);
});

test('what is within the limits is taken', async () => {
  const store = await open({
    nodes: [{ name: 'only.one_here-1', zone: 'z', weight: 0.5 }],
    n: 1,
    r: 'one',
    w: 'quorum',
    pr: 0,
    pw: 'all',
    dw: 0,
    partitions: 8,
    sync: 'none',
    timeoutMs: 3_600_000,
    maxValueBytes: 64 * 2 ** 20,
    maxInFlight: 65_536,
    maxHintBytes: 0,
    maxShares: 32,
    exchangeIntervalMs: 100,
    tombstoneGraceMs: 100,
    hashingThreads: 16,
    exchangeWindow: { from: '23:59', to: '00:00' },
    rebuildIntervalMs: 60_000,
  });
  try {
    const [node] = store.nodes();
    assert.deepEqual(node, { name: 'only.one_here-1', state: 'up', zone: 'z', weight: 0.5, partitions: 8, hints: 0 });
    assert.equal(store.ring().length, 8);
    const receipt = await store.bucket('b').put('k', Uint8Array.of(1));
    assert.deepEqual(receipt.acks, [{ node: 'only.one_here-1', role: 'primary', durable: false }]);
  } finally {
    await store.close();
  }
});

test('handles and calls: options, keys, values, tokens', async () => {
  const store = await open({ nodes: 3, maxValueBytes: 1_000 });
  try {
    await handles(store);
    await properties(store);
    const bucket = store.bucket<string>('b', { codec: 'text' });
    await calls(bucket);
    await keys(store, bucket);
    await values(store, bucket);
    await tokens(store, bucket);
    const nothing: string[] = [];
    for await (const entry of store.bucket('nothing').scan()) nothing.push(String(entry.key));
    assert.deepEqual(nothing, [], 'what was refused was stored');
  } finally {
    await store.close();
  }
});

async function handles(store: Store): Promise<void> {
  const handle = (name: unknown, options?: unknown) => () => store.bucket(name as string, options as never);
  for (const name of ['', 5, undefined, null, {}, new Uint8Array(1), 'half \ud800'])
    await fails(handle(name), 'INVALID_ARGUMENT');
  await fails(handle('b'.repeat(1_900)), 'KEY_TOO_LONG');
  const wrong: unknown[] = [
    ...[null, 'json', 5],
    ...[{ Codec: 'json' }, { timeoutMs: 5 }],
    ...['', 5, null, '\udc00'].map((type) => ({ type })),
    ...['yaml', 'toString', '', null, 5, {}, { encode() {}, decode() {} }, 'toString'].map((codec) => ({ codec })),
    ...['merge', 'newest', null].map((resolution) => ({ resolution })),
    ...[{ merge: () => 'v' }, { resolution: 'merge', merge: 5 }, { resolution: 'siblings', merge: () => 'v' }],
    ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5'].map((ttlMs) => ({ ttlMs })),
    ...[0, 4, 'few'].flatMap((quorum) => [{ r: quorum }, { w: quorum }]),
    ...[-1, 4].flatMap((quorum) => [{ pr: quorum }, { pw: quorum }, { dw: quorum }]),
    { dw: 1 },
  ];
  await refuseAll('bucket', wrong, (options) => store.bucket('b', options as never));
}

async function properties(store: Store): Promise<void> {
  const wrong: unknown[] = [
    ...[null, 'w', 5],
    ...[{ W: 2 }, { codec: 'json' }, { merge: () => 'v' }, { type: 'other' }],
    ...[0, 4, 'few'].flatMap((quorum) => [{ r: quorum }, { w: quorum }]),
    ...[-1, 4].flatMap((quorum) => [{ pr: quorum }, { pw: quorum }, { dw: quorum }]),
    ...[{ dw: 1 }, { notfoundOk: 'yes' }, { basicQuorum: 1 }, { ttlMs: 0 }, { maxSiblings: 0 }, { maxSiblings: 101 }],
    ...[{ resolution: 'merge' }, { resolution: 'newest' }],
  ];
  await refuseAll('setBucketProperties', [...wrong, { n: 3 }], (changes) =>
    store.setBucketProperties('b', changes as never),
  );
  await refuseAll('setBucketType', [...wrong, { n: 2 }, { n: 4 }], (changes) =>
    store.setBucketType('t', changes as never),
  );
  const options: unknown[] = [null, 5, { r: 1 }, { timeoutMs: 0 }, { signal: 5 }];
  await refuseAll('bucketProperties', [...options, { type: '' }], (o) => store.bucketProperties('b', o as never));
  await refuseAll('setBucketProperties', [...options, { type: '' }], (o) =>
    store.setBucketProperties('b', {}, o as never),
  );
  await refuseAll('bucketType', [...options, { type: 't' }], (o) => store.bucketType('default', o as never));
  await refuseAll('setBucketType', [...options, { type: 't' }], (o) => store.setBucketType('t', {}, o as never));
  for (const name of ['', 5, undefined, 'half \ud800'] as never[]) {
    await fails(() => store.setBucketProperties(name, {}), 'INVALID_ARGUMENT');
    await fails(() => store.bucketProperties(name), 'INVALID_ARGUMENT');
    await fails(() => store.setBucketType(name), 'INVALID_ARGUMENT');
    await fails(() => store.bucketType(name), 'INVALID_ARGUMENT');
  }
  await store.setBucketType('t', { n: 3 });
}

async function calls(bucket: Bucket<string>): Promise<void> {
  const quorums = (names: string[], wrong: unknown[]) =>
    names.flatMap((name) => wrong.map((value) => ({ [name]: value })));
  const timeouts = quorums(['timeoutMs'], [0, -1, Number.NaN, '5', 3_600_001]);
  const everywhere: unknown[] = [null, 5, 'all', { signal: 5 }, ...timeouts];
  const gets = [...everywhere, { w: 2 }, ...quorums(['r'], [0, 4, 'x']), ...quorums(['pr'], [-1, 4])];
  const puts = [
    ...everywhere,
    { r: 2 },
    ...quorums(['w'], [0, 4, 2.5]),
    ...quorums(['pw', 'dw'], [-1, 4]),
    { dw: 1 },
    ...quorums(['ttlMs'], [0, -1, Number.NaN, '1']),
    ...quorums(['contentType'], ['', 5, null]),
    ...quorums(['metadata'], [5, 'x', null, { a: 1 }, { a: undefined }]),
    ...quorums(['causalContext'], [5, '', 'x', null]),
  ];
  const deletes = [...everywhere, { ttlMs: 5 }, ...quorums(['w', 'r'], [0, 4]), { dw: 1 }, { causalContext: '' }];
  const scans = [...everywhere, { w: 2 }, { limit: -1 }, { limit: 1.5 }, { limit: '5' }, { r: 0 }, { r: 4 }, { gt: 5 }];
  const cursors = [
    { after: '' },
    { after: 5 },
    { after: '?' },
    { prefix: 5 },
    { gte: {} },
    { lt: '\ud800' },
    { values: 'yes' },
  ];
  await refuseAll('get', gets, (options) => bucket.get('nothing', options as never));
  await refuseAll('put', puts, (options) => bucket.put('nothing', 'v', options as never));
  await refuseAll('delete', deletes, (options) => bucket.delete('nothing', options as never));
  await refuseAll('scan', [...scans, ...cursors], (options) => bucket.scan(options as never).next());
}

/** Names all that were not refused, not just the first. */
async function refuseAll(call: string, wrong: unknown[], act: (options: unknown) => unknown): Promise<void> {
  const problems: string[] = [];
  for (const options of wrong) {
    const once = () => act(options);
    await fails(once, 'INVALID_ARGUMENT').catch((error) => problems.push(`${inspect(options)}: ${error.message}`));
  }
  assert.deepEqual(problems, [], `${call} did not refuse these`);
}

async function keys(store: Store, bucket: Bucket<string>): Promise<void> {
  // Half of a surrogate pair has no UTF-8: all such keys would be one.
  for (const key of ['', new Uint8Array(0), 5, undefined, null, {}, ['k'], 'k\ud800', '\udc00k'] as never[]) {
    await fails(() => bucket.get(key), 'INVALID_ARGUMENT');
    await fails(() => bucket.put(key, 'v'), 'INVALID_ARGUMENT');
    await fails(() => bucket.delete(key), 'INVALID_ARGUMENT');
  }
  // Type ('default'), bucket and key together.
  const longest = 1_900 - 'default'.length - 'b'.length;
  await bucket.put('x'.repeat(longest), 'v');
  assert.equal((await bucket.get(new Uint8Array(longest).fill(0x78))).value, 'v');
  for (const key of ['x'.repeat(longest + 1), 'é'.repeat(longest / 2 + 1), new Uint8Array(longest + 1)]) {
    await fails(() => bucket.get(key), { code: 'KEY_TOO_LONG', message: /1900/ });
    await fails(() => bucket.put(key, 'v'), 'KEY_TOO_LONG');
    await fails(() => bucket.delete(key), 'KEY_TOO_LONG');
    await fails(() => bucket.scan({ prefix: key }).next(), 'KEY_TOO_LONG');
  }
  assert.equal((await store.bucket('B').get('x'.repeat(longest))).found, false);
}

async function values(store: Store, bucket: Bucket<string>): Promise<void> {
  await bucket.put('full', 'x'.repeat(1_000));
  assert.equal((await bucket.get('full')).value?.length, 1_000);
  await fails(() => bucket.put('nothing', 'x'.repeat(1_001)), {
    code: 'VALUE_TOO_LARGE',
    message: /1001 .*1000.*maxValueBytes/,
  });
  const metadata = { note: 'n'.repeat(65_536) };
  await fails(() => bucket.put('nothing', 'v', { metadata }), { code: 'VALUE_TOO_LARGE', message: /metadata/ });
  const raw = store.bucket('nothing');
  for (const value of ['text', 5, null, undefined, [1, 2], new Uint16Array(2), new ArrayBuffer(2)] as never[]) {
    await fails(() => raw.put('k', value), 'INVALID_ARGUMENT');
  }
  const text = store.bucket<string>('nothing', { codec: 'text' });
  for (const value of [5, null, undefined, Uint8Array.of(1), '\ud83d'] as never[]) {
    await fails(() => text.put('k', value), 'INVALID_ARGUMENT');
  }
  const json = store.bucket<unknown>('nothing', { codec: 'json' });
  const circle: { self?: unknown } = {};
  circle.self = circle;
  const map = new Map([['a', 1]]);
  for (const value of [undefined, () => 1, Symbol('s'), 5n, circle, Number.NaN, map, Buffer.from('x'), new Date('')]) {
    await fails(() => json.put('k', value), { code: 'INVALID_ARGUMENT', message: /json/ });
  }
  const packed = store.bucket<unknown>('nothing', { codec: 'msgpack' });
  // It is said where in a value that is.
  for (const [bucket, value, where] of [
    [
      json,
      { items: [{ price: 1 }, { price: Number.NaN }] },
      /value\.items\[1\]\.price is NaN, for which JSON has no form/,
    ],
    [json, [1, undefined], /value\[1\] is undefined/],
    [json, { deep: { now() {} } }, /value\.deep\.now is a function/],
    [packed, { deep: ['\ud83d'] }, /value\.deep\[0\] has half of a surrogate pair/],
    [packed, { '\ud83d': 1 }, /has a name that has half of a surrogate pair/],
    [packed, [new Number(5)], /value\[0\] is an instance of Number/],
  ] as const) {
    await fails(() => bucket.put('k', value), { code: 'INVALID_ARGUMENT', message: where });
  }
  const odd = { contentType: 'x/odd', encode: () => 'no bytes' as never, decode: () => 0 };
  await fails(() => store.bucket('nothing', { codec: odd }).put('k', 1), {
    code: 'INVALID_ARGUMENT',
    message: /encode/,
  });
}

async function tokens(store: Store, bucket: Bucket<string>): Promise<void> {
  const { causalContext: token } = await bucket.put('token', 'v');
  const flip = (at: number) => {
    const bytes = Buffer.from(token, 'base64');
    bytes[at]! ^= 1;
    return bytes.toString('base64');
  };
  const length = Buffer.from(token, 'base64').length;
  const damaged = Array.from({ length }, (_, at) => flip(at));
  damaged.push(
    token.slice(0, -4),
    `${token}AAAA`,
    ` ${token}`,
    token.replaceAll('=', ''),
    `${token.slice(0, 8)}!${token.slice(9)}`,
  );
  for (const causalContext of damaged) {
    if (causalContext === token) continue;
    await fails(() => bucket.put('token', 'w', { causalContext }), 'INVALID_ARGUMENT');
    await fails(() => bucket.delete('token', { causalContext }), 'INVALID_ARGUMENT');
  }
  const foreign = { code: 'INVALID_ARGUMENT', message: /another key/ } as const;
  await fails(() => bucket.put('nothing', 'w', { causalContext: token }), foreign);
  await fails(() => store.bucket('nothing').put('token', Uint8Array.of(1), { causalContext: token }), foreign);
  const otherType = store.bucket<string>('b', { type: 't', codec: 'text' });
  await fails(() => otherType.delete('token', { causalContext: token }), foreign);
  assert.deepEqual(
    (await bucket.get('token')).siblings.map(({ value }) => value),
    ['v'],
  );
}
