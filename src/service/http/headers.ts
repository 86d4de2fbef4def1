/**
 * What an object carries in HTTP headers: its content type, user metadata, content encoding and links; there and back.
 * Pure.
 *
 * The store keeps metadata by name. User metadata (`X-Riak-Meta-Colour: red`) is kept under the rest of the header's
 * name in lower case (`colour`). Content-Encoding and Link are kept beside it under names that start with a colon,
 * which no header name can contain, so that the two never mix. Header values are bytes: UTF-8, or else Latin-1.
 *
 * The embedded store takes names, values and content types that no header can carry. Then they come once more, and
 * exactly, in `X-Quoral-Content`: base64 of `{"contentType":…,"metadata":{…}}`. Who knows that header takes it in place
 * of the others; who does not finds in those what they can carry.
 * Source: Riak KV's HTTP interface; RFC 9110, §5.5 (field values), §5.6.2 (token).
 */
import { textOf, utf8 } from '../../base/bytes.js';
import { essenceOf } from './media-type.js';

export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What goes with a value. */
export interface ContentHead {
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const META_PREFIX = 'x-riak-meta-';
const EXACT = 'X-Quoral-Content';
const ENCODING = ':content-encoding';
const LINK = ':link';
const KEPT = [
  ['content-encoding', ENCODING],
  ['link', LINK],
] as const;
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: header values must not contain them.
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;
/** A link that the service itself adds to what it sends. */
const UP_LINK = /<[^<>]*>[ \t]*;[ \t]*rel="?up"?[ \t]*(?:,[ \t]*|$)/g;

/** The one value of a header; repeated ones are joined by commas, as RFC 9110 §5.2 has it. */
export function header(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  return value === undefined || typeof value === 'string' ? value : value.join(', ');
}

/**
 * What headers say of the content they come with; a message if that makes no sense.
 * @param contentType - the Content-Type, or what stands for it
 */
export function contentHeadOf(headers: RequestHeaders, contentType: string): ContentHead | string {
  const exact = header(headers, EXACT.toLowerCase());
  if (exact !== undefined) return exactHead(exact) ?? `${EXACT} is damaged`;
  const metadata: Record<string, string> = {};
  for (const name of Object.keys(headers)) {
    if (!name.startsWith(META_PREFIX) || name.length === META_PREFIX.length) continue;
    define(metadata, name.slice(META_PREFIX.length), fromWire(header(headers, name)!));
  }
  for (const [name, kept] of KEPT) {
    const value = header(headers, name);
    if (value === undefined) continue;
    const text = kept === LINK ? withoutUp(fromWire(value)) : fromWire(value);
    if (text !== '') metadata[kept] = text;
  }
  return { contentType, metadata };
}

/**
 * The headers that carry a content's head.
 * @param up - the path of the object's bucket, for its `Link: …; rel="up"`; not in a request
 */
export function contentHeaders(head: ContentHead, up?: string): Record<string, string> {
  const headers: Record<string, string> = {};
  const { contentType, metadata } = head;
  const isType = essenceOf(contentType) !== undefined;
  headers['Content-Type'] = isType ? contentType : 'application/octet-stream';
  let exactly = isType && isTrimmed(contentType);
  let link = up === undefined ? '' : `<${up}>; rel="up"`;
  const seen = new Set<string>();
  for (const [name, value] of Object.entries(metadata)) {
    const wire = toWire(value);
    const lower = name.toLowerCase();
    const isKept = name === ENCODING || name === LINK;
    const fits = wire !== undefined && !seen.has(lower) && (isKept || TOKEN.test(name));
    exactly &&= fits && isTrimmed(value) && (isKept ? value !== '' : name === lower);
    if (!fits) continue;
    seen.add(lower);
    if (name === ENCODING) headers['Content-Encoding'] = wire;
    else if (name === LINK) {
      exactly &&= withoutUp(value) === value;
      link = link === '' ? wire : `${link}, ${wire}`;
    } else headers[`X-Riak-Meta-${name}`] = wire;
  }
  if (link !== '') headers.Link = link;
  if (!exactly) headers[EXACT] = Buffer.from(JSON.stringify({ contentType, metadata })).toString('base64');
  return headers;
}

function exactHead(base64: string): ContentHead | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(textOf(Buffer.from(base64, 'base64')) ?? '');
  } catch {
    return undefined;
  }
  const { contentType, metadata } = (parsed ?? {}) as Partial<Record<keyof ContentHead, unknown>>;
  if (typeof contentType !== 'string' || contentType === '') return undefined;
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return undefined;
  if (!Object.values(metadata).every((value) => typeof value === 'string')) return undefined;
  return { contentType, metadata: metadata as Record<string, string> };
}

function withoutUp(links: string): string {
  const own = links.replace(UP_LINK, '');
  // What separated them from one that was the last.
  let end = own.length;
  while (end > 0 && ' \t,'.includes(own[end - 1]!)) end--;
  return own.slice(0, end);
}

/** White space around a header's value is no part of it. */
function isTrimmed(value: string): boolean {
  return !/^[ \t]|[ \t]$/.test(value);
}

/** Node hands header bytes over as Latin-1 characters. */
function fromWire(value: string): string {
  return textOf(Buffer.from(value, 'latin1')) ?? value;
}

function toWire(value: string): string | undefined {
  return CONTROL.test(value) ? undefined : Buffer.from(utf8(value)).toString('latin1');
}

/** Sets an own property even where the name is `__proto__`. */
function define(record: Record<string, string>, name: string, value: string): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}
