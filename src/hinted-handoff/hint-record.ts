/**
 * The binary form of a hint: an object that a stand-in keeps for its owner, and under which name the stand-in mints on it.
 *
 *     4 low half of the xxHash64 of the rest of the header · 1 format version · 8 tag ·
 *     8 session · 8 writerId · 8 counter · the object's record (codec/record.ts), with its own checksum
 *
 * The record of a hint has a writerId of its own for as long as it is there: a stand-in that minted by its vnode's would
 * name one dot twice. It is good only in the session that drew it: a session ends with a crash and with a failed commit,
 * after which dots may be abroad that the record on disk does not know.
 * Source: the minting rule of the store's semantics, §1.
 */
import { hash64, hashLow } from '../base/hash.js';
import type { WriterId } from '../clocks/event-id.js';
import { uint32At, viewOf } from '../codec/byte-reader.js';
import { ByteWriter } from '../codec/byte-writer.js';
import { CorruptRecordError, UnknownRecordVersionError } from '../codec/errors.js';
import { checkRecord } from '../codec/record.js';

/** 64 random bits: who drew the names in the records that were written meanwhile. */
export type Session = WriterId;

export interface Hint {
  /** Of the object: the lowest of all that it was made of. */
  readonly tag: number;
  readonly session: Session;
  readonly writer: WriterId;
  /** The highest counter used under `writer`. */
  readonly counter: number;
  /** The object's record. */
  readonly record: Uint8Array;
}

const VERSION = 1;
const CHECKSUM_BYTES = 4;
export const HINT_HEADER_BYTES = CHECKSUM_BYTES + 1 + 8 + 8 + 8 + 8;
const TWO_32 = 0x1_0000_0000;

/** The hint as it is stored; memory of its own. */
export function encodeHint(hint: Hint): Uint8Array {
  const writer = new ByteWriter(HINT_HEADER_BYTES + hint.record.length);
  writer.at = CHECKSUM_BYTES;
  writer.u8(VERSION);
  write53(writer, hint.tag);
  write64(writer, hint.session);
  write64(writer, hint.writer);
  write53(writer, hint.counter);
  writer.copy(hint.record);
  hash64(viewOf(writer.bytes, CHECKSUM_BYTES, HINT_HEADER_BYTES));
  writer.at = 0;
  writer.u32(hashLow);
  return writer.bytes;
}

/**
 * The hint, whose object's record is a view into `bytes`, and sound.
 * @throws {CorruptRecordError} The header or the object was cut off or changed.
 * @throws {UnknownRecordVersionError} Either is whole, and of a newer format.
 */
export function decodeHint(bytes: Uint8Array): Hint {
  if (bytes.length < HINT_HEADER_BYTES) throw new CorruptRecordError('A hint is shorter than its header');
  hash64(viewOf(bytes, CHECKSUM_BYTES, HINT_HEADER_BYTES));
  if (hashLow !== uint32At(bytes, 0)) throw new CorruptRecordError("The checksum of a hint's header does not match");
  const version = bytes[CHECKSUM_BYTES]!;
  if (version !== VERSION) throw new UnknownRecordVersionError(version);
  const record = hintedRecord(bytes);
  checkRecord(record);
  let at = CHECKSUM_BYTES + 1;
  const tag = read53(bytes, at);
  at += 8;
  const session = read64(bytes, at);
  at += 8;
  const writer = read64(bytes, at);
  at += 8;
  return { tag, session, writer, counter: read53(bytes, at), record };
}

/** The object's record within a hint whose header is known to be whole: a view. */
export function hintedRecord(bytes: Uint8Array): Uint8Array {
  return viewOf(bytes, HINT_HEADER_BYTES, bytes.length);
}

function write53(writer: ByteWriter, value: number): void {
  const high = Math.floor(value / TWO_32);
  writer.u32(value - high * TWO_32);
  writer.u32(high);
}

function read53(bytes: Uint8Array, at: number): number {
  return uint32At(bytes, at) + uint32At(bytes, at + 4) * TWO_32;
}

function write64(writer: ByteWriter, id: WriterId): void {
  writer.u32(id.high);
  writer.u32(id.low);
}

function read64(bytes: Uint8Array, at: number): WriterId {
  return { high: uint32At(bytes, at), low: uint32At(bytes, at + 4) };
}
