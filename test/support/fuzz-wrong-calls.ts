/** Calls in which something is wrong: what must be said of each. They change nothing, which the calls after them would see. */
import type { Bucket, Store } from '../../src/index.js';
import { keyOf } from './fuzz-keys.js';
import type { ValueKind } from './fuzz-values.js';

/** The code of the error, which is definite, and the call. */
export type WrongCall = readonly [code: string, act: () => Promise<unknown>];

export interface WrongCallsOptions {
  readonly store: Store;
  readonly bucket: Bucket<unknown>;
  readonly key: string;
  readonly kind: ValueKind;
  readonly maxValueBytes: number;
  readonly canBeDurable: boolean;
  /** A token of another key, or none at all. */
  readonly foreign: string;
}

export function wrongCalls(options: WrongCallsOptions): readonly WrongCall[] {
  const { store, bucket, kind, foreign } = options;
  const key = keyOf(options.key);
  const value = kind.make('v0');
  return [
    ['INVALID_ARGUMENT', () => bucket.put(key, value, { w: 4 })],
    ['INVALID_ARGUMENT', () => bucket.put(key, value, { dw: options.canBeDurable ? 4 : 1 })],
    ['INVALID_ARGUMENT', () => bucket.get(key, { session: foreign })],
    ['INVALID_ARGUMENT', () => bucket.get(key, { replicas: 3 } as never)],
    ['INVALID_ARGUMENT', () => bucket.put(key, value, { ttlMs: 0 })],
    ['INVALID_ARGUMENT', () => bucket.put(key, value, { metadata: { a: 1 } } as never)],
    ['INVALID_ARGUMENT', () => bucket.scan({ after: 'none!' }).next()],
    ['INVALID_ARGUMENT', () => store.setBucketProperties(bucket.name, { n: 2 } as never)],
    ['INVALID_ARGUMENT', () => store.bucket(bucket.name, { type: 'unknown' }).get(key)],
    ['INVALID_ARGUMENT', () => bucket.put(key, value, { causalContext: foreign })],
    ['INVALID_ARGUMENT', () => bucket.put(key, value, { ifMatch: foreign })],
    ['INVALID_ARGUMENT', () => bucket.put(key, kind.refused)],
    ['INVALID_ARGUMENT', () => bucket.get(key, { r: 0 })],
    ['INVALID_ARGUMENT', () => bucket.delete(key, { causalContext: foreign })],
    ['INVALID_ARGUMENT', () => bucket.putMany([key, key].map((twice) => ({ key: twice, value })))],
    ['INVALID_ARGUMENT', () => bucket.scan({ limit: -1 }).next()],
    ['KEY_TOO_LONG', () => bucket.put('k'.repeat(2_000), value)],
    ['VALUE_TOO_LARGE', () => bucket.put(key, kind.make(`v0:${2 * options.maxValueBytes}`))],
    ['ABORTED', () => bucket.put(key, value, { signal: AbortSignal.abort() })],
    ['ABORTED', () => bucket.update(key, () => value, { signal: AbortSignal.abort() })],
    ['ABORTED', () => bucket.delete(key, { signal: AbortSignal.abort() })],
    ['ABORTED', () => bucket.scan({ signal: AbortSignal.abort() }).next()],
  ];
}
