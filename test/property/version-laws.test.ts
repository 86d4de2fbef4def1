/**
 * The laws of contexts, of merging, and of the clock, over random contexts, reachable objects, and random times.
 * Objects come out of the histories of test/support/version-world.ts: the laws are promised for those that can arise.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type CausalContext,
  contextCovers,
  covers,
  EMPTY_CONTEXT,
  equalContexts,
  highestCounterOf,
  joinContexts,
  withAttempts,
  withDot,
  withDotAndAllBefore,
} from '../../src/clocks/causal-context.js';
import type { EventId } from '../../src/clocks/event-id.js';
import { HybridLogicalClock, MAX_SKEW_MS } from '../../src/clocks/hybrid-logical-clock.js';
import { compareTimestamps, type Timestamp, ZERO_TIMESTAMP } from '../../src/clocks/timestamp.js';
import { decodeRecord, encodeRecord } from '../../src/codec/record.js';
import { mergeRecords } from '../../src/codec/record-update.js';
import { merge, replaces } from '../../src/objects/merge.js';
import { lastWrite } from '../../src/objects/resolution.js';
import { choice, historyOfSteps } from '../support/histories.js';
import { holds } from '../support/property.js';
import { test } from '../support/test.js';
import { VersionWorld } from '../support/version-world.js';
import { context } from '../support/versions.js';

/** Few writers and small counters, so that contexts meet; ids that sort differently by either half. */
const event = fc.record<EventId>({
  high: fc.constantFrom(1, 0x7fff_ffff, 0xffff_fff0),
  low: fc.constantFrom(0, 0xffff_ffff),
  counter: fc.integer({ min: 1, max: 6 }),
});
const events = fc.array(event, { maxLength: 5 });
const contexts = fc.tuple(events, events, events).map(([vv, dots, attempts]) => context(vv, dots, attempts));

function everyEvent(): EventId[] {
  const all: EventId[] = [];
  for (const high of [1, 0x7fff_ffff, 0xffff_fff0]) {
    for (const low of [0, 0xffff_ffff]) for (let counter = 1; counter <= 7; counter++) all.push({ high, low, counter });
  }
  return all;
}

const EVERY_EVENT = everyEvent();
const NEVER: EventId = { high: 2, low: 2, counter: 1 };

/** What the context covers, as sets: the meaning that its arrays stand for. */
function meaning(of: CausalContext): string {
  const dots = EVERY_EVENT.filter((dot) => covers(of, dot, NEVER));
  const attempts = EVERY_EVENT.filter((attempt) => covers(of, NEVER, attempt));
  return JSON.stringify([dots, attempts]);
}

function assertNormal({ vv, extra }: CausalContext): void {
  for (let i = 3; i < vv.length; i += 3)
    assert.ok((vv[i - 3]! - vv[i]! || vv[i - 2]! - vv[i + 1]!) < 0, 'vector sorted');
  for (let i = 4; i < extra.length; i += 4) {
    const order = [0, 1, 2, 3].map((k) => extra[i - 4 + k]! - extra[i + k]!).find((difference) => difference !== 0);
    assert.ok((order ?? 0) < 0, 'extra sorted, none twice');
  }
  for (let i = 0; i < extra.length; i += 4) {
    const dot = { high: extra[i + 1]!, low: extra[i + 2]!, counter: extra[i + 3]! };
    assert.ok(extra[i] === 1 || !covers({ vv, extra: [] }, dot, NEVER), 'no dot that the vector reaches');
  }
}

test('contexts form a semilattice, and a join covers what either covers, no more', () => {
  const property = fc.property(contexts, contexts, contexts, (a, b, c) => {
    const joined = joinContexts(a, b);
    assertNormal(joined);
    assert.deepEqual(joinContexts(b, a), joined);
    assert.deepEqual(joinContexts(joined, c), joinContexts(a, joinContexts(b, c)));
    assert.equal(joinContexts(a, a), a);
    assert.equal(joinContexts(a, EMPTY_CONTEXT), a);
    for (const each of EVERY_EVENT) {
      assert.equal(covers(joined, each, NEVER), covers(a, each, NEVER) || covers(b, each, NEVER));
      assert.equal(covers(joined, NEVER, each), covers(a, NEVER, each) || covers(b, NEVER, each));
    }
    assert.equal(contextCovers(a, b), equalContexts(joined, a));
    assert.equal(contextCovers(a, b), joined === a || (equalContexts(a, b) && joined === b));
    if (contextCovers(a, b) && contextCovers(b, a)) assert.ok(equalContexts(a, b));
  });
  holds(property, 1_500);
});

test('adding a dot or attempts adds exactly those; minting adds all dots of its writer up to the new one', () => {
  const property = fc.property(contexts, event, events, (a, dot, attempts) => {
    const one = withDot(a, dot);
    assertNormal(one);
    assert.equal(meaning(one), meaning(joinContexts(a, { vv: [], extra: [0, dot.high, dot.low, dot.counter] })));
    for (const each of EVERY_EVENT) {
      const isIt = each.high === dot.high && each.low === dot.low && each.counter === dot.counter;
      assert.equal(covers(one, each, NEVER), isIt || covers(a, each, NEVER));
    }
    const voiding = withAttempts(a, attempts);
    assertNormal(voiding);
    for (const each of EVERY_EVENT) {
      const isOne = attempts.some((it) => it.high === each.high && it.low === each.low && it.counter === each.counter);
      assert.equal(covers(voiding, NEVER, each), isOne || covers(a, NEVER, each));
    }
    const minted = withDotAndAllBefore(a, dot);
    assertNormal(minted);
    for (const each of EVERY_EVENT) {
      const before = each.high === dot.high && each.low === dot.low && each.counter <= dot.counter;
      assert.equal(covers(minted, each, NEVER), before || covers(a, each, NEVER));
    }
    assert.equal(highestCounterOf(minted, dot), Math.max(dot.counter, highestCounterOf(a, dot)));
  });
  holds(property, 1_500);
});

test('merging is commutative, associative and idempotent over objects that can meet, to the byte', () => {
  let met = 0;
  let replaced = 0;
  const property = fc.property(historyOfSteps, fc.array(choice, { minLength: 30, maxLength: 30 }), (steps, picks) => {
    const world = new VersionWorld();
    for (const step of steps) world.take(step);
    const records = world.reachableRecords();
    if (records.length < 2) return;
    for (let i = 0; i + 2 < picks.length; i += 3) {
      const [a, b, c] = [0, 1, 2].map((k) => records[picks[i + k]! % records.length]!) as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      const merged = mergeRecords(a, b);
      assert.deepEqual(mergeRecords(b, a), merged, 'commutative');
      assert.deepEqual(mergeRecords(merged, c), mergeRecords(a, mergeRecords(b, c)), 'associative');
      assert.equal(mergeRecords(merged, a), merged, 'idempotent, and the very same record');
      assert.equal(mergeRecords(a, a), a);
      const [ours, theirs] = [decodeRecord(a), decodeRecord(b)];
      const object = merge(ours, theirs);
      assert.deepEqual(encodeRecord(object), merged, 'canonical');
      assert.ok(object.siblings.length > 0, 'merging never empties a key');
      assert.deepEqual(lastWrite(object, 0)?.dot, lastWrite(merge(theirs, ours), 0)?.dot);
      if (replaces(theirs, ours.context)) {
        assert.equal(object, theirs, 'what is said to replace all does');
        replaced++;
      }
      if (merged !== a && merged !== b) met++;
    }
  });
  holds(property, 250);
  assert.ok(met > 100, 'objects must differ both ways for the laws to say anything');
  assert.ok(replaced > 100, 'objects must replace each other, too');
});

test('the clock only goes up, follows the wall clock, and is never pulled ahead by more than 10 s', () => {
  const moment = fc.record({
    elapsedMs: fc.integer({ min: 0, max: 3_000 }),
    driftMs: fc.oneof(fc.integer({ min: -50, max: 50 }), fc.integer({ min: -(2 ** 49), max: 2 ** 49 })),
    heard: fc.option(fc.record<Timestamp>({ ms: fc.nat({ max: 2 ** 31 - 1 }), logical: fc.nat({ max: 0xffff }) })),
  });
  const property = fc.property(fc.array(moment, { maxLength: 50 }), (moments) => {
    const epochMs = 1_000_000_000;
    const clock = new HybridLogicalClock(epochMs, 0);
    let monotonicMs = 0;
    let offMs = 0;
    let last = ZERO_TIMESTAMP;
    for (const { elapsedMs, driftMs, heard } of moments) {
      monotonicMs += elapsedMs;
      const wallMs = epochMs + monotonicMs + offMs + driftMs;
      if (Math.abs(driftMs) <= MAX_SKEW_MS) offMs += driftMs;
      const localMs = epochMs + monotonicMs + offMs;
      if (heard !== null) {
        const believed = clock.observe(heard, wallMs, monotonicMs);
        const ahead = heard.ms > localMs + MAX_SKEW_MS && compareTimestamps(heard, last) > 0;
        assert.equal(believed, !ahead);
        if (believed && compareTimestamps(heard, last) > 0) last = heard;
      }
      const ticked = clock.tick(wallMs, monotonicMs);
      assert.ok(compareTimestamps(ticked, last) > 0, 'above all before and all believed');
      assert.ok(ticked.ms >= localMs, 'not behind local time');
      assert.ok(ticked.ms <= Math.max(localMs, last.ms + 1), 'not ahead but for what was heard');
      last = ticked;
    }
  });
  holds(property, 1_000);
});
