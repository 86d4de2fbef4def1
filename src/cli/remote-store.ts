/** A bucket of a running service, over its HTTP interface: its calls as the embedded store has them. */
import { ConflictError, type ErrorCode, InvalidArgumentError, OverloadedError, QuoralError } from '../base/errors.js';
import { encodeSegment } from '../service/http/address.js';
import type {
  DeleteOptions,
  GetOptions,
  Key,
  PutOptions,
  ReadResult,
  Receipt,
  ScanEntry,
  ScanOptions,
  Sibling,
} from '../store/api.js';
import { jsonObjectsOf } from './json-objects.js';
import { CommandError } from './terminal.js';

/** How much longer than the store the client waits, in milliseconds: for the connection and the transport of values. */
const SLACK_MS = 60_000;
const STORE_TIMEOUT_MS = 5_000;
/** Reads of a scan with values that are under way before the consumer asks for them. */
const READS_AHEAD = 32;
/** The service sends objects of some 16 KiB. */
const MAX_LIST_OBJECT_CHARS = 2 ** 20;

/** An error that the service reported; those with a class of their own that matters here come as that. */
export class RemoteError extends QuoralError {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, message: string, definite: boolean) {
    super(message, { definite });
    this.code = code;
  }
}

export class RemoteBucket {
  private readonly path: string;

  /** @throws {InvalidArgumentError} `url` is not an http or https URL. */
  constructor(url: string, bucket: string, type: string) {
    this.path = `${baseOf(url)}/types/${segment(type)}/buckets/${segment(bucket)}/keys/`;
  }

  async get(key: Key, options: GetOptions = {}): Promise<ReadResult<Uint8Array>> {
    const response = await this.send('GET', key, options, { headers: { Accept: 'multipart/mixed, */*' } });
    const body = new Uint8Array(await response.arrayBuffer());
    const causalContext = response.headers.get('x-riak-vclock');
    const siblings =
      response.status === 404
        ? []
        : response.status === 300
          ? parseMultipart(response.headers, body)
          : [siblingOf(response.headers, body)];
    return {
      found: siblings.length > 0,
      get value() {
        if (siblings.length > 1) throw new ConflictError(`${siblings.length} siblings`);
        return siblings[0]?.value;
      },
      siblings,
      // The service does not say.
      mayMissHints: false,
      ...(causalContext !== null && { causalContext }),
    };
  }

  /** The receipt tells no replicas: the service does not say. */
  async put(key: Key, value: Uint8Array, options: PutOptions = {}): Promise<Receipt> {
    if (options.ttlMs !== undefined) throw new InvalidArgumentError('The service takes no ttlMs');
    const headers: Record<string, string> = { 'Content-Type': options.contentType ?? 'application/octet-stream' };
    for (const [name, text] of Object.entries(options.metadata ?? {})) headers[`X-Riak-Meta-${name}`] = text;
    return receiptOf(await this.send('PUT', key, options, { headers, body: value as BodyInit }));
  }

  async delete(key: Key, options: DeleteOptions = {}): Promise<Receipt> {
    return receiptOf(await this.send('DELETE', key, options, {}));
  }

  /** Keys in byte order, by the service's list; with `values`, each is then read by itself, some ahead of the consumer. */
  async *scan(
    options: Pick<ScanOptions, 'prefix' | 'limit' | 'values'> = {},
  ): AsyncGenerator<ScanEntry<Uint8Array>, void, undefined> {
    const { prefix, limit, values = false } = options;
    if (prefix !== undefined && typeof prefix !== 'string') throw new InvalidArgumentError('The prefix must be text');
    const query = new URLSearchParams({ keys: 'stream' });
    if (prefix !== undefined) query.set('prefix', prefix);
    if (limit !== undefined) query.set('limit', String(limit));
    const left = new AbortController();
    try {
      const response = await request(`${this.path.slice(0, -1)}?${query}`, { signal: left.signal });
      if (response.status !== 200) throw await failureOf(response);
      const keys = listedKeys(response);
      if (values) yield* this.readAhead(keys);
      else for await (const key of keys) yield entry(key);
    } finally {
      left.abort();
    }
  }

  private async *readAhead(keys: AsyncIterable<Key>): AsyncGenerator<ScanEntry<Uint8Array>, void, undefined> {
    const reads: { readonly key: Key; readonly result: Promise<ReadResult<Uint8Array>> }[] = [];
    const take = async function* (count: number) {
      while (reads.length > count) {
        const { key, result } = reads.shift()!;
        const read = await result;
        // Deleted since it was listed.
        if (read.found) yield valuedEntry(key, read);
      }
    };
    for await (const key of keys) {
      const result = this.get(key);
      // It is awaited in its turn; until then nobody may think that nobody will.
      result.catch(() => {});
      reads.push({ key, result });
      yield* take(READS_AHEAD);
    }
    yield* take(0);
  }

  private async send(
    method: string,
    key: Key,
    options: GetOptions & PutOptions & DeleteOptions,
    init: { headers?: Record<string, string>; body?: BodyInit },
  ): Promise<Response> {
    const { causalContext, timeoutMs = STORE_TIMEOUT_MS } = options;
    const query = new URLSearchParams({ timeout: String(timeoutMs) });
    for (const name of ['r', 'w', 'pr', 'pw', 'dw'] as const) {
      if (options[name] !== undefined) query.set(name, String(options[name]));
    }
    const headers = { ...init.headers, ...(causalContext !== undefined && { 'X-Riak-Vclock': causalContext }) };
    const deadline = AbortSignal.timeout(timeoutMs + SLACK_MS);
    const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
    const url = `${this.path}${segment(key)}?${query}`;
    const response = await request(url, { ...init, method, headers, signal });
    const expected = method === 'GET' ? [200, 300, 404] : [204];
    const failed = response.headers.has('x-quoral-error') || !expected.includes(response.status);
    if (failed) throw await failureOf(response);
    return response;
  }
}

/** The URL without a slash at its end. @throws {InvalidArgumentError} It is no http or https URL. */
export function baseOf(url: string): string {
  const base = URL.canParse(url) ? new URL(url) : undefined;
  if (base === undefined || !/^https?:$/.test(base.protocol)) throw new InvalidArgumentError(`Not an HTTP URL: ${url}`);
  return base.href.replace(/\/+$/, '');
}

/** What a service answers to a GET of `path`, parsed. */
export async function getJson(url: string, path: string): Promise<unknown> {
  const response = await request(`${baseOf(url)}${path}`, { signal: AbortSignal.timeout(SLACK_MS) });
  if (response.status !== 200) throw await failureOf(response);
  return await response.json();
}

async function request(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (error) {
    const writes = init.method !== undefined && init.method !== 'GET';
    throw new CommandError(unreachable(new URL(url).origin, causeOf(error), writes));
  }
}

/** The keys of a streamed list. It must have come to its end, or some would be missing unnoticed. */
async function* listedKeys(response: Response): AsyncGenerator<Key, void, undefined> {
  let ended = false;
  try {
    for await (const object of jsonObjectsOf(response.body!, MAX_LIST_OBJECT_CHARS)) {
      if (object.error !== undefined) throw listFailure(String(object.error));
      const keys: Key[] = [...textsOf(object.keys)];
      for (const base64 of textsOf(object.binaryKeys)) keys.push(new Uint8Array(Buffer.from(base64, 'base64')));
      ended = keys.length === 0;
      if (object.binaryKeys !== undefined) keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      yield* keys;
    }
  } catch (error) {
    if (error instanceof QuoralError || error instanceof CommandError) throw error;
    throw new CommandError(`The list of keys broke off: ${causeOf(error)}`);
  }
  if (!ended) throw new CommandError('The list of keys broke off before its end');
}

function listFailure(text: string): Error {
  if (text === 'timeout') return new RemoteError('TIMEOUT', 'The list of keys timed out', true);
  return new CommandError(`The list of keys broke off: ${text}`);
}

function textsOf(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((text) => typeof text === 'string') : [];
}

function entry(key: Key): { readonly key: Key; readonly cursor: string } {
  return { key, cursor: Buffer.from(key).toString('base64url') };
}

/** `value` stays a getter, which throws where there are siblings. */
function valuedEntry(key: Key, read: ReadResult<Uint8Array>): ScanEntry<Uint8Array> {
  const { found, siblings, causalContext } = read;
  return {
    ...entry(key),
    found,
    siblings,
    causalContext,
    get value() {
      return read.value;
    },
  };
}

/** fetch folds dot segments away, even escaped ones, and would ask for something else. */
function segment(text: Key): string {
  const encoded = encodeSegment(text);
  if (encoded === '') throw new InvalidArgumentError('Type, bucket and key must not be empty');
  if (encoded === '.' || encoded === '..') {
    throw new InvalidArgumentError(`The name "${encoded}" cannot be sent in a URL: use --data`);
  }
  return encoded;
}

function receiptOf(response: Response): Receipt {
  return { causalContext: response.headers.get('x-riak-vclock') ?? '', acks: [], hints: [] };
}

async function failureOf(response: Response): Promise<Error> {
  const text = (await response.text()).trim();
  const code = response.headers.get('x-quoral-error') as ErrorCode | null;
  const definite = response.headers.get('x-quoral-definite') === 'true';
  if (code === 'OVERLOADED') {
    const retryAfterMs = Number(response.headers.get('retry-after') ?? 1) * 1_000;
    return new OverloadedError(text, { definite, retryAfterMs });
  }
  if (code === 'INVALID_ARGUMENT' && response.status === 404) {
    return new RemoteError(code, `${text}: create it with PUT /types/TYPE/props, or leave --type out`, definite);
  }
  if (code !== null) return new RemoteError(code, text, definite);
  if (response.status === 400) return new InvalidArgumentError(text);
  if (response.status === 413) return new RemoteError('VALUE_TOO_LARGE', text, true);
  return new CommandError(`${new URL(response.url).origin} answered ${response.status}: ${text}`);
}

/** Causes with which no request has left. */
const NEVER_SENT: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

function unreachable(origin: string, cause: string, writes: boolean): string {
  const end = writes && !NEVER_SENT.has(cause) ? '; the write may still take effect' : '';
  return `Cannot reach ${origin} (${cause})${end}: is "quoral serve" running there?`;
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : String(cause);
}

const META_PREFIX = 'x-riak-meta-';

function siblingOf(headers: Headers, value: Uint8Array): Sibling<Uint8Array> {
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
function parseMultipart(headers: Headers, body: Uint8Array): Sibling<Uint8Array>[] {
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
