/** A bucket of a running service, over its HTTP interface: its calls as the embedded store has them. */
import { setMaxListeners } from 'node:events';
import { ConflictError, InvalidArgumentError } from '../base/errors.js';
import { contentHeaders, header } from '../service/http/headers.js';
import type {
  DeleteOptions,
  GetOptions,
  Key,
  PutOptions,
  ScanOptions,
  UnconditionalPutOptions,
} from '../store/api/call-options.js';
import type { ReadResult, Receipt, ScanEntry, Sibling, ValuedEntry } from '../store/api/results.js';
import { cursorOf, type ListOptions, listedKeys } from './remote-list.js';
import { type Answer, RemoteError, RemoteService, segment } from './remote-service.js';
import { parseMultipart, siblingOf } from './remote-siblings.js';

const STORE_TIMEOUT_MS = 5_000;
/** The largest object that a store takes: some values of 64 MiB, with what goes with them. */
const MAX_OBJECT_BYTES = 320 * 2 ** 20;
/** Reads of a scan with values that are under way before the consumer asks for them, and what each may hold. */
const READS_AHEAD = 32;
const MAX_AHEAD_BYTES = 2 ** 20;
/** Of a write that was done, or a key that is not there. */
const MAX_NOTE_BYTES = 64 * 2 ** 10;

/** By option, the parameter of the service. */
const PARAMETERS = {
  ...{ r: 'r', pr: 'pr', w: 'w', pw: 'pw', dw: 'dw', timeoutMs: 'timeout' },
  ...{ notfoundOk: 'notfound_ok', basicQuorum: 'basic_quorum' },
} as const;

/** Of a scan, what both a service and an open store can do. */
export type ScanRange = Omit<ScanOptions, 'partial' | 'signal'>;

export class RemoteBucket {
  private readonly service: RemoteService;
  private readonly path: string;

  /** @throws {InvalidArgumentError} `url` is not an http or https URL. */
  constructor(url: string, bucket: string, type: string) {
    this.service = new RemoteService(url);
    this.path = `/types/${segment(type)}/buckets/${segment(bucket)}/keys`;
  }

  async get(key: Key, options: GetOptions = {}): Promise<ReadResult<Uint8Array>> {
    return this.read(key, options, MAX_OBJECT_BYTES);
  }

  /** The receipt tells no replicas: the service does not say. */
  async put(key: Key, value: Uint8Array, options: PutOptions = {}): Promise<Receipt> {
    const { contentType = 'application/octet-stream', metadata = {}, ttlMs, ifMatch, ifNoneMatch = false } = options;
    if (ttlMs !== undefined) throw new InvalidArgumentError('The service takes no ttlMs');
    if (ifNoneMatch && ifMatch !== undefined) {
      throw new InvalidArgumentError('ifMatch and ifNoneMatch rule each other out: give one of them');
    }
    const headers = {
      ...contentHeaders({ contentType, metadata }),
      ...(ifNoneMatch && { 'If-None-Match': '*' }),
      ...(ifMatch !== undefined && { 'X-Riak-If-Not-Modified': ifMatch }),
    };
    return receiptOf(await this.send('PUT', key, options, [204], headers, value));
  }

  async delete(key: Key, options: DeleteOptions = {}): Promise<Receipt> {
    return receiptOf(await this.send('DELETE', key, options, [204, 404]));
  }

  /** Keys in byte order, by the service's list; with `values`, each is then read by itself, some ahead of the consumer. */
  scan(
    options: ScanRange & { readonly values: true; readonly signal?: AbortSignal },
  ): AsyncGenerator<ValuedEntry<Uint8Array>, void, undefined>;
  scan(options?: Omit<ScanOptions, 'partial'>): AsyncGenerator<ScanEntry | ValuedEntry<Uint8Array>, void, undefined>;
  async *scan(
    options: Omit<ScanOptions, 'partial'> = {},
  ): AsyncGenerator<ScanEntry | ValuedEntry<Uint8Array>, void, undefined> {
    const { values = false, signal, ...range } = options;
    for (const [name, bound] of Object.entries(range)) {
      if (bound instanceof Uint8Array) throw new InvalidArgumentError(`${name} must be text, or use --data`);
    }
    const left = new AbortController();
    const until = signal === undefined ? left.signal : AbortSignal.any([left.signal, signal]);
    // All reads ahead listen to it, and the list.
    setMaxListeners(2 * READS_AHEAD, until);
    const keys = listedKeys(this.service, this.path, { ...(range as ListOptions), signal: until });
    try {
      if (values) yield* this.readAhead(keys, { ...pick(range, ['r', 'timeoutMs']), signal: until });
      else for await (const key of keys) yield { key, cursor: cursorOf(key) };
    } finally {
      left.abort();
    }
  }

  private async *readAhead(
    keys: AsyncIterable<Key>,
    options: GetOptions,
  ): AsyncGenerator<ValuedEntry<Uint8Array>, void, undefined> {
    const reads: { readonly key: Key; readonly result: Promise<ReadResult<Uint8Array> | 'too large'> }[] = [];
    const ahead = (key: Key) =>
      this.read(key, options, MAX_AHEAD_BYTES).catch((error: unknown) => {
        if (error instanceof RemoteError && error.code === 'VALUE_TOO_LARGE') return 'too large' as const;
        throw error;
      });
    const take = async function* (this: RemoteBucket, count: number) {
      while (reads.length > count) {
        const { key, result } = reads.shift()!;
        const early = await result;
        // One that is large is held only while it is its turn.
        const read = early === 'too large' ? await this.get(key, options) : early;
        // Deleted since it was listed.
        if (read.found) yield valuedEntry(key, read);
      }
    }.bind(this);
    for await (const key of keys) {
      const result = ahead(key);
      // It is awaited in its turn; until then nobody may think that nobody will.
      result.catch(() => {});
      reads.push({ key, result });
      yield* take(READS_AHEAD);
    }
    yield* take(0);
  }

  private async read(key: Key, options: GetOptions, maxBytes: number): Promise<ReadResult<Uint8Array>> {
    if (options.session !== undefined) throw new InvalidArgumentError('The service takes no session');
    const answer = await this.send('GET', key, options, [200, 300, 404], { Accept: 'multipart/mixed, */*' });
    const siblings = await this.siblingsOf(answer, maxBytes);
    const causalContext = header(answer.headers, 'x-riak-vclock');
    return {
      found: siblings.length > 0,
      get value() {
        if (siblings.length > 1) throw new ConflictError(`${siblings.length} siblings`);
        return siblings[0]?.value;
      },
      siblings,
      // The service does not say.
      mayMissHints: false,
      ...(causalContext !== undefined && { causalContext }),
    };
  }

  private async siblingsOf(answer: Answer, maxBytes: number): Promise<Sibling<Uint8Array>[]> {
    const { status, headers } = answer;
    if (status === 404) {
      await answer.bytes(MAX_NOTE_BYTES);
      return [];
    }
    const body = await answer.bytes(maxBytes);
    const siblings = status === 300 ? parseMultipart(headers, body) : [siblingOf(headers, body)];
    if (siblings === undefined || siblings.includes(undefined)) throw this.service.stranger();
    return siblings as Sibling<Uint8Array>[];
  }

  /** @param expected - the statuses that are no failure */
  private async send(
    method: 'GET' | 'PUT' | 'DELETE',
    key: Key,
    options: GetOptions & UnconditionalPutOptions & DeleteOptions,
    expected: readonly number[],
    headers: Readonly<Record<string, string>> = {},
    body?: Uint8Array,
  ): Promise<Answer> {
    const { causalContext, timeoutMs = STORE_TIMEOUT_MS, signal } = options;
    const query = new URLSearchParams();
    for (const [option, parameter] of Object.entries(PARAMETERS)) {
      const value = { ...options, timeoutMs }[option as keyof typeof PARAMETERS];
      if (value !== undefined) query.set(parameter, String(value));
    }
    const answer = await this.service.ask(`${this.path}/${segment(key)}?${query}`, {
      method,
      headers: { ...headers, ...(causalContext !== undefined && { 'X-Riak-Vclock': causalContext }) },
      ...(body !== undefined && { body }),
      signal,
      timeoutMs,
    });
    const failed = answer.headers['x-quoral-error'] !== undefined || !expected.includes(answer.status);
    if (failed) throw await answer.failure();
    return answer;
  }
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Partial<Pick<T, K>> {
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]]))) as Partial<
    Pick<T, K>
  >;
}

/** `value` stays a getter, which throws where there are siblings. */
function valuedEntry(key: Key, read: ReadResult<Uint8Array>): ValuedEntry<Uint8Array> {
  const { found, siblings, causalContext, mayMissHints } = read;
  return {
    key,
    cursor: cursorOf(key),
    found,
    siblings,
    causalContext,
    mayMissHints,
    get value() {
      return read.value;
    },
  };
}

async function receiptOf(answer: Answer): Promise<Receipt> {
  await answer.bytes(MAX_NOTE_BYTES);
  return { causalContext: header(answer.headers, 'x-riak-vclock') ?? '', acks: [], hints: [] };
}
