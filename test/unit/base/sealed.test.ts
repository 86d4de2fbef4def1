import assert from 'node:assert/strict';
import { sealed, unsealed } from '../../../src/base/sealed.js';
import { test } from '../../support/test.js';

test('a sealed record is what was written, or it is none', () => {
  const record = Uint8Array.of(1, 2, 3, 0, 255);
  const stored = sealed(record);
  assert.deepEqual(unsealed(stored, record.length), record);
  for (let bit = 0; bit < stored.length * 8; bit++) {
    const rotten = Uint8Array.from(stored);
    rotten[bit >>> 3]! ^= 1 << (bit & 7);
    assert.equal(unsealed(rotten, record.length), undefined, `bit ${bit}`);
  }
  assert.equal(unsealed(undefined, record.length), undefined);
  assert.equal(unsealed(stored.subarray(1), record.length), undefined);
  // As it was stored before there were seals.
  assert.deepEqual(unsealed(record, record.length), record);
});
