/**
 * Frames: how the fields of a message lie in memory. Numbers are little-endian and not aligned; byte strings and texts
 * carry their length in 4 bytes before them. The encoder writes straight into a lane, the decoder reads plain memory.
 */
import { FrameError, type FrameReader, type FrameWriter } from '../actor.js';

/** Writes fields into a stretch of `memory`, which may be shared. Throws `FrameError` beyond its end. */
export class FrameEncoder implements FrameWriter {
  private readonly memory: Uint8Array;
  private readonly view: DataView;
  /** The same memory once more, for its native text writer. */
  private readonly buffer: Buffer;
  private start = 0;
  private at = 0;
  private end = 0;

  constructor(memory: ArrayBufferLike) {
    this.memory = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.buffer = Buffer.from(memory as ArrayBuffer);
  }

  /** Starts a frame in the bytes from `start` up to `end`. */
  begin(start: number, end: number): void {
    this.start = start;
    this.at = start;
    this.end = end;
  }

  /** Bytes written since `begin`. */
  get written(): number {
    return this.at - this.start;
  }

  u8(value: number): void {
    this.memory[this.advance(1)] = value;
  }

  u32(value: number): void {
    this.view.setUint32(this.advance(4), value, true);
  }

  f64(value: number): void {
    this.view.setFloat64(this.advance(8), value, true);
  }

  bytes(value: Uint8Array): void {
    const at = this.advance(4 + value.length);
    this.view.setUint32(at, value.length, true);
    this.memory.set(value, at + 4);
  }

  text(value: string): void {
    const at = this.advance(4);
    const length = this.buffer.write(value, this.at, this.end - this.at, 'utf8');
    // `write` stops at the last whole character that fits; only a text at the edge needs a second look.
    if (this.end - this.at - length < 4 && Buffer.byteLength(value) !== length) throw overflow();
    this.at += length;
    this.view.setUint32(at, length, true);
  }

  /** Fields that were encoded before: `length` bytes of `memory` from `start` on. */
  copy(memory: Uint8Array, start: number, length: number): void {
    const at = this.advance(length);
    // Most held answers are a few numbers: a loop over them costs less than a view.
    if (length <= 32) for (let i = 0; i < length; i++) this.memory[at + i] = memory[start + i]!;
    else this.memory.set(memory.subarray(start, start + length), at);
  }

  private advance(bytes: number): number {
    const at = this.at;
    if (at + bytes > this.end) throw overflow();
    this.at = at + bytes;
    return at;
  }
}

/** Reads fields from a stretch of plain memory. */
export class FrameDecoder implements FrameReader {
  private memory: Uint8Array = new Uint8Array(0);
  /** `memory.buffer` and `memory.byteOffset`: asking for them is a call out of JavaScript, half the price of a view. */
  private buffer: ArrayBufferLike = this.memory.buffer;
  private offset = 0;
  private view: DataView = new DataView(this.buffer);
  private at = 0;
  private end = 0;

  /** Starts to read a frame in `memory` from `start` up to `end`. */
  begin(memory: Uint8Array, start: number, end: number): void {
    if (memory !== this.memory) {
      this.memory = memory;
      this.buffer = memory.buffer;
      this.offset = memory.byteOffset;
      this.view = new DataView(this.buffer, this.offset, memory.byteLength);
    }
    this.at = start;
    this.end = end;
  }

  u8(): number {
    return this.memory[this.advance(1)]!;
  }

  u32(): number {
    return this.view.getUint32(this.advance(4), true);
  }

  f64(): number {
    return this.view.getFloat64(this.advance(8), true);
  }

  bytes(): Uint8Array {
    const length = this.view.getUint32(this.advance(4), true);
    const at = this.advance(length);
    return new Uint8Array(this.buffer, this.offset + at, length);
  }

  text(): string {
    const length = this.view.getUint32(this.advance(4), true);
    const at = this.advance(length);
    return Buffer.from(this.buffer, this.offset + at, length).toString('utf8');
  }

  private advance(bytes: number): number {
    const at = this.at;
    if (at + bytes > this.end) throw new FrameError(`a frame ends ${at + bytes - this.end} bytes too early`);
    this.at = at + bytes;
    return at;
  }
}

function overflow(): FrameError {
  return new FrameError('a codec wrote more than the size that it had stated');
}
