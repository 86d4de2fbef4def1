/**
 * A record read in place: where its parts lie and what its numbers are, without an object for any of them. Only of the
 * usual form: a context with nothing beyond its vector, and one sibling. Whatever else there is, `decodeRecord` reads.
 *
 * One view is used for one record after the other. What it says of a record is valid until it reads the next.
 */
import type { Attempt, WriterId } from '../clocks/event-id.js';
import { uint32At } from './byte-reader.js';
import { HEADER_BYTES, KNOWN_FLAGS, TOMBSTONE } from './record.js';

/** What an entry of a vector takes at least: a writer, and a counter of one byte. */
const WRITER_BYTES = 8;

/** Where the variable-length integer read last ends. */
let varintEnd = 0;

export class RecordView {
  /** How many writers the vector names. */
  writers = 0;
  /** Where the vector's entries begin, and where they end. */
  vectorStart = 0;
  vectorEnd = 0;
  // The sibling's dot, attempt and timestamp.
  dotHigh = 0;
  dotLow = 0;
  dotCounter = 0;
  attemptHigh = 0;
  attemptLow = 0;
  attemptCounter = 0;
  ms = 0;
  logical = 0;
  /** Where the sibling's body begins, with its length; of a tombstone the end of the record. */
  bodyStart = 0;
  isTombstone = false;
  /** 0: never. */
  expiresAtMs = 0;
  private bytes: Uint8Array = new Uint8Array(0);

  /**
   * Looks at a record whose checksum was checked before; the record must stay as it is while the view is used.
   * @returns false if it is not of the usual form: then the view says nothing of it
   */
  read(record: Uint8Array): boolean {
    if (!this.readContext(record)) return false;
    let at = this.vectorEnd + 1;
    if (record[at++] !== 1) return false;
    this.dotHigh = uint32At(record, at);
    this.dotLow = uint32At(record, at + 4);
    this.dotCounter = varintAt(record, at + WRITER_BYTES);
    at = varintEnd;
    this.attemptHigh = uint32At(record, at);
    this.attemptLow = uint32At(record, at + 4);
    this.attemptCounter = varintAt(record, at + WRITER_BYTES);
    at = varintEnd;
    this.ms = uint32At(record, at) + (record[at + 4]! | (record[at + 5]! << 8)) * 0x1_0000_0000;
    this.logical = record[at + 6]! | (record[at + 7]! << 8);
    const flags = record[at + 8]!;
    at += 9;
    if ((flags & ~KNOWN_FLAGS) !== 0) return false;
    this.expiresAtMs = 0;
    if ((flags & ~TOMBSTONE) !== 0) {
      this.expiresAtMs = varintAt(record, at);
      at = varintEnd;
    }
    this.bodyStart = at;
    this.isTombstone = (flags & TOMBSTONE) !== 0;
    if (!this.isTombstone) {
      const length = varintAt(record, at);
      at = varintEnd + length;
    }
    return at === record.length && this.counterOf(this.dotHigh, this.dotLow) >= this.dotCounter;
  }

  /** As `read`, of the context alone: there may be any number of siblings. */
  readContext(record: Uint8Array): boolean {
    this.bytes = record;
    this.writers = varintAt(record, HEADER_BYTES);
    this.vectorStart = varintEnd;
    let at = varintEnd;
    for (let i = 0; i < this.writers; i++) {
      if (at >= record.length) return false;
      varintAt(record, at + WRITER_BYTES);
      at = varintEnd;
    }
    this.vectorEnd = at;
    return record[at] === 0;
  }

  /** True if the sibling was made by this attempt. */
  isOf(attempt: Attempt): boolean {
    return (
      this.attemptCounter === attempt.counter && this.attemptLow === attempt.low && this.attemptHigh === attempt.high
    );
  }

  /** The counter up to which the vector has seen the writer; 0 if it does not name it. */
  counterOf(high: number, low: number): number {
    const { bytes, writers } = this;
    let at = this.vectorStart;
    for (let i = 0; i < writers; i++) {
      const counter = varintAt(bytes, at + WRITER_BYTES);
      if (uint32At(bytes, at) === high && uint32At(bytes, at + 4) === low) return counter;
      at = varintEnd;
    }
    return 0;
  }

  /** True if the vector has all that the other's has. */
  covers(other: RecordView): boolean {
    const { bytes, writers } = other;
    if (writers > this.writers) return false;
    let at = other.vectorStart;
    for (let i = 0; i < writers; i++) {
      const counter = varintAt(bytes, at + WRITER_BYTES);
      const next = varintEnd;
      if (this.counterOf(uint32At(bytes, at), uint32At(bytes, at + 4)) < counter) return false;
      at = next;
    }
    return true;
  }

  /** Where the vector's entry of the writer is, or would be: the bytes from here on belong to it or to later writers. */
  placeOf(writer: WriterId): number {
    const { bytes, writers } = this;
    let at = this.vectorStart;
    for (let i = 0; i < writers; i++) {
      const order = uint32At(bytes, at) - writer.high || uint32At(bytes, at + 4) - writer.low;
      if (order >= 0) break;
      varintAt(bytes, at + WRITER_BYTES);
      at = varintEnd;
    }
    return at;
  }

  /** Where the entry that begins at `at` ends. */
  entryEnd(at: number): number {
    varintAt(this.bytes, at + WRITER_BYTES);
    return varintEnd;
  }
}

/** The integer that begins at `at`; where it ends is in `varintEnd`. Beyond the end it reads zeros. */
function varintAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) {
    varintEnd = at + 1;
    return first;
  }
  let value = first & 0x7f;
  let scale = 0x80;
  let next = at + 1;
  for (; next < at + 8; next++) {
    const byte = bytes[next]!;
    value += (byte & 0x7f) * scale;
    scale *= 0x80;
    if (!(byte >= 0x80)) break;
  }
  varintEnd = next + 1;
  return value;
}
