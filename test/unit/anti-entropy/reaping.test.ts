/** Rounds of reaping and fences, step by step; random histories of them are in `test/property/anti-entropy`. */
import assert from 'node:assert/strict';
import { Fence, HintFence, heldOf } from '../../../src/anti-entropy/fence.js';
import {
  candidateOf,
  type ReapAnswer,
  type ReapCandidate,
  type ReapOutcome,
  ReapRound,
} from '../../../src/anti-entropy/reaping.js';
import { InvariantError } from '../../../src/base/assert.js';
import { type CausalContext, withAttempts, withDot } from '../../../src/clocks/causal-context.js';
import { digestHigh, digestLow, encodeRecord } from '../../../src/codec/record.js';
import { reduce } from '../../../src/objects/reduction.js';
import type { StoredObject } from '../../../src/objects/stored-object.js';
import { test } from '../../support/test.js';
import { keyOf, recordOf } from '../../support/tree-replica.js';
import { at, context, event, sibling } from '../../support/versions.js';

const PRIMARIES = [0, 1, 2];
const MEMBERS = [0, 1, 2, 3];
const RECORDS = [1, 2, 3].map((counter) => recordOf({ high: 1, low: 1, counter }));
const CANDIDATES: readonly ReapCandidate[] = RECORDS.map((record, i) => {
  return { key: keyOf(i), high: digestHigh(record), low: digestLow(record), verb: 'remove' };
});
const READY: ReapAnswer = { type: 'ready', ringVersion: 4, pendingOwner: false, tag: 6, floor: 5 };
const ALL: ReapAnswer = { type: 'voted', held: Uint8Array.of(1, 1, 1) };

type Script = (type: 'ask' | 'vote' | 'census' | 'commit', node: number) => ReapAnswer | 'fails';

const GOOD: Script = (type) => {
  switch (type) {
    case 'ask':
      return READY;
    case 'vote':
      return ALL;
    case 'census':
      return { type: 'clear' };
    case 'commit':
      return { type: 'reaped', count: 3 };
  }
};

/** Leads a round whose nodes answer as in the script; returns what was asked, and how it ended. */
function lead(script: Script, candidates = CANDIDATES, complete = true) {
  const round = new ReapRound({ self: 1, primaries: PRIMARIES, members: MEMBERS });
  const asked: string[] = [];
  const committed: number[] = [];
  for (;;) {
    const step = round.next();
    switch (step.type) {
      case 'ask': {
        const { ask, to, number } = step;
        asked.push(
          `${ask.type}${'g' in ask ? ` ${ask.g}` : ''}${'floor' in ask ? ` ${ask.floor}` : ''} → ${to.join('')}`,
        );
        if (ask.type === 'commit') committed.push(...ask.candidates.map((one) => candidates.indexOf(one)));
        for (const node of to) {
          const answer = script(ask.type, node);
          if (answer === 'fails') round.failed(number, node);
          else round.answered(number, node, answer);
          // What comes twice, or to a question of before, changes nothing.
          round.answered(number, node, { type: 'not-clear' });
          round.failed(number - 1, node);
        }
        break;
      }
      case 'exchange':
        asked.push(`exchange → ${step.with.join('')}`);
        round.exchanged(complete);
        break;
      case 'collect':
        round.collected(candidates);
        break;
      case 'none':
        assert.fail('every question has had its answers');
        break;
      case 'done':
        return { asked, committed, outcome: step.outcome, reaped: step.reaped };
    }
  }
}

test('a round asks, exchanges twice, votes, counts hints, and commits above the highest tag', () => {
  const tags = [3, 6, 5];
  const { asked, committed, outcome, reaped } = lead((type, node) => {
    return type === 'ask' ? { ...READY, tag: tags[node] ?? 0, floor: node === 2 ? 5 : 1 } : GOOD(type, node);
  });
  assert.deepEqual(asked, [
    'ask → 0123',
    'exchange → 02',
    'exchange → 02',
    'vote 6 5 → 012',
    'census 6 → 0123',
    'commit 6 → 012',
  ]);
  assert.deepEqual(committed, [0, 1, 2]);
  assert.deepEqual([outcome, reaped], ['reaped', 9]);
});

test('only what every primary holds is committed; nothing in common is no harm', () => {
  const held = [Uint8Array.of(1, 1, 0), Uint8Array.of(1, 1, 1), Uint8Array.of(0, 1, 1)];
  const some = lead((type, node) => (type === 'vote' ? { type: 'voted', held: held[node]! } : GOOD(type, node)));
  assert.deepEqual([some.committed, some.outcome], [[1], 'reaped']);
  held[1] = Uint8Array.of(1, 0, 1);
  const none = lead((type, node) => (type === 'vote' ? { type: 'voted', held: held[node]! } : GOOD(type, node)));
  assert.deepEqual([none.committed, none.outcome], [[], 'nothing']);
  assert.equal(lead(GOOD, []).outcome, 'nothing');
});

test('whatever is amiss before the commit abandons the round; a commit that is missed does not', () => {
  const amiss: readonly (readonly [string, Script, ReapOutcome])[] = [
    ['another ring', (type, node) => (node === 3 ? { ...READY, ringVersion: 5 } : GOOD(type, node)), 'abandoned'],
    ['a transfer', (type, node) => (node === 0 ? { ...READY, pendingOwner: true } : GOOD(type, node)), 'abandoned'],
    ...(['ask', 'vote', 'census'] as const).map((which): [string, Script, ReapOutcome] => [
      `no answer to ${which}`,
      (type, node) => (type === which && node === 2 ? 'fails' : GOOD(type, node)),
      'abandoned',
    ]),
    [
      'hints left',
      (type, node) => (type === 'census' && node === 3 ? { type: 'not-clear' } : GOOD(type, node)),
      'abandoned',
    ],
    ['a late vote', (type, node) => (type === 'vote' && node === 0 ? { type: 'late' } : GOOD(type, node)), 'abandoned'],
    [
      'a restored copy',
      (type, node) => (type === 'vote' && node === 0 ? { type: 'behind' } : GOOD(type, node)),
      'abandoned',
    ],
    ['a missed commit', (type, node) => (type === 'commit' && node === 2 ? 'fails' : GOOD(type, node)), 'reaped'],
    [
      'a commit to a restored copy',
      (type, node) => (type === 'commit' && node < 2 ? { type: 'behind' } : GOOD(type, node)),
      'reaped',
    ],
  ];
  for (const [what, script, outcome] of amiss) assert.equal(lead(script).outcome, outcome, what);
  assert.equal(lead(GOOD, CANDIDATES, false).outcome, 'abandoned', 'an exchange that was not completed');
});

test('what was read before the vote is refused after the commit; what was read since is not', () => {
  const fence = new Fence();
  const before = fence.tag;
  assert.deepEqual(fence.vote(0, 0), { tag: 1, floor: 0 });
  assert.deepEqual([fence.tag, fence.raised], [before, 1], 'what is sent bears no tag that a crash could take back');
  fence.stored({ tag: 1, floor: 0 });
  const since = fence.tag;
  assert.ok(fence.admits(before), 'until the commit nothing is refused');
  assert.throws(() => fence.due(0, CANDIDATES, () => RECORDS[0]), InvariantError, 'the floor is not durable yet');
  assert.deepEqual(fence.commit(0), { tag: 1, floor: 1 });
  assert.throws(() => fence.due(0, CANDIDATES, () => RECORDS[0]), InvariantError);
  fence.stored({ tag: 1, floor: 1 });
  const get = (key: Uint8Array) =>
    key === CANDIDATES[2]!.key ? RECORDS[0] : RECORDS[CANDIDATES.findIndex((one) => one.key === key)];
  assert.deepEqual(fence.due(0, CANDIDATES, get), CANDIDATES.slice(0, 2), 'only the very records that were voted for');
  assert.deepEqual([...heldOf(CANDIDATES, get)], [1, 1, 0]);
  assert.deepEqual([fence.admits(before), fence.admits(since)], [false, true]);
  assert.deepEqual(new Fence({ tag: 1, floor: 1 }).due(0, CANDIDATES, get).length, 2, 'a fence that was durable is so');
});

// Found by a random history (one in 60,000): with both votes counted a hint that was read between them came back.
test('of two rounds that overlap, only the one whose vote raises the tag may go on', () => {
  const fence = new Fence();
  // Both rounds have asked, and heard of tag 0. The first has its vote, and is abandoned.
  assert.deepEqual(fence.vote(0, 0), { tag: 1, floor: 0 });
  fence.stored({ tag: 1, floor: 0 });
  const hint = fence.tag;
  // The object that a hint carries was read here, without the tombstone that the second round would have removed.
  assert.equal(fence.vote(0, 0), 'late');
  // A round that asks again goes above it, and keeps the hint out.
  assert.notEqual(fence.vote(1, 0), 'late');
  fence.commit(1);
  assert.ok(!fence.admits(hint));
});

// Found by a random history, too: a vote would have lifted the tag of data that lacks the tombstones above the floor.
test('a vnode that was taken back to an older state neither votes nor commits', () => {
  const restored = new Fence({ tag: 1, floor: 0 });
  assert.ok(restored.isBehind(3));
  assert.equal(restored.vote(7, 3), 'behind');
  assert.equal(restored.tag, 1);
  assert.equal(restored.commit(2), undefined);
  assert.deepEqual([restored.tag, restored.floor], [1, 0]);
});

test('a census has old hints delivered before it refuses them, and what is minted later is new', () => {
  const fence = new HintFence();
  assert.ok(fence.admits(7, 0) && fence.mintTag(7) === 0);
  assert.equal(fence.census(7, 2, 1), 'deliver');
  assert.ok(fence.admits(7, 0), 'nothing is refused before the hints are out');
  assert.deepEqual(fence.census(7, 2, 3), { refuseBelow: 3 }, 'one that is above may stay');
  assert.deepEqual([fence.admits(7, 2), fence.admits(7, 3), fence.admits(8, 0)], [false, true, true]);
  assert.equal(fence.mintTag(7), 3);
  assert.deepEqual(fence.census(7, 0, undefined), { refuseBelow: 3 }, 'it never goes down');
  assert.ok(!new HintFence([[7, 3]]).admits(7, 2));
});

test('tombstones and expired values may be reaped after the grace time, living ones never', () => {
  const one = event(1, 1);
  const object = (fields: Parameters<typeof sibling>[1]) => ({
    context: context([one]),
    siblings: [sibling(one, fields)],
  });
  const verbAt = (of: StoredObject, wallMs: number) => {
    return candidateOf(keyOf(1), encodeRecord(of), wallMs, { graceMs: 500, attemptMs: 2_000, maxContextEntries: 2 })
      ?.verb;
  };
  const tombstone = object({ tombstone: true, timestamp: at(1_000) });
  assert.deepEqual(
    [1_499, 1_500].map((now) => verbAt(tombstone, now)),
    [undefined, 'remove'],
  );
  const expiring = object({ timestamp: at(1_000), expiresAtMs: 2_000 });
  assert.deepEqual(
    [2_000, 2_499, 2_500].map((now) => verbAt(expiring, now)),
    [undefined, undefined, 'remove'],
  );
  assert.equal(verbAt(object({ timestamp: at(1_000) }), 1e12), undefined);
  const two = event(2, 1);
  // One that a later attempt of its put has taken the place of may be under way for longer, and would come back.
  const voiding = { ...tombstone, context: withAttempts(tombstone.context, [two]) };
  assert.deepEqual(
    [1_500, 2_999, 3_000].map((now) => verbAt(voiding, now)),
    [undefined, undefined, 'remove'],
  );
  const mixed = { context: context([one, two]), siblings: [...tombstone.siblings, sibling(two, { timestamp: at(1) })] };
  assert.equal(verbAt(mixed, 1e12), undefined);
});

test('a context that has grown is reduced to what its siblings need; attempts stay while one may be under way', () => {
  const [one, two, three, four] = [event(1, 5), event(2, 5), event(3, 5), event(4, 5)];
  const living = sibling(two, { timestamp: at(1_000) });
  const verbAt = (of: CausalContext, wallMs: number, siblings = [living]) => {
    const record = encodeRecord({ context: of, siblings });
    return candidateOf(keyOf(1), record, wallMs, { graceMs: 500, attemptMs: 2_000, maxContextEntries: 3 })?.verb;
  };
  assert.equal(verbAt(context([one, two, three]), 9_000), undefined, 'it is within the limit');
  const grown = context([one, two, three, four]);
  assert.deepEqual([verbAt(grown, 2_999), verbAt(grown, 3_000)], ['reduce-but-attempts', 'reduce']);
  const attempts = withAttempts(context([two]), [one, three, four]);
  assert.deepEqual([verbAt(attempts, 2_999), verbAt(attempts, 3_000)], [undefined, 'reduce']);
  const all = [one, two, three, four].map((dot) => sibling(dot, { timestamp: at(1_000) }));
  assert.equal(verbAt(grown, 9_000, all), undefined, 'all of it is needed');
  const dots = [event(1, 9), event(2, 9)].reduce(withDot, withAttempts(grown, [one]));
  const object = { context: dots, siblings: [living] };
  assert.deepEqual(reduce(object, false), { context: withDot(context([two]), event(2, 9)), siblings: [living] });
  assert.deepEqual(reduce(object, true).context, withAttempts(withDot(context([two]), event(2, 9)), [one]));
  const reduced = reduce(object, false);
  assert.equal(reduce(reduced, false), reduced, 'there is nothing left to go');
});
