/**
 * Random calls on a bucket of a real store, each compared with the naive model. One `FuzzedBucket` makes its calls one
 * after the other; several go on side by side on one store, each on a bucket of its own.
 */
import assert from 'node:assert/strict';
import { below, pick, type Random } from '../../src/base/random.js';
import {
  type Bucket,
  ConflictError,
  type GetOptions,
  type PutOptions,
  QuoralError,
  type ReadResult,
  type Receipt,
  type Sibling,
  type Store,
} from '../../src/index.js';
import { type ModelWrite, type Seen, StoreModel } from './store-model.js';

interface Handle {
  readonly bucket: Bucket<string>;
  readonly lastWriteWins: boolean;
  readonly merges: boolean;
  readonly maxSiblings: number;
}

interface Token {
  readonly text: string;
  readonly seen: Seen;
}

/** A put as it is asked of the store, and what it must come to. */
interface PlannedPut {
  readonly key: string;
  readonly value: string;
  readonly options: PutOptions;
  readonly expect: () => Seen | string;
}

const KEYS = ['a', 'b', 'ba', 'bü', 'c', 'k\u0000', 'z'.repeat(200)];
const QUORUMS = [undefined, 1, 2, 3, 'one', 'quorum', 'all'] as const;
const NOTHING: Seen = new Set();
const CALLS = ['get', 'get', 'put', 'put', 'put', 'delete', 'update', 'getMany', 'putMany', 'scan', 'wrong'] as const;
const MERGED = '+';

export class FuzzedBucket {
  /** What was asked lately, for the report of a difference. */
  readonly story: string[] = [];
  private readonly random: Random;
  private readonly model: StoreModel;
  private readonly handles: readonly Handle[];
  private readonly tokens = new Map<string, Token[]>();
  /** Keys that every replica is known to have: an absence cannot be seen any more. */
  private readonly everywhere = new Set<string>();
  private values = 0;

  constructor(store: Store, name: string, random: Random, model = new StoreModel()) {
    this.model = model;
    this.random = random;
    const merge = (siblings: readonly Sibling<string>[]) => siblings.map(({ value }) => value).join(MERGED);
    this.handles = [
      {
        bucket: store.bucket<string>(name, { codec: 'text', maxSiblings: 4 }),
        ...{ lastWriteWins: false, merges: false, maxSiblings: 4 },
      },
      {
        bucket: store.bucket<string>(name, { codec: 'text', resolution: 'merge', merge, maxSiblings: 10 }),
        ...{ lastWriteWins: false, merges: true, maxSiblings: 10 },
      },
      {
        bucket: store.bucket<string>(name, { codec: 'text', resolution: 'last-write-wins' }),
        ...{ lastWriteWins: true, merges: false, maxSiblings: 100 },
      },
    ];
  }

  /** Makes one call. @returns how many operations on keys that were. Throws at a difference. */
  async call(): Promise<number> {
    const handle = pick(this.random, this.handles);
    const call = pick(this.random, CALLS);
    const key = pick(this.random, KEYS);
    switch (call) {
      case 'get':
        await this.get(handle, key);
        return 1;
      case 'put':
        await this.put(handle, this.planPut(handle, key));
        return 1;
      case 'delete':
        await this.delete(handle, key);
        return 1;
      case 'update':
        await this.update(handle, key);
        return 1;
      case 'getMany':
        return this.getMany(handle);
      case 'putMany':
        return this.putMany(handle);
      case 'scan':
        await this.scan(handle);
        return 1;
      case 'wrong':
        await this.wrong(handle, key);
        return 1;
    }
  }

  private async get(handle: Handle, key: string): Promise<void> {
    const options = this.readOptions([key]);
    this.tell('get', handle, key, options);
    this.compare(handle, key, await handle.bucket.get(key, options));
  }

  private async getMany(handle: Handle): Promise<number> {
    const keys = this.someKeys();
    const options = this.readOptions(keys);
    this.tell('getMany', handle, keys, options);
    const reads = await handle.bucket.getMany(keys, options);
    assert.deepEqual([...reads.keys()], keys);
    for (const key of keys) {
      const read = reads.get(key)!;
      assert(!(read instanceof Error), `${read}`);
      this.compare(handle, key, read);
    }
    return keys.length;
  }

  private async put(handle: Handle, planned: PlannedPut): Promise<void> {
    const { key, value, options } = planned;
    this.tell('put', handle, key, value, options);
    this.conclude(planned, await outcomeOf(handle.bucket.put(key, value, options)));
  }

  private async putMany(handle: Handle): Promise<number> {
    const puts = this.someKeys().map((key) => this.planPut(handle, key));
    this.tell('putMany', handle, puts);
    const receipts = await handle.bucket.putMany(puts.map(({ key, value, options }) => ({ ...options, key, value })));
    for (const planned of puts) this.conclude(planned, receipts.get(planned.key)!);
    return puts.length;
  }

  private async delete(handle: Handle, key: string): Promise<void> {
    const token = this.anyToken(key);
    const options = { ...this.maybe('w', QUORUMS), ...(token === undefined ? {} : { causalContext: token.text }) };
    this.tell('delete', handle, key, options);
    const receipt = await outcomeOf(handle.bucket.delete(key, options));
    // Without a context, it is that of a read.
    const seen = token?.seen ?? this.model.seen(key) ?? NOTHING;
    this.conclude({ key, expect: () => this.write(handle, key, null, seen, options) }, receipt);
  }

  private async update(handle: Handle, key: string): Promise<void> {
    const read = this.readOptions([key]);
    const options = { ...read, ...this.maybe('w', QUORUMS) };
    const writes = below(this.random, 4) > 0;
    const isAsync = below(this.random, 2) === 0;
    const next = this.newValue();
    this.tell('update', handle, key, options, writes, isAsync);
    const there = this.model.values(key, handle.lastWriteWins);
    const expected = this.valueOf(handle, there);
    let calls = 0;
    const fn = (value: string | undefined) => {
      calls++;
      assert.equal(value, expected);
      return writes ? next : undefined;
    };
    const outcome = await outcomeOf(handle.bucket.update(key, isAsync ? async (value) => fn(value) : fn, options));
    if (expected === ConflictError) {
      assert(outcome instanceof ConflictError, `${outcome}`);
      assert.equal(calls, 0);
      return;
    }
    assert.equal(calls, 1, `${outcome}`);
    if (!writes) {
      assert.equal(outcome, undefined);
      return;
    }
    assert(outcome !== undefined);
    const seen = this.model.seen(key) ?? NOTHING;
    this.conclude({ key, expect: () => this.write(handle, key, next, seen, {}) }, outcome);
  }

  private async scan(handle: Handle): Promise<void> {
    const values = below(this.random, 2) === 0;
    const bounds = {
      ...this.maybe('gte', [undefined, undefined, ...KEYS]),
      ...this.maybe('gt', [undefined, undefined, undefined, ...KEYS]),
      ...this.maybe('lt', [undefined, undefined, ...KEYS]),
      ...this.maybe('lte', [undefined, undefined, undefined, ...KEYS]),
      ...this.maybe('prefix', [undefined, undefined, 'b', 'z']),
    };
    const limit = pick(this.random, [undefined, 0, 1, 3]);
    const options = { ...bounds, ...this.maybe('r', QUORUMS), values, ...(limit === undefined ? {} : { limit }) };
    this.tell('scan', handle, options);
    const order = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
    const { gte = '', gt, lt, lte, prefix = '' } = bounds;
    const within = KEYS.filter((key) => {
      if (this.model.values(key, handle.lastWriteWins).length === 0 || !key.startsWith(prefix)) return false;
      if (order(key, gte) < 0 || (gt !== undefined && order(key, gt) <= 0)) return false;
      return (lt === undefined || order(key, lt) < 0) && (lte === undefined || order(key, lte) <= 0);
    });
    const expected = within.sort(order).slice(0, limit);
    const given: string[] = [];
    for await (const entry of handle.bucket.scan(options)) {
      given.push(String(entry.key));
      if (values) this.compare(handle, String(entry.key), entry as ReadResult<string>);
    }
    assert.deepEqual(given, expected);
  }

  /** What is wrong with a call is told, and changes nothing: the calls after it would see. */
  private async wrong(handle: Handle, key: string): Promise<void> {
    const { bucket } = handle;
    const foreign =
      this.anyToken(
        pick(
          this.random,
          KEYS.filter((other) => other !== key),
        ),
      )?.text ?? 'no token';
    const [code, act] = pick<[string, () => Promise<unknown>]>(this.random, [
      ['INVALID_ARGUMENT', () => bucket.put(key, 'wrong', { w: 4 })],
      ['INVALID_ARGUMENT', () => bucket.put(key, 'wrong', { dw: 1 })],
      ['INVALID_ARGUMENT', () => bucket.put(key, 'wrong', { causalContext: foreign })],
      ['INVALID_ARGUMENT', () => bucket.put(key, 'wrong', { ifMatch: foreign })],
      ['INVALID_ARGUMENT', () => bucket.put(key, 5 as never)],
      ['INVALID_ARGUMENT', () => bucket.get(key, { r: 0 })],
      ['INVALID_ARGUMENT', () => bucket.delete(key, { causalContext: foreign })],
      ['INVALID_ARGUMENT', () => bucket.putMany([key, key].map((twice) => ({ key: twice, value: 'wrong' })))],
      ['INVALID_ARGUMENT', () => bucket.scan({ limit: -1 }).next()],
      ['KEY_TOO_LONG', () => bucket.put(key.padEnd(2_000, 'x'), 'wrong')],
      ['VALUE_TOO_LARGE', () => bucket.put(key, 'x'.repeat(20_000))],
      ['ABORTED', () => bucket.put(key, 'wrong', { signal: AbortSignal.abort() })],
      ['ABORTED', () => bucket.update(key, () => 'wrong', { signal: AbortSignal.abort() })],
    ]);
    this.tell('wrong', handle, key, act.toString());
    const outcome = await outcomeOf(Promise.resolve().then(act));
    assert(outcome instanceof QuoralError && outcome.code === code && outcome.definite, `${outcome}`);
  }

  private planPut(handle: Handle, key: string): PlannedPut {
    const value = this.newValue();
    const context = this.anyToken(key);
    const match = below(this.random, 6) === 0 ? this.anyToken(key) : undefined;
    const ifNoneMatch = match === undefined && below(this.random, 6) === 0;
    const options: PutOptions = {
      ...this.maybe('w', QUORUMS),
      ...this.maybe('pw', [undefined, undefined, 0, 1, 3]),
      ...this.maybe('metadata', [undefined, {}, { a: 'b' }]),
      ...this.maybe('contentType', [undefined, undefined, 'text/html', 'x/y']),
      ...this.maybe('ttlMs', [undefined, undefined, 3_600_000]),
      ...(context === undefined ? {} : { causalContext: context.text }),
      ...(match === undefined ? {} : { ifMatch: match.text }),
      ...(ifNoneMatch ? { ifNoneMatch } : {}),
    };
    const seen = context?.seen ?? match?.seen ?? NOTHING;
    return { key, value, options, expect: () => this.write(handle, key, value, seen, options, match?.seen) };
  }

  private write(
    handle: Handle,
    key: string,
    value: string | null,
    seen: Seen,
    options: PutOptions,
    ifMatch?: Seen,
  ): Seen | string {
    const { lastWriteWins, maxSiblings } = handle;
    const { contentType = 'text/plain; charset=utf-8', metadata = {}, ifNoneMatch = false } = options;
    const put = { value, contentType, metadata, seen, lastWriteWins, ifNoneMatch, ifMatch, maxSiblings };
    return this.model.put(key, put);
  }

  /** Puts the model and the store's answer side by side. */
  private conclude({ key, expect }: Pick<PlannedPut, 'key' | 'expect'>, outcome: Receipt | Error): void {
    const expected = expect();
    if (typeof expected === 'string') {
      assert(outcome instanceof QuoralError && outcome.code === expected, `${expected} was expected, not ${outcome}`);
      assert(outcome.definite);
      return;
    }
    assert(!(outcome instanceof Error), `${outcome}`);
    if (outcome.acks.length === 3) this.everywhere.add(key);
    this.remember(key, { text: outcome.causalContext, seen: expected });
  }

  private compare(handle: Handle, key: string, read: ReadResult<string>): void {
    const expected = this.model.values(key, handle.lastWriteWins);
    const plain = ({ value, contentType, metadata }: Pick<Sibling<string>, 'value' | 'contentType' | 'metadata'>) => ({
      ...{ value, contentType },
      metadata: { ...metadata },
    });
    assert.deepEqual(
      read.siblings.map(plain),
      expected.map((write) => plain(write as ModelWrite & { value: string })),
    );
    assert.equal(read.found, expected.length > 0);
    const value = this.valueOf(handle, expected);
    if (value === ConflictError) assert.throws(() => read.value, ConflictError);
    else assert.equal(read.value, value);
    const seen = this.model.seen(key);
    assert.equal(read.causalContext === undefined, seen === undefined);
    if (seen !== undefined) this.remember(key, { text: read.causalContext!, seen });
  }

  private valueOf(handle: Handle, there: readonly ModelWrite[]): string | undefined | typeof ConflictError {
    if (there.length < 2) return there[0]?.value ?? undefined;
    return handle.merges ? there.map(({ value }) => value).join(MERGED) : ConflictError;
  }

  private readOptions(keys: readonly string[]): GetOptions {
    const mayCountAbsences = keys.every((key) => this.everywhere.has(key) || this.model.seen(key) === undefined);
    return {
      ...this.maybe('r', QUORUMS),
      ...this.maybe('pr', [undefined, undefined, 0, 1, 3]),
      ...(mayCountAbsences ? this.maybe('notfoundOk', [undefined, true, false]) : {}),
      ...this.maybe('basicQuorum', [undefined, true, false]),
    };
  }

  /** An option, or none. */
  private maybe<Name extends string, T>(name: Name, values: readonly (T | undefined)[]): { [name in Name]?: T } {
    const value = pick(this.random, values);
    return (value === undefined ? {} : { [name]: value }) as { [name in Name]?: T };
  }

  /** A token of the key, likelier a late one; or none. */
  private anyToken(key: string): Token | undefined {
    const known = this.tokens.get(key);
    if (known === undefined || below(this.random, 3) === 0) return undefined;
    return below(this.random, 2) === 0 ? known.at(-1)! : pick(this.random, known);
  }

  private remember(key: string, token: Token): void {
    const known = this.tokens.get(key) ?? [];
    known.push(token);
    if (known.length > 20) known.shift();
    this.tokens.set(key, known);
  }

  private someKeys(): string[] {
    return KEYS.filter(() => below(this.random, 2) === 0);
  }

  private newValue(): string {
    return `v${++this.values}${below(this.random, 20) === 0 ? 'x'.repeat(9_000) : ''}`;
  }

  private tell(call: string, handle: Handle, ...what: unknown[]): void {
    const resolution = handle.lastWriteWins ? 'lww' : handle.merges ? 'merge' : 'siblings';
    this.story.push(`${call} (${resolution}) ${JSON.stringify(what).slice(0, 600)}`);
    if (this.story.length > 30) this.story.shift();
  }
}

/** What a call came to: an error of the store is an outcome like any other. */
async function outcomeOf<T>(call: Promise<T>): Promise<T | QuoralError> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof QuoralError) return error;
    throw error;
  }
}
