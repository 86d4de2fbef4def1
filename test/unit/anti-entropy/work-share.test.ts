/** How a thread that may take a share of a core works and rests. */
import assert from 'node:assert/strict';
import { WorkShare } from '../../../src/anti-entropy/work-share.js';
import { test } from '../../support/test.js';

/** Works in steps of `stepMs` for about a second. Gives the share of the time that it worked, and its longest stretch. */
function work(share: number, stepMs: number): { share: number; longestMs: number } {
  let nowMs = 1_000;
  let workedMs = 0;
  let stretchMs = 0;
  let longestMs = 0;
  const work = new WorkShare(share, nowMs);
  while (nowMs < 2_000) {
    nowMs += stepMs;
    workedMs += stepMs;
    stretchMs += stepMs;
    longestMs = Math.max(longestMs, stretchMs);
    const restMs = work.restMs(nowMs);
    if (restMs === 0) continue;
    nowMs += restMs;
    stretchMs = 0;
    work.rested(nowMs);
  }
  return { share: workedMs / (nowMs - 1_000), longestMs };
}

test('it takes its share, and never much more than a tenth of a millisecond at once', () => {
  for (const share of [1 / 2, 1 / 10, 1 / 16]) {
    const found = work(share, 0.002);
    assert(Math.abs(found.share - share) < 0.05 * share);
    assert(found.longestMs < 0.11);
  }
  assert(work(1, 0.002).share > 0.999, 'who may have all of it does not rest');
});

test('a step that took longer is made up for, but it does not sleep for good', () => {
  assert(Math.abs(work(1 / 16, 1).share - 1 / 16) < 0.005);
  const late = new WorkShare(1 / 16, 0);
  assert.equal(late.restMs(5_000), 25, 'the machine stood still');
});
