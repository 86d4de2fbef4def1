/** The codecs that a bucket can be opened with by name. */

import { utf8 } from '../base/bytes.js';
import { InvalidArgumentError } from '../base/errors.js';
import type { BucketOptions, Codec } from './api.js';
import { show } from './options.js';

const decoder = new TextDecoder();

const raw: Codec<Uint8Array> = {
  contentType: 'application/octet-stream',
  encode(value) {
    if (value instanceof Uint8Array) return value;
    throw new InvalidArgumentError(
      `the codec 'raw' stores a Uint8Array, not ${show(value)}; open the bucket with codec 'text' or 'json' for other values`,
    );
  },
  // A copy: what was read lies in memory shared with other messages.
  decode: (bytes) => new Uint8Array(bytes),
};

const text: Codec<string> = {
  contentType: 'text/plain; charset=utf-8',
  encode(value) {
    if (typeof value === 'string') return utf8(value);
    throw new InvalidArgumentError(`the codec 'text' stores a string, not ${show(value)}`);
  },
  decode: (bytes) => decoder.decode(bytes),
};

const json: Codec<unknown> = {
  contentType: 'application/json',
  encode(value) {
    const encoded: string | undefined = JSON.stringify(value);
    if (encoded === undefined) throw new InvalidArgumentError(`the codec 'json' cannot store ${show(value)}`);
    return utf8(encoded);
  },
  decode: (bytes) => JSON.parse(decoder.decode(bytes)),
};

const BY_NAME: Readonly<Record<string, Codec<never>>> = { raw, text, json } as never;

/** @throws {InvalidArgumentError} It is neither a name nor a codec. */
export function codecOf<V>(codec: BucketOptions<V>['codec']): Codec<V> {
  if (codec === undefined) return raw as Codec<never>;
  if (typeof codec === 'string') {
    const known = BY_NAME[codec];
    if (known !== undefined) return known;
  } else if (
    typeof codec?.encode === 'function' &&
    typeof codec.decode === 'function' &&
    typeof codec.contentType === 'string'
  ) {
    return codec;
  }
  throw new InvalidArgumentError(
    `codec must be 'raw', 'text', 'json' or { encode, decode, contentType }, not ${show(codec)}`,
  );
}
