/**
 * Goal: what is decided and written on the bytes of records is what `src/objects` says of the objects, to the byte.
 * Method: objects and puts of every form, most of them of the usual one, through both ways.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InvariantError } from '../../src/base/assert.js';
import { EMPTY } from '../../src/base/bytes.js';
import { highestCounterOf, joinContexts } from '../../src/clocks/causal-context.js';
import { compareEventIds, type EventId } from '../../src/clocks/event-id.js';
import { decodeRecord, encodeRecord } from '../../src/codec/record.js';
import { outlineOf } from '../../src/codec/record-outline.js';
import {
  highestCounterIn,
  type MintedRecord,
  mergeRecords,
  mintRecord,
  outcomeIn,
  replacesRecord,
  timestampsIn,
} from '../../src/codec/record-update.js';
import { RecordView } from '../../src/codec/record-view.js';
import { outcomeOf } from '../../src/objects/attempt.js';
import { replaces } from '../../src/objects/merge.js';
import { mint, type Write } from '../../src/objects/mint.js';
import type { Sibling, StoredObject } from '../../src/objects/stored-object.js';
import { holds } from '../support/property.js';
import { test } from '../support/test.js';
import { context } from '../support/versions.js';

const PLAIN = { noNullPrototype: true } as const;
/** Few writers, that sort differently by either half, and counters at the edges of their length in bytes. */
const event = fc.record<EventId>(
  {
    high: fc.constantFrom(1, 0xffff_fff0),
    low: fc.constantFrom(0, 0xffff_ffff),
    counter: fc.constantFrom(1, 2, 126, 127, 128, 2 ** 14 - 1, 2 ** 14, 2 ** 31, 2 ** 53 - 2),
  },
  PLAIN,
);
const timestamp = fc.record(
  { ms: fc.constantFrom(0, 1, 2 ** 32, 2 ** 48 - 1), logical: fc.constantFrom(0, 1, 255, 256, 0xffff) },
  PLAIN,
);
const body = fc.uint8Array({ maxLength: 130 });
const expiresAtMs = fc.constantFrom(0, 0, 1, 2 ** 41);
const seldom = <T>(of: fc.Arbitrary<T>, maxLength: number) =>
  fc.oneof({ weight: 4, arbitrary: fc.constant<T[]>([]) }, fc.array(of, { maxLength }));

const sibling: fc.Arbitrary<Sibling> = fc
  .record({ dot: event, attempt: event, timestamp, tombstone: fc.boolean(), expiresAtMs, body }, PLAIN)
  .map((made) => (made.tombstone ? { ...made, body: EMPTY } : made));
const siblings = fc.oneof(
  { weight: 4, arbitrary: sibling.map((one) => [one]) },
  fc.uniqueArray(sibling, { maxLength: 3, comparator: (a, b) => compareEventIds(a.dot, b.dot) === 0 }),
);
const contexts = fc
  .tuple(fc.array(event, { maxLength: 4 }), seldom(event, 2), seldom(event, 2))
  .map(([vv, dots, attempts]) => context(vv, dots, attempts));
const objects: fc.Arbitrary<StoredObject> = fc.tuple(contexts, siblings).map(([seen, unsorted]) => {
  const sorted = [...unsorted].sort((a, b) => compareEventIds(a.dot, b.dot));
  return { context: joinContexts(seen, context(sorted.map(({ dot }) => dot))), siblings: sorted };
});

/** A put whose client has mostly seen the object, or what made some of it. */
const puts = fc.record(
  {
    dot: event,
    isNext: fc.integer({ min: 0, max: 9 }),
    attempt: event,
    earlierAttempts: seldom(event, 2),
    seen: fc.constantFrom('object', 'object', 'vector', 'sibling', 'else', 'more'),
    other: contexts,
    tokenTimestamp: timestamp,
    clock: timestamp,
    lastWriteWins: fc.boolean(),
    tombstone: fc.boolean(),
    // One that no record can hold is refused.
    expiresAtMs: fc.constantFrom(0, 0, 0, 1, 2 ** 41, -1),
    body,
  },
  PLAIN,
);
type Put = typeof puts extends fc.Arbitrary<infer P> ? P : never;

function writeOf(put: Put, object: StoredObject): Write {
  const { seen, other, isNext, ...fields } = put;
  const ofSibling = context(
    [],
    object.siblings.slice(0, 1).map(({ dot }) => dot),
  );
  const token = {
    object: object.context,
    vector: { vv: object.context.vv, extra: [] },
    sibling: ofSibling,
    else: other,
    more: joinContexts(object.context, other),
  }[seen];
  const counter = Math.max(highestCounterOf(object.context, put.dot), highestCounterOf(token, put.dot)) + 1;
  const dot = isNext > 0 ? { ...put.dot, counter: Math.min(counter, Number.MAX_SAFE_INTEGER) } : put.dot;
  return { ...fields, dot, token, body: put.tombstone ? EMPTY : put.body };
}

/** What it gives, or the broken invariant that it throws. */
function outcome<T>(work: () => T): T | 'refused' {
  try {
    return work();
  } catch (error) {
    if (error instanceof InvariantError) return 'refused';
    throw error;
  }
}

test('minting on bytes is minting on objects', () => {
  const counts = new Map<string, number>();
  const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
  const property = fc.property(objects, puts, fc.boolean(), (object, put, isFirst) => {
    const local = isFirst && put.isNext < 3 ? undefined : object;
    const record = local === undefined ? undefined : encodeRecord(local);
    const write = writeOf(put, object);
    const expected = outcome((): MintedRecord => {
      const minted = mint(local, write);
      const { timestamp } = minted.sibling;
      return {
        record: encodeRecord(minted.object),
        dot: minted.dot,
        timestamp,
        siblings: minted.object.siblings.length,
      };
    });
    assert.deepEqual(
      outcome(() => mintRecord(record, write)),
      expected,
    );
    if (expected === 'refused') count('refused');
    else count(expected.siblings === 1 ? 'alone' : 'beside');
    if (record !== undefined && expected !== 'refused' && expected.siblings === 1 && new RecordView().read(record)) {
      count(write.lastWriteWins ? 'usual, last-write-wins' : 'usual');
      count(expected.record.length === record.length ? 'as long' : 'of another length');
    }
  });
  holds(property, 4_000);
  for (const what of [
    'refused',
    'alone',
    'beside',
    'usual',
    'usual, last-write-wins',
    'as long',
    'of another length',
  ]) {
    assert((counts.get(what) ?? 0) > 0, `no put was ${what}`);
  }
});

test('what is read in place is what the object says', () => {
  let replaced = 0;
  let usual = 0;
  const property = fc.property(objects, objects, event, fc.boolean(), (ours, other, id, grown) => {
    // A record that has grown out of the other, as replicas' mostly have.
    const theirs = grown ? { ...other, context: joinContexts(other.context, ours.context) } : other;
    const [local, incoming] = [encodeRecord(ours), encodeRecord(theirs)];
    const expected = replaces(theirs, ours.context);
    assert.equal(replacesRecord(incoming, local), expected);
    assert.equal(highestCounterIn(local, id), highestCounterOf(ours.context, id));
    assert.deepEqual(
      timestampsIn(local),
      ours.siblings.map((each) => each.timestamp),
    );
    const attempt = ours.siblings[0]?.attempt ?? id;
    for (const one of [id, attempt, { ...attempt, low: 7 }, { ...attempt, high: 7 }, { ...attempt, counter: 7 }]) {
      for (const dot of [undefined, id]) assert.equal(outcomeIn(local, one, dot), outcomeOf(ours, one, dot));
    }
    const isUsual = ours.siblings.length === 1 && ours.context.extra.length === 0;
    assert.equal(new RecordView().read(local), isUsual);
    if (expected) replaced++;
    if (isUsual) usual++;
  });
  holds(property, 4_000);
  assert(replaced > 0 && usual > 0, `${replaced} replaced, ${usual} usual`);
});

test('the outline of a merge is the merge of the outlines, and has no bodies', () => {
  let shorter = 0;
  let merged = 0;
  const picked = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 });
  const pool = fc.uniqueArray(sibling, { maxLength: 4, comparator: (a, b) => compareEventIds(a.dot, b.dot) === 0 });
  const property = fc.property(pool, picked, picked, contexts, contexts, (all, here, there, seenHere, seenThere) => {
    const sorted = [...all].sort((a, b) => compareEventIds(a.dot, b.dot));
    const recordOf = (isHere: readonly boolean[], seen: typeof seenHere) => {
      const siblings = sorted.filter((_, i) => isHere[i]);
      return encodeRecord({ context: joinContexts(seen, context(siblings.map(({ dot }) => dot))), siblings });
    };
    const [ours, theirs] = [recordOf(here, seenHere), recordOf(there, seenThere)];
    const bare = ({ context: seen, siblings }: StoredObject) => ({
      context: seen,
      siblings: siblings.map((each) => ({ ...each, body: EMPTY })),
    });
    assert.deepEqual(decodeRecord(outlineOf(ours)), bare(decodeRecord(ours)));
    const both = mergeRecords(ours, theirs);
    assert.deepEqual(mergeRecords(outlineOf(ours), outlineOf(theirs)), outlineOf(both));
    if (outlineOf(ours).length < ours.length) shorter++;
    if (both !== ours && both !== theirs) merged++;
  });
  holds(property, 4_000);
  assert(shorter > 0 && merged > 0, `${shorter} were shorter, ${merged} merged`);
});
