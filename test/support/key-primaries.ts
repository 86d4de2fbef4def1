/** Which nodes keep a key. */
import { utf8 } from '../../src/base/bytes.js';
import { bucketPrefix, locateKey, partitionOf } from '../../src/codec/key.js';
import type { PartitionStatus, Store } from '../../src/index.js';
import { placeKey } from '../../src/store/placed-key.js';

/** The partition of a key of a bucket of type "default". */
export function keyPartition(store: Store, bucket: string, key: string): PartitionStatus {
  const ring = store.ring();
  const located = locateKey(bucketPrefix(0, utf8('default'), utf8(bucket)), key);
  return ring[partitionOf(placeKey(located, ring.length).located)]!;
}

/** Its primaries, in the order in which they are asked. */
export function keyPrimaries(store: Store, bucket: string, key: string): readonly string[] {
  return keyPartition(store, bucket, key).primaries;
}
