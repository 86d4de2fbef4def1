/**
 * A handle on a bucket: checks what it is given, encodes it once, hands it to the client, and turns outcomes into
 * results and errors. What each call promises stands in `api.ts`.
 */

import { EMPTY } from '../base/bytes.js';
import { InvalidArgumentError, ValueTooLargeError } from '../base/errors.js';
import { EMPTY_CONTEXT } from '../clocks/causal-context.js';
import { ZERO_TIMESTAMP } from '../clocks/timestamp.js';
import { encodeBody } from '../codec/body.js';
import { encodeContext, type SeenContext } from '../codec/context.js';
import { bucketPrefix, type KeyHash, keyHash, locateKey, setPartition } from '../codec/key.js';
import { decodeToken } from '../codec/token.js';
import type { PutCondition } from '../messages/object-request.js';
import { partitionOf } from '../ring/token.js';
import type {
  Bucket,
  BucketOptions,
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
import { GetCaller, PutCaller } from './callers.js';
import { begin } from './calls.js';
import { answerEach, entriesByKey, type KeyedCall, keysOnce } from './many.js';
import {
  checkDurable,
  checkMaxSiblings,
  checkNames,
  checkSignal,
  checkTimeout,
  checkTtl,
  defaultQuorum,
  flag,
  type Quorums,
  quorumOf,
  show,
  textBytes,
} from './options.js';
import type { Reading } from './read-result.js';
import { scanBucket } from './scan.js';
import { readAndWrite } from './update.js';
import { codecOf } from './value-codecs.js';

const BUCKET_OPTIONS = new Set([
  'type',
  'codec',
  'resolution',
  'merge',
  'notfoundOk',
  'basicQuorum',
  'maxSiblings',
  'ttlMs',
  'r',
  'w',
  'pr',
  'pw',
  'dw',
]);
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

/** What a put stores, and on what condition. */
interface Content {
  readonly condition: PutCondition;
  readonly ifMatch: Uint8Array;
  readonly body: Uint8Array;
  readonly tombstone: boolean;
  readonly ttlMs: number;
}

const TOMBSTONE: Content = { condition: 'none', ifMatch: EMPTY, body: EMPTY, tombstone: true, ttlMs: 0 };

/** A key in the form in which it travels, and its hash. */
export interface PlacedKey {
  readonly located: Uint8Array;
  readonly hash: KeyHash;
}

export class BucketHandle<V> implements Bucket<V> {
  readonly name: string;
  readonly type: string;
  private readonly home: BucketHome;
  private readonly codec: Codec<V>;
  private readonly reading: Reading<V>;
  private readonly lastWriteWins: boolean;
  private readonly ttlMs: number;
  /** 0: the nodes' own limit. */
  private readonly maxSiblings: number;
  private readonly quorums: Quorums;
  private readonly notfoundOk: boolean;
  private readonly basicQuorum: boolean;
  private readonly typeBytes: Uint8Array;
  private readonly bucketBytes: Uint8Array;
  /** What every located key of the bucket begins with. */
  private readonly prefix: Uint8Array;

  constructor(home: BucketHome, name: string, options: BucketOptions<V>) {
    checkNames('bucket', options, BUCKET_OPTIONS);
    const { type = 'default', resolution = 'siblings' } = options;
    if (typeof name !== 'string' || name === '') {
      throw new InvalidArgumentError(`a bucket's name must be a text that is not empty, not ${show(name)}`);
    }
    if (typeof type !== 'string' || type === '') {
      throw new InvalidArgumentError(`a bucket's type must be a text that is not empty, not ${show(type)}`);
    }
    if (resolution !== 'siblings' && resolution !== 'last-write-wins' && resolution !== 'merge') {
      throw new InvalidArgumentError(
        `resolution must be 'siblings', 'merge' or 'last-write-wins', not ${show(resolution)}`,
      );
    }
    if ((resolution === 'merge') !== (typeof options.merge === 'function')) {
      throw new InvalidArgumentError("resolution: 'merge' and a function as merge go together: give both, or neither");
    }
    this.home = home;
    this.name = name;
    this.type = type;
    this.codec = codecOf(options.codec);
    this.lastWriteWins = resolution === 'last-write-wins';
    this.reading = { codec: this.codec, lastWriteWins: this.lastWriteWins, merge: options.merge };
    this.ttlMs = checkTtl(options.ttlMs);
    this.maxSiblings = checkMaxSiblings(options.maxSiblings);
    this.notfoundOk = flag('notfoundOk', options.notfoundOk) ?? true;
    this.basicQuorum = flag('basicQuorum', options.basicQuorum) ?? false;
    this.typeBytes = textBytes("a bucket's type", type);
    this.bucketBytes = textBytes("a bucket's name", name);
    const of = (which: keyof Quorums) => {
      const asked = options[which] === undefined ? home.quorums[which] : options[which];
      return quorumOf(which, asked === undefined ? defaultQuorum(which, home.n) : asked, home.n);
    };
    this.quorums = { r: of('r'), w: of('w'), pr: of('pr'), pw: of('pw'), dw: of('dw') };
    checkDurable(this.quorums.dw, home.canBeDurable);
    this.prefix = bucketPrefix(0, this.typeBytes, this.bucketBytes);
    // Finds a name that is too long now, not at the first call.
    locateKey(this.prefix, 'k');
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
      const { located, hash } = this.place(key);
      const { session } = options;
      const seen = session === undefined ? EMPTY : contextBytes(decodeToken(session, hash));
      this.read(located, options, new GetCaller(this.home, hash, this.reading, resolve, reject), ofCompound, seen);
    });
  }

  private putAs(key: Key, value: V, options: PutOptions, ofCompound: boolean): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (options !== NO_OPTIONS) checkNames('put', options, PUT_OPTIONS);
      const placed = this.place(key);
      const { contentType = this.codec.contentType, metadata = NO_METADATA } = options;
      checkHeaders(contentType, metadata);
      const body = this.body(contentType, metadata, this.codec.encode(value));
      const ttlMs = options.ttlMs === undefined ? this.ttlMs : checkTtl(options.ttlMs);
      const { ifMatch, ifNoneMatch, causalContext = ifMatch } = options;
      const given = causalContext === undefined ? NOTHING_SEEN : decodeToken(causalContext, placed.hash);
      const condition = conditionOf(ifNoneMatch, ifMatch);
      const matched = ifMatch === undefined ? EMPTY : contextBytes(decodeToken(ifMatch, placed.hash));
      const caller = new PutCaller(this.home, placed.hash, given, resolve, reject);
      const content = { body, tombstone: false, ttlMs, condition, ifMatch: matched };
      this.write(placed, given, content, options, caller, ofCompound);
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
    const seen = (await this.readFor(placed, options)).causalContext;
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
      const caller = new PutCaller(this.home, placed.hash, given, resolve, reject);
      this.write(placed, given, TOMBSTONE, options, caller, ofCompound);
    });
  }

  scan(options: ScanOptions = NO_OPTIONS): Scan<V> {
    return scanBucket(this.home, {
      type: this.typeBytes,
      bucket: this.bucketBytes,
      r: this.quorums.r,
      reading: this.reading,
      options,
    });
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

  private readFor({ located, hash }: PlacedKey, options: GetOptions): Promise<ReadResult<V>> {
    return new Promise((resolve, reject) => {
      this.read(located, options, new GetCaller(this.home, hash, this.reading, resolve, reject));
    });
  }

  /** What is wrong with a read is found before any of it is done. */
  private checkRead(options: GetOptions): void {
    this.quorum('r', options.r);
    this.quorum('pr', options.pr);
    flag('notfoundOk', options.notfoundOk);
    flag('basicQuorum', options.basicQuorum);
    checkTimeout(options.timeoutMs);
    checkSignal(options.signal);
  }

  /** What is wrong with a write must not show only after the read, or when half of its kind are done. */
  private checkWrite(options: Omit<PutOptions, 'causalContext'>): void {
    this.quorum('w', options.w);
    this.quorum('pw', options.pw);
    checkDurable(this.quorum('dw', options.dw), this.home.canBeDurable);
    checkTtl(options.ttlMs);
    checkTimeout(options.timeoutMs);
    checkSignal(options.signal);
    conditionOf(options.ifNoneMatch, options.ifMatch);
    const { contentType = this.codec.contentType, metadata = NO_METADATA } = options;
    checkHeaders(contentType, metadata);
  }

  private read(
    located: Uint8Array,
    options: ReadOptions,
    caller: GetCaller<V>,
    ofCompound = false,
    session: Uint8Array = EMPTY,
  ): void {
    const request = {
      type: 'get' as const,
      key: located,
      r: this.quorum('r', options.r),
      pr: this.quorum('pr', options.pr),
      notfoundOk: flag('notfoundOk', options.notfoundOk) ?? this.notfoundOk,
      basicQuorum: flag('basicQuorum', options.basicQuorum) ?? this.basicQuorum,
      session,
      timeoutMs: checkTimeout(options.timeoutMs) ?? this.home.timeoutMs,
    };
    begin(this.home, options.signal, caller, (client) => client.get(request, caller), ofCompound);
  }

  private write(
    placed: PlacedKey,
    given: SeenContext,
    content: Content,
    options: Omit<PutOptions, 'causalContext'>,
    caller: PutCaller,
    ofCompound = false,
  ): void {
    const dw = this.quorum('dw', options.dw);
    checkDurable(dw, this.home.canBeDurable);
    const request = {
      w: this.quorum('w', options.w),
      pw: this.quorum('pw', options.pw),
      dw,
      timeoutMs: checkTimeout(options.timeoutMs) ?? this.home.timeoutMs,
      key: placed.located,
      causalContext: given === NOTHING_SEEN ? EMPTY : contextBytes(given),
      minting: this.lastWriteWins ? ('last-write-wins' as const) : ('siblings' as const),
      tombstone: content.tombstone,
      ttlMs: content.ttlMs,
      condition: content.condition,
      ifMatch: content.ifMatch,
      maxSiblings: this.maxSiblings,
      body: content.body,
    };
    begin(this.home, options.signal, caller, (client) => client.put(request, caller), ofCompound);
  }

  private quorum(which: keyof Quorums, asked: Quorum | undefined): number {
    return asked === undefined ? this.quorums[which] : quorumOf(which, asked, this.home.n);
  }

  private place(key: Key): PlacedKey {
    if (typeof key !== 'string' && !(key instanceof Uint8Array)) {
      throw new InvalidArgumentError(`a key must be a string or a Uint8Array, not ${show(key)}`);
    }
    const located = locateKey(this.prefix, key);
    const hash = keyHash(located);
    setPartition(located, partitionOf(hash.high, this.home.partitions));
    return { located, hash };
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
