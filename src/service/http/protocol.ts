/**
 * Riak KV's HTTP interface, objects, lists and properties: from a request's head to what it asks of the store. Pure: bytes and
 * headers in, a request or a refusal out. `commands.ts` carries requests out, `server.ts` talks to sockets.
 * Source: Riak KV's HTTP API (its behaviour, parameters and error texts).
 */
import type { DeleteOptions, GetOptions, Key, UnconditionalPutOptions } from '../../store/api/call-options.js';
import {
  type Address,
  parseAddress,
  parseBucketsAddress,
  parsePropertiesAddress,
  parseTarget,
  unserved,
} from './address.js';
import { type Conditions, conditionsOf, isAny, needRead } from './conditions.js';
import { contentHeadOf, header, type RequestHeaders } from './headers.js';
import { type ListRequest, parseList } from './list-request.js';
import { essenceOf } from './media-type.js';
import { type Parameters, parseParameters } from './parameters.js';
import { type PropertiesRequest, parseProperties } from './properties.js';
import { notAllowed, type Refusal, type RequestHead, refused } from './request-head.js';

/** Where one object lives. */
export type ObjectAddress = Address & { readonly key: Key };

export interface ReadRequest {
  readonly kind: 'read';
  readonly address: ObjectAddress;
  readonly options: GetOptions;
  readonly accept: string | undefined;
  readonly conditions: Conditions;
  /** The one sibling that is asked for. */
  readonly vtag: string | undefined;
}

export interface WriteRequest {
  readonly kind: 'write';
  /** Without a key, the service makes one. */
  readonly address: Address;
  readonly options: UnconditionalPutOptions;
  readonly conditions: Conditions;
  /** The context that must still be the present one. Never beside another condition. */
  readonly ifNotModified: string | undefined;
  readonly returnBody: boolean;
  readonly accept: string | undefined;
}

export interface DeleteRequest {
  readonly kind: 'delete';
  readonly address: ObjectAddress;
  readonly options: DeleteOptions;
  readonly conditions: Conditions;
}

export type ObjectRequest = ReadRequest | WriteRequest | DeleteRequest;

export type HttpRequest = ObjectRequest | ListRequest | PropertiesRequest;

/** What a head of the object families asks for, or why it is refused. */
export function parseRequest(head: RequestHead): HttpRequest | Refusal {
  const coding = header(head.headers, 'transfer-encoding');
  if (coding !== undefined && coding.trim().toLowerCase() !== 'chunked') {
    // Its bytes would be stored as they are coded. RFC 9112, §6.1.
    return refused(501, 'Transfer-Encoding is supported only as chunked\n');
  }
  const { segments, query } = parseTarget(head.url);
  const buckets = parseBucketsAddress(segments);
  if (typeof buckets === 'string') return refused(400, `${buckets}\n`);
  if (buckets !== undefined) {
    return parseList(head, { listed: 'buckets', type: buckets.type, bucket: '', withProperties: false }, query);
  }
  const properties = parsePropertiesAddress(segments);
  if (typeof properties === 'string') return refused(400, `${properties}\n`);
  if (properties !== undefined) return parseProperties(head.method, head.headers, properties, query);
  const address = parseAddress(segments);
  if (address === undefined) {
    // Told with 404, a client would take it that there is no such counter yet.
    const what = unserved(segments);
    return what === undefined ? refused(404, 'not found\n') : refused(501, `${what} not supported\n`);
  }
  if (typeof address === 'string') return refused(400, `${address}\n`);
  const isOld = segments[0] === 'riak';
  if (!hasKey(address) && (head.method === 'GET' || head.method === 'HEAD')) {
    const { type, bucket } = address;
    const withProperties = isOld && query.get('props') !== 'false';
    const listed = query.get('keys');
    if (!withProperties || listed === 'true' || listed === 'stream') {
      return parseList(head, { listed: 'keys', type, bucket, withProperties }, query);
    }
  }
  if (isOld && !hasKey(address) && head.method !== 'POST') {
    const { type, bucket } = address;
    const old = { type, bucket, allow: 'GET, HEAD, PUT, POST' };
    return parseProperties(head.method, head.headers, old, query);
  }
  const options = parseParameters(query);
  if ('kind' in options) return options;

  switch (head.method) {
    case 'GET':
    case 'HEAD':
      // Without a key it would have been a list.
      return parseRead(head, address as ObjectAddress, options, query);
    case 'PUT':
      return hasKey(address) ? parseWrite(head, address, options) : methodNotAllowed(address);
    case 'POST':
      return parseWrite(head, address, options);
    case 'DELETE':
      return hasKey(address) ? parseDelete(head, address, options) : methodNotAllowed(address);
    default:
      return methodNotAllowed(address);
  }
}

function hasKey(address: Address): address is ObjectAddress {
  return address.key !== undefined;
}

function parseRead(
  head: RequestHead,
  address: ObjectAddress,
  parameters: Parameters,
  query: URLSearchParams,
): ReadRequest {
  const { r, pr } = parameters.quorums;
  const { headers } = head;
  return {
    kind: 'read',
    address,
    options: {
      ...(r !== undefined && { r }),
      ...(pr !== undefined && { pr }),
      ...parameters.notFound,
      ...parameters.timeout,
    },
    accept: header(headers, 'accept'),
    conditions: conditionsOf(headers),
    vtag: query.get('vtag') ?? undefined,
  };
}

function parseWrite(head: RequestHead, address: Address, parameters: Parameters): WriteRequest | Refusal {
  const { headers } = head;
  const unsupported = unsupportedIndex(headers);
  if (unsupported !== undefined) return unsupported;
  const contentType = header(headers, 'content-type');
  if (contentType === undefined) return refused(400, 'Missing Content-Type request header\n');
  if (essenceOf(contentType) === undefined) {
    return refused(415, `"${contentType}" is not a valid media type for the Content-type header.\n`);
  }
  const content = contentHeadOf(headers, contentType);
  if (typeof content === 'string') return refused(400, `${content}\n`);
  const { w, pw, dw } = parameters.quorums;
  const ifNotModified = header(headers, 'x-riak-if-not-modified');
  const conditions = conditionsOf(headers);
  if (ifNotModified !== undefined && (needRead(conditions) || isAny(conditions.ifNoneMatch))) {
    return refused(
      400,
      'X-Riak-If-Not-Modified and a condition on ETag or date rule each other out: give one of them\n',
    );
  }
  return {
    kind: 'write',
    address,
    options: {
      ...content,
      causalContext: header(headers, 'x-riak-vclock'),
      ...(w !== undefined && { w }),
      ...(pw !== undefined && { pw }),
      ...(dw !== undefined && { dw }),
      ...parameters.timeout,
    },
    conditions,
    ifNotModified,
    returnBody: parameters.returnBody,
    accept: header(headers, 'accept'),
  };
}

function parseDelete(head: RequestHead, address: ObjectAddress, parameters: Parameters): DeleteRequest | Refusal {
  if (head.headers['x-riak-if-not-modified'] !== undefined) {
    return refused(501, 'A delete with X-Riak-If-Not-Modified is not supported: pass X-Riak-Vclock, or If-Match\n');
  }
  const { rw, r = rw, w = rw, pw, dw } = parameters.quorums;
  return {
    kind: 'delete',
    address,
    conditions: conditionsOf(head.headers),
    options: {
      causalContext: header(head.headers, 'x-riak-vclock'),
      ...(r !== undefined && { r }),
      ...(w !== undefined && { w }),
      ...(pw !== undefined && { pw }),
      ...(dw !== undefined && { dw }),
      ...parameters.timeout,
    },
  };
}

function unsupportedIndex(headers: RequestHeaders): Refusal | undefined {
  const name = Object.keys(headers).find((candidate) => candidate.startsWith('x-riak-index-'));
  return name === undefined ? undefined : refused(501, `Secondary indexes are not supported: leave out ${name}\n`);
}

function methodNotAllowed(address: Address): Refusal {
  return notAllowed(hasKey(address) ? 'GET, HEAD, PUT, POST, DELETE' : 'GET, HEAD, POST');
}
