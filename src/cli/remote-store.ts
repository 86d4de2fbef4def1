/** A bucket of a running service, over its HTTP interface: its calls as the embedded store has them. */
import { ConflictError, InvalidArgumentError, QuoralError } from '../base/errors.js';
import type {
  DeleteOptions,
  GetOptions,
  Key,
  ScanOptions,
  UnconditionalPutOptions,
} from '../store/api/call-options.js';
import type { ReadResult, Receipt, ScanEntry, ValuedEntry } from '../store/api/results.js';
import { jsonObjectsOf } from './json-objects.js';
import { parseMultipart, siblingOf } from './remote-siblings.js';
import { baseOf, causeOf, failureOf, RemoteError, request, SLACK_MS, segment } from './service-request.js';
import { CommandError } from './terminal.js';

const STORE_TIMEOUT_MS = 5_000;
/** Reads of a scan with values that are under way before the consumer asks for them. */
const READS_AHEAD = 32;
/** The service sends objects of some 16 KiB. */
const MAX_LIST_OBJECT_CHARS = 2 ** 20;

/** Of a scan, what both a service and an open store can do. */
export type ScanRange = Omit<ScanOptions, 'partial' | 'signal'>;

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
  async put(key: Key, value: Uint8Array, options: UnconditionalPutOptions = {}): Promise<Receipt> {
    if (options.ttlMs !== undefined) throw new InvalidArgumentError('The service takes no ttlMs');
    const headers: Record<string, string> = { 'Content-Type': options.contentType ?? 'application/octet-stream' };
    for (const [name, text] of Object.entries(options.metadata ?? {})) headers[`X-Riak-Meta-${name}`] = text;
    return receiptOf(await this.send('PUT', key, options, { headers, body: value as BodyInit }));
  }

  async delete(key: Key, options: DeleteOptions = {}): Promise<Receipt> {
    return receiptOf(await this.send('DELETE', key, options, {}));
  }

  /** Keys in byte order, by the service's list; with `values`, each is then read by itself, some ahead of the consumer. */
  scan(options: ScanRange & { readonly values: true }): AsyncGenerator<ValuedEntry<Uint8Array>, void, undefined>;
  scan(options?: ScanRange): AsyncGenerator<ScanEntry | ValuedEntry<Uint8Array>, void, undefined>;
  async *scan(options: ScanRange = {}): AsyncGenerator<ScanEntry | ValuedEntry<Uint8Array>, void, undefined> {
    const { values = false, timeoutMs, ...range } = options;
    const query = new URLSearchParams({ keys: 'stream' });
    if (timeoutMs !== undefined) query.set('timeout', String(timeoutMs));
    for (const [name, bound] of Object.entries(range)) {
      if (bound instanceof Uint8Array) throw new InvalidArgumentError(`${name} must be text, or use --data`);
      if (bound !== undefined) query.set(name, String(bound));
    }
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

  private async *readAhead(keys: AsyncIterable<Key>): AsyncGenerator<ValuedEntry<Uint8Array>, void, undefined> {
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
    options: GetOptions & UnconditionalPutOptions & DeleteOptions,
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
function valuedEntry(key: Key, read: ReadResult<Uint8Array>): ValuedEntry<Uint8Array> {
  const { found, siblings, causalContext, mayMissHints } = read;
  return {
    ...entry(key),
    found,
    siblings,
    causalContext,
    mayMissHints,
    get value() {
      return read.value;
    },
  };
}

function receiptOf(response: Response): Receipt {
  return { causalContext: response.headers.get('x-riak-vclock') ?? '', acks: [], hints: [] };
}
