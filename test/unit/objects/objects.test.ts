/** Merging, minting, attempts and resolution, one story per rule of the store's semantics §1 and §2. */
import assert from 'node:assert/strict';
import { InvariantError } from '../../../src/base/assert.js';
import { EMPTY } from '../../../src/base/bytes.js';
import { attemptsOf, coversDot, dotsBeyondOf, EMPTY_CONTEXT } from '../../../src/clocks/causal-context.js';
import { outcomeOf } from '../../../src/objects/attempt.js';
import { merge } from '../../../src/objects/merge.js';
import { mint, receiptContext } from '../../../src/objects/mint.js';
import { highestTimestamp, lastWrite, visibleSiblings } from '../../../src/objects/resolution.js';
import { test } from '../../support/test.js';
import { at, context, DOT, dotsOf, event, sibling, write } from '../../support/versions.js';

test('writes without a token stand beside each other; a token replaces exactly what it saw', async () => {
  const first = mint(undefined, write(event(1, 1)));
  const second = mint(first.object, write(event(1, 2)));
  assert.deepEqual(dotsOf(second.object), ['1:1', '1:2']);
  const read = second.object.context;
  const third = mint(second.object, write(event(1, 3)));
  const fourth = mint(third.object, write(event(1, 4), { token: read }));
  assert.deepEqual(dotsOf(fourth.object), ['1:3', '1:4'], 'the write that the read did not see stays');
});

test('replicas that took different writes merge to both, and a write that saw one replaces it on both', async () => {
  const a = mint(undefined, write(event(1, 1))).object;
  const b = mint(undefined, write(event(2, 1))).object;
  assert.deepEqual(dotsOf(merge(a, b)), ['1:1', '2:1']);
  assert.deepEqual(merge(b, a), merge(a, b));
  const newer = mint(b, write(event(2, 2), { token: a.context })).object;
  assert.deepEqual(dotsOf(newer), ['2:1', '2:2']);
  assert.deepEqual(dotsOf(merge(a, newer)), ['2:1', '2:2'], 'b never held 1:1, and yet it is gone');
});

test('merging returns the very object that the result equals', async () => {
  const a = mint(undefined, write(event(1, 1))).object;
  const b = mint(a, write(event(1, 2), { token: a.context })).object;
  assert.equal(merge(a, b), b);
  assert.equal(merge(b, a), b);
  assert.equal(merge(b, { ...b, siblings: [...b.siblings] }), b);
});

test('a sibling that only one has is dropped if the other has seen it, even where the contexts are equal', async () => {
  const seen = context([event(1, 1), event(2, 1)]);
  const both = { context: seen, siblings: [sibling(event(1, 1)), sibling(event(2, 1))] };
  const one = { context: seen, siblings: [sibling(event(2, 1))] };
  assert.equal(merge(both, one), one);
  assert.equal(merge(one, both), one);
});

test('a receipt covers the token and exactly the new dot, so that unseen siblings survive the next put', async () => {
  const unseen = mint(undefined, write(event(1, 1))).object;
  const { object: mine, dot } = mint(unseen, write(event(1, 2)));
  assert.equal(dot.alone, false, 'a sibling that the client did not see is there');
  const receipt = receiptContext(EMPTY_CONTEXT, dot, []);
  assert.deepEqual(dotsBeyondOf(receipt), [event(1, 2)]);
  assert.deepEqual(receipt.vv, []);
  const next = mint(mine, write(event(1, 3), { token: receipt })).object;
  assert.deepEqual(dotsOf(next), ['1:1', '1:3']);
});

test('a receipt stands for all that its writer minted before, if it is alone: tokens do not grow', async () => {
  let object = mint(undefined, write(event(1, 1))).object;
  let receipt = EMPTY_CONTEXT;
  for (let counter = 2; counter < 50; counter++) {
    const minted = mint(object, write(event(1, counter), { token: counter === 2 ? object.context : receipt }));
    assert.equal(minted.dot.alone, true);
    object = minted.object;
    receipt = receiptContext(receipt, minted.dot, []);
    assert.deepEqual(receipt, context([event(1, counter)]));
  }
  // Beside another's sibling it stands for itself only.
  const beside = mint(object, write(event(2, 1)));
  assert.equal(beside.dot.alone, false);
  assert.deepEqual(receiptContext(receipt, beside.dot, []).extra, [DOT, 0x8000_0002, 0xffff_ff02, 1]);
});

test('a retry voids its earlier attempts, minted before or after it', async () => {
  const early = write(event(1, 1), { attempt: event(9, 1) });
  const retry = write(event(2, 1), { attempt: event(9, 2), earlierAttempts: [event(9, 1)] });
  const onA = mint(undefined, early).object;
  const onB = mint(undefined, retry).object;
  assert.deepEqual(dotsOf(merge(onA, onB)), ['2:1']);
  assert.deepEqual(dotsOf(merge(onB, onA)), ['2:1']);
  assert.deepEqual(dotsOf(mint(onA, { ...retry, dot: event(1, 2) }).object), ['1:2']);
  assert.equal(outcomeOf(onB, event(9, 1), undefined), 'voided');
  assert.deepEqual(attemptsOf(receiptContext(EMPTY_CONTEXT, { ...event(2, 1), alone: false }, [event(9, 1)])), [
    event(9, 1),
  ]);
});

test('a repeated attempt is answered by what has become of it', async () => {
  const first = mint(undefined, write(event(1, 1), { attempt: event(9, 1) })).object;
  assert.equal(outcomeOf(undefined, event(9, 1), undefined), 'unknown');
  assert.equal(outcomeOf(first, event(9, 1), event(1, 1)), 'stored');
  assert.equal(outcomeOf(first, event(9, 2), undefined), 'unknown');
  const second = mint(first, write(event(1, 2), { attempt: event(8, 1), token: first.context })).object;
  assert.equal(outcomeOf(second, event(9, 1), event(1, 1)), 'superseded');
  assert.equal(outcomeOf(undefined, event(9, 1), event(1, 1)), 'superseded', 'a hint that was handed over');
});

test('last-write-wins covers the local siblings at minting, under a timestamp above them all', async () => {
  const one = mint(undefined, write(event(1, 1), { clock: at(900) })).object;
  const two = mint(one, write(event(1, 2), { clock: at(100) })).object;
  const won = mint(two, write(event(1, 3), { clock: at(200), lastWriteWins: true }));
  assert.deepEqual(dotsOf(won.object), ['1:3']);
  assert.deepEqual(won.sibling.timestamp, at(900, 1));
  const byToken = write(event(1, 4), { clock: at(200), tokenTimestamp: at(5_000, 3), lastWriteWins: true });
  assert.deepEqual(mint(won.object, byToken).sibling.timestamp, at(5_000, 4));
  const elsewhere = mint(undefined, write(event(2, 1), { clock: at(99) })).object;
  assert.deepEqual(dotsOf(merge(won.object, elsewhere)), ['1:3', '2:1'], 'merge knows nothing of last-write-wins');
  assert.equal(lastWrite(merge(won.object, elsewhere), 0)?.dot.counter, 3);
});

test('a new dot goes into the vector, and minting refuses what would reuse or skip the past', async () => {
  const { object } = mint(undefined, write(event(1, 5)));
  assert.equal(coversDot(object.context, event(1, 4)), true);
  assert.throws(() => mint(object, write(event(1, 5))), InvariantError, 'a dot twice');
  assert.throws(() => mint(object, write(event(1, 4), { attempt: event(9, 9) })), InvariantError, 'a dot gone back');
  const ahead = context([], [event(1, 8)]);
  assert.throws(() => mint(object, write(event(1, 7), { token: ahead })), InvariantError, 'the token knows later dots');
  const again = write(event(1, 6), { attempt: write(event(1, 5)).attempt });
  assert.throws(() => mint(object, again), InvariantError, 'an attempt twice');
  const voided = { ...object, context: context([event(1, 5)], [], [event(9, 1)]) };
  assert.throws(() => mint(voided, write(event(1, 6), { attempt: event(9, 1) })), InvariantError, 'a voided attempt');
  assert.throws(() => mint(object, write(event(1, 0))), InvariantError, 'a counter below 1');
  const nobody = { high: -1, low: 0, counter: 1 };
  assert.throws(() => mint(object, write(event(1, 6), { attempt: nobody })), InvariantError, 'no 64-bit id');
  for (const expiresAtMs of [-1, 0.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => mint(object, write(event(1, 6), { expiresAtMs })), InvariantError, `expires at ${expiresAtMs}`);
  }
});

test('readers see values, oldest first; tombstones and what has expired are absent', async () => {
  const siblings = [
    sibling(event(1, 1), { timestamp: at(30) }),
    sibling(event(1, 2), { timestamp: at(10), expiresAtMs: 500 }),
    sibling(event(1, 3), { timestamp: at(20), tombstone: true, body: EMPTY }),
    sibling(event(1, 4), { timestamp: at(10) }),
  ];
  const object = { context: context([event(1, 4)]), siblings };
  const counters = (wallMs: number) => visibleSiblings(object, wallMs).map(({ dot }) => dot.counter);
  assert.deepEqual(counters(499), [2, 4, 1]);
  assert.deepEqual(counters(500), [4, 1]);
  assert.deepEqual(highestTimestamp(object), at(30));
  assert.deepEqual(highestTimestamp({ context: EMPTY_CONTEXT, siblings: [] }), at(0));
});

test('the last write wins by timestamp, then as a value over an absence, then by dot', async () => {
  const object = (...siblings: ReturnType<typeof sibling>[]) => ({ context: EMPTY_CONTEXT, siblings });
  const winner = (o: ReturnType<typeof object>, wallMs = 0) => lastWrite(o, wallMs)?.dot.counter;
  const value = sibling(event(1, 1), { timestamp: at(10) });
  const newer = sibling(event(1, 2), { timestamp: at(10, 1), tombstone: true, body: EMPTY });
  const grave = sibling(event(1, 3), { timestamp: at(10), tombstone: true, body: EMPTY });
  const twin = sibling(event(1, 4), { timestamp: at(10), expiresAtMs: 50 });
  assert.equal(winner(object(value, newer)), 2, 'a later deletion');
  assert.equal(winner(object(value, grave)), 1);
  assert.equal(winner(object(grave, value)), 1);
  assert.equal(winner(object(value, twin)), 4);
  assert.equal(winner(object(value, twin), 50), 1, 'expired, it is an absence');
  assert.equal(winner(object()), undefined);
});
