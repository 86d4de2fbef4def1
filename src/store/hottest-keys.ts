/** The hottest keys of all nodes together, by the names that they have for users. */
import { textOf } from '../base/bytes.js';
import { decodeLocatedKey } from '../codec/key.js';
import { hottestOf, type KeyCounts } from '../metrics/hot-keys.js';
import type { HotKeyStatus } from './api/status.js';

const MOST = 10;

export function hottestKeys(nodes: readonly KeyCounts[]): HotKeyStatus[] {
  return hottestOf(nodes, MOST).flatMap(({ key: located, share }) => {
    const { type, bucket, key } = decodeLocatedKey(located);
    const names = { type: textOf(type), bucket: textOf(bucket) };
    // Users name types in text: this is a key of the store's own, of the properties of a bucket (`property-objects.ts`).
    if (names.type === undefined || names.bucket === undefined) return [];
    return [{ type: names.type, bucket: names.bucket, key: textOf(key) ?? new Uint8Array(key), share }];
  });
}
