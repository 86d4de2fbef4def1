/**
 * Keys with their leaves, in key order, packed into one buffer: what replicas show each other of segments that differ.
 * A worker writes it, actors carry it as it is, and the exchange reads it.
 *
 *     n × [ 4 first half-word of the key's place in a tree · 8 leaf, low half first · 2 length of the key · located key ]
 */

import { uint32At, viewOf } from '../codec/byte-reader.js';
import { CorruptRecordError } from '../codec/errors.js';

const FIXED_BYTES = 4 + 8 + 2;
const FIRST_BYTES = 1_024;

export class KeyLeafWriter {
  entries = 0;
  private bytes = new Uint8Array(FIRST_BYTES);
  private length = 0;

  get size(): number {
    return this.length;
  }

  /** `keyLow`: the low half of the key's hash, of which a tree's nodes are the first digits. */
  add(located: Uint8Array, keyLow: number, leafHigh: number, leafLow: number): void {
    const at = this.length;
    this.length += FIXED_BYTES + located.length;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
    }
    const { bytes } = this;
    putWord(bytes, at, keyLow);
    putWord(bytes, at + 4, leafLow);
    putWord(bytes, at + 8, leafHigh);
    bytes[at + 12] = located.length;
    bytes[at + 13] = located.length >>> 8;
    bytes.set(located, at + FIXED_BYTES);
    this.entries++;
  }

  /** All that was added, in memory of its own. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

/** Walks over packed leaves: stands on an entry until `advance`; past the last one `atEnd` is true. */
export class KeyLeafReader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get atEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** A view. @throws {CorruptRecordError} The bytes are cut off. */
  get key(): Uint8Array {
    const start = this.at + FIXED_BYTES;
    const end = start + this.keyLength;
    if (start > this.bytes.length || end > this.bytes.length) throw new CorruptRecordError('The leaves are cut off');
    return viewOf(this.bytes, start, end);
  }

  get keyLow(): number {
    return uint32At(this.bytes, this.at);
  }

  get leafLow(): number {
    return uint32At(this.bytes, this.at + 4);
  }

  get leafHigh(): number {
    return uint32At(this.bytes, this.at + 8);
  }

  advance(): void {
    this.at += FIXED_BYTES + this.keyLength;
  }

  private get keyLength(): number {
    return this.bytes[this.at + 12]! | (this.bytes[this.at + 13]! << 8);
  }
}

function putWord(into: Uint8Array, at: number, value: number): void {
  into[at] = value;
  into[at + 1] = value >>> 8;
  into[at + 2] = value >>> 16;
  into[at + 3] = value >>> 24;
}
