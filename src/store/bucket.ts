/**
 * A handle on a bucket: checks what it is given, encodes it once, hands it to the client, and turns outcomes into
 * results and errors. What each call promises stands in `api.ts`.
 */

import { EMPTY, utf8 } from '../base/bytes.js';
import { InvalidArgumentError, ValueTooLargeError } from '../base/errors.js';
import { EMPTY_CONTEXT } from '../clocks/causal-context.js';
import { ZERO_TIMESTAMP } from '../clocks/timestamp.js';
import { encodeBody } from '../codec/body.js';
import { encodeContext, type SeenContext } from '../codec/context.js';
import { locateKey } from '../codec/key.js';
import { decodeToken } from '../codec/token.js';
import type { PutCondition } from '../messages/object-request.js';
import type {
  Bucket,
  BucketOptions,
  CallOptions,
  Codec,
  DeleteOptions,
  GetOptions,
  Key,
  PutEntry,
  PutManyOptions,
  PutOptions,
  Quorum,
  ReadOptions,
  ReadResult,
  Receipt,
  Scan,
  ScanOptions,
  UpdateOptions,
} from './api.js';
import type { BucketHome } from './bucket-home.js';
import { type BucketProfile, ProfileMaker } from './bucket-profile.js';
import type { GivenProperties } from './bucket-properties.js';
import { GetCaller, PutCaller } from './callers.js';
import { begin } from './calls.js';
import { answerEach, entriesByKey, type KeyedCall, keysOnce } from './many.js';
import {
  checkDurable,
  checkNames,
  checkSignal,
  checkTimeout,
  checkTtl,
  flag,
  type Quorums,
  quorumOf,
  show,
} from './options.js';
import { type PlacedKey, placeKey } from './placed-key.js';
import { KnownProperties } from './property-cache.js';
import { checkBucketName } from './property-calls.js';
import { scanBucket } from './scan.js';
import { readAndWrite } from './update.js';

const READ_OPTIONS = new Set(['r', 'pr', 'notfoundOk', 'basicQuorum', 'timeoutMs', 'signal']);
const GET_OPTIONS = new Set([...READ_OPTIONS, 'session']);
const PUT_OPTIONS = new Set([
  'causalContext',
  'w',
  'pw',
  'dw',
  'metadata',
  'contentType',
  'ttlMs',
  'ifNoneMatch',
  'ifMatch',
  'timeoutMs',
  'signal',
]);
const PUT_MANY_OPTIONS = new Set([...PUT_OPTIONS].filter((name) => name !== 'causalContext' && name !== 'ifMatch'));
const UPDATE_OPTIONS = new Set([...READ_OPTIONS, ...PUT_MANY_OPTIONS].filter((name) => name !== 'ifNoneMatch'));
const DELETE_OPTIONS = new Set(['causalContext', 'r', 'w', 'pw', 'dw', 'timeoutMs', 'signal']);
/** What content type and metadata may take together, encoded. */
const MAX_HEADER_BYTES = 65_536;
const NOTHING_SEEN: SeenContext = { context: EMPTY_CONTEXT, highestTimestamp: ZERO_TIMESTAMP };
const NO_OPTIONS = {};
const NO_METADATA: Readonly<Record<string, string>> = {};
const NOTHING_KNOWN: GivenProperties = {};

/** What a put stores, and on what condition. */
interface Content {
  readonly condition: PutCondition;
  readonly ifMatch: Uint8Array;
  readonly body: Uint8Array;
  readonly tombstone: boolean;
  /** Milliseconds; 0: for ever; undefined: as the bucket has it. */
  readonly ttlMs: number | undefined;
}

const TOMBSTONE: Content = { condition: 'none', ifMatch: EMPTY, body: EMPTY, tombstone: true, ttlMs: 0 };

export class BucketHandle<V> implements Bucket<V> {
  readonly name: string;
  readonly type: string;
  private readonly home: BucketHome;
  private readonly codec: Codec<V>;
  private readonly profiles: ProfileMaker<V>;
  /** By what was known of the bucket's stored properties at last. */
  private profile: BucketProfile<V>;
  private known: KnownProperties;
  /** What every located key of the bucket begins with. */
  private readonly prefix: Uint8Array;

  constructor(home: BucketHome, name: string, options: BucketOptions<V>) {
    const { type = 'default' } = options ?? {};
    this.profiles = new ProfileMaker(home, options);
    this.prefix = checkBucketName(name, type);
    this.home = home;
    this.name = name;
    this.type = type;
    this.codec = this.profiles.codec;
    this.profile = this.profiles.make(NOTHING_KNOWN);
    this.known = new KnownProperties(type, name);
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
      this.getPlaced(placed, seen, options, ofCompound, resolve, reject);
    });
  }

  private putAs(key: Key, value: V, options: PutOptions, ofCompound: boolean): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (options !== NO_OPTIONS) checkNames('put', options, PUT_OPTIONS);
      const placed = this.place(key);
      const { contentType = this.codec.contentType, metadata = NO_METADATA } = options;
      checkHeaders(contentType, metadata);
      const body = this.body(contentType, metadata, this.codec.encode(value));
      const ttlMs = options.ttlMs === undefined ? undefined : checkTtl(options.ttlMs);
      const { ifMatch, ifNoneMatch, causalContext = ifMatch } = options;
      const given = causalContext === undefined ? NOTHING_SEEN : decodeToken(causalContext, placed.hash);
      const condition = conditionOf(ifNoneMatch, ifMatch);
      const matched = ifMatch === undefined ? EMPTY : contextBytes(decodeToken(ifMatch, placed.hash));
      const content = { body, tombstone: false, ttlMs, condition, ifMatch: matched };
      this.putContent(placed, given, content, options, ofCompound, resolve, reject);
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
    this.checkWrite(options);
    this.checkRead(options);
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
    this.checkRead(options);
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
    this.checkWrite(options);
    const calls = entriesByKey(entries).map(
      ({ key, value, ...own }): KeyedCall<Receipt> => ({
        key,
        make: () => this.putAs(key, value, { ...options, ...own }, true),
      }),
    );
    return this.home.compound(() => answerEach(calls, this.home.maxInFlight));
  }

  async delete(key: Key, options: DeleteOptions = NO_OPTIONS): Promise<Receipt> {
    if (options !== NO_OPTIONS) checkNames('delete', options, DELETE_OPTIONS);
    const placed = this.place(key);
    if (options.causalContext === undefined) return this.home.compound(() => this.readAndDelete(placed, options));
    return this.putTombstone(placed, decodeToken(options.causalContext, placed.hash), options, false);
  }

  private async readAndDelete(placed: PlacedKey, options: DeleteOptions): Promise<Receipt> {
    this.checkWrite(options);
    const deadline = this.home.now() + (checkTimeout(options.timeoutMs) ?? this.home.timeoutMs);
    const read = await new Promise<ReadResult<V>>((resolve, reject) => {
      const { r, timeoutMs, signal } = options;
      this.getPlaced(placed, EMPTY, pick({ r, timeoutMs, signal }), true, resolve, reject);
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
      this.putContent(placed, given, TOMBSTONE, options, ofCompound, resolve, reject);
    });
  }

  scan(options: ScanOptions = NO_OPTIONS): Scan<V> {
    return scanBucket(this.home, {
      type: utf8(this.type),
      bucket: utf8(this.name),
      profile: async (waiting) =>
        this.profileAt(this.home.now()) ?? this.onceKnown(waiting, false, (profile) => Promise.resolve(profile)),
      options,
    });
  }

  /** What holds now, or null if that is to be waited for. Nearly every call ends at the first comparison. */
  private profileAt(now: number): BucketProfile<V> | null {
    if (now < this.known.dueAt && this.known.given === this.profile.given) return this.profile;
    this.known = this.home.properties.entryOf(this.type, this.name);
    const { given, lateAt } = this.known;
    return given === undefined || now >= lateAt ? null : this.profileOf(given);
  }

  private profileOf(given: GivenProperties): BucketProfile<V> {
    if (given !== this.profile.given) this.profile = this.profiles.make(given);
    return this.profile;
  }

  /** Does `act` with what holds for the bucket, once that is known, in what is left of the time. */
  private onceKnown<T, O extends CallOptions>(
    options: O,
    ofCompound: boolean,
    act: (profile: BucketProfile<V>, options: O) => Promise<T>,
  ): Promise<T> {
    checkSignal(options.signal);
    const timeoutMs = checkTimeout(options.timeoutMs) ?? this.home.timeoutMs;
    const { home, known } = this;
    return home.compound(async () => {
      const startedAt = home.now();
      const given = await home.properties.known(known, { timeoutMs, signal: options.signal });
      const leftMs = Math.max(1, timeoutMs - (home.now() - startedAt));
      return await act(this.profileOf(given), { ...options, timeoutMs: leftMs });
    }, ofCompound);
  }

  private getPlaced(
    { located, hash }: PlacedKey,
    session: Uint8Array,
    options: ReadOptions,
    ofCompound: boolean,
    resolve: (result: ReadResult<V> | Promise<ReadResult<V>>) => void,
    reject: (error: unknown) => void,
  ): void {
    const now = this.home.now();
    const profile = this.profileAt(now);
    if (profile !== null) {
      const caller = new GetCaller(this.home, hash, profile.reading, resolve, reject, now);
      this.read(profile, located, session, options, caller, ofCompound);
      return;
    }
    this.checkRead(options);
    const act = (known: BucketProfile<V>, left: ReadOptions) =>
      new Promise<ReadResult<V>>((done, failed) => {
        const caller = new GetCaller(this.home, hash, known.reading, done, failed, this.home.now());
        this.read(known, located, session, left, caller, true);
      });
    resolve(this.onceKnown(options, ofCompound, act));
  }

  /** Puts what is encoded; what is wrong with it was found before. */
  private putContent(
    placed: PlacedKey,
    given: SeenContext,
    content: Content,
    options: Omit<PutOptions, 'causalContext'>,
    ofCompound: boolean,
    resolve: (receipt: Receipt | Promise<Receipt>) => void,
    reject: (error: unknown) => void,
  ): void {
    const now = this.home.now();
    const profile = this.profileAt(now);
    if (profile !== null) {
      const caller = new PutCaller(this.home, placed.hash, given, resolve, reject, now);
      this.write(profile, placed, given, content, options, caller, ofCompound);
      return;
    }
    this.checkWrite(options);
    const act = (known: BucketProfile<V>, left: Omit<PutOptions, 'causalContext'>) =>
      new Promise<Receipt>((done, failed) => {
        const caller = new PutCaller(this.home, placed.hash, given, done, failed, this.home.now());
        this.write(known, placed, given, content, left, caller, true);
      });
    resolve(this.onceKnown(options, ofCompound, act));
  }

  private body(contentType: string, metadata: Readonly<Record<string, string>>, value: Uint8Array): Uint8Array {
    const { maxValueBytes } = this.home;
    if (!(value instanceof Uint8Array)) {
      throw new InvalidArgumentError(`the codec's encode must give a Uint8Array, not ${show(value)}`);
    }
    if (value.length > maxValueBytes) {
      throw new ValueTooLargeError(
        `the value is ${value.length} bytes, over maxValueBytes (${maxValueBytes}): store less, or raise maxValueBytes up to 64 MiB`,
      );
    }
    const body = encodeBody({ contentType, metadata, value });
    const headerBytes = body.length - value.length;
    if (headerBytes <= MAX_HEADER_BYTES) return body;
    throw new ValueTooLargeError(
      `contentType and metadata are ${headerBytes} bytes together: shorten them to ${MAX_HEADER_BYTES}`,
    );
  }

  /** What is wrong with a read is found before any of it is done. */
  private checkRead(options: GetOptions): void {
    this.checkQuorum('r', options.r);
    this.checkQuorum('pr', options.pr);
    flag('notfoundOk', options.notfoundOk);
    flag('basicQuorum', options.basicQuorum);
    checkTimeout(options.timeoutMs);
    checkSignal(options.signal);
  }

  /** What is wrong with a write must not show only after the read, or when half of its kind are done. */
  private checkWrite(options: Omit<PutOptions, 'causalContext'>): void {
    this.checkQuorum('w', options.w);
    this.checkQuorum('pw', options.pw);
    this.checkQuorum('dw', options.dw);
    checkTtl(options.ttlMs);
    checkTimeout(options.timeoutMs);
    checkSignal(options.signal);
    conditionOf(options.ifNoneMatch, options.ifMatch);
    const { contentType = this.codec.contentType, metadata = NO_METADATA } = options;
    checkHeaders(contentType, metadata);
  }

  private read(
    profile: BucketProfile<V>,
    located: Uint8Array,
    session: Uint8Array,
    options: ReadOptions,
    caller: GetCaller<V>,
    ofCompound: boolean,
  ): void {
    const request = {
      type: 'get' as const,
      key: located,
      r: this.quorum(profile, 'r', options.r),
      pr: this.quorum(profile, 'pr', options.pr),
      notfoundOk: flag('notfoundOk', options.notfoundOk) ?? profile.notfoundOk,
      basicQuorum: flag('basicQuorum', options.basicQuorum) ?? profile.basicQuorum,
      session,
      timeoutMs: checkTimeout(options.timeoutMs) ?? this.home.timeoutMs,
    };
    begin(this.home, options.signal, caller, (client) => client.get(request, caller), ofCompound);
  }

  private write(
    profile: BucketProfile<V>,
    placed: PlacedKey,
    given: SeenContext,
    content: Content,
    options: Omit<PutOptions, 'causalContext'>,
    caller: PutCaller,
    ofCompound: boolean,
  ): void {
    const dw = this.quorum(profile, 'dw', options.dw);
    checkDurable(dw, this.home.canBeDurable);
    const request = {
      w: this.quorum(profile, 'w', options.w),
      pw: this.quorum(profile, 'pw', options.pw),
      dw,
      timeoutMs: checkTimeout(options.timeoutMs) ?? this.home.timeoutMs,
      key: placed.located,
      causalContext: given === NOTHING_SEEN ? EMPTY : contextBytes(given),
      minting: profile.lastWriteWins ? ('last-write-wins' as const) : ('siblings' as const),
      tombstone: content.tombstone,
      ttlMs: content.ttlMs ?? profile.ttlMs,
      condition: content.condition,
      ifMatch: content.ifMatch,
      maxSiblings: profile.maxSiblings,
      body: content.body,
    };
    begin(this.home, options.signal, caller, (client) => client.put(request, caller), ofCompound);
  }

  private quorum({ quorums }: BucketProfile<V>, which: keyof Quorums, asked: Quorum | undefined): number {
    return asked === undefined ? quorums[which] : quorumOf(which, asked, this.home.n);
  }

  private checkQuorum(which: keyof Quorums, asked: Quorum | undefined): void {
    if (asked === undefined) return;
    const replicas = quorumOf(which, asked, this.home.n);
    if (which === 'dw') checkDurable(replicas, this.home.canBeDurable);
  }

  private place(key: Key): PlacedKey {
    if (typeof key !== 'string' && !(key instanceof Uint8Array)) {
      throw new InvalidArgumentError(`a key must be a string or a Uint8Array, not ${show(key)}`);
    }
    return placeKey(locateKey(this.prefix, key), this.home.partitions);
  }
}

/** Only what is there: an option that is left out is not the same as one that is undefined. */
function pick(options: { [name in keyof ReadOptions]: ReadOptions[name] | undefined }): ReadOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function contextBytes(seen: SeenContext): Uint8Array {
  return encodeContext(seen.context, seen.highestTimestamp);
}

/** @throws {InvalidArgumentError} */
function conditionOf(ifNoneMatch: boolean | undefined, ifMatch: string | undefined): PutCondition {
  flag('ifNoneMatch', ifNoneMatch);
  if (ifMatch === undefined) return ifNoneMatch === true ? 'if-none-match' : 'none';
  if (ifNoneMatch === true) {
    throw new InvalidArgumentError('ifMatch and ifNoneMatch rule each other out: give one of them');
  }
  return 'if-match';
}

function checkHeaders(contentType: string, metadata: Readonly<Record<string, string>>): void {
  if (typeof contentType !== 'string' || contentType === '') {
    throw new InvalidArgumentError(`contentType must be a text that is not empty, not ${show(contentType)}`);
  }
  if (metadata === NO_METADATA) return;
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new InvalidArgumentError(`metadata must be an object of strings, not ${show(metadata)}`);
  }
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new InvalidArgumentError(`metadata "${name}" must be a string, not ${show(value)}`);
    }
  }
}
