/** Properties of buckets and bucket types, as they are stored. */
import type { CallOptions, Quorum } from './call-options.js';

/** What holds for a bucket where neither call nor handle says otherwise. */
export interface BucketProperties {
  /** Replicas of each key: the store's, for every bucket type. */
  readonly n: number;
  /** Replicas that a read waits for. */
  readonly r: Quorum;
  /** Replicas that a write waits for. */
  readonly w: Quorum;
  /** Primaries among the replicas that a read waits for. */
  readonly pr: Quorum;
  /** Primaries among the replicas that a write waits for. */
  readonly pw: Quorum;
  /** Replicas that must have flushed a write to disk. */
  readonly dw: Quorum;
  /** Whether a replica that has nothing counts towards R. */
  readonly notfoundOk: boolean;
  /** Without `notfoundOk`: whether a majority that has nothing is enough for not found. */
  readonly basicQuorum: boolean;
  /** How long a put's value lives, in milliseconds; undefined: for ever. */
  readonly ttlMs: number | undefined;
  /** A put that would leave more siblings is refused with TOO_MANY_SIBLINGS. */
  readonly maxSiblings: number;
  /** How concurrent writes are resolved. A merge function belongs to a handle: it cannot be stored. */
  readonly resolution: 'siblings' | 'last-write-wins';
}

/** Properties to store; those left out stay as they are, `null` takes a stored one back. */
export type BucketPropertyChanges = {
  readonly [P in Exclude<keyof BucketProperties, 'n'>]?: Exclude<BucketProperties[P], undefined> | null;
};

/** Properties of a bucket type to store. */
export type BucketTypeChanges = BucketPropertyChanges & {
  /** Replicas of each key: the store's own n, and no other. */
  readonly n?: number;
};

/** Of a call on the properties of a bucket. */
export interface BucketPropertiesOptions extends CallOptions {
  /** The bucket type. Default 'default'. */
  readonly type?: string;
}
