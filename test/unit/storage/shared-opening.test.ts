/** Who may read a file of LMDB that another thread writes to, and when they are waited for. */
import assert from 'node:assert/strict';
import { SharedOpening } from '../../../src/storage/shared-opening.js';
import { test } from '../../support/test.js';

const FAR_MS = 600_000;

test('readers enter only while the writer has the file open', async () => {
  const opening = new SharedOpening(new Int32Array(new SharedArrayBuffer(4)));
  assert.equal(opening.enter(), false);
  await opening.beforeOpening(FAR_MS);
  assert.equal(opening.enter(), false);
  opening.opened();
  assert.equal(opening.enter(), true);
  opening.closing();
  assert.equal(opening.enter(), false);
  const reopening = opening.beforeOpening(FAR_MS);
  opening.leave();
  await reopening;
  opening.opened();
  assert.equal(opening.enter(), true);
});

test('at the end of the process nobody enters any more, and those who are in have some time', () => {
  const opening = new SharedOpening(new Int32Array(new SharedArrayBuffer(4)));
  opening.opened();
  assert.equal(opening.enter(), true);
  const until = performance.now() + 20;
  opening.shut(until);
  assert(performance.now() >= until, 'a reader was in');
  assert.equal(opening.enter(), false);
  opening.leave();
  opening.shut(performance.now() + FAR_MS);
});
