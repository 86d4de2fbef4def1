/**
 * What a fuzzed bucket must answer: the model of it, and what calls have taught so far, such as tokens and what they cover.
 * Every answer is held against it.
 */
import assert from 'node:assert/strict';
import { below, pick, type Random } from '../../src/base/random.js';
import {
  type Bucket,
  ConflictError,
  type PutOptions,
  QuoralError,
  type ReadResult,
  type Receipt,
  type Sibling,
} from '../../src/index.js';
import { keyOf } from './fuzz-keys.js';
import type { ValueKind } from './fuzz-values.js';
import { type ModelWrite, type Seen, StoreModel } from './store-model.js';

/** A handle of the bucket, and what its options make of concurrent writes. */
export interface Handle {
  readonly bucket: Bucket<unknown>;
  lastWriteWins: boolean;
  readonly merges: boolean;
  maxSiblings: number;
}

export interface Token {
  readonly text: string;
  readonly seen: Seen;
}

/** A write as it is asked of the store, and what it must come to. */
export interface PlannedWrite {
  readonly key: string;
  readonly options: PutOptions;
  readonly expect: () => Seen | string;
}

/** A write as the model is told of it. */
export interface BookedWrite {
  /** By its name; null for a delete, and for what expires at once. */
  readonly value: string | null;
  readonly seen: Seen;
  readonly options: PutOptions;
  readonly ifMatch?: Seen | undefined;
}

/** The `value` of a read that finds siblings. */
export const CONFLICT = Symbol('conflict');
const NOTHING: Seen = new Set();
/** Replicas of each key. */
export const N = 3;
const MOST_TOKENS = 20;
const MOST_READS = 1_000;

export class FuzzBooks {
  readonly kind: ValueKind;
  private readonly random: Random;
  private readonly model: StoreModel;
  private readonly tokens = new Map<string, Token[]>();
  /**
   * Keys that every primary is known to have: an absence cannot be seen any more. A stand-in's acknowledgement is none of
   * theirs: where one was slow, it has nothing until the hint comes, and without `notfoundOk` that ends a read of all three,
   * with nothing if it was the first to answer (seed 757946576, on a busy machine).
   */
  private readonly everywhere = new Set<string>();

  constructor(kind: ValueKind, random: Random, model = new StoreModel()) {
    this.kind = kind;
    this.random = random;
    this.model = model;
  }

  /** What is there to be read, oldest first. */
  values(key: string, lastWriteWins: boolean): readonly ModelWrite[] {
    return this.model.values(key, lastWriteWins);
  }

  /** What a read would see now. */
  seenOf(key: string): Seen {
    return this.model.seen(key) ?? NOTHING;
  }

  /** What a read's `value` is now, or `CONFLICT`. */
  valueOf(handle: Handle, key: string): unknown {
    const there = this.values(key, handle.lastWriteWins);
    if (there.length === 0) return undefined;
    if (there.length === 1) return this.made(there[0]!);
    return handle.merges ? this.kind.merge(there.map((write) => this.made(write))) : CONFLICT;
  }

  made({ value }: ModelWrite): unknown {
    assert(value !== null);
    return this.kind.make(value);
  }

  /** A token of the key, likelier a late one; or none. */
  anyToken(key: string): Token | undefined {
    const known = this.tokens.get(key);
    if (known === undefined || below(this.random, 3) === 0) return undefined;
    return below(this.random, 2) === 0 ? known.at(-1)! : pick(this.random, known);
  }

  /** True if it does not matter whether replicas that have nothing count. */
  mayCountAbsences(keys: readonly string[]): boolean {
    return keys.every((key) => this.everywhere.has(key) || this.model.seen(key) === undefined);
  }

  /** Has the model do a write. @returns what its receipt covers, or the code of its error */
  write(handle: Handle, key: string, { value, seen, options, ifMatch }: BookedWrite): Seen | string {
    const { lastWriteWins, maxSiblings } = handle;
    const { contentType = this.kind.contentType, metadata = {}, ifNoneMatch = false } = options;
    const put = { value, contentType, metadata, seen, lastWriteWins, ifNoneMatch, ifMatch, maxSiblings };
    return this.model.put(key, put);
  }

  /** Puts the model and the store's answer side by side. */
  conclude({ key, expect }: Pick<PlannedWrite, 'key' | 'expect'>, outcome: Receipt | Error): void {
    const expected = expect();
    if (typeof expected === 'string') {
      assert(outcome instanceof QuoralError, `${expected} was expected, not ${outcome}`);
      // A slow coordinator was backed up, and only the second try's refusal was heard. The reads that follow will tell.
      if (outcome.code === 'QUORUM_NOT_MET' && !outcome.definite) return;
      assert(outcome.code === expected && outcome.definite, `${expected} was expected, not ${outcome}`);
      return;
    }
    assert(!(outcome instanceof Error), `${outcome}`);
    if (outcome.acks.filter(({ role }) => role === 'primary').length === N) this.everywhere.add(key);
    this.remember(key, { text: outcome.causalContext, seen: expected });
  }

  /** The same for a read. */
  compare(handle: Handle, key: string, read: ReadResult<unknown>): void {
    const expected = this.values(key, handle.lastWriteWins);
    const plain = ({ value, contentType, metadata }: Pick<Sibling<unknown>, 'value' | 'contentType' | 'metadata'>) => ({
      ...{ value, contentType },
      metadata: { ...metadata },
    });
    assert.deepEqual(
      read.siblings.map(plain),
      expected.map((write) => plain({ ...write, value: this.made(write) })),
    );
    assert.equal(read.found, expected.length > 0);
    const value = this.valueOf(handle, key);
    if (value === CONFLICT) assert.throws(() => read.value, ConflictError);
    else assert.deepEqual(read.value, value);
    const seen = this.model.seen(key);
    assert.equal(read.causalContext === undefined, seen === undefined);
    if (seen !== undefined) this.remember(key, { text: read.causalContext!, seen });
  }

  private remember(key: string, token: Token): void {
    const known = this.tokens.get(key) ?? [];
    known.push(token);
    if (known.length > MOST_TOKENS) known.shift();
    this.tokens.set(key, known);
  }
}

/** Reads all replicas until they show it. @returns how many reads that took */
export async function readUntil(
  { bucket }: Handle,
  key: string,
  isSeen: (siblings: readonly Sibling<unknown>[]) => boolean,
): Promise<number> {
  for (let reads = 1; ; reads++) {
    const { siblings } = await bucket.get(keyOf(key), { r: 'all', pr: 'all' });
    if (isSeen(siblings)) return reads;
    assert(reads < MOST_READS, `not so after ${reads} reads`);
  }
}

/** What a call came to: an error of the store is an outcome like any other. */
export async function outcomeOf<T>(call: Promise<T>): Promise<T | QuoralError> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof QuoralError) return error;
    throw error;
  }
}
