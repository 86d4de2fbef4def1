/** The binary forms, case by case: what they hold, what they refuse, and with which error. Fuzzing is in test/property. */
import assert from 'node:assert/strict';
import { InvariantError } from '../../../src/base/assert.js';
import { EMPTY, utf8 } from '../../../src/base/bytes.js';
import { InvalidArgumentError, KeyTooLongError } from '../../../src/base/errors.js';
import { hash64, hashLow } from '../../../src/base/hash.js';
import { EMPTY_CONTEXT } from '../../../src/clocks/causal-context.js';
import { decodeBody, encodeBody } from '../../../src/codec/body.js';
import { decodeContext, encodeContext } from '../../../src/codec/context.js';
import { CorruptRecordError, UnknownRecordVersionError } from '../../../src/codec/errors.js';
import {
  bucketPrefix,
  bucketRange,
  decodeLocatedKey,
  encodeLocatedKey,
  type KeyBounds,
  keyHash,
  MAX_KEY_BYTES,
  partitionOf,
  partitionRange,
  setPartition,
  successorOf,
} from '../../../src/codec/key.js';
import { checkRecord, decodeRecord, digestHigh, digestLow, encodeRecord } from '../../../src/codec/record.js';
import { mergeRecords, mintRecord, outcomeIn } from '../../../src/codec/record-update.js';
import { decodeToken, encodeToken } from '../../../src/codec/token.js';
import { mint } from '../../../src/objects/mint.js';
import { test } from '../../support/test.js';
import { at, context, dotsOf, event, sibling, write } from '../../support/versions.js';

const seen = context([event(1, 5), event(2, 2 ** 40)], [event(1, 9), event(3, 2 ** 53 - 1)], [event(9, 1)]);
const object = {
  context: seen,
  siblings: [
    sibling(event(1, 5), { timestamp: at(2 ** 48 - 1, 65_535), body: Uint8Array.from([1, 2, 3]) }),
    sibling(event(1, 9), { timestamp: at(1_700_000_000_000, 3), expiresAtMs: 1_800_000_000_000, body: EMPTY }),
    sibling(event(3, 2 ** 53 - 1), { tombstone: true, body: EMPTY }),
  ],
};

/** Equal contents, whatever kind of byte array holds them. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return [...(value as Uint8Array)];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, plain(field)]));
}

/** Sets the checksum of a record right again after a change. */
function resealed(record: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(record);
  const high = hash64(copy.subarray(8));
  const view = new DataView(copy.buffer);
  view.setUint32(0, hashLow, true);
  view.setUint32(4, high, true);
  return copy;
}

test('a record gives back its object, and equal objects give identical bytes', async () => {
  const record = encodeRecord(object);
  const decoded = decodeRecord(record);
  assert.deepEqual(plain(decoded), plain(object));
  assert.deepEqual([...encodeRecord(decoded)], [...record]);
  assert.equal(digestHigh(record), digestHigh(encodeRecord(decoded)));
  assert.equal(digestLow(record), digestLow(encodeRecord(decoded)));
  const other = encodeRecord({ ...object, siblings: object.siblings.slice(1) });
  assert.notEqual(digestLow(record), digestLow(other));
  const inside = new Uint8Array(record.length + 10);
  inside.set(record, 7);
  assert.deepEqual(plain(decodeRecord(inside.subarray(7, 7 + record.length))), plain(object), 'a view at any offset');
});

test('the record form is what is on disk: it changes only with its version', async () => {
  const small = {
    context: { vv: [1, 2, 300], extra: [] },
    siblings: [
      {
        dot: { high: 1, low: 2, counter: 300 },
        attempt: { high: 3, low: 4, counter: 5 },
        timestamp: at(0x0102_0304_0506, 0x0708),
        tombstone: false,
        expiresAtMs: 0,
        body: utf8('ab'),
      },
    ],
  };
  const hex = Buffer.from(encodeRecord(small)).toString('hex');
  const body = `01 01 01000000 02000000 ac02 00 01 01000000 02000000 ac02 03000000 04000000 05 060504030201 0807 00 02 6162`;
  assert.equal(hex.slice(16), body.replaceAll(' ', ''));
});

test('any changed bit, any cut, any addition makes a record corrupt', async () => {
  const record = encodeRecord(object);
  for (let bit = 0; bit < record.length * 8; bit++) {
    const damaged = Uint8Array.from(record);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => decodeRecord(damaged), CorruptRecordError);
  }
  for (let length = 0; length < record.length; length++) {
    assert.throws(() => decodeRecord(record.subarray(0, length)), CorruptRecordError);
    assert.throws(() => decodeRecord(resealedIfLong(record.subarray(0, length))), CorruptRecordError);
  }
  assert.throws(() => decodeRecord(Uint8Array.from([...record, 0])), CorruptRecordError);
  assert.throws(() => decodeRecord(resealed(Uint8Array.from([...record, 0]))), CorruptRecordError);
});

function resealedIfLong(bytes: Uint8Array): Uint8Array {
  return bytes.length < 9 ? bytes : resealed(bytes);
}

test('a whole record of a newer version is told apart from a corrupt one', async () => {
  const record = Uint8Array.from(encodeRecord(object));
  record[8] = 2;
  assert.throws(() => decodeRecord(record), CorruptRecordError);
  assert.throws(() => decodeRecord(resealed(record)), UnknownRecordVersionError);
});

test('a record that no encoder writes is corrupt though its checksum is right', async () => {
  const refused = (name: string, wrong: Parameters<typeof encodeRecord>[0]) =>
    assert.throws(() => decodeRecord(encodeRecord(wrong)), CorruptRecordError, name);
  const [first, second] = object.siblings;
  refused('siblings out of order', { context: seen, siblings: [second!, first!] });
  refused('a sibling twice', { context: seen, siblings: [first!, first!] });
  refused('a sibling that the context does not cover', { context: EMPTY_CONTEXT, siblings: [first!] });
  refused('a counter of 0', { context: { vv: [1, 1, 0], extra: [] }, siblings: [] });
  refused('writers out of order', { context: { vv: [2, 1, 1, 1, 1, 1], extra: [] }, siblings: [] });
  refused('an unknown kind', { context: { vv: [], extra: [2, 1, 1, 1] }, siblings: [] });
  refused('a reached dot beyond', { context: { vv: [1, 1, 3], extra: [0, 1, 1, 3] }, siblings: [] });
  refused('extras out of order', { context: { vv: [], extra: [1, 1, 1, 1, 0, 1, 1, 1] }, siblings: [] });
  refused('an extra twice', { context: { vv: [], extra: [0, 1, 1, 1, 0, 1, 1, 1] }, siblings: [] });
});

test('an expiry of 0 has one form: no flag', async () => {
  const never = Uint8Array.from(encodeRecord({ context: seen, siblings: [sibling(event(1, 5), { body: EMPTY })] }));
  const flagsAt = never.length - 2;
  assert.deepEqual([...never.subarray(flagsAt)], [0, 0], 'flags, then the length of the body');
  const flagged = Uint8Array.from([...never.subarray(0, flagsAt), 2, 0, 0]);
  assert.throws(() => decodeRecord(resealed(flagged)), CorruptRecordError);
  flagged[flagsAt + 1] = 1;
  assert.equal(decodeRecord(resealed(flagged)).siblings[0]?.expiresAtMs, 1);
});

test('merging records returns the record that the result equals, and a new one only if it is neither', async () => {
  const a = mintedRecord(undefined, write(event(1, 1)));
  const b = mintedRecord(a, write(event(1, 2), { token: decodeRecord(a).context }));
  const c = mintedRecord(undefined, write(event(2, 1)));
  assert.equal(mergeRecords(undefined, a), a);
  assert.equal(mergeRecords(a, b), b);
  assert.equal(mergeRecords(b, a), b);
  const copy = Uint8Array.from(b);
  assert.equal(mergeRecords(b, copy), b);
  const both = mergeRecords(b, c);
  assert.deepEqual(dotsOf(decodeRecord(both)), ['1:2', '2:1']);
  assert.deepEqual([...mergeRecords(c, b)], [...both]);
  assert.equal(mergeRecords(both, b), both);
  assert.equal(mergeRecords(c, both), both);
  const damaged = Uint8Array.from(a);
  damaged[20]! ^= 1;
  assert.throws(() => mergeRecords(damaged, b), CorruptRecordError);
  assert.throws(() => mergeRecords(damaged, a), CorruptRecordError, 'its digest is equal, its bytes are not');
  assert.throws(() => mergeRecords(a, damaged), CorruptRecordError);
  assert.throws(() => checkRecord(damaged), CorruptRecordError);
  checkRecord(a);
  assert.throws(() => mergeRecords(b, damaged), CorruptRecordError);
  assert.throws(() => mergeRecords(undefined, damaged), CorruptRecordError);
});

function mintedRecord(local: Uint8Array | undefined, put: ReturnType<typeof write>): Uint8Array {
  return mintRecord(local, put).record;
}

test('minting on a record is minting on its object; an attempt is known by the record', async () => {
  const put = write(event(1, 1));
  const first = mintedRecord(undefined, put);
  assert.deepEqual(plain(decodeRecord(first)), plain(mint(undefined, put).object));
  assert.equal(outcomeIn(first, put.attempt, undefined), 'stored');
  assert.throws(
    () => mintRecord(first, { ...put, dot: event(1, 2), token: decodeRecord(first).context }),
    InvariantError,
  );
  const next = mintedRecord(first, write(event(1, 2), { token: decodeRecord(first).context }));
  assert.equal(outcomeIn(next, put.attempt, undefined), 'unknown');
  assert.equal(outcomeIn(next, put.attempt, event(1, 1)), 'superseded');
});

test('a body gives back content type, metadata and value', async () => {
  const value = Uint8Array.from([0, 255, 7]);
  for (const contentType of ['application/json', 'text/plain; charset=utf-8', 'x/é', '']) {
    for (const metadata of [{}, { colour: 'grün', '': '', ['__proto__']: 'a name like any other' }]) {
      const decoded = decodeBody(encodeBody({ contentType, metadata, value }));
      assert.equal(decoded.contentType, contentType);
      assert.deepEqual(Object.entries(decoded.metadata), Object.entries(metadata));
      assert.deepEqual([...decoded.value], [...value]);
    }
  }
  assert.equal(encodeBody({ contentType: 'application/json', metadata: {}, value }).length, 1 + value.length);
  for (const bytes of [[], [0x7f], [0, 5, 65], [0x81, 200, 1], [0, 1, 0xff], [0x81, 1, 0]]) {
    assert.throws(() => decodeBody(Uint8Array.from(bytes)), CorruptRecordError, `${bytes}`);
  }
});

const parts = { type: utf8('default'), bucket: utf8('carts'), key: utf8('k1') };

test('a located key gives back its parts; its hash is that of type, bucket and key alone', async () => {
  const located = encodeLocatedKey(0, parts);
  assert.equal(Buffer.from(located).toString('latin1'), '\0\0\0\x07default\0\x05cartsk1');
  const hash = keyHash(located);
  setPartition(located, 1_023);
  assert.deepEqual(keyHash(located), hash);
  assert.equal(partitionOf(located), 1_023);
  assert.deepEqual(plain(decodeLocatedKey(located)), plain({ partition: 1_023, ...parts }));
  const shifted = encodeLocatedKey(0, { type: utf8('defaultc'), bucket: utf8('arts'), key: utf8('k1') });
  assert.notDeepEqual(keyHash(shifted), hash, 'the parts are told apart');
});

test('keys out of their limits are refused with what to do, at the very byte', async () => {
  const room = MAX_KEY_BYTES - parts.type.length - parts.bucket.length;
  assert.equal(encodeLocatedKey(0, { ...parts, key: new Uint8Array(room) }).length, MAX_KEY_BYTES + 6);
  assert.throws(() => encodeLocatedKey(0, { ...parts, key: new Uint8Array(room + 1) }), KeyTooLongError);
  assert.throws(() => encodeLocatedKey(0, { ...parts, bucket: new Uint8Array(70_000) }), KeyTooLongError);
  for (const part of ['type', 'bucket', 'key']) {
    assert.throws(() => encodeLocatedKey(0, { ...parts, [part]: EMPTY }), InvalidArgumentError);
  }
  for (const text of [
    '',
    '\0',
    '\0\0\0\x01t',
    '\0\0\0\x01t\0\x01',
    '\0\0\0\x01t\0\x01b',
    '\0\0\0\0\0\x01bk',
    '\0\0\xff\xfft',
  ]) {
    assert.throws(() => decodeLocatedKey(Buffer.from(text, 'latin1')), CorruptRecordError);
  }
});

test('a range holds exactly the keys of the bucket within its bounds', async () => {
  const texts = ['a', 'a\0', 'ab', 'b', 'ba', 'b\xff', 'b\xff\xff', 'c', '\xff', '\xff\xff'];
  const latin = (text: string) => Buffer.from(text, 'latin1');
  const all = [
    ...texts.map((text) => encodeLocatedKey(3, { ...parts, key: latin(text) })),
    encodeLocatedKey(2, parts),
    encodeLocatedKey(4, parts),
    encodeLocatedKey(3, { ...parts, bucket: utf8('cart') }),
    encodeLocatedKey(3, { ...parts, bucket: utf8('cartt') }),
    encodeLocatedKey(3, { ...parts, bucket: utf8('carts2') }),
    encodeLocatedKey(3, { ...parts, type: utf8('defaulu') }),
  ];
  const within = (bounds: KeyBounds) => {
    const { gte, lt } = bucketRange(3, parts.type, parts.bucket, bounds);
    const inside = all.filter((key) => Buffer.compare(key, gte) >= 0 && Buffer.compare(key, lt) < 0);
    return inside.map((key) => Buffer.from(decodeLocatedKey(key).key).toString('latin1')).sort();
  };
  const expected = (keep: (text: string) => boolean) => texts.filter(keep).sort();
  assert.deepEqual(
    within({}),
    expected(() => true),
  );
  for (const bound of ['', ...texts]) {
    assert.deepEqual(
      within({ prefix: latin(bound) }),
      expected((text) => text.startsWith(bound)),
      `prefix ${bound}`,
    );
    assert.deepEqual(
      within({ gte: latin(bound) }),
      expected((text) => text >= bound),
    );
    assert.deepEqual(
      within({ gt: latin(bound) }),
      expected((text) => text > bound),
    );
    assert.deepEqual(
      within({ lt: latin(bound) }),
      expected((text) => text < bound),
    );
    assert.deepEqual(
      within({ lte: latin(bound) }),
      expected((text) => text <= bound),
    );
  }
  assert.deepEqual(within({ prefix: latin('b'), gt: latin('b'), lte: latin('b\xff') }), ['b\xff', 'ba'].sort());
  assert.deepEqual(within({ gt: latin('c'), lt: latin('a') }), []);
  assert.throws(() => within({ gte: new Uint8Array(MAX_KEY_BYTES) }), KeyTooLongError);
  const { gte, lt } = partitionRange(3);
  assert.equal(
    all.filter((key) => Buffer.compare(key, gte) >= 0 && Buffer.compare(key, lt) < 0).length,
    all.length - 2,
  );
});

test('the successor of a prefix is a copy, and there is none above all', async () => {
  const prefix = bucketPrefix(1, parts.type, parts.bucket);
  const before = [...prefix];
  successorOf(prefix);
  successorOf(Buffer.from(prefix.buffer));
  assert.deepEqual([...prefix], before);
  assert.deepEqual([...successorOf(Uint8Array.from([1, 0xff, 0xff]))!], [2]);
  assert.equal(successorOf(Uint8Array.from([0xff])), undefined);
  assert.equal(successorOf(EMPTY), undefined);
});

test('a token gives back context and timestamp, for its own key only, and only whole', async () => {
  const hash = keyHash(encodeLocatedKey(0, parts));
  const token = encodeToken(hash, seen, at(1_700_000_000_000, 9));
  assert.match(token, /^[A-Za-z0-9+/]+=*$/);
  assert.deepEqual(decodeToken(token, hash), { context: seen, highestTimestamp: at(1_700_000_000_000, 9) });
  const other = keyHash(encodeLocatedKey(0, { ...parts, key: utf8('k2') }));
  assert.throws(
    () => decodeToken(token, other),
    (error) => isInvalid(error, /another key/),
  );
  for (let i = 0; i < token.length; i++) {
    const changed = token[i] === 'A' ? 'B' : 'A';
    const damaged = token.slice(0, i) + changed + token.slice(i + 1);
    assert.throws(
      () => decodeToken(damaged, hash),
      (error) => isInvalid(error, /damaged/),
    );
  }
  for (const text of [
    '',
    'x',
    '====',
    'not base64 at all',
    `${token}=`,
    ` ${token}`,
    token.slice(4),
    'A'.repeat(500),
  ]) {
    assert.throws(
      () => decodeToken(text, hash),
      (error) => isInvalid(error, /damaged/),
      text,
    );
  }
});

function isInvalid(error: unknown, message: RegExp): boolean {
  return error instanceof InvalidArgumentError && error.definite && message.test(error.message);
}

test('a context and its timestamp go into a message and back', async () => {
  for (const some of [EMPTY_CONTEXT, seen]) {
    const bytes = encodeContext(some, at(77, 1));
    assert.deepEqual(decodeContext(bytes), { context: some, highestTimestamp: at(77, 1) });
    assert.throws(() => decodeContext(bytes.subarray(1)), CorruptRecordError);
  }
});
