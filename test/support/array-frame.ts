/**
 * A frame that keeps each field with its kind, so that a codec that reads another kind than it wrote is caught at once,
 * and that counts the bytes as `MessageCodec.size` prices them.
 */
import { Buffer } from 'node:buffer';
import { FrameError, type FrameReader, type FrameWriter, type MessageCodec } from '../../src/runtime/actor.js';

type Field =
  | { readonly kind: 'u8' | 'u32' | 'f64'; readonly value: number }
  | { readonly kind: 'bytes'; readonly value: Uint8Array }
  | { readonly kind: 'text'; readonly value: string };

export class ArrayFrame implements FrameWriter {
  readonly fields: Field[] = [];
  /** What the fields written so far take, in bytes. */
  bytesWritten = 0;

  u8(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xff) throw new RangeError(`${value} is not a byte`);
    this.push({ kind: 'u8', value }, 1);
  }

  u32(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffff_ffff) throw new RangeError(`${value} is not a u32`);
    this.push({ kind: 'u32', value }, 4);
  }

  f64(value: number): void {
    this.push({ kind: 'f64', value }, 8);
  }

  bytes(value: Uint8Array): void {
    this.push({ kind: 'bytes', value: value.slice() }, 4 + value.length);
  }

  text(value: string): void {
    this.push({ kind: 'text', value }, 4 + Buffer.byteLength(value));
  }

  reader(): ArrayFrameReader {
    return new ArrayFrameReader(this.fields);
  }

  private push(field: Field, bytes: number): void {
    this.fields.push(field);
    this.bytesWritten += bytes;
  }
}

export class ArrayFrameReader implements FrameReader {
  private position = 0;
  private readonly fields: readonly Field[];

  constructor(fields: readonly Field[]) {
    this.fields = fields;
  }

  /** True once every field was read. */
  get atEnd(): boolean {
    return this.position === this.fields.length;
  }

  u8(): number {
    return this.next('u8') as number;
  }

  u32(): number {
    return this.next('u32') as number;
  }

  f64(): number {
    return this.next('f64') as number;
  }

  bytes(): Uint8Array {
    return this.next('bytes') as Uint8Array;
  }

  text(): string {
    return this.next('text') as string;
  }

  private next(kind: Field['kind']): Field['value'] {
    const field = this.fields[this.position];
    if (field === undefined) throw new FrameError('the frame is at its end');
    if (field.kind !== kind) throw new FrameError(`field ${this.position} is a ${field.kind}, not a ${kind}`);
    this.position++;
    return field.value;
  }
}

/** Writes and reads `message`. Throws if its size was understated or a field is left over. */
export function throughFrame<M>(codec: MessageCodec<M>, message: M): M {
  const frame = new ArrayFrame();
  codec.write(message, frame);
  const size = codec.size(message);
  if (frame.bytesWritten > size) throw new RangeError(`wrote ${frame.bytesWritten} bytes, announced ${size}`);
  const reader = frame.reader();
  const read = codec.read(reader);
  if (!reader.atEnd) throw new RangeError('fields were left unread');
  return read;
}
