/**
 * What was read, as a reply: one value, the choice between siblings, or not found. Pure.
 * Source: Riak KV's HTTP API (fetch object, siblings).
 */
import type { ReadResult, Sibling } from '../../store/api/results.js';
import type { Address } from './address.js';
import { type Conditions, evaluate, isAny, type Version } from './conditions.js';
import { contentHeaders } from './headers.js';
import { essenceOf, qualityOf, siblingForm } from './media-type.js';
import { type Reply, textReply } from './reply.js';
import { tagOf, vtagsOf } from './vtag.js';

type Content = Sibling<Uint8Array>;

/** What of a request shapes the reply to a read. */
export interface Wanted {
  readonly address: Address;
  readonly accept: string | undefined;
  readonly conditions: Conditions;
  readonly vtag: string | undefined;
}

/** No condition: what a write with `returnbody` is answered by. */
export const UNCONDITIONAL: Conditions = {
  ifNoneMatch: undefined,
  ifMatch: undefined,
  ifModifiedSince: undefined,
  ifUnmodifiedSince: undefined,
};

export function objectReply(result: ReadResult<Uint8Array>, wanted: Wanted): Reply {
  const { siblings, causalContext } = result;
  if (siblings.length === 0) return absent(causalContext, wanted);
  const vtags = vtagsOf(siblings);
  if (wanted.vtag !== undefined) {
    const index = vtags.indexOf(wanted.vtag);
    return index < 0 ? absent(undefined, wanted) : oneReply(siblings[index]!, vtags[index]!, causalContext, wanted);
  }
  if (siblings.length === 1) return oneReply(siblings[0]!, vtags[0]!, causalContext, wanted);
  return siblingsReply(siblings, vtags, causalContext, wanted);
}

/** What the conditions of a write of the same key are about: the ETag and date that a read would show now. */
export function versionOf({ siblings, causalContext }: ReadResult<Uint8Array>): Version | undefined {
  if (siblings.length === 0) return undefined;
  const vtags = vtagsOf(siblings);
  const tag = siblings.length === 1 ? vtags[0]! : siblingsTag(causalContext, vtags);
  return { etag: `"${tag}"`, lastModifiedMs: newestOf(siblings) };
}

/** RFC 9110, §13.1.1: `*` does not hold for what is not there. Other conditions are passed by where there is nothing. */
function absent(causalContext: string | undefined, { conditions }: Wanted): Reply {
  return isAny(conditions.ifMatch) ? preconditionFailed() : notFound(causalContext);
}

/** 404; for a tombstone with the context that a put upon it should carry. */
export function notFound(causalContext: string | undefined): Reply {
  if (causalContext === undefined) return textReply(404, 'not found\n');
  return textReply(404, 'not found\n', { 'X-Riak-Deleted': 'true', 'X-Riak-Vclock': causalContext });
}

function oneReply(sibling: Content, vtag: string, causalContext: string | undefined, wanted: Wanted): Reply {
  const headers: Record<string, string> = {
    ...vclock(causalContext),
    ...siblingHeaders(sibling, vtag, wanted.address),
    Vary: 'Accept-Encoding',
  };
  const essence = essenceOf(headers['Content-Type']!)!;
  if (qualityOf(wanted.accept, essence) === 0) return notAcceptable(essence);
  return conditionalReply({ status: 200, headers, body: sibling.value }, wanted.conditions, sibling.timestampMs);
}

function siblingsReply(
  siblings: readonly Content[],
  vtags: readonly string[],
  causalContext: string | undefined,
  wanted: Wanted,
): Reply {
  const form = siblingForm(wanted.accept);
  if (form === undefined) return notAcceptable('text/plain or multipart/mixed');
  const newestMs = newestOf(siblings);
  const headers = {
    ...vclock(causalContext),
    ETag: `"${siblingsTag(causalContext, vtags)}"`,
    'Last-Modified': httpDate(newestMs),
    Vary: 'Accept, Accept-Encoding',
  };
  const content = form === 'multipart' ? multipart(siblings, vtags, wanted.address) : textList(vtags);
  const reply = { status: 300, headers: { ...headers, 'Content-Type': content.type }, body: content.body };
  return conditionalReply(reply, wanted.conditions, newestMs);
}

function siblingsTag(causalContext: string | undefined, vtags: readonly string[]): string {
  return tagOf(causalContext ?? vtags.join());
}

function newestOf(siblings: readonly Content[]): number {
  return Math.max(...siblings.map((sibling) => sibling.timestampMs));
}

function conditionalReply(reply: Reply, conditions: Conditions, lastModifiedMs: number): Reply {
  const status = evaluate(conditions, reply.headers.ETag!, lastModifiedMs);
  if (status === 412) return preconditionFailed();
  if (status === 200) return reply;
  const { 'Content-Type': _, ...headers } = reply.headers;
  return { status, headers, body: '' };
}

/** 412: what is there is not what the request was for. */
export function preconditionFailed(): Reply {
  return textReply(412, 'precondition failed\n');
}

function notAcceptable(available: string): Reply {
  return textReply(406, `Not acceptable: available as ${available}\n`);
}

function vclock(causalContext: string | undefined): Record<string, string> {
  return causalContext === undefined ? {} : { 'X-Riak-Vclock': causalContext };
}

function siblingHeaders(sibling: Content, vtag: string, address: Address): Record<string, string> {
  return {
    ...contentHeaders(sibling, address.bucketPath),
    ETag: `"${vtag}"`,
    'Last-Modified': httpDate(sibling.timestampMs),
  };
}

function httpDate(ms: number): string {
  return new Date(ms).toUTCString();
}

interface Body {
  readonly type: string;
  readonly body: string | Uint8Array;
}

function textList(vtags: readonly string[]): Body {
  return { type: 'text/plain', body: `Siblings:\n${vtags.map((vtag) => `${vtag}\n`).join('')}` };
}

/** The siblings as parts, between boundaries that none of them contains. Source: RFC 2046, §5.1. */
function multipart(siblings: readonly Content[], vtags: readonly string[], address: Address): Body {
  const boundary = boundaryFor(siblings, vtags);
  const pieces: Uint8Array[] = [];
  siblings.forEach((sibling, index) => {
    const headers = siblingHeaders(sibling, vtags[index]!, address);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    // Header values are Latin-1 characters that stand for bytes, as Node writes the headers of the reply itself.
    pieces.push(Buffer.from(`\r\n--${boundary}\r\n${lines.join('')}\r\n`, 'latin1'), sibling.value);
  });
  pieces.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  return { type: `multipart/mixed; boundary=${boundary}`, body: Buffer.concat(pieces) };
}

function boundaryFor(siblings: readonly Content[], vtags: readonly string[]): string {
  for (let attempt = 0; ; attempt++) {
    const boundary = tagOf(`${attempt} ${vtags.join()}`);
    if (!siblings.some((sibling) => contains(sibling.value, boundary))) return boundary;
  }
}

function contains(value: Uint8Array, text: string): boolean {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).includes(text);
}
