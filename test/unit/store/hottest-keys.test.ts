/** The hottest keys, by the names that users gave them; what the store keeps for itself is none of theirs. */
import assert from 'node:assert/strict';
import { utf8 } from '../../../src/base/bytes.js';
import { bucketPrefix, locateKey } from '../../../src/codec/key.js';
import { hottestKeys } from '../../../src/store/hottest-keys.js';
import { test } from '../../support/test.js';

const hot = (type: Uint8Array, bucket: string, key: string | Uint8Array, count: number) => ({
  key: locateKey(bucketPrefix(0, type, utf8(bucket)), key),
  count,
  error: 0,
});

test('the hottest keys are told by their names, but for those of properties', () => {
  const keys = [
    hot(utf8('default'), 'carts', 'alice', 60),
    hot(Uint8Array.of(0xff), 'default', 'carts', 30),
    hot(utf8('default'), 'carts', Uint8Array.of(0xff), 10),
  ];
  assert.deepEqual(hottestKeys([{ total: 100, keys }]), [
    { type: 'default', bucket: 'carts', key: 'alice', share: 0.6 },
    { type: 'default', bucket: 'carts', key: Uint8Array.of(0xff), share: 0.1 },
  ]);
});
