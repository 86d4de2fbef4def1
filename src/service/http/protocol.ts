/**
 * Riak KV's HTTP interface, objects, lists and properties: from a request's head to what it asks of the store. Pure: bytes and
 * headers in, a request or a refusal out. `commands.ts` carries requests out, `server.ts` talks to sockets.
 * Source: Riak KV's HTTP API (its behaviour, parameters and error texts).
 */
import type { DeleteOptions, GetOptions, Key, PutOptions, Quorum } from '../../store/api.js';
import { type Address, parseAddress, parseBucketsAddress, parsePropertiesAddress, parseTarget } from './address.js';
import { type Conditions, conditionsOf, needRead } from './conditions.js';
import { header, metadataOf, type RequestHeaders } from './headers.js';
import type { Listed, ListMode } from './listing.js';
import { essenceOf } from './media-type.js';
import { type PropertiesRequest, parseProperties } from './properties.js';
import { type Reply, textReply } from './reply.js';

export interface RequestHead {
  readonly method: string;
  /** The request target as it was sent. */
  readonly url: string;
  /** By lower-case name. */
  readonly headers: RequestHeaders;
}

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
  readonly options: PutOptions;
  readonly conditions: Conditions;
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

/** A list of a bucket's keys, or of a type's buckets. */
export interface ListRequest {
  readonly kind: 'list';
  readonly listed: Listed;
  readonly type: string;
  /** Whose keys are listed; empty for a list of buckets. */
  readonly bucket: string;
  readonly mode: ListMode;
  /** The oldest URLs give the bucket's properties before its keys. */
  readonly withProperties: boolean;
  readonly options: ListOptions;
}

export interface ListOptions {
  /** For each page of it. */
  readonly timeoutMs?: number;
  /** Only keys that begin with it. Not Riak's. */
  readonly prefix?: string;
  /** At most so many keys. Not Riak's. */
  readonly limit?: number;
}

export type HttpRequest = ObjectRequest | ListRequest | PropertiesRequest;

/** A request that is answered without asking the store: mostly, but not only, because something is wrong with it. */
export interface Refusal {
  readonly kind: 'refused';
  readonly reply: Reply;
}

/** What a head of the object families asks for, or why it is refused. */
export function parseRequest(head: RequestHead): HttpRequest | Refusal {
  const { segments, query } = parseTarget(head.url);
  const buckets = parseBucketsAddress(segments);
  if (typeof buckets === 'string') return refused(400, `${buckets}\n`);
  if (buckets !== undefined) {
    return parseList(head, { listed: 'buckets', type: buckets.type, bucket: '', withProperties: false }, query);
  }
  const properties = parsePropertiesAddress(segments);
  if (typeof properties === 'string') return refused(400, `${properties}\n`);
  if (properties !== undefined) return refusedIfReply(parseProperties(head.method, head.headers, properties, query));
  const address = parseAddress(segments);
  if (address === undefined) return refused(404, 'not found\n');
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
    return refusedIfReply(parseProperties(head.method, head.headers, old, query));
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

function parseList(
  head: RequestHead,
  what: Pick<ListRequest, 'listed' | 'type' | 'bucket' | 'withProperties'>,
  query: URLSearchParams,
): ListRequest | Refusal {
  const { listed } = what;
  if (head.method !== 'GET' && head.method !== 'HEAD') {
    return { kind: 'refused', reply: textReply(405, 'Allowed here: GET, HEAD\n', { Allow: 'GET, HEAD' }) };
  }
  const asked = query.get(listed);
  const timeout = query.get('timeout');
  if (timeout !== null && !/^\d{1,9}$/.test(timeout)) return refused(400, `Bad timeout value "${timeout}"\n`);
  const limit = query.get('limit');
  if (limit !== null && !/^\d{1,15}$/.test(limit)) return refused(400, `Bad limit value "${limit}"\n`);
  const prefix = query.get('prefix');
  const mode = asked === 'true' ? 'all' : asked === 'stream' ? 'stream' : undefined;
  if (mode === undefined || head.method === 'HEAD') {
    const body = listed === 'keys' || head.method === 'HEAD' ? '{}' : '{"buckets":[]}';
    return { kind: 'refused', reply: { status: 200, headers: LIST_HEADERS, body } };
  }
  return {
    kind: 'list',
    ...what,
    mode,
    options: {
      ...(timeout !== null && { timeoutMs: Number(timeout) }),
      ...(prefix !== null && { prefix }),
      ...(limit !== null && { limit: Number(limit) }),
    },
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
  const metadata = metadataOf(headers);
  if (typeof metadata === 'string') return refused(400, `${metadata}\n`);
  const { w, pw, dw } = parameters.quorums;
  const ifMatch = header(headers, 'x-riak-if-not-modified');
  const conditions = conditionsOf(headers);
  if (ifMatch !== undefined && needRead(conditions)) {
    return refused(
      400,
      'X-Riak-If-Not-Modified and a condition on ETag or date rule each other out: give one of them\n',
    );
  }
  return {
    kind: 'write',
    address,
    options: {
      contentType,
      metadata,
      causalContext: header(headers, 'x-riak-vclock'),
      ...(ifMatch !== undefined && { ifMatch }),
      ...(w !== undefined && { w }),
      ...(pw !== undefined && { pw }),
      ...(dw !== undefined && { dw }),
      ...parameters.timeout,
    },
    conditions,
    returnBody: parameters.returnBody,
    accept: header(headers, 'accept'),
  };
}

function parseDelete(head: RequestHead, address: ObjectAddress, parameters: Parameters): DeleteRequest | Refusal {
  if (head.headers['x-riak-if-not-modified'] !== undefined) {
    return refused(501, 'A delete with X-Riak-If-Not-Modified is not supported: pass X-Riak-Vclock, or If-Match\n');
  }
  const { r, w, pw, dw } = parameters.quorums;
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

/** Of every list. */
export const LIST_HEADERS = { 'Content-Type': 'application/json', Vary: 'Accept-Encoding' };

type QuorumName = 'r' | 'w' | 'pr' | 'pw' | 'dw';

interface Parameters {
  /** Of reads. */
  readonly notFound: { readonly notfoundOk?: boolean; readonly basicQuorum?: boolean };
  readonly quorums: Partial<Record<QuorumName, Quorum>>;
  readonly timeout: { readonly timeoutMs?: number };
  readonly returnBody: boolean;
}

const QUORUM_NAMES: readonly QuorumName[] = ['r', 'w', 'pr', 'pw', 'dw'];

/** Parameters of Riak's that this service does not carry out, and the values that ask for what it does anyway. */
const NEUTRAL_VALUES: Readonly<Record<string, readonly string[]>> = {
  node_confirms: ['default', '0'],
  sync_on_write: ['default'],
  asis: ['default', 'false'],
  rw: ['default'],
};

function parseParameters(query: URLSearchParams): Parameters | Refusal {
  const quorums: Partial<Record<QuorumName, Quorum>> = {};
  for (const name of QUORUM_NAMES) {
    const text = query.get(name);
    if (text === null || text === 'default') continue;
    if (text === 'one' || text === 'quorum' || text === 'all') quorums[name] = text;
    else if (/^\d{1,9}$/.test(text)) quorums[name] = Number(text);
    else {
      const words = `${name} query parameter must be an integer or one of the following words: 'one', 'quorum' or 'all'\n`;
      return refused(400, words);
    }
  }
  for (const [name, neutral] of Object.entries(NEUTRAL_VALUES)) {
    const text = query.get(name);
    if (text !== null && !neutral.includes(text)) {
      return refused(501, `${name} is supported only as ${neutral.join(' or ')}\n`);
    }
  }
  const notfoundOk = flag(query, 'notfound_ok');
  const basicQuorum = flag(query, 'basic_quorum');
  if (notfoundOk === null) return refused(400, 'notfound_ok query parameter must be true or false\n');
  if (basicQuorum === null) return refused(400, 'basic_quorum query parameter must be true or false\n');
  const timeout = query.get('timeout');
  if (timeout !== null && !/^\d{1,9}$/.test(timeout)) return refused(400, `Bad timeout value "${timeout}"\n`);
  const returnBody = query.get('returnbody')?.toLowerCase();
  if (returnBody !== undefined && returnBody !== 'true' && returnBody !== 'false') {
    return refused(400, 'returnbody query parameter must be true or false\n');
  }
  return {
    quorums,
    notFound: {
      ...(notfoundOk !== undefined && { notfoundOk }),
      ...(basicQuorum !== undefined && { basicQuorum }),
    },
    timeout: timeout === null ? {} : { timeoutMs: Number(timeout) },
    returnBody: returnBody === 'true',
  };
}

/** Undefined if it is left to the store, null if it is neither true nor false. */
function flag(query: URLSearchParams, name: string): boolean | undefined | null {
  const text = query.get(name)?.toLowerCase();
  if (text === undefined || text === 'default') return undefined;
  return text === 'true' ? true : text === 'false' ? false : null;
}

function unsupportedIndex(headers: RequestHeaders): Refusal | undefined {
  const name = Object.keys(headers).find((candidate) => candidate.startsWith('x-riak-index-'));
  return name === undefined ? undefined : refused(501, `Secondary indexes are not supported: leave out ${name}\n`);
}

function methodNotAllowed(address: Address): Refusal {
  const allow = hasKey(address) ? 'GET, HEAD, PUT, POST, DELETE' : 'GET, HEAD, POST';
  return { kind: 'refused', reply: textReply(405, `Allowed here: ${allow}\n`, { Allow: allow }) };
}

function refusedIfReply(parsed: PropertiesRequest | Reply): PropertiesRequest | Refusal {
  return 'kind' in parsed ? parsed : { kind: 'refused', reply: parsed };
}

function refused(status: number, text: string): Refusal {
  return { kind: 'refused', reply: textReply(status, text) };
}
