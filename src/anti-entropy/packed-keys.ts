/**
 * Keys as questions carry them: each by what sets it apart from the one before.
 *
 *     n × [ bytes shared with the key before · length of the rest · the rest ]           variable-length integers
 *
 * Any order will do; in key order neighbours share most of their bytes.
 */
import { ByteReader, viewOf } from '../codec/byte-reader.js';
import { ByteWriter, varintSize } from '../codec/byte-writer.js';
import { CorruptRecordError } from '../codec/errors.js';

export function packKeys(keys: readonly Uint8Array[]): Uint8Array {
  const writer = new ByteWriter(packedKeyBytes(keys));
  let last: Uint8Array | undefined;
  for (const key of keys) {
    const shared = sharedBytes(key, last);
    writer.varint(shared);
    writer.varint(key.length - shared);
    writer.copyPart(key, shared, key.length);
    last = key;
  }
  return writer.bytes;
}

/** The keys, each in memory of its own. @throws {CorruptRecordError} They are cut off, or borrow what is not there. */
export function unpackKeys(bytes: Uint8Array): Uint8Array[] {
  const reader = new ByteReader(bytes, 0);
  const keys: Uint8Array[] = [];
  let last = viewOf(bytes, 0, 0);
  while (reader.at < bytes.length) {
    const shared = reader.varint();
    const rest = reader.view(reader.varint());
    if (shared > last.length) throw new CorruptRecordError('A key has more of the one before than that has');
    const key = new Uint8Array(shared + rest.length);
    key.set(viewOf(last, 0, shared));
    key.set(rest, shared);
    keys.push(key);
    last = key;
  }
  return keys;
}

/** How many bytes `packKeys` gives. */
export function packedKeyBytes(keys: readonly Uint8Array[]): number {
  let bytes = 0;
  let last: Uint8Array | undefined;
  for (const key of keys) {
    const shared = sharedBytes(key, last);
    const rest = key.length - shared;
    bytes += varintSize(shared) + varintSize(rest) + rest;
    last = key;
  }
  return bytes;
}

function sharedBytes(key: Uint8Array, last: Uint8Array | undefined): number {
  return last === undefined ? 0 : commonPrefix(key, last, last.length);
}

/** With how many bytes both begin, given how many of `b` there are. */
export function commonPrefix(a: Uint8Array, b: Uint8Array, bLength: number): number {
  const most = Math.min(a.length, bLength);
  let shared = 0;
  while (shared < most && a[shared] === b[shared]) shared++;
  return shared;
}
