/**
 * Writes what `ByteReader` reads, into bytes whose length was counted before: one allocation, no growing.
 */
export class ByteWriter {
  readonly bytes: Uint8Array;
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
    this.u32(value % 0x1_0000_0000);
    this.u16(Math.floor(value / 0x1_0000_0000));
  }

  varint(value: number): void {
    const { bytes } = this;
    let { at } = this;
    let rest = value;
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[at++] = rest;
    this.at = at;
  }

  copy(from: Uint8Array): void {
    this.bytes.set(from, this.at);
    this.at += from.length;
  }
}

/** Bytes that `varint` writes for `value`: 1 to 8. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}
