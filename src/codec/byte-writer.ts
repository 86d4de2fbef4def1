/**
 * Writes what `ByteReader` reads, into bytes whose length was counted before: one allocation, no growing.
 */
import type { EventId } from '../clocks/event-id.js';

export class ByteWriter {
  readonly bytes: Buffer;
  /** Where the next write goes. */
  at = 0;

  /** Memory for exactly `length` bytes, not cleared: all of it must be written. */
  constructor(length: number) {
    this.bytes = Buffer.allocUnsafe(length);
  }

  u8(value: number): void {
    this.bytes[this.at++] = value;
  }

  u16(value: number): void {
    const { bytes, at } = this;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    this.at = at + 2;
  }

  u32(value: number): void {
    const { bytes, at } = this;
    bytes[at] = value;
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
    this.at = at + 4;
  }

  u48(value: number): void {
    const high = Math.floor(value / 0x1_0000_0000);
    this.u32(value - high * 0x1_0000_0000);
    this.u16(high);
  }

  varint(value: number): void {
    const { bytes } = this;
    let { at } = this;
    let rest = value;
    // Division only while the number is too large for the bit operators, which are several times as fast.
    while (rest > 0x7fff_ffff) {
      const upper = Math.floor(rest / 0x80);
      bytes[at++] = (rest - upper * 0x80) | 0x80;
      rest = upper;
    }
    let small = rest | 0;
    while (small >= 0x80) {
      bytes[at++] = (small & 0x7f) | 0x80;
      small >>>= 7;
    }
    bytes[at++] = small;
    this.at = at;
  }

  /** A writer or client and its counter. */
  event(event: EventId): void {
    this.u32(event.high);
    this.u32(event.low);
    this.varint(event.counter);
  }

  /** The few bytes from `start` to `end`: up to about 20, a loop costs no more than `copy`, and needs no view. */
  copyPart(from: Uint8Array, start: number, end: number): void {
    const { bytes, at } = this;
    for (let i = start; i < end; i++) bytes[at + i - start] = from[i]!;
    this.at = at + end - start;
  }

  copy(from: Uint8Array): void {
    this.bytes.set(from, this.at);
    this.at += from.length;
  }
}

/** Bytes that `varint` writes for `value`: 1 to 8. */
export function varintSize(value: number): number {
  if (value < 2 ** 7) return 1;
  if (value < 2 ** 14) return 2;
  if (value < 2 ** 21) return 3;
  if (value < 2 ** 28) return 4;
  if (value < 2 ** 35) return 5;
  if (value < 2 ** 42) return 6;
  return value < 2 ** 49 ? 7 : 8;
}
