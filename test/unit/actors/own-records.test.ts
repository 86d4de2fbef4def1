/**
 * What a node keeps for itself and cannot read any more: counted and told, each piece once, and held for lost. A rotten record
 * must not speak for itself, least of all to others: a fence that names a tag nobody reaches would empty their replicas.
 */
import assert from 'node:assert/strict';
import { NodeFences } from '../../../actors/fence.js';
import { distrustHints, HintStore } from '../../../actors/hint-store.js';
import { laterLife } from '../../../actors/lives.js';
import { NodeIdentity } from '../../../actors/node-identity.js';
import { countUnreadable } from '../../../actors/own-records.js';
import { utf8 } from '../../../src/base/bytes.js';
import { SeededRandom } from '../../../src/base/random.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { encodeRecord } from '../../../src/codec/record.js';
import {
  entryKey,
  FENCE_PREFIX,
  LIFE_KEY,
  LIFE_PREFIX,
  LOSSES_KEY,
  MARKER_PREFIX,
} from '../../../src/codec/system-entries.js';
import { KNOWS_FENCES, LEDGER, ownKey, REFUSE_BELOW, SURELY_BELOW } from '../../../src/hinted-handoff/hint-key.js';
import { encodeLedger, type Ledger } from '../../../src/hinted-handoff/hint-ledger.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import type { Storage } from '../../../src/storage/storage.js';
import { anObject } from '../../support/records.js';
import { test } from '../../support/test.js';

/** Counts and notes what a node would tell its operator. */
function listener() {
  const counters = newNodeCounters();
  const told: string[] = [];
  const onUnreadable = countUnreadable(counters, (_what, error) => told.push(error.message));
  return { counters, told, onUnreadable };
}

function rot(storage: Storage, key: Uint8Array): void {
  const stored = Uint8Array.from(storage.get(key)!);
  stored[0]! ^= 0x80;
  storage.put(key, stored);
  storage.commit();
}

test('a marker, a life, a count of losses and a fence that have rotted are counted, told, and held for lost', () => {
  const { counters, told, onUnreadable } = listener();
  const system = openMemoryStorage();
  const objects = openMemoryStorage();
  const random = new SeededRandom(1);
  const open = (losses: number) =>
    NodeIdentity.open({ system, objects, random, losses, partitions: [0], onUnreadable });
  open(1).leave(0, { writer: { high: 1, low: 2 }, counter: 3 });
  const first = new NodeFences(system, true, onUnreadable);
  first.of(0).write({ tag: 5, floor: 5 });
  laterLife(system, 7, { number: 3, names: [{ high: 1, low: 1 }] }, onUnreadable);
  system.commit();
  assert.deepEqual(told, []);

  for (const key of [LIFE_KEY, LOSSES_KEY, entryKey(MARKER_PREFIX, 0)]) rot(system, key);
  const identity = open(1);
  assert.equal(identity.take(0), undefined, 'the vnode takes another name');
  assert.deepEqual([...identity.refilling], [0]);
  assert.deepEqual([counters.corruptOwnRecords, told.length], [3, 3]);

  rot(system, entryKey(FENCE_PREFIX, 0));
  const fence = new NodeFences(system, false, onUnreadable).of(0);
  assert.deepEqual([fence.isKnown, fence.isSetAside, fence.tag], [false, true, 0]);
  assert.match(told.at(-1)!, /cannot read the fence of partition 0 .*learnt from the other replicas/);

  rot(system, entryKey(LIFE_PREFIX, 7));
  assert.equal(laterLife(system, 7, { number: 2, names: [{ high: 2, low: 2 }] }, onUnreadable), 0);
  assert.equal(counters.corruptOwnRecords, 5);
  open(1);
  assert.equal(counters.corruptOwnRecords, 5, 'each is written anew, and told once');
});

test('a hint store that cannot read below which tag it refuses takes no hint, tells nobody, and asks', () => {
  for (const [letter, kept] of [
    [REFUSE_BELOW, [REFUSE_BELOW]],
    [REFUSE_BELOW, [REFUSE_BELOW, SURELY_BELOW]],
    [SURELY_BELOW, [REFUSE_BELOW, SURELY_BELOW]],
  ] as const) {
    const { counters, told, onUnreadable } = listener();
    const storage = openMemoryStorage();
    const random = new SeededRandom(1);
    const open = (isNew: boolean) => new HintStore({ storage, maxBytes: 1e6, random, counters, isNew, onUnreadable });
    const learns = kept.length > 1;
    const before = open(!learns);
    // A tag that was learnt may be above the last round that came to its end.
    if (learns) before.fences.learn([{ partition: 1, tag: 9, floor: 4, isKnown: true }], 1);
    else before.fences.counted(1, 9);
    before.commit();
    assert.deepEqual(before.fences.refusedBelow(2), [0, learns ? 4 : 9]);

    rot(storage, ownKey(letter, 1));
    const hints = open(false);
    assert.deepEqual([counters.corruptOwnRecords, told.length], [1, 1], `${letter} of ${kept}`);
    assert(hints.fences.isLearning);
    assert(
      !hints.fences.isKnown(0) && !hints.fences.isKnown(1),
      'a hint that it took now might be one that nobody takes',
    );
    assert.deepEqual(hints.fences.refusedBelow(2), [], 'no replica is called an older copy');
    hints.commit();
    assert(open(false).fences.isLearning, 'nor is it after another start');
    assert.equal(counters.corruptOwnRecords, 1);

    hints.fences.learn([{ partition: 1, tag: 6, floor: 5, isKnown: true }], 2);
    assert(hints.fences.isKnown(1) && !hints.fences.isKnown(0));
    hints.fences.learn([{ partition: 0, tag: 0, floor: 0, isKnown: true }], 2);
    assert(!hints.fences.isLearning);
    assert.deepEqual([hints.fences.refuseBelow(1), hints.fences.refusedBelow(2)], [6, [0, 5]]);
    assert.notEqual(storage.get(ownKey(KNOWS_FENCES, 0)), undefined);
  }
});

test('a file of hints that may have gone back is counted anew, and is no source before a primary has told its fence', () => {
  const { counters, told, onUnreadable } = listener();
  const storage = openMemoryStorage();
  const random = new SeededRandom(1);
  const open = (isNew: boolean) => new HintStore({ storage, maxBytes: 1e6, random, counters, isNew, onUnreadable });
  const before = open(true);
  const located = (n: number) => encodeLocatedKey(0, { type: utf8('default'), bucket: utf8('b'), key: utf8(`k${n}`) });
  const id = { high: 1, low: 1 };
  const hint = (tag: number) => ({ tag, session: id, writer: id, counter: 0, record: encodeRecord(anObject(tag)) });
  for (const owner of [1, 3]) {
    for (let n = 0; n < 40; n++) assert(before.put(owner, located(n), hint(n % 10), 77));
  }
  const ledgers: [number, Ledger][] = structuredClone([...before.owners]);
  before.commit();
  before.commitEnded(undefined);

  // Pages of several states: one ledger is missing, one is of another state, and one is of an owner that has no hint.
  storage.remove(ownKey(LEDGER, 1));
  storage.put(ownKey(LEDGER, 3), encodeLedger({ count: 7, bytes: 70, sinceMs: 77 }));
  storage.put(ownKey(LEDGER, 2), encodeLedger({ count: 5, bytes: 50, sinceMs: 5 }));
  distrustHints(storage);
  storage.commit();
  const hints = open(false);
  ledgers[0]![1].sinceMs = 0;
  assert.deepEqual([...hints.owners], ledgers, 'but for since when');
  hints.commit();
  assert.deepEqual([...open(false).owners], ledgers);

  assert(!hints.fences.isKnown(0));
  hints.fences.learn([{ partition: 0, tag: 0, floor: 0, isKnown: false }], 1);
  assert(!hints.fences.isKnown(0), 'who has lost his own fence tells nothing');
  hints.fences.learn([{ partition: 0, tag: 9, floor: 8, isKnown: true }], 1);
  assert(hints.fences.isKnown(0));
  assert.deepEqual([hints.fences.refuseBelow(0), hints.fences.refusedBelow(1)], [9, [8]]);
  const tagOf = (n: number) => {
    const kept = hints.get(1, located(n));
    return kept === 'newer' ? kept : kept?.tag;
  };
  assert.deepEqual(
    [tagOf(7), tagOf(8), tagOf(9)],
    [undefined, 8, 9],
    'what is older than what was reaped is as good as none',
  );
  assert.deepEqual([counters.hintsSetAside, counters.hintsUndeliverable, hints.size], [1, 1, 79]);
  for (const { key, value } of hints.page(3, undefined, 40, 1e6)) hints.read(key, value);
  assert.equal(hints.owners.get(3)!.count, 8);
  assert.deepEqual(told, []);
});
