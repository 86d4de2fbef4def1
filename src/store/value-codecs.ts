/** The codecs that a bucket can be opened with by name. */
import { Packr } from 'msgpackr';
import { textOf, utf8 } from '../base/bytes.js';
import { InvalidArgumentError } from '../base/errors.js';
import type { BucketOptions, Codec } from './api/bucket.js';
import { walkJson, walkMsgpack } from './kept-values.js';
import { show, textBytes } from './options.js';

const raw: Codec<Uint8Array> = {
  contentType: 'application/octet-stream',
  encode(value) {
    if (value instanceof Uint8Array) return value;
    throw new InvalidArgumentError(
      `the codec 'raw' stores a Uint8Array, not ${show(value)}; open the bucket with codec 'text', 'json' or 'msgpack' for other values`,
    );
  },
  // A copy: what was read lies in memory shared with other messages.
  decode: (bytes) => new Uint8Array(bytes),
};

const text: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode(value) {
    if (typeof value === 'string') return textBytes('the value', value);
    throw new InvalidArgumentError(`the codec 'text' stores a string, not ${show(value)}`);
  },
  decode(bytes) {
    const decoded = textOf(bytes);
    if (decoded === undefined) throw unreadable('text', 'is not UTF-8');
    return decoded;
  },
};

const json: Codec<unknown> = {
  contentType: 'application/json',
  encode(value) {
    let encoded: string | undefined;
    let reason = '';
    try {
      encoded = JSON.stringify(value);
      const { unkept, hasNegativeZero } = walkJson(value);
      if (unkept !== undefined) {
        encoded = undefined;
        reason = `: value${unkept}, for which JSON has no form`;
      } else if (hasNegativeZero) encoded = withNegativeZeros(value, encoded!);
    } catch (error) {
      encoded = undefined;
      reason = `: ${error instanceof Error ? error.message : error}`;
    }
    if (encoded === undefined) throw new InvalidArgumentError(`the codec 'json' cannot store ${show(value)}${reason}`);
    return utf8(encoded);
  },
  decode(bytes) {
    const decoded = textOf(bytes);
    if (decoded === undefined) throw unreadable('json', 'is not UTF-8');
    try {
      return JSON.parse(decoded);
    } catch (error) {
      throw unreadable('json', `is not JSON: ${error instanceof Error ? error.message : error}`);
    }
  },
};

/** JSON has a form for −0, and `JSON.parse` reads it; only `JSON.stringify` does not write it. */
function withNegativeZeros(value: unknown, encoded: string): string {
  let mark = '-0';
  while (encoded.includes(mark)) mark += '~';
  const marked = JSON.stringify(value, (_name, member: unknown) => (Object.is(member, -0) ? mark : member));
  return marked.replaceAll(`"${mark}"`, '-0');
}

/**
 * Plain MessagePack objects, no records of msgpackr's own, so that others can read them. What MessagePack has no type
 * for (sets, typed arrays, large integers) is kept in extensions, where without them it would come back as something else.
 */
const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true });

/** MessagePack's float has −0, but msgpackr packs it as 0: it is packed as a number that is not there, and put in its place. */
function packWithNegativeZeros(value: unknown, packed: Buffer): Uint8Array {
  let mark = 1e-300;
  while (packed.includes(packedFloat(mark))) mark *= 2;
  const marked = packr.pack(withMarks(value, mark));
  const bytes = packedFloat(mark);
  const zero = packedFloat(-0);
  for (let at = marked.indexOf(bytes); at >= 0; at = marked.indexOf(bytes, at)) marked.set(zero, at);
  return marked;
}

function packedFloat(value: number): Buffer {
  const bytes = Buffer.alloc(9, 0xcb);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

/** A copy with `mark` for each −0. What is neither list nor object, map nor set is as it was. */
function withMarks(value: unknown, mark: number): unknown {
  if (Object.is(value, -0)) return mark;
  if (typeof value !== 'object' || value === null) return value;
  const copy = (member: unknown) => withMarks(member, mark);
  if (Array.isArray(value)) return value.map(copy);
  if (value instanceof Set) return new Set([...value].map(copy));
  if (value instanceof Map) return new Map([...value].map(([key, member]) => [key, copy(member)]));
  if (Object.prototype.toString.call(value) !== '[object Object]' || 'toJSON' in value) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copy(member)]));
}

const msgpack: Codec<unknown> = {
  contentType: 'application/msgpack',
  encode(value) {
    if (value === undefined || typeof value === 'function') throw unstorable(value, '');
    let unkept: string | undefined;
    try {
      const packed = packr.pack(value);
      const found = walkMsgpack(value);
      unkept = found.unkept;
      if (unkept === undefined) return found.hasNegativeZero ? packWithNegativeZeros(value, packed) : packed;
    } catch (error) {
      throw unstorable(value, `: ${error instanceof Error ? error.message : error}`);
    }
    throw unstorable(value, `: value${unkept}, for which it has no form`);
  },
  decode(bytes) {
    try {
      return packr.unpack(bytes);
    } catch (error) {
      throw unreadable('msgpack', `is not MessagePack: ${error instanceof Error ? error.message : error}`);
    }
  },
};

function unstorable(value: unknown, reason: string): InvalidArgumentError {
  return new InvalidArgumentError(`the codec 'msgpack' cannot store ${show(value)}${reason}`);
}

function unreadable(codec: string, why: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `the value ${why}, and cannot be read with the codec '${codec}': open the bucket with the codec it was written with, or 'raw'`,
  );
}

const BY_NAME = new Map<string, Codec<never>>(Object.entries({ raw, text, json, msgpack }) as never);

/** @throws {InvalidArgumentError} It is neither a name nor a codec. */
export function codecOf<V>(codec: BucketOptions<V>['codec']): Codec<V> {
  if (codec === undefined) return raw as Codec<never>;
  if (typeof codec === 'string') {
    const known = BY_NAME.get(codec);
    if (known !== undefined) return known;
  } else if (
    typeof codec?.encode === 'function' &&
    typeof codec.decode === 'function' &&
    typeof codec.contentType === 'string'
  ) {
    return codec;
  }
  throw new InvalidArgumentError(
    `codec must be 'raw', 'text', 'json', 'msgpack' or { encode, decode, contentType }, not ${show(codec)}`,
  );
}
