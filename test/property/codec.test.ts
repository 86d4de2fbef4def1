/**
 * Round trips through every binary form, and fuzzing: whatever bytes come, a decoder returns something that encodes to
 * those very bytes, or throws its typed error; it never hangs, and never allocates more than the bytes can fill.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InvalidArgumentError } from '../../src/base/errors.js';
import { hash64, hashLow } from '../../src/base/hash.js';
import { covers, joinContexts } from '../../src/clocks/causal-context.js';
import type { EventId } from '../../src/clocks/event-id.js';
import { compareEventIds } from '../../src/clocks/event-id.js';
import { decodeBody, encodeBody } from '../../src/codec/body.js';
import { ByteReader } from '../../src/codec/byte-reader.js';
import { ByteWriter, varintSize } from '../../src/codec/byte-writer.js';
import { decodeContext, encodeContext } from '../../src/codec/context.js';
import { CorruptRecordError, UnknownRecordVersionError } from '../../src/codec/errors.js';
import { decodeLocatedKey, encodeLocatedKey, keyHash } from '../../src/codec/key.js';
import {
  decodeRecord,
  decodeSoundRecord,
  digestHigh,
  digestLow,
  encodeRecord,
  isSoundRecord,
} from '../../src/codec/record.js';
import { mergeRecords } from '../../src/codec/record-update.js';
import { decodeToken, encodeToken } from '../../src/codec/token.js';
import type { Sibling, StoredObject } from '../../src/objects/stored-object.js';
import { holds } from '../support/property.js';
import { test } from '../support/test.js';
import { context } from '../support/versions.js';

const u32 = fc.oneof(
  fc.constantFrom(0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
);
const safe = fc.oneof(
  fc.constantFrom(1, 127, 128, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 53 - 1),
  fc.integer({ min: 1, max: 300 }),
  fc.maxSafeNat().filter((value) => value > 0),
);
const PLAIN = { noNullPrototype: true } as const;
const event = fc.record<EventId>({ high: u32, low: u32, counter: safe }, PLAIN);
const events = fc.array(event, { maxLength: 4 });
const contexts = fc.tuple(events, events, events).map(([vv, dots, attempts]) => context(vv, dots, attempts));
const timestamp = fc.record({ ms: fc.integer({ min: 0, max: 2 ** 48 - 1 }), logical: fc.nat({ max: 0xffff }) }, PLAIN);
const bytes = fc.uint8Array({ maxLength: 300 });

const sibling: fc.Arbitrary<Sibling> = fc
  .record(
    {
      dot: event,
      attempt: event,
      timestamp,
      tombstone: fc.boolean(),
      expiresAtMs: fc.oneof(fc.constant(0), safe),
      body: bytes,
    },
    PLAIN,
  )
  .map((made) => (made.tombstone ? { ...made, body: new Uint8Array(0) } : made));

/** Objects of any shape that the record can hold: covered siblings, ascending. */
const objects: fc.Arbitrary<StoredObject> = fc
  .tuple(contexts, fc.uniqueArray(sibling, { maxLength: 4, comparator: (a, b) => compareEventIds(a.dot, b.dot) === 0 }))
  .map(([seen, siblings]) => {
    const sorted = siblings.sort((a, b) => compareEventIds(a.dot, b.dot));
    return { context: joinContexts(seen, context(sorted.map(({ dot }) => dot))), siblings: sorted };
  });

function plain(object: StoredObject): unknown {
  return { ...object, siblings: object.siblings.map((each) => ({ ...each, body: Buffer.from(each.body) })) };
}

/** Sets the checksum right, so that what is behind it is put to the test. */
function resealed(record: Uint8Array): Uint8Array {
  const sealed = new ByteWriter(record.length);
  const high = hash64(record.subarray(8));
  sealed.u32(hashLow);
  sealed.u32(high);
  sealed.copy(record.subarray(8));
  return sealed.bytes;
}

/** A few bytes overwritten, cut out or put in. */
const damage = fc.array(fc.record({ at: fc.nat(), value: fc.nat({ max: 255 }), how: fc.nat({ max: 3 }) }), {
  minLength: 1,
  maxLength: 3,
});
type Damage = readonly { readonly at: number; readonly value: number; readonly how: number }[];

function damaged(whole: Uint8Array, damages: Damage): Uint8Array {
  const made = [...whole];
  for (const { at, value, how } of damages) {
    const index = at % (made.length + 1);
    if (how === 0) made.splice(index, 1);
    else if (how === 1) made.splice(index, 0, value);
    else if (index < made.length) made[index] = value;
  }
  return Uint8Array.from(made);
}

/** What `decode` makes of the bytes, or undefined if it throws one of `errors`; anything else is thrown on. */
function attempt<T>(decode: () => T, ...errors: (new (...args: never[]) => Error)[]): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (errors.some((kind) => error instanceof kind)) return undefined;
    throw error;
  }
}

test('integers of any size are written in their shortest form and read back', () => {
  const property = fc.property(fc.oneof(fc.constant(0), safe), (value) => {
    const writer = new ByteWriter(varintSize(value));
    writer.varint(value);
    assert.equal(writer.at, writer.bytes.length);
    assert.equal(new ByteReader(writer.bytes, 0).varint(), value);
  });
  holds(property, 1_000);
  for (const wrong of [[0x80, 0], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f], new Array(9).fill(0xff), [0x80]]) {
    assert.throws(() => new ByteReader(Uint8Array.from(wrong), 0).varint(), CorruptRecordError, `${wrong}`);
  }
});

test('objects, contexts and tokens come back as they went in', () => {
  const property = fc.property(objects, timestamp, u32, u32, (object, highestTimestamp, high, low) => {
    const record = encodeRecord(object);
    const decoded = decodeRecord(record);
    assert.deepEqual(plain(decoded), plain(object));
    const again = encodeRecord(decoded);
    assert.deepEqual(again, record);
    assert.ok(isSoundRecord(record));
    assert.deepEqual([digestHigh(again), digestLow(again)], [digestHigh(record), digestLow(record)]);
    assert.equal(mergeRecords(record, again), record);
    for (const { dot, attempt: of } of decoded.siblings) assert.ok(covers(decoded.context, dot, of));
    const seen = { context: object.context, highestTimestamp };
    assert.deepEqual(decodeContext(encodeContext(object.context, highestTimestamp)), seen);
    const token = encodeToken({ high, low }, object.context, highestTimestamp);
    assert.deepEqual(decodeToken(token, { high, low }), seen);
    const foreign = { high, low: (low ^ 1) >>> 0 };
    assert.throws(() => decodeToken(token, foreign), InvalidArgumentError);
  });
  holds(property, 800);
});

test('bodies and keys come back as they went in, and keys sort as their bytes do', () => {
  const text = fc.string({ unit: 'grapheme' });
  const part = fc.uint8Array({ minLength: 1, maxLength: 40 });
  const contentType = fc.oneof(text, fc.constantFrom('application/json', 'text/plain', ''));
  const property = fc.property(
    fc.record({ contentType, metadata: fc.dictionary(text, text, { maxKeys: 4 }), value: bytes }),
    fc.nat({ max: 1_023 }),
    part,
    part,
    part,
    part,
    (body, partition, type, bucket, key, other) => {
      const decoded = decodeBody(encodeBody(body));
      assert.equal(decoded.contentType, body.contentType);
      assert.deepEqual(Object.entries(decoded.metadata), Object.entries(body.metadata));
      assert.deepEqual(Buffer.from(decoded.value), Buffer.from(body.value));
      const located = encodeLocatedKey(partition, { type, bucket, key });
      const parts = decodeLocatedKey(located);
      assert.equal(parts.partition, partition);
      for (const [is, was] of [
        [parts.type, type],
        [parts.bucket, bucket],
        [parts.key, key],
      ] as const) {
        assert.deepEqual(Buffer.from(is), Buffer.from(was));
      }
      const beside = encodeLocatedKey(partition, { type, bucket, key: other });
      assert.equal(Buffer.compare(located, beside), Buffer.compare(key, other));
      assert.deepEqual(keyHash(encodeLocatedKey(0, parts)), keyHash(located));
    },
  );
  holds(property, 600);
});

test('a damaged record is corrupt; with its checksum set right it is refused, or canonical', () => {
  let accepted = 0;
  const property = fc.property(objects, damage, (object, damages) => {
    const record = encodeRecord(object);
    const bad = damaged(record, damages);
    if (Buffer.compare(bad, record) === 0) return;
    assert.ok(!isSoundRecord(bad));
    assert.throws(() => decodeRecord(bad), CorruptRecordError);
    const sealed = resealed(bad);
    const decoded = attempt(() => decodeRecord(sealed), CorruptRecordError, UnknownRecordVersionError);
    if (decoded === undefined) return;
    accepted++;
    assert.deepEqual(encodeRecord(decoded), sealed);
  });
  holds(property, 2_000);
  assert.ok(accepted > 0, 'some damage must get past the checksum, or nothing behind it was tried');
});

test('any bytes at all are decoded, or refused with the typed error', () => {
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    // Much that looks like a small count or a large one.
    fc.array(fc.constantFrom(0, 1, 2, 9, 0x7f, 0x80, 0xff), { maxLength: 60 }).map((list) => Uint8Array.from(list)),
  );
  const property = fc.property(garbage, damage, contexts, timestamp, (raw, damages, seen, when) => {
    attempt(() => decodeRecord(raw), CorruptRecordError);
    attempt(() => decodeSoundRecord(raw), CorruptRecordError);
    const whole = raw.length < 9 ? raw : resealed(raw);
    attempt(() => decodeRecord(whole), CorruptRecordError, UnknownRecordVersionError);
    digestHigh(raw);
    digestLow(raw);
    isSoundRecord(raw);
    attempt(() => decodeBody(raw), CorruptRecordError);
    attempt(() => mergeRecords(whole, whole), CorruptRecordError, UnknownRecordVersionError);
    const key = attempt(() => decodeLocatedKey(raw), CorruptRecordError);
    if (key !== undefined) assert.deepEqual(Buffer.from(encodeLocatedKey(key.partition, key)), Buffer.from(raw));
    for (const form of [raw, damaged(encodeContext(seen, when), damages)]) {
      const decoded = attempt(() => decodeContext(form), CorruptRecordError);
      if (decoded === undefined) continue;
      assert.deepEqual(Buffer.from(encodeContext(decoded.context, decoded.highestTimestamp)), Buffer.from(form));
    }
    const hash = { high: 1, low: 2 };
    attempt(() => decodeToken(Buffer.from(raw).toString('base64'), hash), InvalidArgumentError);
    attempt(() => decodeToken(Buffer.from(raw).toString('latin1'), hash), InvalidArgumentError);
    const token = Buffer.from(encodeToken(hash, seen, when), 'base64');
    const sealed = Buffer.from(damaged(token.subarray(0, -8), damages));
    const high = hash64(sealed);
    const tail = Buffer.alloc(8);
    tail.writeUInt32LE(hashLow, 0);
    tail.writeUInt32LE(high, 4);
    const text = Buffer.concat([sealed, tail]).toString('base64');
    const decoded = attempt(() => decodeToken(text, hash), InvalidArgumentError);
    if (decoded !== undefined) assert.equal(encodeToken(hash, decoded.context, decoded.highestTimestamp), text);
  });
  holds(property, 2_500);
});

test('a count or length that the bytes cannot hold is refused before anything is allocated for it', () => {
  const huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
  const head = [0, 0, 0, 0, 0, 0, 0, 0, 1];
  for (const body of [huge, [0, ...huge], [0, 0, ...huge]]) {
    const record = resealed(Uint8Array.from([...head, ...body]));
    const before = process.memoryUsage().heapUsed;
    assert.throws(() => decodeRecord(record), CorruptRecordError);
    assert.ok(process.memoryUsage().heapUsed - before < 2 ** 20);
  }
  assert.throws(() => decodeBody(Uint8Array.from([0, ...huge])), CorruptRecordError);
  assert.throws(() => decodeBody(Uint8Array.from([0x81, ...huge])), CorruptRecordError);
});
