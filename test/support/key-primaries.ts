/** Which nodes keep a key. */
import { utf8 } from '../../src/base/bytes.js';
import { bucketPrefix, locateKey, partitionOf } from '../../src/codec/key.js';
import type { Store } from '../../src/index.js';
import { placeKey } from '../../src/store/placed-key.js';

/** The primaries of a key of a bucket of type "default", in the order in which they are asked. */
export function keyPrimaries(store: Store, bucket: string, key: string): readonly string[] {
  const ring = store.ring();
  const located = locateKey(bucketPrefix(0, utf8('default'), utf8(bucket)), key);
  return ring[partitionOf(placeKey(located, ring.length).located)]!.primaries;
}
