/**
 * What an object carries in HTTP headers: user metadata, content encoding and links. Pure.
 *
 * The store keeps metadata by name. User metadata (`X-Riak-Meta-Colour: red`) is kept under the rest of the header's
 * name in lower case (`colour`). Content-Encoding and Link are kept beside it under names that start with a colon,
 * which no header name can contain, so that the two never mix.
 * Source: Riak KV's HTTP interface; RFC 9110, §5.6.2 (token).
 */
import { textOf, utf8 } from '../../base/bytes.js';

export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

const META_PREFIX = 'x-riak-meta-';
const KEPT = [
  ['content-encoding', ':content-encoding'],
  ['link', ':link'],
] as const;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: header values must not contain them.
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/** The one value of a header; repeated ones are joined by commas, as RFC 9110 §5.2 has it. */
export function header(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  return value === undefined || typeof value === 'string' ? value : value.join(', ');
}

/** The metadata that request headers carry; a message if a value is not UTF-8. */
export function metadataOf(headers: RequestHeaders): Record<string, string> | string {
  const metadata: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(META_PREFIX) || name.length === META_PREFIX.length) continue;
    const text = fromWire(header(headers, name)!);
    if (text === undefined) return `The value of ${name} is not UTF-8`;
    define(metadata, name.slice(META_PREFIX.length), text);
  }
  for (const [name, kept] of KEPT) {
    const value = header(headers, name);
    if (value === undefined) continue;
    const text = fromWire(value);
    if (text === undefined) return `The value of ${name} is not UTF-8`;
    define(metadata, kept, text);
  }
  return metadata;
}

/**
 * The response headers that give `metadata` back. Names or values that no header can carry (put by the embedded
 * store) are left out and counted in `X-Quoral-Meta-Omitted`.
 * @param up - the path of the object's bucket, for its `Link: …; rel="up"`
 */
export function metadataHeaders(metadata: Readonly<Record<string, string>>, up: string): Record<string, string> {
  const headers: Record<string, string> = {};
  const seen = new Set<string>();
  let link = `<${up}>; rel="up"`;
  let omitted = 0;
  for (const [name, value] of Object.entries(metadata)) {
    const wire = toWire(value);
    const lower = name.toLowerCase();
    if (wire === undefined || seen.has(lower)) {
      omitted++;
    } else if (name === ':content-encoding') {
      headers['Content-Encoding'] = wire;
    } else if (name === ':link') {
      link += `, ${wire}`;
    } else if (TOKEN.test(name)) {
      seen.add(lower);
      headers[`X-Riak-Meta-${name}`] = wire;
    } else {
      omitted++;
    }
  }
  headers.Link = link;
  if (omitted > 0) headers['X-Quoral-Meta-Omitted'] = String(omitted);
  return headers;
}

/** Node hands header bytes over as Latin-1 characters; they are taken as UTF-8. */
function fromWire(value: string): string | undefined {
  return textOf(Buffer.from(value, 'latin1'));
}

function toWire(value: string): string | undefined {
  return CONTROL.test(value) ? undefined : Buffer.from(utf8(value)).toString('latin1');
}

/** Sets an own property even where the name is `__proto__`. */
function define(record: Record<string, string>, name: string, value: string): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}
