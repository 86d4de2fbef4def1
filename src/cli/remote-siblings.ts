/** What the service sends of an object: one value with its headers, or several in parts. */
import { contentHeadOf, header, type RequestHeaders } from '../service/http/headers.js';
import type { Sibling } from '../store/api/results.js';

/** The value of a reply, or of a part of one; undefined if its headers are not the service's. */
export function siblingOf(headers: RequestHeaders, value: Uint8Array): Sibling<Uint8Array> | undefined {
  const head = contentHeadOf(headers, header(headers, 'content-type') ?? 'application/octet-stream');
  // In whole seconds: HTTP dates have no more.
  const timestampMs = Date.parse(header(headers, 'last-modified') ?? '');
  return typeof head === 'string' || Number.isNaN(timestampMs) ? undefined : { value, ...head, timestampMs };
}

/** The parts of a multipart/mixed body; undefined if it is none of the service's. Source: RFC 2046, §5.1. */
export function parseMultipart(headers: RequestHeaders, body: Uint8Array): Sibling<Uint8Array>[] | undefined {
  const type = header(headers, 'content-type') ?? '';
  const boundary = /^multipart\/mixed;.*\bboundary="?([^;"]+)/.exec(type)?.[1];
  if (boundary === undefined) return undefined;
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const siblings: Sibling<Uint8Array>[] = [];
  for (let at = bytes.indexOf(delimiter); at >= 0; ) {
    const begin = at + delimiter.length;
    if (bytes.toString('latin1', begin, begin + 2) === '--') return siblings;
    at = bytes.indexOf(delimiter, begin);
    const split = bytes.indexOf('\r\n\r\n', begin);
    if (at < 0 || split < 0 || split + 4 > at) return undefined;
    const sibling = siblingOf(headersOf(bytes.toString('latin1', begin, split)), bytes.subarray(split + 4, at));
    if (sibling === undefined) return undefined;
    siblings.push(sibling);
  }
  // It does not come to its end.
  return undefined;
}

function headersOf(lines: string): RequestHeaders {
  const headers: Record<string, string> = {};
  for (const line of lines.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '');
  }
  return headers;
}
