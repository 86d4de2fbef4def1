/** Buckets as their user sees them: reading and writing, siblings, contexts, resolution, expiry, codecs, giving up. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConflictError, open, QuoralError, type Sibling, type Store } from '../../../src/index.js';
import { windowFarFromNow } from '../../support/exchange-window.js';
import { keyPrimaries } from '../../support/key-primaries.js';
import { fails, refuses } from '../../support/rejection.js';
import { test } from '../../support/test.js';

/**
 * One store for every story of this file; each has buckets of its own. Nobody stands in: a read need not hear a stand-in
 * that a write counted, as may be on a busy machine.
 */
const opened = open({ nodes: 4, n: 3, maxHintBytes: 0 });

const texts = (siblings: readonly Sibling<string>[]) => siblings.map(({ value }) => value);

test('a value is put, read, replaced and deleted', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('plain', { codec: 'text' });
  const before = await bucket.get('k');
  assert.deepEqual(
    [before.found, before.value, before.siblings, before.causalContext],
    [false, undefined, [], undefined],
  );

  const started = Date.now();
  const first = await bucket.put('k', 'one');
  const read = await bucket.get('k');
  assert.deepEqual([read.found, read.value, texts(read.siblings)], [true, 'one', ['one']]);
  const [sibling] = read.siblings;
  assert.equal(sibling!.contentType, 'text/plain; charset=utf-8');
  assert.deepEqual(sibling!.metadata, {});
  assert(sibling!.timestampMs >= started - 1 && sibling!.timestampMs <= Date.now() + 1);
  assert.equal(typeof read.causalContext, 'string');

  // A receipt's context answers its own write; a read's answers all that it saw.
  const second = await bucket.put('k', 'two', { causalContext: first.causalContext });
  assert.deepEqual(texts((await bucket.get('k')).siblings), ['two']);
  await bucket.delete('k', { causalContext: second.causalContext });
  const gone = await bucket.get('k');
  assert.deepEqual([gone.found, gone.value, gone.siblings], [false, undefined, []]);
  assert.equal(typeof gone.causalContext, 'string', 'a deleted key has a context');
  await bucket.put('k', 'three', { causalContext: gone.causalContext });
  assert.equal((await bucket.get('k')).value, 'three');

  // Without a context, a delete reads first; of a key that was never seen it leaves a tombstone, too.
  await bucket.delete('k');
  assert.equal((await bucket.get('k')).found, false);
  await bucket.delete('never seen');
  assert.equal((await bucket.get('never seen')).found, false);
});

test('keys and values are bytes: what went in comes out', async () => {
  const store = await opened;
  const raw = store.bucket('bytes');
  const key = Uint8Array.of(0, 255, 254, 0, 128);
  const value = Uint8Array.of(0, 1, 255);
  const put = raw.put(key, value);
  // Whoever puts may use its buffers again at once.
  key.fill(7);
  value.fill(7);
  await put;
  const read = await raw.get(Uint8Array.of(0, 255, 254, 0, 128));
  assert.deepEqual(read.value, Uint8Array.of(0, 1, 255));
  assert.equal((await raw.get(Uint8Array.of(7, 7, 7, 7, 7))).found, false);
  await raw.put('empty', new Uint8Array(0));
  assert.deepEqual([(await raw.get('empty')).found, (await raw.get('empty')).value], [true, new Uint8Array(0)]);
  // Text and its UTF-8 are one key.
  await raw.put('ключ', Uint8Array.of(1));
  assert.deepEqual((await raw.get(new TextEncoder().encode('ключ'))).value, Uint8Array.of(1));
  // A value in shared memory, and a part of a larger buffer.
  const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(9);
  await raw.put('shared', shared);
  assert.deepEqual((await raw.get('shared')).value, Uint8Array.of(9, 9, 9, 9));
  await raw.put('part', Buffer.from('abcdef').subarray(2, 4));
  assert.deepEqual((await raw.get('part')).value, Uint8Array.of(99, 100));
  // Bucket and type keep keys apart.
  await store.setBucketType('other');
  await store.bucket('bytes', { type: 'other' }).put('part', Uint8Array.of(5));
  assert.deepEqual((await raw.get('part')).value, Uint8Array.of(99, 100));
  // Concatenations of type, bucket and key are not confused.
  await store.bucket('ab').put('c', Uint8Array.of(1));
  assert.equal((await store.bucket('a').get('bc')).found, false);
});

test('writes that did not see each other become siblings; a read sees all, and its context replaces them', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('siblings', { codec: 'text' });
  await Promise.all(['a', 'b', 'c'].map((value) => bucket.put('k', value)));
  const read = await bucket.get('k');
  assert.equal(read.found, true);
  assert.deepEqual(texts(read.siblings).sort(), ['a', 'b', 'c']);
  const times = read.siblings.map(({ timestampMs }) => timestampMs);
  assert.deepEqual(times, [...times].sort(), 'oldest first');
  assert.throws(() => read.value, ConflictError);
  await fails(() => read.value, { code: 'CONFLICT', message: /3 siblings/ });
  await bucket.put('k', 'abc', { causalContext: read.causalContext });
  assert.equal((await bucket.get('k')).value, 'abc');

  // A receipt's context does not cover what its writer never saw.
  const first = await bucket.put('own', 'mine 1');
  await bucket.put('own', 'theirs');
  await bucket.put('own', 'mine 2', { causalContext: first.causalContext });
  assert.deepEqual(texts((await bucket.get('own')).siblings).sort(), ['mine 2', 'theirs']);

  // A sequential client never sees siblings, whether it passes receipts or reads.
  let known: string | undefined;
  for (let i = 0; i < 20; i++) {
    known = (await bucket.put('chain', `${i}`, { causalContext: known })).causalContext;
    if (i % 3 === 0) known = (await bucket.get('chain')).causalContext;
  }
  assert.equal((await bucket.get('chain', { r: 'all' })).value, '19');

  // A delete that did not see a value leaves it.
  const seen = await bucket.put('delete', 'seen');
  await bucket.put('delete', 'unseen');
  await bucket.delete('delete', { causalContext: seen.causalContext });
  assert.equal((await bucket.get('delete')).value, 'unseen');
});

test('no more than 100 siblings: a put that would leave more is refused, one that resolves them is not', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('many', { codec: 'text' });
  // Whoever mints is to have all before.
  for (let i = 0; i < 100; i++) await bucket.put('k', `${i}`, { pw: 'all' });
  await refuses(() => bucket.put('k', 'one more'), { code: 'TOO_MANY_SIBLINGS', message: /causalContext/ });
  const read = await bucket.get('k', { r: 'all' });
  assert.equal(read.siblings.length, 100);
  await bucket.put('k', 'resolved', { causalContext: read.causalContext });
  assert.equal((await bucket.get('k')).value, 'resolved');
});

test('last-write-wins: the last value is read, without any context', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('lww', { codec: 'text', resolution: 'last-write-wins' });
  for (let i = 0; i < 10; i++) {
    await bucket.put('k', `${i}`);
    assert.equal((await bucket.get('k')).value, `${i}`);
  }
  await bucket.delete('k');
  assert.equal((await bucket.get('k')).found, false);
  await bucket.put('k', 'again');
  assert.deepEqual(texts((await bucket.get('k', { r: 'all' })).siblings), ['again']);

  // Where siblings were left by a handle that keeps them, the latest is read; a tombstone, too, may be the latest.
  const keeping = store.bucket<string>('lww', { codec: 'text' });
  const first = await keeping.put('mixed', 'first');
  await keeping.put('mixed', 'second');
  assert.deepEqual(texts((await bucket.get('mixed')).siblings), ['second']);
  await keeping.delete('mixed', { causalContext: first.causalContext });
  assert.equal((await keeping.get('mixed')).value, 'second');
  assert.equal((await bucket.get('mixed')).found, false);
  const scanned: unknown[] = [];
  for await (const { key } of bucket.scan()) scanned.push(key);
  assert.deepEqual(scanned, ['k'], 'a scan shows what a get finds');
});

test('a value with a lifetime is gone after it', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('ttl', { codec: 'text', ttlMs: 3_600_000 });
  await bucket.put('long', 'v');
  await bucket.put('short', 'v', { ttlMs: 40 });
  assert.equal((await bucket.get('long')).value, 'v');
  let read = await bucket.get('short');
  const deadline = performance.now() + 10_000;
  while (read.found && performance.now() < deadline) read = await bucket.get('short');
  assert.deepEqual([read.found, read.value, read.siblings], [false, undefined, []]);
  assert.equal(typeof read.causalContext, 'string');
  const keys: unknown[] = [];
  for await (const { key } of bucket.scan()) keys.push(key);
  assert.deepEqual(keys, ['long']);
});

test('content type and metadata travel with each sibling', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('metadata', { codec: 'text' });
  const metadata = { author: 'Анна', empty: '', __proto__name: 'x', 'Content-Language': 'de' };
  const receipt = await bucket.put('k', 'v', { contentType: 'text/markdown', metadata });
  await bucket.put('k', 'w', { contentType: 'text/html', metadata: { other: '1' } });
  const { siblings } = await bucket.get('k');
  assert.deepEqual(
    siblings.map(({ contentType }) => contentType),
    ['text/markdown', 'text/html'],
  );
  assert.deepEqual({ ...siblings[0]!.metadata }, metadata);
  assert.deepEqual({ ...siblings[1]!.metadata }, { other: '1' });
  assert.deepEqual(Object.keys(JSON.parse(JSON.stringify(receipt))), ['causalContext', 'acks', 'hints']);
});

test('codecs: raw, text, json, and one of the caller’s own', async () => {
  const store = await opened;
  const json = store.bucket<unknown>('codecs', { codec: 'json' });
  for (const value of [null, 0, '', false, [], { a: [1, { b: 'ü' }] }, '\ud800']) {
    await json.delete('json');
    await json.put('json', value, { causalContext: (await json.get('json')).causalContext });
    const read = await json.get('json');
    assert.deepEqual([read.found, read.value], [true, value]);
    assert.equal(read.siblings[0]!.contentType, 'application/json');
  }
  const text = store.bucket<string>('codecs', { codec: 'text' });
  for (const value of ['', 'ünï©ode 🐚', '\ufeffwith a mark', 'a\u0000b', '\r\n']) {
    await text.delete('text');
    await text.put('text', value, { causalContext: (await text.get('text')).causalContext });
    assert.equal((await text.get('text')).value, value);
  }
  const dates = {
    contentType: 'application/x-date',
    encode: (date: Date) => new TextEncoder().encode(date.toISOString()),
    decode: (bytes: Uint8Array) => new Date(new TextDecoder().decode(bytes)),
  };
  const own = store.bucket<Date>('codecs', { codec: dates });
  await own.put('date', new Date(86_400_000));
  const read = await own.get('date');
  assert.equal(read.value?.getTime(), 86_400_000);
  assert.equal(read.siblings[0]!.contentType, 'application/x-date');

  const packed = store.bucket<unknown>('codecs', { codec: 'msgpack' });
  const large = Array.from({ length: 3_000 }, (_, i) => ({ i, text: `ünï ${i}`, bytes: Uint8Array.of(i) }));
  const values: unknown[] = [null, 0, -1.5, '', false, [], { a: [1, { b: 'ü' }] }, 123n, 2n ** 70n, new Date(5)];
  const sets: unknown[] = [new Set(['a']), new Float64Array([0.5]), Uint8Array.of(1, 2), 'x'.repeat(100_000), large];
  for (const value of [...values, ...sets]) {
    await packed.update('msgpack', () => value as object);
    const read = await packed.get('msgpack');
    assert.deepEqual(read.value, value);
    assert.equal(read.siblings[0]!.contentType, 'application/msgpack');
  }
  // As any other reader of MessagePack would write it.
  await packed.put('plain', { a: 1 });
  assert.equal(Buffer.from((await store.bucket('codecs').get('plain')).value!).at(-1), 1);
  const cyclic: unknown[] = [];
  cyclic.push(cyclic);
  const numbered = new Map([[1, 'a']]);
  for (const value of [undefined, () => 1, Symbol('s'), numbered, { deep: [new Map([['a', numbered]])] }, cyclic]) {
    await fails(() => packed.put('refused', value), { code: 'INVALID_ARGUMENT', message: /msgpack/ });
  }
  await packed.put('map', new Map([['a', { b: new Map([['c', 1]]) }]]));
  assert.deepEqual((await packed.get('map')).value, { a: { b: { c: 1 } } });

  // Bytes that the codec of the reading handle cannot read.
  const raw = store.bucket('codecs');
  await raw.put('raw', Uint8Array.of(0xdc, 0x7b));
  for (const handle of [json, text, packed]) {
    const odd = await handle.get('raw');
    assert.equal(odd.found, true);
    await fails(() => odd.value, { code: 'INVALID_ARGUMENT', message: /codec/ });
  }
  // What a caller gets is its own.
  const mine = (await raw.get('raw')).value!;
  mine.fill(0);
  assert.deepEqual((await raw.get('raw')).value, Uint8Array.of(0xdc, 0x7b));
});

test('a call that is given up ends at once, and only once', async () => {
  const store = await opened;
  const bucket = store.bucket<string>('aborted', { codec: 'text' });
  const reason = new Error('no longer wanted');
  const before = AbortSignal.abort(reason);
  for (const call of [
    () => bucket.get('k', { signal: before }),
    () => bucket.put('k', 'v', { signal: before }),
    () => bucket.delete('k', { signal: before }),
    () => bucket.scan({ signal: before }).next(),
  ]) {
    assert.equal((await fails(call, { code: 'ABORTED', definite: true })).cause, reason);
  }
  assert.equal((await bucket.get('k')).found, false);

  const controller = new AbortController();
  const { signal } = controller;
  const put = fails(() => bucket.put('sent', 'v', { signal }), {
    code: 'ABORTED',
    definite: false,
    message: /may be stored/,
  });
  const get = fails(() => bucket.get('sent', { signal }), { code: 'ABORTED', definite: true });
  const remove = fails(() => bucket.delete('sent 2', { signal }), { code: 'ABORTED', definite: true });
  const scan = fails(() => bucket.scan({ signal }).next(), { code: 'ABORTED', definite: true });
  controller.abort(reason);
  for (const error of await Promise.all([put, get, remove, scan])) assert.equal(error.cause, reason);
  assert.equal((await store.stats()).inFlight, 0);

  // A signal that fires after the end changes nothing; nor does a listener stay.
  const late = new AbortController();
  await bucket.put('late', 'v', { signal: late.signal });
  const entries = bucket.scan({ signal: late.signal });
  assert.equal((await entries.next()).done, false);
  late.abort(reason);
  await fails(() => entries.next(), { code: 'ABORTED', definite: true });
  assert.equal((await bucket.get('late')).value, 'v');
});

test('too many calls in flight are refused at once, and nothing of them is stored', async () => {
  const store = await open({ nodes: 1, n: 1, maxInFlight: 4 });
  try {
    const bucket = store.bucket<string>('b', { codec: 'text' });
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => bucket.put(`k${i}`, 'v')));
    for (const [i, outcome] of outcomes.entries()) {
      if (i < 4) assert.equal(outcome.status, 'fulfilled');
      else
        await fails(() => Promise.reject((outcome as PromiseRejectedResult).reason), {
          code: 'OVERLOADED',
          definite: true,
        });
    }
    for (let i = 0; i < 10; i++) assert.equal((await bucket.get(`k${i}`)).found, i < 4);
  } finally {
    await store.close();
  }
});

test('without notfoundOk, a replica that has nothing is no answer; basicQuorum hears fewer of them', async () => {
  const path = mkdtempSync(join(tmpdir(), 'quoral-bucket-'));
  // Neither hints nor exchanges heal what the reads are to miss.
  const store = await open({ path, nodes: 3, n: 3, sync: 'none', maxHintBytes: 0, exchangeWindow: windowFarFromNow() });
  try {
    const bucket = store.bucket<string>('b', { codec: 'text' });
    const strict = store.bucket<string>('b', { codec: 'text', notfoundOk: false });
    for (const r of [1, 2, 3]) assert.equal((await strict.get('never', { r })).found, false);
    // The node that coordinates has them alone, and hears itself first.
    const [first, ...others] = keyPrimaries(store, 'b', 'lost');
    let other = 'other';
    while (keyPrimaries(store, 'b', other)[0] !== first) other += 'x';
    for (const node of others) await store.admin.crash(node);
    for (const key of ['lost', other]) {
      const { acks } = await bucket.put(key, 'v', { w: 1 });
      assert.deepEqual(
        acks.map(({ node }) => node),
        [first],
      );
    }
    for (const node of others) await store.admin.start(node);
    await store.admin.waitForHints({ timeoutMs: 60_000 });
    const deadline = performance.now() + 10_000;
    const outcomeOf = () => strict.get('lost', { r: 2 }).catch((error: unknown) => error as QuoralError);
    let outcome = await outcomeOf();
    // On a busy machine a read may be sent to a second node. The two that have nothing may be heard alone then, and that is
    // an answer; or it finds what the first one has healed. Whenever the one that has it is heard, it is not "not found".
    const isNothing = () => !(outcome instanceof QuoralError) && !outcome.found;
    while (isNothing() && performance.now() < deadline) outcome = await outcomeOf();
    if (outcome instanceof QuoralError)
      assert.match(`${outcome.code}: ${outcome.message}`, /^QUORUM_NOT_MET: .*1 of 2/);
    else assert.equal(outcome.value, 'v');
    // That read has healed the replicas that it heard.
    const isHealed = () => !(outcome instanceof QuoralError) && outcome.found;
    while (!isHealed() && performance.now() < deadline) outcome = await outcomeOf();
    assert(!(outcome instanceof QuoralError), `${outcome}`);
    assert.equal(outcome.value, 'v');
    // A majority has nothing: not found, though one replica that was not heard has it. Without basicQuorum it is asked.
    assert.equal((await strict.get(other, { r: 1 })).value, 'v');
    const hasty = { r: 1, basicQuorum: true };
    const reads = await Promise.all(['never', other].map((key) => strict.get(key, hasty)));
    assert.equal(reads[0]!.found, false);
    for (const { exchanges } of Object.values((await store.stats()).nodes)) assert.equal(exchanges, 0);
    for (const options of [{ notfoundOk: 1 }, { basicQuorum: 'yes' }, { notfoundOk: null }] as never[]) {
      await fails(() => bucket.get('k', options), 'INVALID_ARGUMENT');
      await fails(() => store.bucket('b', options), 'INVALID_ARGUMENT');
      await fails(() => bucket.getMany(['k'], options), 'INVALID_ARGUMENT');
      await fails(() => bucket.update('k', () => 'x', options), 'INVALID_ARGUMENT');
    }
  } finally {
    await store.close();
    rmSync(path, { recursive: true });
  }
});

test('the store of these stories closes', async () => {
  const store: Store = await opened;
  assert.equal((await store.stats()).inFlight, 0);
  await store.close();
});
