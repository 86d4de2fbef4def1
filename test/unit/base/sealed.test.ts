import assert from 'node:assert/strict';
import { sealed, unsealed } from '../../../src/base/sealed.js';
import { test } from '../../support/test.js';

test('a sealed record is what was written, or it is none', () => {
  const record = Uint8Array.of(1, 2, 3, 0, 255);
  const stored = sealed(record);
  assert.deepEqual(unsealed(stored), record);
  for (let bit = 0; bit < stored.length * 8; bit++) {
    const rotten = Uint8Array.from(stored);
    rotten[bit >>> 3]! ^= 1 << (bit & 7);
    assert.equal(unsealed(rotten), undefined, `bit ${bit}`);
  }
  for (let length = 0; length < stored.length; length++) {
    assert.equal(unsealed(stored.subarray(0, length)), undefined, `cut off after ${length}`);
  }
  assert.deepEqual(unsealed(sealed(new Uint8Array(0))), new Uint8Array(0));
});
