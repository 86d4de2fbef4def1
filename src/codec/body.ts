/**
 * The stored form of a value with its content type and user metadata: what a sibling's `body` holds.
 * Written once by the client and read once by a client; nothing in between looks inside.
 *
 *     1 code of the content type, + 128 if there is metadata · varint length, UTF-8, if the code is 0
 *     varint n · n × [varint length, name · varint length, value], if there is metadata · the value
 */
import { textOf, utf8 } from '../base/bytes.js';
import { ByteReader } from './byte-reader.js';
import { ByteWriter, varintSize } from './byte-writer.js';
import { CorruptRecordError } from './errors.js';

export interface Body {
  readonly contentType: string;
  /** The user's own, by name; text is kept as UTF-8, in which half a surrogate pair becomes U+FFFD. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly value: Uint8Array;
}

const SPELT_OUT = 0;
const HAS_METADATA = 0x80;

/** By code. Only ever appended to: the codes are on disk. */
const MEDIA_TYPES: readonly string[] = [
  '',
  'application/octet-stream',
  'text/plain; charset=utf-8',
  'application/json',
  'application/msgpack',
  'text/plain',
  'text/html',
  'text/html; charset=utf-8',
  'application/json; charset=utf-8',
  'application/xml',
  'text/csv',
  'image/png',
  'image/jpeg',
];

const CODES = new Map(MEDIA_TYPES.map((mediaType, code) => [mediaType, code]));
CODES.delete('');

const NO_METADATA: Readonly<Record<string, string>> = Object.freeze({});

export function encodeBody(body: Body): Uint8Array {
  const { contentType, metadata, value } = body;
  const code = CODES.get(contentType);
  const names = Object.keys(metadata);
  if (code !== undefined && names.length === 0) {
    const writer = new ByteWriter(1 + value.length);
    writer.u8(code);
    writer.copy(value);
    return writer.bytes;
  }
  return encodeSpeltOut(code, contentType, metadata, names, value);
}

/**
 * The value is a view into `body`.
 * @throws {CorruptRecordError} The bytes are not those of a body.
 */
export function decodeBody(body: Uint8Array): Body {
  const reader = new ByteReader(body, 0);
  const head = reader.u8();
  const code = head & ~HAS_METADATA;
  const contentType = code === SPELT_OUT ? readText(reader) : MEDIA_TYPES[code];
  if (contentType === undefined) throw new CorruptRecordError('The content type has no known code');
  const metadata = (head & HAS_METADATA) === 0 ? NO_METADATA : readMetadata(reader);
  return { contentType, metadata, value: reader.view(body.length - reader.at) };
}

function encodeSpeltOut(
  code: number | undefined,
  contentType: string,
  metadata: Readonly<Record<string, string>>,
  names: readonly string[],
  value: Uint8Array,
): Uint8Array {
  const texts: Uint8Array[] = [];
  for (const name of names) texts.push(utf8(name), utf8(metadata[name]!));
  const type = code === undefined ? utf8(contentType) : undefined;
  let size = 1 + value.length;
  if (type !== undefined) size += varintSize(type.length) + type.length;
  if (names.length > 0) size += varintSize(names.length);
  for (const text of texts) size += varintSize(text.length) + text.length;

  const writer = new ByteWriter(size);
  writer.u8((code ?? SPELT_OUT) | (names.length > 0 ? HAS_METADATA : 0));
  if (type !== undefined) writeBytes(writer, type);
  if (names.length > 0) writer.varint(names.length);
  for (const text of texts) writeBytes(writer, text);
  writer.copy(value);
  return writer.bytes;
}

function writeBytes(writer: ByteWriter, bytes: Uint8Array): void {
  writer.varint(bytes.length);
  writer.copy(bytes);
}

function readText(reader: ByteReader): string {
  const text = textOf(reader.view(reader.varint()));
  if (text === undefined) throw new CorruptRecordError('A text is not UTF-8');
  return text;
}

function readMetadata(reader: ByteReader): Readonly<Record<string, string>> {
  const count = reader.count(2);
  const entries: [string, string][] = [];
  for (let i = 0; i < count; i++) {
    const name = readText(reader);
    entries.push([name, readText(reader)]);
  }
  // Defines own properties: a name such as `__proto__` is a name like any other.
  return Object.fromEntries(entries);
}
