/** The hottest keys of all nodes together, by the names that they have for users. */
import { assert } from '../base/assert.js';
import { textOf } from '../base/bytes.js';
import { decodeLocatedKey } from '../codec/key.js';
import { hottestOf, type KeyCounts } from '../metrics/hot-keys.js';
import type { HotKeyStatus } from './api/status.js';

const MOST = 10;

export function hottestKeys(nodes: readonly KeyCounts[]): HotKeyStatus[] {
  return hottestOf(nodes, MOST).map(({ key: located, share }) => {
    const { type, bucket, key } = decodeLocatedKey(located);
    return { type: nameOf(type), bucket: nameOf(bucket), key: textOf(key) ?? new Uint8Array(key), share };
  });
}

function nameOf(bytes: Uint8Array): string {
  const text = textOf(bytes);
  assert(text !== undefined, 'types and buckets are created by their name, which is text');
  return text;
}
