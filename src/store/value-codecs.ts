/** The codecs that a bucket can be opened with by name. */

import { Packr } from 'msgpackr';
import { textOf, utf8 } from '../base/bytes.js';
import { InvalidArgumentError } from '../base/errors.js';
import type { BucketOptions, Codec } from './api/bucket.js';
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
    } catch (error) {
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

/**
 * Plain MessagePack objects, no records of msgpackr's own, so that others can read them. What MessagePack has no type
 * for (sets, typed arrays, large integers) is kept in extensions, where without them it would come back as something else.
 */
const packr = new Packr({ useRecords: false, moreTypes: true, copyBuffers: true });

const msgpack: Codec<unknown> = {
  contentType: 'application/msgpack',
  encode(value) {
    if (value === undefined || typeof value === 'function') throw unstorable(value, '');
    try {
      checkMapKeys(value);
      return packr.pack(value);
    } catch (error) {
      throw unstorable(value, `: ${error instanceof Error ? error.message : error}`);
    }
  },
  decode(bytes) {
    try {
      return packr.unpack(bytes);
    } catch (error) {
      throw unreadable('msgpack', `is not MessagePack: ${error instanceof Error ? error.message : error}`);
    }
  },
};

/**
 * Maps come back as objects: two keys that are one as text would come back as one, and what is no text not at all.
 * @throws {TypeError} A map, however deep, has a key that is no text.
 */
function checkMapKeys(value: unknown): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  if (value instanceof Map) {
    for (const [key, item] of value) {
      if (typeof key !== 'string') throw new TypeError(`a map has the key ${show(key)}: only texts can be keys`);
      checkMapKeys(item);
    }
  } else if (Array.isArray(value) || value instanceof Set) for (const item of value) checkMapKeys(item);
  else for (const item of Object.values(value)) checkMapKeys(item);
}

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
