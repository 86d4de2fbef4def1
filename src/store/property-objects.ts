/**
 * Where properties are kept: with the cluster, replicated, as objects like any other, in two bucket types of their own.
 * Their names are no UTF-8, so that no handle and no list can name them.
 *
 *     type fe · bucket 00 · key: the bucket type          what is stored of a type; its being there creates the type
 *     type ff · bucket: the bucket type · key: the bucket     of a bucket
 *
 * They are read now and then beside the application's calls, in room of their own: in its room they would refuse a call
 * that the application has room for, or be refused by those.
 * With a type of one byte these keys are never longer than those of the bucket itself.
 */
import { randomUUID } from 'node:crypto';
import { EMPTY, utf8 } from '../base/bytes.js';
import { QuorumNotMetError, QuorumUnavailableError, TimeoutError } from '../base/errors.js';
import { EMPTY_CONTEXT } from '../clocks/causal-context.js';
import { ZERO_TIMESTAMP } from '../clocks/timestamp.js';
import { encodeBody } from '../codec/body.js';
import { encodeContext, type SeenContext } from '../codec/context.js';
import { encodeLocatedKey } from '../codec/key.js';
import { decodeToken } from '../codec/token.js';
import type { BucketTypeChanges } from './api/properties.js';
import type { ReadResult, Receipt } from './api/results.js';
import type { StoreHome } from './bucket-home.js';
import { changed, mergeStamped, type StampedProperties } from './bucket-properties.js';
import { GetCaller, PutCaller } from './callers.js';
import { begin } from './calls.js';
import { quorumOf } from './options.js';
import { type PlacedKey, placeKey } from './placed-key.js';
import type { Reading } from './read-result.js';
import { codecOf } from './value-codecs.js';

const OF_TYPES = Uint8Array.of(0xfe);
const OF_BUCKETS = Uint8Array.of(0xff);
const ONLY_BUCKET = Uint8Array.of(0);

/** Whose properties: those of a bucket, or of a type where `bucket` is undefined. */
export interface PropertyOwner {
  readonly type: string;
  readonly bucket: string | undefined;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

const CODEC = codecOf<StampedProperties>('json');
const READING: Reading<StampedProperties> = { codec: CODEC, lastWriteWins: false, merge: mergeStamped };
/** A majority that is silent is waited for no longer than this part of the time. */
const MAJORITYS_SHARE = 0.5;

/**
 * What is stored, from a majority of replicas: what was changed before is seen. Where no majority can be reached,
 * what any of the replicas says.
 * @returns undefined if nothing is
 * @throws {QuorumUnavailableError} and the like: no replica answers. Definite.
 */
export async function readProperties(
  home: StoreHome,
  owner: PropertyOwner,
  { timeoutMs, signal }: WaitOptions,
): Promise<StampedProperties | undefined> {
  const placed = placeOwner(home, owner);
  const startedAt = home.now();
  const majority = quorumOf('r', 'quorum', home.n);
  try {
    const share = majority === 1 ? timeoutMs : timeoutMs * MAJORITYS_SHARE;
    return (await read(home, placed, majority, Math.max(1, share), signal)).value;
  } catch (error) {
    if (majority === 1 || !isOutOfReach(error)) throw error;
  }
  const left = Math.max(1, timeoutMs - (home.now() - startedAt));
  return (await read(home, placed, 1, left, signal)).value;
}

/**
 * Changes what is stored. Part of a compound call.
 * @returns what is stored now, but for changes made at the same time
 */
export async function changeProperties(
  home: StoreHome,
  owner: PropertyOwner,
  changes: BucketTypeChanges,
  { timeoutMs, signal }: WaitOptions,
): Promise<StampedProperties> {
  const placed = placeOwner(home, owner);
  const startedAt = home.now();
  const majority = quorumOf('w', 'quorum', home.n);
  const { value: stored = {}, causalContext } = await read(home, placed, majority, timeoutMs, signal);
  const after = changed(stored, changes, home.wallClock(), randomUUID());
  const left = Math.max(1, timeoutMs - (home.now() - startedAt));
  await write(home, placed, after, causalContext, majority, left, signal);
  return after;
}

function placeOwner(home: StoreHome, { type, bucket }: PropertyOwner): PlacedKey {
  const parts =
    bucket === undefined
      ? { type: OF_TYPES, bucket: ONLY_BUCKET, key: utf8(type) }
      : { type: OF_BUCKETS, bucket: utf8(type), key: utf8(bucket) };
  return placeKey(encodeLocatedKey(0, parts), home.partitions);
}

function isOutOfReach(error: unknown): boolean {
  return error instanceof QuorumUnavailableError || error instanceof QuorumNotMetError || error instanceof TimeoutError;
}

function read(
  home: StoreHome,
  { located, hash }: PlacedKey,
  r: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<ReadResult<StampedProperties>> {
  const request = {
    type: 'get' as const,
    key: located,
    r,
    pr: 0,
    notfoundOk: true,
    basicQuorum: false,
    session: EMPTY,
    timeoutMs,
  };
  return new Promise((resolve, reject) => {
    const caller = new GetCaller(home, hash, READING, resolve, reject, home.now(), null);
    begin(home, signal, caller, (client) => client.get(request, caller, true), true);
  });
}

function write(
  home: StoreHome,
  { located, hash }: PlacedKey,
  properties: StampedProperties,
  token: string | undefined,
  w: number,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Receipt> {
  const given: SeenContext =
    token === undefined ? { context: EMPTY_CONTEXT, highestTimestamp: ZERO_TIMESTAMP } : decodeToken(token, hash);
  const { contentType } = CODEC;
  const request = {
    ...{ w, pw: 0, dw: 0, timeoutMs, key: located },
    causalContext: token === undefined ? EMPTY : encodeContext(given.context, given.highestTimestamp),
    ...{ minting: 'siblings' as const, tombstone: false, ttlMs: 0, maxSiblings: 0 },
    ...{ condition: 'none' as const, ifMatch: EMPTY },
    body: encodeBody({ contentType, metadata: {}, value: CODEC.encode(properties) }),
  };
  return new Promise((resolve, reject) => {
    const caller = new PutCaller(home, hash, given, resolve, reject, home.now(), null);
    begin(home, signal, caller, (client) => client.put(request, caller, true), true);
  });
}
