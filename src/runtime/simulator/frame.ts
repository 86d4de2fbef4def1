/**
 * Messages as bytes, between simulated threads. Every message that leaves its thread is encoded and decoded, so that
 * codecs are exercised and no object is shared; a codec that lies about its size, or that does not read what it wrote,
 * is found here.
 */
import { assert } from '../../base/assert.js';
import { EMPTY } from '../../base/bytes.js';
import { FrameError, type FrameReader, type FrameWriter, type MessageCodec } from '../actor.js';

/** Encodes `message` into bytes of its own. Asserts that the codec's `size` was an upper bound. */
export function encode<M>(codec: MessageCodec<M>, message: M): Uint8Array {
  const size = codec.size(message);
  const writer = new BufferWriter(size);
  codec.write(message, writer);
  return writer.written();
}

/** Decodes a message. Throws `FrameError` if the bytes are too few or too many for it. */
export function decode<M>(codec: MessageCodec<M>, bytes: Uint8Array): M {
  const reader = new BufferReader(bytes);
  const message = codec.read(reader);
  reader.expectEnd();
  return message;
}

class BufferWriter implements FrameWriter {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size);
  }

  u8(value: number): void {
    this.#room(1);
    this.#at = this.#buffer.writeUInt8(value, this.#at);
  }

  u32(value: number): void {
    this.#room(4);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  f64(value: number): void {
    this.#room(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.#room(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.u32(length);
    this.#room(length);
    this.#at += this.#buffer.write(value, this.#at);
  }

  written(): Uint8Array {
    return this.#buffer.subarray(0, this.#at);
  }

  #room(bytes: number): void {
    assert(this.#at + bytes <= this.#buffer.length, 'a codec writes more than its size says');
  }
}

class BufferReader implements FrameReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  f64(): number {
    return this.#buffer.readDoubleLE(this.#take(8));
  }

  bytes(): Uint8Array {
    const length = this.u32();
    if (length === 0) return EMPTY;
    const start = this.#take(length);
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + start, length);
  }

  text(): string {
    const length = this.u32();
    const start = this.#take(length);
    return this.#buffer.toString('utf8', start, start + length);
  }

  expectEnd(): void {
    if (this.#at !== this.#buffer.length) throw new FrameError('a frame holds more than its codec reads');
  }

  #take(length: number): number {
    const start = this.#at;
    if (start + length > this.#buffer.length) throw new FrameError('a frame ends before its codec is done');
    this.#at = start + length;
    return start;
  }
}
