// Goal: paging through replicas whose pages are cut at different keys gives each key once, merged, and none is left out.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import { compareBytes } from '../../../src/base/bytes.js';
import { mergePages, type Page, type PageEntry } from '../../../src/quorum/page-merge.js';

/** Records are sets of writes, as bits. */
function mergeBits(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Uint8Array.of(a[0]! | b[0]!);
}

type Replica = ReadonlyMap<number, number>;

function keyOf(number: number): Uint8Array {
  // Of different lengths, so that byte order is not length order.
  return number % 3 === 0 ? Uint8Array.of(number) : Uint8Array.of(number, number % 5);
}

function pageOf(replica: Replica, after: Uint8Array | null, limit: number): Page {
  const entries: PageEntry[] = [];
  for (const [number, bits] of replica) entries.push({ key: keyOf(number), record: Uint8Array.of(bits) });
  entries.sort((a, b) => compareBytes(a.key, b.key));
  const rest = after === null ? entries : entries.filter((entry) => compareBytes(entry.key, after) > 0);
  return { entries: rest.slice(0, limit), more: rest.length > limit };
}

const replica: fc.Arbitrary<Replica> = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 1, max: 7 })), { maxLength: 40 })
  .map((pairs) => new Map(pairs));

test('page by page, everything that any replica has comes once, in order, merged', async (t) => {
  fc.assert(
    fc.property(
      fc.array(replica, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 4, maxLength: 4 }),
      (replicas, limits) => {
        const expected = new Map<number, number>();
        for (const one of replicas) for (const [key, bits] of one) expected.set(key, (expected.get(key) ?? 0) | bits);
        const all = pageOf(expected, null, 1_000).entries;

        const got: PageEntry[] = [];
        let after: Uint8Array | null = null;
        for (;;) {
          const pages = replicas.map((one, i) => pageOf(one, after, limits[i]!));
          const { entries, more } = mergePages(pages, mergeBits);
          got.push(...entries);
          if (!more) break;
          assert.ok(entries.length > 0, 'a page that is not the last makes progress');
          after = entries[entries.length - 1]!.key;
        }
        assert.deepEqual(got, all);
      },
    ),
  );
  t.pass('held for every case');
});

test('records of one key are merged in the order of the pages', async (t) => {
  const key = Uint8Array.of(1);
  const page = (text: string): Page => ({ entries: [{ key, record: Buffer.from(text) }], more: false });
  const { entries } = mergePages([page('a'), page('b'), page('c')], (a, b) => Buffer.concat([a, b]));
  t.equal(String(entries[0]!.record), 'abc');
});

test('a page that has more but no entry tells nothing of how far it goes: an assertion, not a scan that skips', async (t) => {
  const full: Page = { entries: [{ key: Uint8Array.of(9), record: Uint8Array.of(1) }], more: false };
  t.throws(() => mergePages([full, { entries: [], more: true }], mergeBits), /ends with an entry/);
});
