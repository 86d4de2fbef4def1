/**
 * Random calls on a bucket of a real store, each compared with the naive model. One `FuzzedBucket` makes its calls one
 * after the other; several go on side by side on one store, each on a bucket of its own.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import { below, pick, type Random } from '../../src/base/random.js';
import {
  AbortedError,
  type Bucket,
  type BucketOptions,
  type BucketProperties,
  type BucketPropertyChanges,
  ConflictError,
  type GetOptions,
  type PutOptions,
  QuoralError,
  type Quorum,
  type ReadResult,
  type Receipt,
  type ScanEntry,
  type ScanOptions,
  type Sibling,
  type Store,
  type ValuedEntry,
} from '../../src/index.js';
import { bytesOf, KEY_NAMES, keyOf, nameOf, PREFIXES, spelt } from './fuzz-keys.js';
import { VALUE_KINDS, type ValueKind } from './fuzz-values.js';
import { type ModelWrite, type Seen, StoreModel } from './store-model.js';

interface Handle {
  readonly bucket: Bucket<unknown>;
  lastWriteWins: boolean;
  readonly merges: boolean;
  maxSiblings: number;
}

interface Token {
  readonly text: string;
  readonly seen: Seen;
}

/** A write as it is asked of the store, and what it must come to. */
interface PlannedWrite {
  readonly key: string;
  readonly options: PutOptions;
  readonly expect: () => Seen | string;
}

interface PlannedPut extends PlannedWrite {
  /** By its name. */
  readonly value: string;
  /** @param stays - null for a value that expires at once */
  readonly expect: (stays?: string | null) => Seen | string;
}

interface PlannedDelete extends PlannedWrite {
  readonly seen: Seen;
}

interface PlannedUpdate extends PlannedWrite {
  /** What it writes, by its name. */
  readonly value: string;
  /** What it is to find, or `CONFLICT`. */
  readonly found: unknown;
}

/** A call that is to be given up. */
interface Abortable {
  readonly call: Promise<unknown>;
  readonly planned?: PlannedWrite;
  readonly isThere?: (siblings: readonly Sibling<unknown>[]) => boolean;
  /** Settled once an update has read, and writes. */
  readonly writing?: Promise<void>;
}

/** By the least that they must be of three. */
const QUORUMS = [
  [],
  [undefined, 1, 2, 3, 'one', 'quorum', 'all'],
  [undefined, 2, 3, 'quorum', 'all'],
  [undefined, 3, 'all'],
] as const satisfies readonly (readonly (Quorum | undefined)[])[];
const N = 3;
const NOTHING: Seen = new Set();
const CALLS = [
  ...(['get', 'get', 'get', 'put', 'put', 'put', 'put', 'delete', 'update', 'getMany', 'putMany', 'scan'] as const),
  ...(['wrong', 'aborted', 'expiring', 'properties', 'buckets'] as const),
];
/** Calls that take several operations, or wait, are made so much less often. */
const SELDOM: ReadonlySet<string> = new Set(['aborted', 'expiring', 'properties', 'buckets']);
const SELDOM_TIMES = 4;
const ABORTABLE = ['get', 'getMany', 'scan', 'put', 'put', 'putMany', 'delete', 'update', 'update'] as const;
const TIMEOUTS = [undefined, undefined, undefined, 10_000, 60_000] as const;
const DURABLE = [undefined, undefined, 0, 1, 2, 'quorum', 'all'] as const;
/** Of 300 values one is as large as is allowed, but for what goes with it; some are larger than most. */
const LARGE_BYTES = 200_000;
const LARGER_BYTES = 9_000;
/** What the stores are opened with. */
export const FUZZ_LIMITS = { nodes: 4, n: N, partitions: 8, maxValueBytes: 2 ** 18 } as const;
const CONFLICT = Symbol('conflict');

/** What holds where neither the bucket nor its type says anything. */
const DEFAULTS: Omit<BucketProperties, 'n' | 'r' | 'pr' | 'pw' | 'dw' | 'basicQuorum'> = {
  ...{ resolution: 'siblings', maxSiblings: 100, w: 2, notfoundOk: true, ttlMs: undefined },
};

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
  private readonly model: StoreModel;
  private readonly store: Store;
  private readonly kind: ValueKind;
  private readonly name: string;
  private readonly type: string | undefined;
  /** Stored properties, of the bucket and of its type. */
  private readonly stored = { bucket: new Map<string, unknown>(), type: new Map<string, unknown>() };
  private readonly canBeDurable: boolean;
  private readonly written: 1 | 2 | 3;
  private readonly handles: Handle[];
  /** The one that does as the stored properties say. */
  private readonly following: Handle;
  private readonly tokens = new Map<string, Token[]>();
  /** Keys that every replica is known to have: an absence cannot be seen any more. */
  private readonly everywhere = new Set<string>();
  private values = 0;

  constructor(options: FuzzedBucketOptions) {
    const { stores, name, type, written } = options;
    this.store = stores[0];
    this.type = type;
    this.kind = options.kind ?? VALUE_KINDS[0]!;
    this.name = name;
    this.random = options.random;
    this.written = written;
    this.canBeDurable = options.canBeDurable ?? false;
    this.model = options.model ?? new StoreModel();
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
        await this.put(handle, this.planPut(handle, key));
        return 1;
      case 'delete':
        await this.delete(handle, this.planDelete(handle, key));
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
    const session = this.anyToken(key);
    const options = { ...this.readOptions([key]), ...(session === undefined ? {} : { session: session.text }) };
    this.tell('get', handle, key, options);
    this.compare(handle, key, await handle.bucket.get(spelt(key, this.random), options));
  }

  private async getMany(handle: Handle): Promise<number> {
    const keys = this.someKeys();
    const options = this.readOptions(keys);
    this.tell('getMany', handle, keys, options);
    const given = keys.map((key) => spelt(key, this.random));
    const reads = await handle.bucket.getMany(given, options);
    assert.deepEqual([...reads.keys()], given);
    for (const [index, key] of keys.entries()) {
      const read = reads.get(given[index]!)!;
      assert(!(read instanceof Error), `${read}`);
      this.compare(handle, key, read);
    }
    return 1;
  }

  private async put(handle: Handle, planned: PlannedPut): Promise<void> {
    const { key, value, options } = planned;
    this.tell('put', handle, key, value, options);
    const { bucket } = handle;
    this.conclude(planned, await outcomeOf(bucket.put(spelt(key, this.random), this.kind.make(value), options)));
  }

  private async putMany(handle: Handle): Promise<number> {
    const puts = this.someKeys().map((key) => this.planPut(handle, key));
    // What stands for all of them is not said by any of them.
    const options = this.writeOptions();
    this.tell('putMany', handle, puts, options);
    const entries = puts.map(({ key, value, options: own }) => {
      return { ...own, key: spelt(key, this.random), value: this.kind.make(value) };
    });
    const receipts = await handle.bucket.putMany(entries, options);
    for (const [index, planned] of puts.entries()) this.conclude(planned, receipts.get(entries[index]!.key)!);
    return 1;
  }

  private async delete(handle: Handle, planned: PlannedDelete): Promise<void> {
    const { key, options } = planned;
    this.tell('delete', handle, key, options);
    this.conclude(planned, await outcomeOf(handle.bucket.delete(spelt(key, this.random), options)));
  }

  private async update(handle: Handle, key: string): Promise<void> {
    const planned = this.planUpdate(handle, key);
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
    this.conclude(planned, outcome);
  }

  private async scan(handle: Handle): Promise<number> {
    const values = below(this.random, 2) === 0;
    const bounds = {
      ...this.maybe('gte', [undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('gt', [undefined, undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('lt', [undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('lte', [undefined, undefined, undefined, ...KEY_NAMES]),
      ...this.maybe('prefix', [undefined, undefined, undefined, undefined, ...PREFIXES]),
    };
    const limit = pick(this.random, [undefined, 0, 1, 3]);
    // A cursor of any place is good, whether an entry had it or not.
    const after = pick(this.random, [undefined, undefined, undefined, ...KEY_NAMES]);
    const { gte = '', gt, lt, lte, prefix = '' } = bounds;
    const within = KEY_NAMES.filter((key) => {
      if (this.model.values(key, handle.lastWriteWins).length === 0 || !key.startsWith(prefix)) return false;
      if (key < gte || (gt !== undefined && key <= gt) || (after !== undefined && key <= after)) return false;
      return (lt === undefined || key < lt) && (lte === undefined || key <= lte);
    }).sort();
    const options = {
      ...Object.fromEntries(Object.entries(bounds).map(([name, bound]) => [name, spelt(bound, this.random)])),
      ...this.maybe('r', this.reading),
      ...this.maybe('partial', [undefined, true, false]),
      ...this.maybe('timeoutMs', TIMEOUTS),
      ...(limit === undefined ? {} : { limit }),
      values,
    };
    // Either one page, or page after page, each from behind the last entry of the one before.
    const all = limit !== undefined && limit > 0 && below(this.random, 3) === 0;
    const pages = all ? Math.floor(within.length / limit) + 1 : 1;
    this.tell('scan', handle, bounds, options, after, pages);
    let cursor = after === undefined ? undefined : Buffer.from(bytesOf(after)).toString('base64url');
    for (let page = 0; page < pages; page++) {
      const first = page * (limit ?? 0);
      const expected = within.slice(first, limit === undefined ? undefined : first + limit);
      const last = await this.scanPage(
        handle,
        { ...options, ...(cursor !== undefined && { after: cursor }) },
        expected,
      );
      cursor = last ?? cursor;
    }
    return pages;
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
      if ('siblings' in entry) this.compare(handle, nameOf(entry.key), entry as ValuedEntry<unknown>);
    }
    const keys = given.map(({ key }) => key);
    assert.deepEqual([keys, scan.unreachable, scan.mayMissHints], [expected.map(keyOf), [], false]);
    return given.at(-1)?.cursor;
  }

  /** Gives a call up while it is under way. A read has no effect; a write that was sent has the one that it would have had. */
  private async aborted(handle: Handle, key: string): Promise<number> {
    const controller = new AbortController();
    const { signal } = controller;
    const act = pick(this.random, ABORTABLE);
    this.tell('aborted', handle, act, key);
    const { call, planned, isThere, writing } = this.begin(act, handle, key, signal);
    const ending = outcomeOf(call);
    if (writing !== undefined && below(this.random, 3) > 0) await Promise.race([writing, ending]);
    // Now, within the turn that sends it, or after some turns: a call of several steps is given up in each of them.
    for (let turns = below(this.random, 6) - 1; turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    controller.abort();
    const outcome = await ending;
    if (planned === undefined) {
      assert(!(outcome instanceof QuoralError) || (outcome instanceof AbortedError && outcome.definite), `${outcome}`);
      return 1;
    }
    if (outcome instanceof ConflictError) {
      assert.equal((planned as PlannedUpdate).found, CONFLICT);
      return 1;
    }
    if (!(outcome instanceof AbortedError)) {
      this.conclude(planned, outcome as Receipt | QuoralError);
      return 1;
    }
    if (outcome.definite) return 1;
    if (typeof planned.expect() === 'string') return 1;
    const reads = await this.readUntil(handle, key, isThere!);
    // It may be on its way to some replicas still: what follows replaces it on all of them.
    await this.delete(handle, this.planDelete(handle, key, { w: 'all', pw: 'all' }));
    return 2 + reads;
  }

  /**
   * Begins a call that is to be given up.
   * @returns for a write, what was planned, and by what a read shows that it is there
   */
  private begin(act: (typeof ABORTABLE)[number], handle: Handle, key: string, signal: AbortSignal): Abortable {
    const { bucket } = handle;
    const given = spelt(key, this.random);
    if (act === 'get') return { call: bucket.get(given, { signal }) };
    if (act === 'scan') return { call: bucket.scan({ signal }).next() };
    if (act === 'getMany') {
      return { call: bucket.getMany([given], { signal }).then((reads) => thrown(reads.get(given)!)) };
    }
    if (act === 'delete') {
      const planned = this.planDelete(handle, key);
      const covered = this.model.values(key, false).filter(({ id }) => planned.seen.has(id));
      // When a deletion of nothing is done cannot be seen.
      if (covered.length === 0) return this.begin('put', handle, key, signal);
      const gone = covered.map((write) => this.made(write));
      const isThere: Abortable['isThere'] = (siblings) => !gone.some((value) => isAmong(siblings, value));
      return { call: bucket.delete(given, { ...planned.options, signal }), planned, isThere };
    }
    const planned = act === 'update' ? this.planUpdate(handle, key) : this.planPut(handle, key);
    const value = this.kind.make(planned.value);
    const isThere: Abortable['isThere'] = (siblings) => isAmong(siblings, value);
    const options = { ...planned.options, signal };
    if (act === 'put') return { call: bucket.put(given, value, options), planned, isThere };
    if (act === 'update') {
      let call: Promise<unknown> = Promise.resolve();
      const writing = new Promise<void>((resolve) => {
        const fn = () => {
          resolve();
          return value;
        };
        call = bucket.update(given, fn, options);
      });
      return { call, planned, isThere, writing };
    }
    const receipts = bucket.putMany([{ ...planned.options, key: given, value }], { signal });
    return { call: receipts.then((all) => thrown(all.get(given)!)), planned, isThere };
  }

  /** Puts a value that lives for a millisecond: afterwards it is as if it had been deleted. */
  private async expiring(handle: Handle, key: string): Promise<number> {
    const planned = this.planPut(handle, key);
    const { value } = planned;
    const options: PutOptions = { ...planned.options, ttlMs: 1 };
    this.tell('expiring', handle, key, value, options);
    const outcome = await outcomeOf(handle.bucket.put(spelt(key, this.random), this.kind.make(value), options));
    this.conclude({ key, expect: () => planned.expect(null) }, outcome);
    const made = this.kind.make(value);
    return 1 + (await this.readUntil(handle, key, (siblings) => !isAmong(siblings, made)));
  }

  /** Reads all replicas until they show it. @returns how many reads that took */
  private async readUntil(
    { bucket }: Handle,
    key: string,
    isSeen: (siblings: readonly Sibling<unknown>[]) => boolean,
  ): Promise<number> {
    for (let reads = 1; ; reads++) {
      const { siblings } = await bucket.get(keyOf(key), { r: 'all', pr: 'all' });
      if (isSeen(siblings)) return reads;
      assert(reads < 1_000, `not so after ${reads} reads`);
    }
  }

  /** Changes what is stored of the bucket, or of its type: the handle that says nothing does so from now on. */
  private async properties(): Promise<number> {
    const { store, name, type, following, stored } = this;
    const of = type !== undefined && below(this.random, 2) === 0 ? 'type' : 'bucket';
    const changes: BucketPropertyChanges = {
      ...this.maybe('resolution', [undefined, null, 'siblings', 'last-write-wins'] as const),
      ...this.maybe('maxSiblings', [undefined, null, 3, 100]),
      ...this.maybe('w', [undefined, null, 1, 'all'] as const),
      ...this.maybe('notfoundOk', [undefined, null, true]),
      ...this.maybe('ttlMs', [undefined, null, 3_600_000]),
    };
    this.tell('properties', following, of, changes);
    const inType = type === undefined ? {} : { type };
    if (of === 'type') await store.setBucketType(type!, changes);
    else await store.setBucketProperties(name, changes, inType);
    for (const [property, value] of Object.entries(changes)) {
      if (value === null) stored[of].delete(property);
      else stored[of].set(property, value);
    }
    const ofType = { ...DEFAULTS, ...Object.fromEntries(stored.type) };
    const ofBucket = { ...ofType, ...Object.fromEntries(stored.bucket) };
    following.lastWriteWins = ofBucket.resolution === 'last-write-wins';
    following.maxSiblings = ofBucket.maxSiblings;
    assertHolds(await store.bucketProperties(name, inType), ofBucket);
    if (type === undefined) return 2;
    assertHolds(await store.bucketType(type), ofType);
    return 3;
  }

  /** A type lists its one bucket, as long as that has a key. */
  private async buckets(type: string): Promise<number> {
    this.tell('buckets', this.following);
    const names: string[] = [];
    for await (const name of this.store.buckets({ type, r: N + 1 - this.written })) names.push(name);
    const hasKeys = KEY_NAMES.some((key) => this.model.values(key, false).length > 0);
    assert.deepEqual(names, hasKeys ? [this.name] : []);
    return 1;
  }

  /** What is wrong with a call is told, and changes nothing: the calls after it would see. */
  private async wrong(handle: Handle, name: string): Promise<void> {
    const { bucket } = handle;
    const { kind } = this;
    const key = keyOf(name);
    const value = kind.make('v0');
    const foreign =
      this.anyToken(
        pick(
          this.random,
          KEY_NAMES.filter((other) => other !== name),
        ),
      )?.text ?? 'no token';
    const [code, act] = pick<[string, () => Promise<unknown>]>(this.random, [
      ['INVALID_ARGUMENT', () => bucket.put(key, value, { w: 4 })],
      ['INVALID_ARGUMENT', () => bucket.put(key, value, { dw: this.canBeDurable ? 4 : 1 })],
      ['INVALID_ARGUMENT', () => bucket.get(key, { session: foreign })],
      ['INVALID_ARGUMENT', () => bucket.get(key, { replicas: 3 } as never)],
      ['INVALID_ARGUMENT', () => bucket.put(key, value, { ttlMs: 0 })],
      ['INVALID_ARGUMENT', () => bucket.put(key, value, { metadata: { a: 1 } } as never)],
      ['INVALID_ARGUMENT', () => bucket.scan({ after: 'none!' }).next()],
      ['INVALID_ARGUMENT', () => this.store.setBucketProperties(this.name, { n: 2 } as never)],
      ['INVALID_ARGUMENT', () => this.store.bucket(this.name, { type: 'unknown' }).get(key)],
      ['INVALID_ARGUMENT', () => bucket.put(key, value, { causalContext: foreign })],
      ['INVALID_ARGUMENT', () => bucket.put(key, value, { ifMatch: foreign })],
      ['INVALID_ARGUMENT', () => bucket.put(key, kind.refused)],
      ['INVALID_ARGUMENT', () => bucket.get(key, { r: 0 })],
      ['INVALID_ARGUMENT', () => bucket.delete(key, { causalContext: foreign })],
      ['INVALID_ARGUMENT', () => bucket.putMany([key, key].map((twice) => ({ key: twice, value: value })))],
      ['INVALID_ARGUMENT', () => bucket.scan({ limit: -1 }).next()],
      ['KEY_TOO_LONG', () => bucket.put('k'.repeat(2_000), value)],
      ['VALUE_TOO_LARGE', () => bucket.put(key, kind.make(`v0:${2 * FUZZ_LIMITS.maxValueBytes}`))],
      ['ABORTED', () => bucket.put(key, value, { signal: AbortSignal.abort() })],
      ['ABORTED', () => bucket.update(key, () => value, { signal: AbortSignal.abort() })],
      ['ABORTED', () => bucket.delete(key, { signal: AbortSignal.abort() })],
      ['ABORTED', () => bucket.scan({ signal: AbortSignal.abort() }).next()],
    ]);
    this.tell('wrong', handle, name, act.toString());
    const outcome = await outcomeOf(Promise.resolve().then(act));
    assert(outcome instanceof QuoralError && outcome.code === code && outcome.definite, `${outcome}`);
  }

  private planPut(handle: Handle, key: string): PlannedPut {
    const value = this.newValue();
    const context = this.anyToken(key);
    const isExact = this.written === N;
    const match = isExact && below(this.random, 6) === 0 ? this.anyToken(key) : undefined;
    const ifNoneMatch = isExact && match === undefined && below(this.random, 6) === 0;
    const options: PutOptions = {
      ...this.writeOptions(),
      ...this.contentOptions(),
      ...(context === undefined ? {} : { causalContext: context.text }),
      ...(match !== undefined ? { ifMatch: match.text } : ifNoneMatch ? { ifNoneMatch } : {}),
    };
    const seen = context?.seen ?? match?.seen ?? NOTHING;
    return {
      ...{ key, value, options },
      expect: (stays = value) => this.write(handle, key, stays, seen, options, match?.seen),
    };
  }

  /** @param strictly - without a context of its own, at these quorums */
  private planDelete(handle: Handle, key: string, strictly?: Pick<PutOptions, 'w' | 'pw'>): PlannedDelete {
    const token = strictly === undefined ? this.anyToken(key) : undefined;
    const options = {
      ...(strictly ?? this.writeOptions()),
      ...this.maybe('r', this.reading),
      ...(token === undefined ? {} : { causalContext: token.text }),
    };
    // Without a context, it is that of a read.
    const seen = token?.seen ?? this.seenOf(key);
    return { key, options, seen, expect: () => this.write(handle, key, null, seen, options) };
  }

  private planUpdate(handle: Handle, key: string): PlannedUpdate {
    const options = { ...this.readOptions([key]), ...this.writeOptions(), ...this.contentOptions() };
    const value = this.newValue();
    const found = this.valueOf(handle, this.model.values(key, handle.lastWriteWins));
    const seen = this.seenOf(key);
    return { key, options, value, found, expect: () => this.write(handle, key, value, seen, options) };
  }

  /** What a read would see now. */
  private seenOf(key: string): Seen {
    return this.model.seen(key) ?? NOTHING;
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
    const { contentType = this.kind.contentType, metadata = {}, ifNoneMatch = false } = options;
    const put = { value, contentType, metadata, seen, lastWriteWins, ifNoneMatch, ifMatch, maxSiblings };
    return this.model.put(key, put);
  }

  /** Puts the model and the store's answer side by side. */
  private conclude({ key, expect }: Pick<PlannedWrite, 'key' | 'expect'>, outcome: Receipt | Error): void {
    const expected = expect();
    if (typeof expected === 'string') {
      assert(outcome instanceof QuoralError, `${expected} was expected, not ${outcome}`);
      // A slow coordinator was backed up, and only the second try's refusal was heard. The reads that follow will tell.
      if (outcome.code === 'QUORUM_NOT_MET' && !outcome.definite) return;
      assert(outcome.code === expected && outcome.definite, `${expected} was expected, not ${outcome}`);
      return;
    }
    assert(!(outcome instanceof Error), `${outcome}`);
    if (outcome.acks.length === 3) this.everywhere.add(key);
    this.remember(key, { text: outcome.causalContext, seen: expected });
  }

  private compare(handle: Handle, key: string, read: ReadResult<unknown>): void {
    const expected = this.model.values(key, handle.lastWriteWins);
    const plain = ({ value, contentType, metadata }: Pick<Sibling<unknown>, 'value' | 'contentType' | 'metadata'>) => ({
      ...{ value, contentType },
      metadata: { ...metadata },
    });
    assert.deepEqual(
      read.siblings.map(plain),
      expected.map((write) => plain({ ...write, value: this.made(write) })),
    );
    assert.equal(read.found, expected.length > 0);
    const value = this.valueOf(handle, expected);
    if (value === CONFLICT) assert.throws(() => read.value, ConflictError);
    else assert.deepEqual(read.value, value);
    const seen = this.model.seen(key);
    assert.equal(read.causalContext === undefined, seen === undefined);
    if (seen !== undefined) this.remember(key, { text: read.causalContext!, seen });
  }

  /** What a read's `value` is, or `CONFLICT`. */
  private valueOf(handle: Handle, there: readonly ModelWrite[]): unknown {
    if (there.length === 0) return undefined;
    if (there.length === 1) return this.made(there[0]!);
    return handle.merges ? this.kind.merge(there.map((write) => this.made(write))) : CONFLICT;
  }

  private made({ value }: ModelWrite): unknown {
    assert(value !== null);
    return this.kind.make(value);
  }

  private readOptions(keys: readonly string[]): GetOptions {
    const mayCountAbsences = keys.every((key) => this.everywhere.has(key) || this.model.seen(key) === undefined);
    return {
      ...this.maybe('r', this.reading),
      ...this.maybe('pr', this.reading),
      ...(mayCountAbsences ? this.maybe('notfoundOk', [undefined, true, false]) : {}),
      ...this.maybe('basicQuorum', [undefined, true, false]),
      ...this.maybe('timeoutMs', TIMEOUTS),
    };
  }

  /** Quorums that meet what was written. */
  private get reading(): readonly (Quorum | undefined)[] {
    return QUORUMS[N + 1 - this.written]!;
  }

  private writeOptions() {
    return {
      ...this.maybe('w', QUORUMS[this.written]),
      ...this.maybe('pw', QUORUMS[this.written]),
      ...this.maybeDurable(),
      ...this.maybe('timeoutMs', TIMEOUTS),
    };
  }

  private maybeDurable(): Pick<PutOptions, 'dw'> {
    return this.canBeDurable ? this.maybe('dw', DURABLE) : {};
  }

  private contentOptions(): Pick<PutOptions, 'metadata' | 'contentType' | 'ttlMs'> {
    return {
      ...this.maybe('metadata', [undefined, {}, { a: 'b' }, { 'ü €': '', 'X-Y': '\u0000\n😀' }]),
      ...this.maybe('contentType', [undefined, undefined, 'text/html', 'x/y']),
      ...this.maybe('ttlMs', [undefined, undefined, 3_600_000]),
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
    return KEY_NAMES.filter(() => below(this.random, 4) === 0);
  }

  private newValue(): string {
    const drawn = below(this.random, 300);
    const bytes = drawn === 0 ? `:${LARGE_BYTES}` : drawn < 10 ? `:${LARGER_BYTES}` : '';
    return `v${++this.values}${bytes}`;
  }

  private tell(call: string, handle: Handle, ...what: unknown[]): void {
    const resolution = handle.lastWriteWins ? 'lww' : handle.merges ? 'merge' : 'siblings';
    this.story.push(`${call} (${resolution}) ${JSON.stringify(what).slice(0, 600)}`);
    if (this.story.length > 30) this.story.shift();
  }
}

function isAmong(siblings: readonly Sibling<unknown>[], value: unknown): boolean {
  return siblings.some((sibling) => isDeepStrictEqual(sibling.value, value));
}

function assertHolds(holding: BucketProperties, expected: typeof DEFAULTS): void {
  const { n, resolution, maxSiblings, w, notfoundOk, ttlMs } = holding;
  assert.deepEqual({ n, resolution, maxSiblings, w, notfoundOk, ttlMs }, { n: N, ...expected });
}

function thrown<T>(result: T | Error): T {
  if (result instanceof Error) throw result;
  return result;
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
