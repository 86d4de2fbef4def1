/** Hinted handoff under everything that can come between: the walk over an owner's hints, the inquiry, the forms of hints. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compareBytes, utf8 } from '../../src/base/bytes.js';
import { CorruptRecordError } from '../../src/codec/errors.js';
import { encodeLocatedKey } from '../../src/codec/key.js';
import { encodeRecord } from '../../src/codec/record.js';
import {
  batchesPerSecond,
  Delivery,
  type HeldHint,
  MAX_BATCH_BYTES,
  MAX_BATCH_ENTRIES,
  type Passes,
} from '../../src/hinted-handoff/delivery.js';
import { hintKey, locatedKeyOf, ownerOf, ownerRange, partitionOfHint } from '../../src/hinted-handoff/hint-key.js';
import { decodeHint, encodeHint, type Hint } from '../../src/hinted-handoff/hint-record.js';
import { type Holding, Inquiry } from '../../src/hinted-handoff/inquiry.js';
import { holds } from '../support/property.js';
import { anObject } from '../support/records.js';
import { test } from '../support/test.js';

const u32 = fc.nat(0xffff_ffff);
const id = fc.record({ high: u32, low: u32 });
const number = fc.nat(Number.MAX_SAFE_INTEGER);

const hint: fc.Arbitrary<Hint> = fc.record({
  tag: number,
  session: id,
  writer: id,
  counter: number,
  record: fc.nat(50).map((n) => encodeRecord(anObject(n))),
});

test('a hint is read as it was written, and one changed bit is noticed', () => {
  const changed = fc.property(hint, fc.nat(), fc.nat(7), (written, where, bit) => {
    const bytes = encodeHint(written);
    assert.deepEqual(plain(decodeHint(bytes)), plain(written));
    bytes[where % bytes.length]! ^= 1 << bit;
    assert.throws(() => decodeHint(bytes), CorruptRecordError);
  });
  holds(changed, 500);
});

function plain({ tag, session, writer, counter, record }: Hint): object {
  return { tag, session: { ...session }, writer: { ...writer }, counter, record: [...record] };
}

const owners = fc.nat(0xfffd);
const located = fc
  .record({
    partition: fc.nat(1_023),
    type: fc.uint8Array({ minLength: 1, maxLength: 4 }),
    key: fc.uint8Array({ minLength: 1, maxLength: 8 }),
  })
  .map(({ partition, type, key }) => encodeLocatedKey(partition, { type, bucket: utf8('b'), key }));

test('the hints of an owner stand together, those of a partition together in them', () => {
  const ordered = fc.property(owners, located, owners, located, (oneOwner, one, otherOwner, other) => {
    const a = hintKey(oneOwner, one);
    const b = hintKey(otherOwner, other);
    assert.equal(ownerOf(a), oneOwner);
    assert.deepEqual([...locatedKeyOf(a)], [...one]);
    const { gte, lt } = ownerRange(oneOwner);
    const isWithin = compareBytes(b, gte) >= 0 && compareBytes(b, lt) < 0;
    assert.equal(isWithin, oneOwner === otherOwner);
    const byParts = oneOwner - otherOwner || partitionOfHint(a) - partitionOfHint(b) || compareBytes(one, other);
    assert.equal(Math.sign(compareBytes(a, b)), Math.sign(byParts));
  });
  holds(ordered, 500);
});

/** What comes between, while a holder delivers. */
type Happening =
  | { readonly type: 'deliver'; readonly outcome: 'took' | 'refused-some' | 'failed' | 'died' }
  | {
      readonly type: 'kept';
      readonly partition: number;
      readonly key: number;
      readonly bytes: number;
      readonly later: boolean;
    }
  | { readonly type: 'wait' }
  | { readonly type: 'kick' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('deliver' as const),
      outcome: fc.constantFrom(
        'took' as const,
        'took' as const,
        'refused-some' as const,
        'failed' as const,
        'died' as const,
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('kept' as const),
      partition: fc.nat(2),
      key: fc.nat(40),
      bytes: fc.constantFrom(10, 1_000, 200_000),
      later: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('wait' as const) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('kick' as const) }) },
);

/** A holder and an owner, as simple as can be. */
class Holder {
  readonly passes: Passes = { begun: 0, clean: 0 };
  readonly delivery = new Delivery(this.passes);
  /** By the name of the key: the version that is kept. */
  readonly kept = new Map<string, { hint: HeldHint; version: number }>();
  /** Versions that are written, together with others, when time has passed. */
  private gathered: { readonly hint: HeldHint; readonly version: number }[] = [];
  /** By the name of the key: the newest version that the owner has. */
  readonly taken = new Map<string, number>();
  now = 0;
  /** As fast as can be, or in time. */
  backlog = Number.POSITIVE_INFINITY;
  private versions = 0;

  keep(partition: number, n: number, bytes: number, later = false): void {
    const located = encodeLocatedKey(partition, { type: utf8('t'), bucket: utf8('b'), key: utf8(String(n)) });
    const version = ++this.versions;
    const hint = { key: hintKey(1, located), located, partition, record: new Uint8Array(bytes), tag: version };
    this.gathered.push({ hint, version });
    if (!later) this.write();
  }

  write(): void {
    for (const one of this.gathered) this.kept.set(nameOf(one.hint), one);
    this.gathered = [];
  }

  /** One round: reads, sends, and hears `outcome`. @returns false if there was nothing to do */
  deliver(outcome: (Happening & { type: 'deliver' })['outcome']): boolean {
    if (!this.delivery.isReady(this.now)) return false;
    const { after, limit } = this.delivery.next(this.gathered.length > 0, this.backlog, this.now);
    const all = [...this.kept.values()].map((one) => one.hint).sort((a, b) => compareBytes(a.key, b.key));
    const found = all.filter(({ key }) => after === undefined || compareBytes(key, after) > 0).slice(0, limit);
    const batch = this.delivery.read(found, found[found.length - 1]?.key, false, this.now);
    if (batch === undefined) return false;
    const { entries, partition } = batch;
    assert(entries.length >= 1 && entries.length <= MAX_BATCH_ENTRIES);
    const bytes = entries.reduce((sum, { located, record }) => sum + located.length + record.length, 0);
    assert(entries.length === 1 || bytes <= MAX_BATCH_BYTES, `${entries.length} entries, ${bytes} bytes`);
    assert(entries.every((entry) => entry.partition === partition));
    this.delivery.sent(1, this.now);
    let done: readonly HeldHint[];
    if (outcome === 'failed' || outcome === 'died') done = this.delivery.onFailed(outcome === 'died', this.now);
    else {
      const refused = outcome === 'refused-some' ? [0] : [];
      entries.forEach((entry, place) => {
        if (!refused.includes(place)) this.taken.set(nameOf(entry), entry.tag);
      });
      done = this.delivery.onTook(refused, this.now);
    }
    for (const hint of done) {
      const name = nameOf(hint);
      assert.equal(this.taken.get(name), hint.tag, 'only what was taken is given for deletion');
      if (this.kept.get(name)?.version === hint.tag) this.kept.delete(name);
    }
    return true;
  }

  get versionsSoFar(): ReadonlyMap<string, number> {
    return new Map([...this.kept.values(), ...this.gathered].map(({ hint, version }) => [nameOf(hint), version]));
  }
}

const nameOf = (hint: HeldHint) => Buffer.from(hint.key).toString('latin1');

test('whatever comes between, a pass that calls itself clean has delivered all that was there at its beginning', () => {
  const backlogs = fc.constantFrom(1, 100_000, Number.POSITIVE_INFINITY);
  const walk = fc.property(fc.array(happening, { maxLength: 60 }), backlogs, (happenings, backlog) => {
    const holder = new Holder();
    holder.backlog = backlog;
    let begun = 0;
    let then: ReadonlyMap<string, number> = new Map();
    const check = () => {
      const { passes } = holder;
      if (passes.clean === begun && begun > 0) {
        for (const [name, version] of then) assert((holder.taken.get(name) ?? 0) >= version, 'a clean pass missed one');
      }
    };
    for (const one of happenings) {
      if (one.type === 'kept') holder.keep(one.partition, one.key, one.bytes, one.later);
      else if (one.type === 'wait') {
        holder.now += 500;
        holder.write();
      } else if (one.type === 'kick') holder.delivery.kick();
      else {
        const before = holder.versionsSoFar;
        holder.deliver(one.outcome);
        if (holder.passes.begun !== begun) {
          begun = holder.passes.begun;
          then = before;
        }
        check();
      }
    }
    holder.write();
    // Then all goes well: within a bounded time nothing is left.
    for (let i = 0; i < 300 && holder.kept.size > 0; i++) {
      holder.now += 1_000;
      holder.deliver('took');
    }
    assert.equal(holder.kept.size, 0, 'in the end nothing is left');
  });
  holds(walk, 300);
});

test('batches are small while they come often enough, and larger where they do not', () => {
  const holder = new Holder();
  for (let i = 0; i < 300; i++) holder.keep(1, i, 10);
  const { delivery } = holder;
  const all = [...holder.kept.values()].map(({ hint }) => hint);
  /** @returns how many the next batch has, of so many in all, so long after the one before */
  const sizeAfter = (ms: number, backlog: number): number => {
    holder.now += ms;
    const { limit } = delivery.next(false, backlog, holder.now);
    const batch = delivery.read(all.slice(0, limit), all[limit - 1]!.key, false, holder.now)!;
    delivery.sent(1, holder.now);
    delivery.onTook([], holder.now);
    return batch.entries.length;
  };
  assert.equal(sizeAfter(0, 6_000), 32, 'the first one');
  assert.equal(sizeAfter(4, 6_000), 32);
  assert.equal(sizeAfter(10, 6_000), 60, 'so that all are there after a second');
  assert.equal(sizeAfter(10_000, 6_000), 128);
  assert.equal(sizeAfter(1, Number.POSITIVE_INFINITY), 128, 'where there is no reason to wait');
});

test('who has few hints of each partition has more batches to send in the same time', () => {
  const holder = new Holder();
  for (let partition = 0; partition < 3; partition++) holder.keep(partition, partition, 10);
  const whole = batchesPerSecond(3_200, holder.delivery.perBatch);
  assert.equal(whole, 100);
  for (let round = 0; round < 60; round++) {
    for (let partition = 0; partition < 3; partition++) holder.keep(partition, 3 * round + partition, 10);
    holder.now += 1_000;
    holder.deliver('took');
  }
  assert(holder.delivery.perBatch < 4);
  assert(batchesPerSecond(3_200, holder.delivery.perBatch) > 800);
});

test('after a batch its owner has as long for others as it took, but not more than 15 ms', () => {
  for (const [tookMs, pauseMs] of [
    [0, 0],
    [4, 4],
    [15, 15],
    [400, 15],
  ] as const) {
    const holder = new Holder();
    const { delivery } = holder;
    holder.keep(1, 1, 100);
    const { hint } = [...holder.kept.values()][0]!;
    delivery.next(false, 1, 0);
    assert(delivery.read([hint], hint.key, false, 1_000) !== undefined);
    delivery.sent(1, 1_000);
    assert(!delivery.isReady(1_000 + tookMs));
    assert.equal(delivery.onTook([], 1_000 + tookMs).length, 1);
    assert.equal(delivery.readyAtMs, 1_000 + tookMs + pauseMs);
    assert(delivery.isReady(delivery.readyAtMs));
    assert(pauseMs === 0 || !delivery.isReady(delivery.readyAtMs - 1));
  }
});

type Word =
  | { readonly type: 'holds'; readonly node: number; readonly count: number }
  | { readonly type: 'passes'; readonly node: number }
  | { readonly type: 'restarts'; readonly node: number }
  | { readonly type: 'down'; readonly node: number; readonly isDown: boolean }
  | { readonly type: 'refuses'; readonly node: number; readonly isRefusing: boolean }
  | { readonly type: 'time' };

const NODES = [1, 2, 3];
const node = fc.constantFrom(...NODES);
const word: fc.Arbitrary<Word> = fc.oneof(
  fc.record({ type: fc.constant('holds' as const), node, count: fc.nat(3) }),
  fc.record({ type: fc.constant('passes' as const), node }),
  fc.record({ type: fc.constant('restarts' as const), node }),
  fc.record({ type: fc.constant('down' as const), node, isDown: fc.boolean() }),
  fc.record({ type: fc.constant('refuses' as const), node, isRefusing: fc.boolean() }),
  fc.record({ type: fc.constant('time' as const) }),
);

/** One who may hold hints: those of the first question are `old`. */
class OtherNode {
  old = 0;
  isDown = false;
  /** It is there, and hears no question. */
  isRefusing = false;
  holding: Holding = { count: 0, session: { high: 0, low: 0 }, begun: 0, clean: 0 };
}

test('an inquiry ends only when nobody who is up holds a hint of before; and it ends', () => {
  const ends = fc.property(
    fc.array(fc.nat(2), { minLength: 3, maxLength: 3 }),
    fc.array(word, { maxLength: 40 }),
    (first, words) => {
      const inquiry = new Inquiry(NODES);
      const others = new Map(NODES.map((one) => [one, new OtherNode()]));
      NODES.forEach((one, i) => {
        const other = others.get(one)!;
        other.old = first[i]!;
        other.holding = { ...other.holding, count: other.old };
      });
      let now = 0;
      const ask = () => {
        for (const one of inquiry.due(now)) {
          const other = others.get(one)!;
          if (other.isDown) inquiry.onFailed(one, now);
          else if (other.isRefusing) inquiry.onRefused(one, now);
          else inquiry.onAnswer(one, other.holding, now);
        }
      };
      const check = () => {
        if (inquiry.isOpen) return;
        for (const other of others.values()) assert(other.isDown || other.old === 0, 'ended too early');
      };
      const pass = (other: OtherNode) => {
        const begun = other.holding.begun + 1;
        other.old = 0;
        other.holding = { ...other.holding, begun, clean: begun };
      };
      for (const one of words) {
        if (one.type === 'time') now += 1_000;
        else {
          const other = others.get(one.node)!;
          if (one.type === 'holds') other.holding = { ...other.holding, count: Math.max(other.old, one.count) };
          else if (one.type === 'passes') {
            if (!other.isDown) pass(other);
          } else if (one.type === 'restarts') {
            const { session, count } = other.holding;
            other.holding = { count, session: { ...session, low: session.low + 1 }, begun: 0, clean: 0 };
            if (!other.isDown && count > 0) inquiry.onTold(one.node);
          } else if (one.type === 'refuses') other.isRefusing = one.isRefusing;
          else {
            // Who comes back has started, and tells.
            if (other.isDown && !one.isDown && other.holding.count > 0) inquiry.onTold(one.node);
            other.isDown = one.isDown;
          }
        }
        ask();
        check();
      }
      for (const other of others.values()) other.isRefusing = false;
      for (let i = 0; i < 5; i++) {
        now += 1_000;
        for (const other of others.values()) if (!other.isDown) pass(other);
        ask();
      }
      assert(!inquiry.isOpen, 'whoever is up has delivered: it ends');
    },
  );
  holds(ends, 300);
});
