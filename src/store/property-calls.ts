/** The store's calls on properties: they check what they are given, and hand it on. What each promises stands in `api/store.ts`. */
import { InvalidArgumentError } from '../base/errors.js';
import { bucketPrefix, locateKey } from '../codec/key.js';
import type { CallOptions } from './api/call-options.js';
import type {
  BucketProperties,
  BucketPropertiesOptions,
  BucketPropertyChanges,
  BucketTypeChanges,
} from './api/properties.js';
import type { BucketHome } from './bucket-home.js';
import { checkChanges } from './bucket-properties.js';
import { checkNames, checkSignal, checkTimeout, show, textBytes } from './options.js';
import type { WaitOptions } from './property-objects.js';

const OF_TYPES = new Set(['timeoutMs', 'signal']);
const OF_BUCKETS = new Set(['type', ...OF_TYPES]);
const DEFAULT_TYPE = 'default';

export async function setBucketProperties(
  home: BucketHome,
  bucket: string,
  changes: BucketPropertyChanges,
  options: BucketPropertiesOptions,
): Promise<void> {
  checkNames('setBucketProperties', options, OF_BUCKETS);
  checkChanges('setBucketProperties', changes, home);
  const { type = DEFAULT_TYPE } = options;
  checkBucketName(bucket, type);
  await home.properties.change(type, bucket, changes, waiting(home, options));
}

export async function bucketProperties(
  home: BucketHome,
  bucket: string,
  options: BucketPropertiesOptions,
): Promise<BucketProperties> {
  checkNames('bucketProperties', options, OF_BUCKETS);
  const { type = DEFAULT_TYPE } = options;
  checkBucketName(bucket, type);
  return await home.properties.properties(type, bucket, waiting(home, options));
}

export async function setBucketType(
  home: BucketHome,
  type: string,
  changes: BucketTypeChanges,
  options: CallOptions,
): Promise<void> {
  checkNames('setBucketType', options, OF_TYPES);
  checkChanges('setBucketType', changes, home);
  checkBucketName('b', type);
  await home.properties.change(type, undefined, changes, waiting(home, options));
}

export async function bucketType(home: BucketHome, type: string, options: CallOptions): Promise<BucketProperties> {
  checkNames('bucketType', options, OF_TYPES);
  checkBucketName('b', type);
  return await home.properties.properties(type, undefined, waiting(home, options));
}

/**
 * Checks the names of a bucket and its type.
 * @returns what every located key of the bucket begins with, for partition 0
 * @throws {InvalidArgumentError} One is empty, or no text. @throws {KeyTooLongError} They leave no room for a key.
 */
export function checkBucketName(bucket: string, type: string): Uint8Array {
  if (typeof bucket !== 'string' || bucket === '') {
    throw new InvalidArgumentError(`a bucket's name must be a text that is not empty, not ${show(bucket)}`);
  }
  checkTypeName(type);
  const prefix = bucketPrefix(0, textBytes("a bucket's type", type), textBytes("a bucket's name", bucket));
  locateKey(prefix, 'k');
  return prefix;
}

/** @throws {InvalidArgumentError} It is empty, or no text. */
export function checkTypeName(type: string): void {
  if (typeof type === 'string' && type !== '') return;
  throw new InvalidArgumentError(`a bucket's type must be a text that is not empty, not ${show(type)}`);
}

function waiting(home: BucketHome, { timeoutMs, signal }: CallOptions): WaitOptions {
  checkSignal(signal);
  return { timeoutMs: checkTimeout(timeoutMs) ?? home.timeoutMs, signal };
}
