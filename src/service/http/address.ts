/**
 * Where an object lives in a URL: `/types/T/buckets/B/keys/K`, `/buckets/B/keys/K` and the old `/riak/B/K`.
 * Segments are percent-encoded bytes; a slash inside one is `%2F`. Pure.
 * Source: the URL families of Riak KV's HTTP interface.
 */
import { textOf, utf8 } from '../../base/bytes.js';
import type { Key } from '../../store/api/call-options.js';

export interface Address {
  readonly type: string;
  readonly bucket: string;
  /** Text, or bytes if it is not UTF-8; undefined for the bucket's list of keys. */
  readonly key: Key | undefined;
  /** The bucket's own path, percent-encoded, for headers; else as the request wrote it. */
  readonly bucketPath: string;
  /** What precedes a key in the same URL family. */
  readonly keysPath: string;
}

export interface Target {
  /** Path segments without the leading empty one, still percent-encoded. */
  readonly segments: readonly string[];
  readonly query: URLSearchParams;
}

/** Takes a request target apart; the absolute form (`http://host/…`) is accepted, too. */
export function parseTarget(url: string): Target {
  const path = url.replace(/^https?:\/\/[^/?]*/i, '');
  const question = path.indexOf('?');
  const query = new URLSearchParams(question < 0 ? '' : path.slice(question + 1));
  return { segments: (question < 0 ? path : path.slice(0, question)).split('/').slice(1), query };
}

/** True for the first segment of a URL of the object families. */
export function isObjectFamily(segments: readonly string[]): boolean {
  return segments[0] === 'types' || segments[0] === 'buckets' || segments[0] === 'riak';
}

/** The bytes of a percent-encoded segment; undefined if a `%` is not followed by two hexadecimal digits. */
export function decodeSegment(segment: string): Uint8Array | undefined {
  if (/%(?![0-9a-fA-F]{2})/.test(segment)) return undefined;
  const latin1 = segment.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Uint8Array.from(Buffer.from(latin1, 'latin1'));
}

/** A key as a path segment: every byte but unreserved ones percent-encoded. */
export function encodeSegment(key: Key): string {
  const bytes = typeof key === 'string' ? utf8(key) : key;
  let text = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    text += /[A-Za-z0-9\-_.~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}

/**
 * The address that path segments name; undefined if they name no object or list of keys; a message if they do but
 * one of them is malformed.
 */
export function parseAddress(segments: readonly string[]): Address | string | undefined {
  const split = splitFamily(segments);
  if (split === undefined) return undefined;
  const type = textSegment(split.type, 'Type');
  if ('problem' in type) return type.problem;
  const bucket = textSegment(split.bucket, 'Bucket');
  if ('problem' in bucket) return bucket.problem;
  const paths = { bucketPath: split.bucketPath, keysPath: split.keysPath };
  if (split.key === undefined) return { type: type.text, bucket: bucket.text, key: undefined, ...paths };
  const key = decodeSegment(split.key);
  if (key === undefined) return 'Key is not percent-encoded correctly';
  return { type: type.text, bucket: bucket.text, key: textOf(key) ?? key, ...paths };
}

/** What of Riak's interface below a bucket is not served here, by its segment. */
const UNSERVED: ReadonlyMap<string | undefined, string> = new Map([
  ['index', 'Secondary indexes are'],
  ['counters', 'Counters are'],
  ['datatypes', 'Data types are'],
]);

/** What path segments name if it is of Riak's interface, and not served here, in words. */
export function unserved(segments: readonly string[]): string | undefined {
  const [buckets, bucket, family] = segments[0] === 'types' ? segments.slice(2) : segments;
  return buckets === 'buckets' && bucket !== undefined ? UNSERVED.get(family) : undefined;
}

/** The bucket type whose list of buckets path segments name; undefined if they name none, a message if it is malformed. */
export function parseBucketsAddress(segments: readonly string[]): { readonly type: string } | string | undefined {
  const rest = segments[0] === 'types' ? segments.slice(2) : segments;
  const [name, slash, ...more] = rest;
  if (name !== 'buckets' && (name !== 'riak' || segments[0] === 'types')) return undefined;
  // A trailing slash names the same list.
  if ((slash ?? '') !== '' || more.length > 0) return undefined;
  if (segments[0] !== 'types') return { type: 'default' };
  const type = textSegment(segments[1]!, 'Type');
  return 'problem' in type ? type.problem : { type: type.text };
}

/** Whose properties a path names. */
export interface PropertiesAddress {
  readonly type: string;
  /** Undefined: those of the type. */
  readonly bucket: string | undefined;
  /** The methods that are allowed there. */
  readonly allow: string;
}

/**
 * Whose properties path segments name: `…/buckets/B/props` or `/types/T/props`; undefined if they name none, a message
 * if one of them is malformed.
 */
export function parsePropertiesAddress(segments: readonly string[]): PropertiesAddress | string | undefined {
  const typed = segments[0] === 'types';
  const rest = typed ? segments.slice(2) : segments;
  const ofType = typed && rest.length === 1 && rest[0] === 'props';
  const ofBucket = rest.length === 3 && rest[0] === 'buckets' && rest[2] === 'props';
  if (!ofType && !ofBucket) return undefined;
  const type = typed ? textSegment(segments[1]!, 'Type') : { text: 'default' };
  if ('problem' in type) return type.problem;
  if (ofType) return { type: type.text, bucket: undefined, allow: 'GET, HEAD, PUT' };
  const bucket = textSegment(rest[1]!, 'Bucket');
  if ('problem' in bucket) return bucket.problem;
  return { type: type.text, bucket: bucket.text, allow: 'GET, HEAD, PUT, DELETE' };
}

interface FamilySplit {
  readonly type: string;
  readonly bucket: string;
  readonly key: string | undefined;
  readonly bucketPath: string;
  readonly keysPath: string;
}

function splitFamily(segments: readonly string[]): FamilySplit | undefined {
  const [first] = segments;
  if (first === 'riak') {
    const [, bucket, key, ...rest] = segments;
    if (bucket === undefined || rest.length > 0) return undefined;
    const bucketPath = `/riak/${inHeader(bucket)}`;
    return { type: 'default', bucket, key: key || undefined, bucketPath, keysPath: bucketPath };
  }
  const [buckets, bucket, keys, key, ...rest] = first === 'types' ? segments.slice(2) : segments;
  if (buckets !== 'buckets' || bucket === undefined || keys !== 'keys' || rest.length > 0) return undefined;
  const prefix = first === 'types' ? `/types/${inHeader(segments[1]!)}` : '';
  const bucketPath = `${prefix}/buckets/${inHeader(bucket)}`;
  const type = first === 'types' ? segments[1]! : 'default';
  // A trailing slash names the list of keys: an empty key cannot exist.
  return { type, bucket, key: key || undefined, bucketPath, keysPath: `${bucketPath}/keys` };
}

/** An encoded segment without what would end a link, or is not ASCII: clients may leave that as it is. */
function inHeader(segment: string): string {
  return segment.replace(/[^\x21-\x7e]|[<>"]/g, (char) => encodeSegment(Buffer.from(char, 'latin1')));
}

function textSegment(segment: string, name: 'Type' | 'Bucket'): { text: string } | { problem: string } {
  if (segment === '') return { problem: `${name} cannot be zero-length` };
  const bytes = decodeSegment(segment);
  if (bytes === undefined) return { problem: `${name} is not percent-encoded correctly` };
  const text = textOf(bytes);
  return text === undefined ? { problem: `${name} is not UTF-8` } : { text };
}
