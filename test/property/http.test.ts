/**
 * The HTTP service's pure parts under anything: a request's head becomes a request or a refusal and never an exception;
 * an address written into a URL is read back; lists come back from their pieces, however a transport cuts them.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { utf8 } from '../../src/base/bytes.js';
import { TimeoutError } from '../../src/base/errors.js';
import { jsonObjectsOf } from '../../src/cli/json-objects.js';
import { encodeSegment } from '../../src/service/http/address.js';
import { listPieces } from '../../src/service/http/listing.js';
import { changesOf, NO_PROPERTIES, propertiesJson, propertiesOf, propsOf } from '../../src/service/http/properties.js';
import { parseRequest } from '../../src/service/http/protocol.js';
import type { RequestHead } from '../../src/service/http/request-head.js';
import type { Key } from '../../src/store/api/call-options.js';
import type { BucketProperties, BucketPropertyChanges } from '../../src/store/api/properties.js';
import { holds } from '../support/property.js';
import { test } from '../support/test.js';

/** What Node lets through as a header's value: Latin-1 but for control characters. */
const headerValue = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)) });
const segment = fc.oneof(
  fc.constantFrom('buckets', 'types', 'riak', 'keys', 'props', 'b', 'k', '', '.', '%2F', '%', '%zz', '%ff', '%00', 'é'),
  fc.string({ maxLength: 5 }),
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map(encodeSegment),
);
const parameter = fc.tuple(
  fc.oneof(
    fc.constantFrom('r', 'w', 'pr', 'pw', 'dw', 'timeout', 'returnbody', 'vtag', 'keys', 'buckets', 'props', 'limit'),
    fc.constantFrom('prefix', 'basic_quorum', 'notfound_ok', 'node_confirms', 'asis', '__proto__'),
    fc.string({ maxLength: 4 }),
  ),
  fc.oneof(fc.constantFrom('true', 'stream', 'one', 'all', 'default', '1', '0', '-1', '1e9', '%'), fc.string()),
);
/** Noise alone seldom comes near a request: most heads are one, with noise in some places. */
const name = fc.oneof({ weight: 2, arbitrary: fc.constantFrom('b', 'k', '%C3%A9') }, { weight: 1, arbitrary: segment });
const path = fc.oneof(
  fc.array(segment, { maxLength: 8 }),
  fc.tuple(fc.constant('buckets'), name, fc.constant('keys'), name),
  fc.tuple(fc.constant('types'), name, fc.constant('buckets'), name, fc.constant('keys'), name),
  fc.tuple(fc.constant('riak'), name, name),
  fc.tuple(fc.constantFrom('buckets', 'types'), name, fc.constantFrom('keys', 'buckets', 'props')),
  fc.constantFrom(['buckets'], ['riak', '']),
);
const parameters = fc.oneof(
  fc.constant([]),
  fc.constantFrom([['keys', 'true']], [['buckets', 'stream']]),
  fc.array(parameter, { maxLength: 2 }),
);
const url = fc.tuple(fc.constantFrom('/', '/', '', 'http://x/'), path, parameters).map(([start, segments, given]) => {
  const query = given.map((pair) => pair.join('=')).join('&');
  return `${start}${segments.join('/')}${query === '' ? '' : `?${query}`}`;
});
const anyHeaders = fc.dictionary(
  fc.oneof(
    fc.constantFrom(
      'content-type',
      'accept',
      'if-match',
      'if-none-match',
      'if-modified-since',
      'x-riak-vclock',
      'link',
    ),
    fc.constantFrom('x-riak-meta-a', 'x-riak-meta-__proto__', 'x-riak-meta-', 'x-riak-index-a_bin', 'content-encoding'),
  ),
  fc.oneof(fc.constantFrom('text/plain', 'a/b; charset=utf-8', '*', '*/*;q=x'), headerValue, fc.array(headerValue)),
);
const headers = fc.oneof(fc.constant({ 'content-type': 'text/plain' }), anyHeaders);
const head: fc.Arbitrary<RequestHead> = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS', ''),
  url: fc.oneof({ weight: 9, arbitrary: url }, { weight: 1, arbitrary: fc.string() }),
  headers,
});

const STATUSES = new Set([200, 400, 404, 405, 415, 501]);
const KINDS = new Set(['read', 'write', 'delete', 'list', 'properties']);

test('any head is a request, or refused with a status, a type and no broken header', () => {
  const seen = new Set<string>();
  const property = fc.property(head, (one) => {
    const parsed = parseRequest(one);
    if (parsed.kind !== 'refused') {
      assert(KINDS.has(parsed.kind));
      seen.add(parsed.kind);
      return;
    }
    const { status, headers: answered, body } = parsed.reply;
    seen.add(String(status));
    assert(STATUSES.has(status), `${status}`);
    assert(typeof body === 'string' && body !== '');
    assert.match(answered['Content-Type']!, /^(text\/plain|application\/json)$/);
    for (const value of Object.values(answered)) assert.doesNotMatch(value, /[\r\n]/);
  });
  holds(property, 5_000);
  // It is no fuzzing if everything is refused the same way.
  for (const kind of KINDS) assert(seen.has(kind), `no head was a ${kind}`);
  for (const status of STATUSES) assert(seen.has(String(status)), `no head was refused with ${status}`);
});

test('what is written into a URL of any family is read back', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 6 });
  const bytes = fc.uint8Array({ minLength: 1, maxLength: 6 });
  const property = fc.property(text, text, fc.oneof(text, bytes), (type, bucket, key) => {
    const [t, b, k] = [type, bucket, key].map(encodeSegment);
    const wanted = Buffer.from(key as Uint8Array).toString('hex');
    for (const [path, of] of [
      [`/types/${t}/buckets/${b}/keys/${k}`, type],
      [`/buckets/${b}/keys/${k}`, 'default'],
      [`/riak/${b}/${k}`, 'default'],
    ] as const) {
      const parsed = parseRequest({ method: 'GET', url: path, headers: {} });
      assert(parsed.kind === 'read');
      assert.equal(parsed.address.type, of);
      assert.equal(parsed.address.bucket, bucket);
      assert.equal(Buffer.from(parsed.address.key as Uint8Array).toString('hex'), wanted);
    }
    for (const path of [`/types/${t}/buckets/${b}/keys?keys=true`, `/types/${t}/buckets/?buckets=stream`]) {
      const parsed = parseRequest({ method: 'GET', url: path, headers: {} });
      assert(parsed.kind === 'list');
      assert.equal(parsed.type, type);
      assert.equal(parsed.bucket, parsed.listed === 'keys' ? bucket : '');
    }
  });
  holds(property, 1_000);
});

test('lists come back from their pieces, and say that they failed', async () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 });
  // At least one byte is no UTF-8.
  const binary = fc.uint8Array({ maxLength: 9 }).map((one) => Uint8Array.of(0xff, ...one));
  const repeat = fc.constantFrom(1, 1, 200);
  const names = fc
    .tuple(
      fc.array(fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: binary }), { maxLength: 20 }),
      repeat,
    )
    .map(([some, times]) => Array.from({ length: times }, () => some).flat());
  const property = fc.asyncProperty(names, fc.nat(60), fc.boolean(), async (keys, size, fails) => {
    const pass = () =>
      (async function* (): AsyncGenerator<Key> {
        yield* keys;
        if (fails) throw new TimeoutError('m');
      })();
    const texts = keys.filter((key) => typeof key === 'string');
    const binaries = keys.flatMap((key) => (typeof key === 'string' ? [] : [Buffer.from(key).toString('base64')]));
    if (!fails) {
      const whole: { keys: string[]; binaryKeys?: string[] } = JSON.parse(
        (await collected(listPieces('keys', 'all', pass, String))).join(''),
      );
      assert.deepEqual(whole.keys, texts);
      assert.deepEqual(whole.binaryKeys ?? [], binaries);
    }
    const pieces = listPieces('keys', 'stream', pass, () => 'timeout');
    let streamed: string;
    try {
      streamed = (await collected(pieces)).join('');
    } catch (error) {
      // Nothing was sent yet: the status tells.
      assert(fails && error instanceof TimeoutError);
      return;
    }
    const objects = await collected(jsonObjectsOf(cut(streamed, size + 1), 100_000));
    assert.deepEqual(objects.at(-1), fails ? { error: 'timeout' } : { keys: [] });
    assert.deepEqual(
      objects.flatMap(({ keys: some }) => some ?? []),
      texts,
    );
    assert.deepEqual(
      objects.flatMap(({ binaryKeys }) => binaryKeys ?? []),
      binaries,
    );
  });
  await fc.assert(property, { numRuns: 100, interruptAfterTimeLimit: 3_000 });
});

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The bytes of `text` in stretches of `size`, which may end within a character. */
async function* cut(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test('properties that a client puts back are those that it got; any other JSON is changes or a text', () => {
  const quorum = fc.oneof(fc.constantFrom('one', 'quorum', 'all'), fc.integer({ min: 1, max: 3 }));
  const properties: fc.Arbitrary<BucketProperties> = fc.record({
    n: fc.constant(3),
    ...{ r: quorum, w: quorum, pr: quorum, pw: quorum, dw: quorum },
    ...{ notfoundOk: fc.boolean(), basicQuorum: fc.boolean() },
    ttlMs: fc.option(fc.integer({ min: 1, max: 1_000_000 }), { nil: undefined }),
    maxSiblings: fc.integer({ min: 1, max: 100 }),
    resolution: fc.constantFrom('siblings', 'last-write-wins'),
  });
  const backAgain = fc.property(properties, fc.option(fc.string(), { nil: undefined }), (all, bucket) => {
    const body = utf8(JSON.stringify({ props: propertiesJson(all, bucket) }));
    const { n, ttlMs, ...others } = all;
    const changes = { ...others, ...(ttlMs !== undefined && { ttlMs }) };
    assert.deepEqual(changesOf(body, bucket, n), changes);
    // A client of this package says and hears the same.
    assert.deepEqual(propertiesOf(JSON.parse(JSON.stringify(propertiesJson(all, bucket)))), { ...all, ttlMs });
    const sent = (some: BucketPropertyChanges) => utf8(JSON.stringify({ props: propsOf(some) }));
    assert.deepEqual(changesOf(sent(changes), bucket, n), changes);
    assert.deepEqual(changesOf(sent({ ...NO_PROPERTIES, r: all.r }), bucket, n), { ...NO_PROPERTIES, r: all.r });
    assert.deepEqual(changesOf(sent({}), bucket, n), {});
  });
  holds(backAgain, 500);
  const anything = fc.property(fc.jsonValue(), (props) => {
    const changes = changesOf(utf8(JSON.stringify({ props })), 'b', 3);
    assert(typeof changes === 'string' ? changes.length > 0 : Object.keys(changes).length <= 10);
  });
  holds(anything, 500);
});
