/**
 * The binary form of a stored object, on disk and between replicas. Canonical: equal objects have identical bytes,
 * so replicas compare the digest at the front.
 *
 *     8 xxHash64 of all that follows, low half first · 1 format version · context (context.ts)
 *     varint n · n × [ 8 writer · varint counter · 8 client · varint sequence · 6 ms · 2 logical · 1 flags ·
 *                      varint expiresAtMs, if flagged · varint length, body, unless a tombstone ]
 */
import { EMPTY } from '../base/bytes.js';
import { hash64, hashLow } from '../base/hash.js';
import { type CausalContext, coversDot } from '../clocks/causal-context.js';
import { compareEventIds } from '../clocks/event-id.js';
import type { Sibling, StoredObject } from '../objects/stored-object.js';
import { ByteReader, uint32At, viewOf } from './byte-reader.js';
import { ByteWriter, varintSize } from './byte-writer.js';
import { contextSize, readContext, readTimestamp, writeContext, writeTimestamp } from './context.js';
import { CorruptRecordError, UnknownRecordVersionError } from './errors.js';

export const RECORD_VERSION = 1;
export const CHECKSUM_BYTES = 8;
export const HEADER_BYTES = CHECKSUM_BYTES + 1;
/** The least that a sibling takes: two ids of 9, a timestamp, flags. */
const MIN_SIBLING_BYTES = 9 + 9 + 8 + 1;

export const TOMBSTONE = 1;
const EXPIRES = 2;
export const KNOWN_FLAGS = TOMBSTONE | EXPIRES;

/** The object as a record; memory of its own. */
export function encodeRecord(object: StoredObject): Uint8Array {
  const { context, siblings } = object;
  let size = HEADER_BYTES + contextSize(context) + varintSize(siblings.length);
  for (let i = 0; i < siblings.length; i++) size += siblingSize(siblings[i]!);
  const writer = new ByteWriter(size);
  writer.at = CHECKSUM_BYTES;
  writer.u8(RECORD_VERSION);
  writeContext(writer, context);
  writer.varint(siblings.length);
  for (let i = 0; i < siblings.length; i++) writeSibling(writer, siblings[i]!);
  return seal(writer);
}

/** Writes the digest of all that was written behind it; returns the record. */
export function seal(writer: ByteWriter): Uint8Array {
  const { bytes } = writer;
  const high = hash64(viewOf(bytes, CHECKSUM_BYTES, bytes.length));
  writer.at = 0;
  writer.u32(hashLow);
  writer.u32(high);
  return bytes;
}

/**
 * The object of a record. Bodies are views into `record`.
 * @throws {CorruptRecordError} The record was cut off or changed.
 * @throws {UnknownRecordVersionError} It is whole, and of a newer format.
 */
export function decodeRecord(record: Uint8Array): StoredObject {
  checkRecord(record);
  return decodeSoundRecord(record);
}

/** As `decodeRecord`, of a record whose checksum was checked before: on the replica that it was read from. */
export function decodeSoundRecord(record: Uint8Array): StoredObject {
  const reader = new ByteReader(record, HEADER_BYTES);
  const context = readContext(reader);
  const count = reader.count(MIN_SIBLING_BYTES);
  const siblings: Sibling[] = [];
  for (let i = 0; i < count; i++) {
    const sibling = readSibling(reader);
    if (i > 0 && compareEventIds(siblings[i - 1]!.dot, sibling.dot) >= 0) {
      throw new CorruptRecordError('Siblings are out of order, or one is there twice');
    }
    if (!coversDot(context, sibling.dot)) throw new CorruptRecordError('The context does not cover a sibling');
    siblings.push(sibling);
  }
  reader.end();
  return { context, siblings };
}

/** The context alone of a record whose checksum was checked before: at a third of the price of the whole object. */
export function decodeSoundContext(record: Uint8Array): CausalContext {
  return readContext(new ByteReader(record, HEADER_BYTES));
}

/** The high half of the record's digest: equal objects have equal digests. Says nothing of the record's soundness. */
export function digestHigh(record: Uint8Array): number {
  return uint32At(record, 4);
}

/** The low half of the record's digest. */
export function digestLow(record: Uint8Array): number {
  return uint32At(record, 0);
}

/** True if two records are of equal objects, as far as their digests tell. */
export function sameDigest(a: Uint8Array, b: Uint8Array): boolean {
  return digestLow(a) === digestLow(b) && digestHigh(a) === digestHigh(b);
}

/** True if the record can be decoded: its checksum holds, and its format is known. */
export function isSoundRecord(record: Uint8Array): boolean {
  if (record.length < HEADER_BYTES || record[CHECKSUM_BYTES] !== RECORD_VERSION) return false;
  return hash64(viewOf(record, CHECKSUM_BYTES, record.length)) === digestHigh(record) && hashLow === digestLow(record);
}

/**
 * Checks that the record is whole and of this format, without decoding it.
 * @throws {CorruptRecordError} It was cut off or changed. @throws {UnknownRecordVersionError} It is of a newer format.
 */
export function checkRecord(record: Uint8Array): void {
  const reader = new ByteReader(record, 0);
  const low = reader.u32();
  const high = reader.u32();
  const version = reader.u8();
  if (hash64(viewOf(record, CHECKSUM_BYTES, record.length)) !== high || hashLow !== low) {
    throw new CorruptRecordError('The checksum does not match');
  }
  if (version !== RECORD_VERSION) throw new UnknownRecordVersionError(version);
}

export function siblingSize(sibling: Sibling): number {
  const { length } = sibling.body;
  return (
    25 + // Two ids of 8, a timestamp of 8, flags.
    varintSize(sibling.dot.counter) +
    varintSize(sibling.attempt.counter) +
    (sibling.expiresAtMs === 0 ? 0 : varintSize(sibling.expiresAtMs)) +
    (sibling.tombstone ? 0 : varintSize(length) + length)
  );
}

export function writeSibling(writer: ByteWriter, sibling: Sibling): void {
  const { expiresAtMs, tombstone, body } = sibling;
  writer.event(sibling.dot);
  writer.event(sibling.attempt);
  writeTimestamp(writer, sibling.timestamp);
  writer.u8((tombstone ? TOMBSTONE : 0) | (expiresAtMs === 0 ? 0 : EXPIRES));
  if (expiresAtMs !== 0) writer.varint(expiresAtMs);
  if (tombstone) return;
  writer.varint(body.length);
  writer.copy(body);
}

function readSibling(reader: ByteReader): Sibling {
  const dot = reader.event();
  const attempt = reader.event();
  const timestamp = readTimestamp(reader);
  const flags = reader.u8();
  if ((flags & ~KNOWN_FLAGS) !== 0) throw new CorruptRecordError('A sibling has unknown flags');
  const tombstone = (flags & TOMBSTONE) !== 0;
  const expiresAtMs = (flags & EXPIRES) !== 0 ? reader.varint() : 0;
  if ((flags & EXPIRES) !== 0 && expiresAtMs === 0) throw new CorruptRecordError('An expiry is 0');
  const body = tombstone ? EMPTY : reader.view(reader.varint());
  return { dot, attempt, timestamp, tombstone, expiresAtMs, body };
}
