/** What the service sends of an object: one value with its headers, or several in parts. */
import type { Sibling } from '../store/api/results.js';
import { CommandError } from './terminal.js';

const META_PREFIX = 'x-riak-meta-';

/** The value of a reply, or of a part of one. */
export function siblingOf(headers: Headers, value: Uint8Array): Sibling<Uint8Array> {
  const metadata: Record<string, string> = {};
  headers.forEach((text, name) => {
    if (name.startsWith(META_PREFIX)) metadata[name.slice(META_PREFIX.length)] = text;
  });
  return {
    value,
    contentType: headers.get('content-type') ?? 'application/octet-stream',
    metadata,
    timestampMs: Date.parse(headers.get('last-modified') ?? ''),
  };
}

/** The parts of a multipart/mixed body. Source: RFC 2046, §5.1. */
export function parseMultipart(headers: Headers, body: Uint8Array): Sibling<Uint8Array>[] {
  const boundary = /boundary=([^;]+)/.exec(headers.get('content-type') ?? '')?.[1];
  if (boundary === undefined) throw new CommandError('The service sent siblings in a form that is not multipart/mixed');
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const siblings: Sibling<Uint8Array>[] = [];
  for (let at = bytes.indexOf(delimiter); at >= 0; ) {
    const next = bytes.indexOf(delimiter, at + delimiter.length);
    if (next < 0) break;
    const part = bytes.subarray(at + delimiter.length, next);
    const split = part.indexOf('\r\n\r\n');
    const lines = part.subarray(0, split).toString('latin1').split('\r\n').filter(Boolean);
    const fields = lines.map(
      (line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()] as [string, string],
    );
    siblings.push(siblingOf(new Headers(fields), Uint8Array.from(part.subarray(split + 4))));
    at = next;
  }
  return siblings;
}
