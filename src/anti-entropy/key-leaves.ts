/**
 * Keys with their leaves, in key order, packed into one buffer: what replicas show each other of segments that differ.
 * A worker writes it, actors carry it as it is, and the exchange reads it.
 *
 *     n × [ bytes shared with the key before · length of the rest · the rest · place of the segment · 8 leaf, low half first ]
 *
 * Lengths and places are variable-length integers; a place is one in the list of segments that were asked for. Neighbours
 * in key order share most of their bytes: where a replica has to list nearly all of its keys, an entry costs about
 * half of what it would with the whole key.
 */
import { ByteReader, viewOf } from '../codec/byte-reader.js';
import { varintSize } from '../codec/byte-writer.js';
import { CorruptRecordError } from '../codec/errors.js';
import { MAX_KEY_BYTES, PARTITION_BYTES } from '../codec/key.js';
import { commonPrefix } from './packed-keys.js';

const LEAF_BYTES = 8;
const FIRST_BYTES = 1_024;
const MAX_LOCATED_BYTES = PARTITION_BYTES + MAX_KEY_BYTES + 64;

export class KeyLeafWriter {
  entries = 0;
  private bytes = new Uint8Array(FIRST_BYTES);
  private length = 0;
  private readonly last = new Uint8Array(MAX_LOCATED_BYTES);
  private lastLength = 0;

  /** `place`: of the key's segment, in the list of those that were asked for. */
  add(located: Uint8Array, place: number, leafHigh: number, leafLow: number): void {
    const { last } = this;
    const { length } = located;
    const shared = commonPrefix(located, last, this.lastLength);
    const rest = length - shared;
    this.makeRoom(varintSize(shared) + varintSize(rest) + rest + varintSize(place) + LEAF_BYTES);
    this.varint(shared);
    this.varint(rest);
    const { bytes } = this;
    for (let i = shared; i < length; i++) {
      last[i] = located[i]!;
      bytes[this.length++] = located[i]!;
    }
    this.lastLength = length;
    this.varint(place);
    this.word(leafLow);
    this.word(leafHigh);
    this.entries++;
  }

  /** All that was added, in memory of its own. */
  finish(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private makeRoom(size: number): void {
    const needed = this.length + size;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(2 * needed);
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  private varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  private word(value: number): void {
    const { bytes, length } = this;
    bytes[length] = value;
    bytes[length + 1] = value >>> 8;
    bytes[length + 2] = value >>> 16;
    bytes[length + 3] = value >>> 24;
    this.length = length + 4;
  }
}

/**
 * Walks over packed leaves: stands on an entry until `advance`; past the last one `atEnd` is true.
 * Made, and moved on, it may throw {CorruptRecordError}: the bytes are cut off, or no leaves.
 */
export class KeyLeafReader {
  atEnd = false;
  /** Of the entry it stands on: valid until `advance`. */
  key: Uint8Array;
  place = 0;
  leafLow = 0;
  leafHigh = 0;
  private readonly reader: ByteReader;
  private readonly size: number;
  private readonly copied = new Uint8Array(MAX_LOCATED_BYTES);

  constructor(bytes: Uint8Array) {
    this.reader = new ByteReader(bytes, 0);
    this.size = bytes.length;
    this.key = viewOf(this.copied, 0, 0);
    this.advance();
  }

  advance(): void {
    const { reader, copied } = this;
    if (reader.at >= this.size) {
      this.atEnd = true;
      return;
    }
    const shared = reader.varint();
    const rest = reader.varint();
    if (shared > this.key.length || shared + rest > copied.length)
      throw new CorruptRecordError('No leaf has such a key');
    copied.set(reader.view(rest), shared);
    if (shared + rest !== this.key.length) this.key = viewOf(copied, 0, shared + rest);
    this.place = reader.varint();
    this.leafLow = reader.u32();
    this.leafHigh = reader.u32();
  }
}
