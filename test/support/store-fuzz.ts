/**
 * Random calls on a bucket of a real store, each compared with the naive model. One `FuzzedBucket` makes its calls one
 * after the other; several go on side by side on one store, each on a bucket of its own.
 */
import assert from 'node:assert/strict';
import { below, pick, type Random } from '../../src/base/random.js';
import {
  type BucketOptions,
  ConflictError,
  type PutOptions,
  QuoralError,
  type ScanEntry,
  type ScanOptions,
  type Sibling,
  type Store,
  type ValuedEntry,
} from '../../src/index.js';
import { ABORTABLE, FuzzedAborts, isAmong } from './fuzz-aborts.js';
import { CONFLICT, FuzzBooks, type Handle, N, outcomeOf, readUntil } from './fuzz-books.js';
import { KEY_NAMES, keyOf, nameOf, spelt } from './fuzz-keys.js';
import { FuzzPlans, type PlannedDelete, type PlannedPut } from './fuzz-plans.js';
import { FuzzedProperties } from './fuzz-properties.js';
import { VALUE_KINDS, type ValueKind } from './fuzz-values.js';
import { wrongCalls } from './fuzz-wrong-calls.js';
import type { StoreModel } from './store-model.js';

const CALLS = [
  ...(['get', 'get', 'get', 'put', 'put', 'put', 'put', 'delete', 'update', 'getMany', 'putMany', 'scan'] as const),
  ...(['wrong', 'aborted', 'expiring', 'properties', 'buckets'] as const),
];
/** Calls that take several operations, or wait, are made so much less often. */
const SELDOM: ReadonlySet<string> = new Set(['aborted', 'expiring', 'properties', 'buckets']);
const SELDOM_TIMES = 4;
/** What the stores are opened with. */
export const FUZZ_LIMITS = { nodes: 4, n: N, partitions: 8, maxValueBytes: 2 ** 18 } as const;

export interface FuzzedBucketOptions {
  /** One store, as its opener has it, or those who are attached to it: calls go through all of them. */
  readonly stores: readonly [Store, ...Store[]];
  readonly name: string;
  /** A type that exists, and has no other bucket than this one. Default: 'default', which has. */
  readonly type?: string | undefined;
  readonly random: Random;
  /**
   * Primaries that have stored a write when it ends; reads ask so many that they meet one of them. With less than all of
   * them, calls are left out whose outcome depends on what the one replica that mints has: conditions, limits of
   * siblings, last-write-wins. On a busy machine that may be any replica: a slow one is backed up.
   */
  readonly written: 1 | 2 | 3;
  /** The store is on disk, with `sync: 'full'`. */
  readonly canBeDurable?: boolean;
  /** Of its values; default: texts. */
  readonly kind?: ValueKind;
  readonly model?: StoreModel;
}

export class FuzzedBucket {
  /** What was asked lately, for the report of a difference. */
  readonly story: string[] = [];
  private readonly random: Random;
  private readonly books: FuzzBooks;
  private readonly plans: FuzzPlans;
  private readonly aborts: FuzzedAborts;
  private readonly stored: FuzzedProperties;
  private readonly store: Store;
  private readonly kind: ValueKind;
  private readonly name: string;
  private readonly type: string | undefined;
  private readonly canBeDurable: boolean;
  private readonly written: 1 | 2 | 3;
  private readonly handles: Handle[];
  /** The one that does as the stored properties say. */
  private readonly following: Handle;

  constructor(options: FuzzedBucketOptions) {
    const { stores, name, type, written, random } = options;
    this.store = stores[0];
    this.type = type;
    this.kind = options.kind ?? VALUE_KINDS[0]!;
    this.name = name;
    this.random = random;
    this.written = written;
    this.canBeDurable = options.canBeDurable ?? false;
    this.books = new FuzzBooks(this.kind, random, options.model);
    this.plans = new FuzzPlans({ random, books: this.books, written, canBeDurable: this.canBeDurable });
    this.aborts = new FuzzedAborts(random, this.books, this.plans);
    this.stored = new FuzzedProperties(this.store, name, type);
    const read = N + 1 - written;
    const quorums = { w: written, pw: written, r: read, pr: read };
    const { codec } = this.kind;
    const merge = (siblings: readonly Sibling<unknown>[]) => this.kind.merge(siblings.map(({ value }) => value));
    let handles = 0;
    // Which codec goes with which values is known only now.
    const bucketOf = (more: BucketOptions<unknown>) =>
      stores[handles++ % stores.length]!.bucket<unknown>(name, {
        ...more,
        ...quorums,
        ...(type !== undefined && { type }),
        codec,
      } as BucketOptions<unknown> & { codec: 'json' });
    // What replicas agree on, and nobody limits, does not depend on which of them mints.
    const limit = written === N ? (siblings: number) => ({ maxSiblings: siblings }) : () => ({ maxSiblings: 100 });
    const merging = { resolution: 'merge', merge } as const;
    // The first: what is stored is seen at once by whoever stores it.
    this.following = { bucket: bucketOf({}), lastWriteWins: false, merges: false, maxSiblings: 100 };
    this.handles = [
      {
        bucket: bucketOf({ resolution: 'siblings', ...limit(4) }),
        ...{ lastWriteWins: false, merges: false, ...limit(4) },
      },
      { bucket: bucketOf({ ...merging, ...limit(10) }), lastWriteWins: false, merges: true, ...limit(10) },
      this.following,
    ];
    if (written < N) return;
    const bucket = bucketOf({ resolution: 'last-write-wins', maxSiblings: 100 });
    this.handles.push({ bucket, lastWriteWins: true, merges: false, maxSiblings: 100 });
  }

  /** Makes a call, or some that belong together. @returns how many calls of the API those were. Throws at a difference. */
  async call(): Promise<number> {
    const handle = pick(this.random, this.handles);
    const drawn = pick(this.random, CALLS);
    const call = SELDOM.has(drawn) && below(this.random, SELDOM_TIMES) > 0 ? 'get' : drawn;
    const key = pick(this.random, KEY_NAMES);
    switch (call) {
      case 'get':
        await this.get(handle, key);
        return 1;
      case 'put':
        await this.put(handle, this.plans.put(handle, key));
        return 1;
      case 'delete':
        await this.delete(handle, this.plans.delete(handle, key));
        return 1;
      case 'update':
        await this.update(handle, key);
        return 1;
      case 'getMany':
        return this.getMany(handle);
      case 'putMany':
        return this.putMany(handle);
      case 'scan':
        return this.scan(handle);
      case 'wrong':
        await this.wrong(handle, key);
        return 1;
      case 'aborted':
        return this.aborted(handle, key);
      case 'expiring':
        return this.expiring(handle, key);
      case 'properties':
        // They say which replica may leave how many siblings.
        return this.written < N ? 0 : this.properties();
      case 'buckets':
        return this.type === undefined ? 0 : this.buckets(this.type);
    }
  }

  private async get(handle: Handle, key: string): Promise<void> {
    const session = this.books.anyToken(key);
    const options = { ...this.plans.readOptions([key]), ...(session === undefined ? {} : { session: session.text }) };
    this.tell('get', handle, key, options);
    this.books.compare(handle, key, await handle.bucket.get(spelt(key, this.random), options));
  }

  private async getMany(handle: Handle): Promise<number> {
    const keys = this.plans.someKeys();
    const options = this.plans.readOptions(keys);
    this.tell('getMany', handle, keys, options);
    const given = keys.map((key) => spelt(key, this.random));
    const reads = await handle.bucket.getMany(given, options);
    assert.deepEqual([...reads.keys()], given);
    for (const [index, key] of keys.entries()) {
      const read = reads.get(given[index]!)!;
      assert(!(read instanceof Error), `${read}`);
      this.books.compare(handle, key, read);
    }
    return 1;
  }

  private async put(handle: Handle, planned: PlannedPut): Promise<void> {
    const { key, value, options } = planned;
    this.tell('put', handle, key, value, options);
    const { bucket } = handle;
    this.books.conclude(planned, await outcomeOf(bucket.put(spelt(key, this.random), this.kind.make(value), options)));
  }

  private async putMany(handle: Handle): Promise<number> {
    const puts = this.plans.someKeys().map((key) => this.plans.put(handle, key));
    // What stands for all of them is not said by any of them.
    const options = this.plans.writeOptions();
    this.tell('putMany', handle, puts, options);
    const entries = puts.map(({ key, value, options: own }) => {
      return { ...own, key: spelt(key, this.random), value: this.kind.make(value) };
    });
    const receipts = await handle.bucket.putMany(entries, options);
    for (const [index, planned] of puts.entries()) this.books.conclude(planned, receipts.get(entries[index]!.key)!);
    return 1;
  }

  private async delete(handle: Handle, planned: PlannedDelete): Promise<void> {
    const { key, options } = planned;
    this.tell('delete', handle, key, options);
    this.books.conclude(planned, await outcomeOf(handle.bucket.delete(spelt(key, this.random), options)));
  }

  private async update(handle: Handle, key: string): Promise<void> {
    const planned = this.plans.update(handle, key);
    const { value, options, found } = planned;
    const writes = below(this.random, 4) > 0;
    const isAsync = below(this.random, 2) === 0;
    this.tell('update', handle, key, value, options, writes, isAsync);
    let calls = 0;
    const fn = (there: unknown) => {
      calls++;
      assert.deepEqual(there, found);
      return writes ? this.kind.make(value) : undefined;
    };
    const acting = isAsync ? async (there: unknown) => fn(there) : fn;
    const outcome = await outcomeOf(handle.bucket.update(spelt(key, this.random), acting, options));
    if (found === CONFLICT) {
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
    this.books.conclude(planned, outcome);
  }

  private async scan(handle: Handle): Promise<number> {
    const { options, cursor: first, pages } = this.plans.scan(handle);
    this.tell('scan', handle, options, first, pages.length);
    let cursor = first;
    for (const expected of pages) {
      const from = { ...options, ...(cursor !== undefined && { after: cursor }) };
      cursor = (await this.scanPage(handle, from, expected)) ?? cursor;
    }
    return pages.length;
  }

  /** @returns the cursor of the last entry, if there was one */
  private async scanPage(
    handle: Handle,
    options: ScanOptions,
    expected: readonly string[],
  ): Promise<string | undefined> {
    const scan = handle.bucket.scan(options);
    const given: ScanEntry[] = [];
    for await (const entry of scan) {
      given.push(entry);
      assert.equal('siblings' in entry, options.values);
      if ('siblings' in entry) this.books.compare(handle, nameOf(entry.key), entry as ValuedEntry<unknown>);
    }
    const keys = given.map(({ key }) => key);
    assert.deepEqual([keys, scan.unreachable, scan.mayMissHints], [expected.map(keyOf), [], false]);
    return given.at(-1)?.cursor;
  }

  private async aborted(handle: Handle, key: string): Promise<number> {
    const act = pick(this.random, ABORTABLE);
    this.tell('aborted', handle, act, key);
    const { isUnderWay, calls } = await this.aborts.abort(act, handle, key);
    if (!isUnderWay) return calls;
    // It may be on its way to some replicas still: what follows replaces it on all of them.
    await this.delete(handle, this.plans.delete(handle, key, { w: 'all', pw: 'all' }));
    return calls + 1;
  }

  /** Puts a value that lives for a millisecond: afterwards it is as if it had been deleted. */
  private async expiring(handle: Handle, key: string): Promise<number> {
    const planned = this.plans.put(handle, key);
    const { value } = planned;
    const options: PutOptions = { ...planned.options, ttlMs: 1 };
    this.tell('expiring', handle, key, value, options);
    const outcome = await outcomeOf(handle.bucket.put(spelt(key, this.random), this.kind.make(value), options));
    this.books.conclude({ key, expect: () => planned.expect(null) }, outcome);
    const made = this.kind.make(value);
    return 1 + (await readUntil(handle, key, (siblings) => !isAmong(siblings, made)));
  }

  /** Changes what is stored of the bucket, or of its type. */
  private properties(): Promise<number> {
    const change = this.stored.plan(this.random, this.plans);
    this.tell('properties', this.following, change);
    return this.stored.change(change, this.following);
  }

  /** A type lists its one bucket, as long as that has a key. */
  private async buckets(type: string): Promise<number> {
    this.tell('buckets', this.following);
    const names: string[] = [];
    for await (const name of this.store.buckets({ type, r: N + 1 - this.written })) names.push(name);
    const hasKeys = KEY_NAMES.some((key) => this.books.values(key, false).length > 0);
    assert.deepEqual(names, hasKeys ? [this.name] : []);
    return 1;
  }

  private async wrong(handle: Handle, key: string): Promise<void> {
    const { store, kind, canBeDurable } = this;
    const { bucket } = handle;
    const { maxValueBytes } = FUZZ_LIMITS;
    const others = KEY_NAMES.filter((other) => other !== key);
    const foreign = this.books.anyToken(pick(this.random, others))?.text ?? 'no token';
    const all = wrongCalls({ store, bucket, key, kind, maxValueBytes, canBeDurable, foreign });
    const [code, act] = pick(this.random, all);
    this.tell('wrong', handle, key, act.toString());
    const outcome = await outcomeOf(Promise.resolve().then(act));
    assert(outcome instanceof QuoralError && outcome.code === code && outcome.definite, `${outcome}`);
  }

  private tell(call: string, handle: Handle, ...what: unknown[]): void {
    const resolution = handle.lastWriteWins ? 'lww' : handle.merges ? 'merge' : 'siblings';
    this.story.push(`${call} (${resolution}) ${JSON.stringify(what).slice(0, 600)}`);
    if (this.story.length > 30) this.story.shift();
  }
}
