/**
 * Reads numbers and byte strings from a record, in order, and refuses whatever is not there with CorruptRecordError.
 * Little-endian; variable-length integers are LEB128, 7 bits a byte, and only in their shortest form, so that equal
 * values have equal bytes. By hand, because a DataView or a BigInt costs several times as much.
 */
import type { EventId } from '../clocks/event-id.js';
import { CorruptRecordError } from './errors.js';

export class ByteReader {
  readonly bytes: Uint8Array;
  /** Where the next read starts. */
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  u8(): number {
    if (this.at >= this.bytes.length) throw cutOff();
    return this.bytes[this.at++]!;
  }

  u32(): number {
    const { bytes, at } = this;
    if (at + 4 > bytes.length) throw cutOff();
    this.at = at + 4;
    return uint32At(bytes, at);
  }

  u16(): number {
    const { bytes, at } = this;
    if (at + 2 > bytes.length) throw cutOff();
    this.at = at + 2;
    return bytes[at]! | (bytes[at + 1]! << 8);
  }

  /** 0 to 2^48 − 1. */
  u48(): number {
    const low = this.u32();
    return low + this.u16() * 0x1_0000_0000;
  }

  /** 0 to 2^53 − 1. */
  varint(): number {
    const { bytes } = this;
    const first = this.u8();
    if (first < 0x80) return first;
    let value = first & 0x7f;
    let scale = 0x80;
    for (let length = 2; length <= 8; length++) {
      if (this.at >= bytes.length) throw cutOff();
      const byte = bytes[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (byte === 0 || value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 0x80;
    }
    throw new CorruptRecordError('A number is out of range, or not in its shortest form');
  }

  /** A writer or client and its counter. */
  event(): EventId {
    const { bytes, at } = this;
    if (at + 8 >= bytes.length) throw cutOff();
    this.at = at + 8;
    const counter = this.varint();
    if (counter === 0) throw new CorruptRecordError('A counter is 0');
    return { high: uint32At(bytes, at), low: uint32At(bytes, at + 4), counter };
  }

  /** How many items of at least `itemBytes` each follow; refused if that many cannot. */
  count(itemBytes: number): number {
    const count = this.varint();
    if (count * itemBytes > this.bytes.length - this.at) throw cutOff();
    return count;
  }

  /** The next `length` bytes, as a view. */
  view(length: number): Uint8Array {
    const { bytes, at } = this;
    if (length > bytes.length - at) throw cutOff();
    this.at = at + length;
    return viewOf(bytes, at, at + length);
  }

  /** All bytes must have been read. */
  end(): void {
    if (this.at !== this.bytes.length) throw new CorruptRecordError('There are bytes after the end');
  }
}

/** Little-endian, unsigned. */
export function uint32At(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/**
 * The bytes from `start` to `end`, without a copy. A plain Uint8Array, also of a Buffer: made in half the time that
 * Buffer's own `subarray` takes, and its `slice` copies.
 */
export function viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

function cutOff(): CorruptRecordError {
  return new CorruptRecordError('The bytes end too early');
}
