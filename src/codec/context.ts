/**
 * The binary form of a causal context: within records, within tokens, and, with the highest timestamp seen, by itself
 * in messages. No checksum of its own: a record and a token have one, and a message comes from memory.
 *
 *     varint n · n × [8 high, low · varint counter] · varint m · m × [1 kind · 8 high, low · varint counter]
 */
import { ATTEMPT, type CausalContext, DOT, EMPTY_CONTEXT, EXTRA_STRIDE, VV_STRIDE } from '../clocks/causal-context.js';
import type { Timestamp } from '../clocks/timestamp.js';
import { ByteReader } from './byte-reader.js';
import { ByteWriter, varintSize } from './byte-writer.js';
import { CorruptRecordError } from './errors.js';

/** A context, and the highest timestamp that came with it: what a token carries. */
export interface SeenContext {
  readonly context: CausalContext;
  readonly highestTimestamp: Timestamp;
}

const TIMESTAMP_BYTES = 8;
const NONE: readonly number[] = EMPTY_CONTEXT.vv;

/** The context and timestamp as bytes, for a message. */
export function encodeContext(context: CausalContext, highestTimestamp: Timestamp): Uint8Array {
  const writer = new ByteWriter(TIMESTAMP_BYTES + contextSize(context));
  writeTimestamp(writer, highestTimestamp);
  writeContext(writer, context);
  return writer.bytes;
}

/** @throws {CorruptRecordError} The bytes are not those of a context. */
export function decodeContext(bytes: Uint8Array): SeenContext {
  const reader = new ByteReader(bytes, 0);
  const highestTimestamp = readTimestamp(reader);
  const context = readContext(reader);
  reader.end();
  return { context, highestTimestamp };
}

export function contextSize(context: CausalContext): number {
  const { vv, extra } = context;
  let size = varintSize(vv.length / VV_STRIDE) + varintSize(extra.length / EXTRA_STRIDE);
  for (let i = 2; i < vv.length; i += VV_STRIDE) size += 8 + varintSize(vv[i]!);
  for (let i = 3; i < extra.length; i += EXTRA_STRIDE) size += 9 + varintSize(extra[i]!);
  return size;
}

export function writeContext(writer: ByteWriter, context: CausalContext): void {
  const { vv, extra } = context;
  writer.varint(vv.length / VV_STRIDE);
  for (let i = 0; i < vv.length; i += VV_STRIDE) {
    writer.u32(vv[i]!);
    writer.u32(vv[i + 1]!);
    writer.varint(vv[i + 2]!);
  }
  writer.varint(extra.length / EXTRA_STRIDE);
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) {
    writer.u8(extra[i]!);
    writer.u32(extra[i + 1]!);
    writer.u32(extra[i + 2]!);
    writer.varint(extra[i + 3]!);
  }
}

export function readContext(reader: ByteReader): CausalContext {
  const vv = readVector(reader);
  const extra = readExtra(reader, vv);
  return vv.length === 0 && extra.length === 0 ? EMPTY_CONTEXT : { vv, extra };
}

function readVector(reader: ByteReader): readonly number[] {
  const count = reader.count(9);
  if (count === 0) return NONE;
  // Of the right length at once: an array that grows is made for 17 numbers first.
  const vv = new Array<number>(count * VV_STRIDE);
  let lastHigh = -1;
  let lastLow = -1;
  for (let i = 0; i < count; i++) {
    const high = reader.u32();
    const low = reader.u32();
    const counter = reader.varint();
    if (high < lastHigh || (high === lastHigh && low <= lastLow)) throw outOfOrder();
    if (counter === 0) throw new CorruptRecordError('A counter is 0');
    const at = i * VV_STRIDE;
    vv[at] = high;
    vv[at + 1] = low;
    vv[at + 2] = counter;
    lastHigh = high;
    lastLow = low;
  }
  return vv;
}

function readExtra(reader: ByteReader, vv: readonly number[]): readonly number[] {
  const count = reader.count(10);
  if (count === 0) return NONE;
  const extra: number[] = [];
  for (let i = 0; i < count; i++) {
    const kind = reader.u8();
    const high = reader.u32();
    const low = reader.u32();
    const counter = reader.varint();
    if (kind !== DOT && kind !== ATTEMPT) throw new CorruptRecordError('An event is of no known kind');
    if (counter === 0) throw new CorruptRecordError('A counter is 0');
    const last = extra.length - EXTRA_STRIDE;
    if (last >= 0) {
      const order = extra[last]! - kind || extra[last + 1]! - high || extra[last + 2]! - low;
      if ((order || extra[last + 3]! - counter) >= 0) throw outOfOrder();
    }
    if (kind === DOT && reaches(vv, high, low, counter)) {
      throw new CorruptRecordError('A dot stands beyond a vector that reaches it');
    }
    extra.push(kind, high, low, counter);
  }
  return extra;
}

function reaches(vv: readonly number[], high: number, low: number, counter: number): boolean {
  for (let i = 0; i < vv.length; i += VV_STRIDE) {
    if (vv[i] === high && vv[i + 1] === low) return vv[i + 2]! >= counter;
  }
  return false;
}

export function writeTimestamp(writer: ByteWriter, timestamp: Timestamp): void {
  writer.u48(timestamp.ms);
  writer.u16(timestamp.logical);
}

export function readTimestamp(reader: ByteReader): Timestamp {
  const ms = reader.u48();
  return { ms, logical: reader.u16() };
}

function outOfOrder(): CorruptRecordError {
  return new CorruptRecordError('Entries are out of order, or one is there twice');
}
