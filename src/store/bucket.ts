/**
 * A handle on a bucket: checks what its calls are given, and encodes it once; `KeyCalls` carries them out. What each call
 * promises stands in `api/bucket.ts`.
 */
import { EMPTY, utf8 } from '../base/bytes.js';
import { InvalidArgumentError } from '../base/errors.js';
import type { SeenContext } from '../codec/context.js';
import { locateKey } from '../codec/key.js';
import { decodeToken } from '../codec/token.js';
import type { Bucket, BucketOptions, Codec } from './api/bucket.js';
import type {
  DeleteOptions,
  GetOptions,
  Key,
  PutEntry,
  PutManyOptions,
  PutOptions,
  ReadOptions,
  ScanOptions,
  UpdateOptions,
} from './api/call-options.js';
import type { ReadResult, Receipt, Scan, ScanEntry, ValuedEntry } from './api/results.js';
import type { BucketHome } from './bucket-home.js';
import { ProfileMaker } from './bucket-profile.js';
import {
  bodyOf,
  checkHeaders,
  checkIfMatch,
  checkRead,
  checkWrite,
  conditionOf,
  DELETE_OPTIONS,
  GET_OPTIONS,
  NO_METADATA,
  PUT_MANY_OPTIONS,
  PUT_OPTIONS,
  READ_OPTIONS,
  UPDATE_OPTIONS,
} from './call-checks.js';
import { contextBytes, KeyCalls, NOTHING_SEEN, TOMBSTONE } from './key-calls.js';
import { answerEach, entriesByKey, type KeyedCall, keysOnce } from './many.js';
import { checkNames, checkTimeout, checkTtl, show } from './options.js';
import { type PlacedKey, placeKey } from './placed-key.js';
import { checkBucketName } from './property-calls.js';
import { scanBucket } from './scan.js';
import { readAndWrite } from './update.js';

const NO_OPTIONS = {};

export class BucketHandle<V> implements Bucket<V> {
  readonly name: string;
  readonly type: string;
  private readonly home: BucketHome;
  private readonly codec: Codec<V>;
  private readonly calls: KeyCalls<V>;
  /** What every located key of the bucket begins with. */
  private readonly prefix: Uint8Array;

  constructor(home: BucketHome, name: string, options: BucketOptions<V>) {
    const { type = 'default' } = options ?? {};
    const profiles = new ProfileMaker(home, options);
    this.prefix = checkBucketName(name, type);
    this.home = home;
    this.name = name;
    this.type = type;
    this.codec = profiles.codec;
    this.calls = new KeyCalls(home, type, name, profiles);
  }

  get(key: Key, options: GetOptions = NO_OPTIONS): Promise<ReadResult<V>> {
    return this.getAs(key, options, false);
  }

  put(key: Key, value: V, options: PutOptions = NO_OPTIONS): Promise<Receipt> {
    return this.putAs(key, value, options, false);
  }

  private getAs(key: Key, options: GetOptions, ofCompound: boolean): Promise<ReadResult<V>> {
    // One promise a call: an async function would add two, and the client's thread is the first to be full.
    return new Promise((resolve, reject) => {
      if (options !== NO_OPTIONS) checkNames('get', options, GET_OPTIONS);
      const placed = this.place(key);
      const { session } = options;
      const seen = session === undefined ? EMPTY : contextBytes(decodeToken(session, placed.hash));
      this.calls.get(placed, seen, options, ofCompound, resolve, reject);
    });
  }

  private putAs(key: Key, value: V, options: PutOptions, ofCompound: boolean): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (options !== NO_OPTIONS) {
        checkNames('put', options, PUT_OPTIONS);
        checkIfMatch(options);
      }
      const placed = this.place(key);
      const { contentType = this.codec.contentType, metadata = NO_METADATA } = options;
      checkHeaders(contentType, metadata);
      const body = bodyOf(this.home, { contentType, metadata }, this.codec.encode(value));
      const ttlMs = options.ttlMs === undefined ? undefined : checkTtl(options.ttlMs);
      const { ifMatch, ifNoneMatch, causalContext = ifMatch } = options;
      const given = causalContext === undefined ? NOTHING_SEEN : decodeToken(causalContext, placed.hash);
      const condition = conditionOf(ifNoneMatch, ifMatch);
      const matched = ifMatch === undefined ? EMPTY : contextBytes(decodeToken(ifMatch, placed.hash));
      const content = { body, tombstone: false, ttlMs, condition, ifMatch: matched };
      this.calls.put(placed, given, content, options, ofCompound, resolve, reject);
    });
  }

  async update(
    key: Key,
    fn: (value: V | undefined) => V | undefined | PromiseLike<V | undefined>,
    options: UpdateOptions = NO_OPTIONS,
  ): Promise<Receipt | undefined> {
    checkNames('update', options, UPDATE_OPTIONS);
    if (typeof fn !== 'function') {
      throw new InvalidArgumentError(`update needs a function of the value, not ${show(fn)}`);
    }
    checkWrite(this.home, options, this.codec.contentType);
    checkRead(this.home, options);
    const { r, pr, notfoundOk, basicQuorum, timeoutMs = this.home.timeoutMs, ...writing } = options;
    const reading = pick({ r, pr, notfoundOk, basicQuorum, signal: options.signal });
    return readAndWrite(this.home, fn, {
      timeoutMs: checkTimeout(timeoutMs)!,
      signal: options.signal,
      read: (leftMs) => this.getAs(key, { ...reading, timeoutMs: leftMs }, true),
      write: (value, causalContext, leftMs, ofCompound) =>
        this.putAs(key, value, { ...writing, causalContext, timeoutMs: leftMs }, ofCompound),
    });
  }

  async getMany(keys: Iterable<Key>, options: ReadOptions = NO_OPTIONS): Promise<Map<Key, ReadResult<V> | Error>> {
    checkNames('getMany', options, READ_OPTIONS);
    checkRead(this.home, options);
    const calls = keysOnce('getMany', keys).map(
      (key): KeyedCall<ReadResult<V>> => ({ key, make: () => this.getAs(key, options, true) }),
    );
    return this.home.compound(() => answerEach(calls, this.home.maxInFlight));
  }

  async putMany(
    entries: Iterable<PutEntry<V>>,
    options: PutManyOptions = NO_OPTIONS,
  ): Promise<Map<Key, Receipt | Error>> {
    checkNames('putMany', options, PUT_MANY_OPTIONS);
    checkWrite(this.home, options, this.codec.contentType);
    const calls = entriesByKey(entries).map(
      ({ key, value, ...own }): KeyedCall<Receipt> => ({
        key,
        make: () => this.putAs(key, value, ofEntry(options, own), true),
      }),
    );
    return this.home.compound(() => answerEach(calls, this.home.maxInFlight));
  }

  async delete(key: Key, options: DeleteOptions = NO_OPTIONS): Promise<Receipt> {
    if (options !== NO_OPTIONS) {
      checkNames('delete', options, DELETE_OPTIONS);
      checkRead(this.home, options);
    }
    const placed = this.place(key);
    if (options.causalContext === undefined) return this.home.compound(() => this.readAndDelete(placed, options));
    return this.putTombstone(placed, decodeToken(options.causalContext, placed.hash), options, false);
  }

  private async readAndDelete(placed: PlacedKey, options: DeleteOptions): Promise<Receipt> {
    checkWrite(this.home, options, this.codec.contentType);
    const deadline = this.home.now() + (checkTimeout(options.timeoutMs) ?? this.home.timeoutMs);
    const read = await new Promise<ReadResult<V>>((resolve, reject) => {
      const { r, timeoutMs, signal } = options;
      this.calls.get(placed, EMPTY, pick({ r, timeoutMs, signal }), true, resolve, reject);
    });
    const seen = read.causalContext;
    const given = seen === undefined ? NOTHING_SEEN : decodeToken(seen, placed.hash);
    // What the read took is gone from the time of the whole.
    const left = Math.max(1, deadline - this.home.now());
    return this.putTombstone(placed, given, { ...options, timeoutMs: left }, true);
  }

  private putTombstone(
    placed: PlacedKey,
    given: SeenContext,
    options: DeleteOptions,
    ofCompound: boolean,
  ): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      this.calls.put(placed, given, TOMBSTONE, options, ofCompound, resolve, reject);
    });
  }

  scan(options: ScanOptions & { readonly values: true }): Scan<ValuedEntry<V>>;
  scan(options?: ScanOptions & { readonly values?: false }): Scan<ScanEntry>;
  scan(options?: ScanOptions): Scan<ScanEntry | ValuedEntry<V>>;
  scan(options: ScanOptions = NO_OPTIONS): Scan<ScanEntry | ValuedEntry<V>> {
    return scanBucket(this.home, {
      type: utf8(this.type),
      bucket: utf8(this.name),
      profile: (waiting) => this.calls.holding(waiting),
      options,
    });
  }

  private place(key: Key): PlacedKey {
    if (typeof key !== 'string' && !(key instanceof Uint8Array)) {
      throw new InvalidArgumentError(`a key must be a string or a Uint8Array, not ${show(key)}`);
    }
    return placeKey(locateKey(this.prefix, key), this.home.partitions);
  }
}

/** What holds for one put of many: its own options before those of all. */
function ofEntry(options: PutManyOptions, own: PutOptions): PutOptions {
  if (own.ifMatch === undefined) return { ...options, ...own };
  return { ...options, ifNoneMatch: false, ...own };
}

/** Only what is there: an option that is left out is not the same as one that is undefined. */
function pick(options: { [name in keyof ReadOptions]: ReadOptions[name] | undefined }): ReadOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
