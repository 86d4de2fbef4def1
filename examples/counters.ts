/**
 * Counters that are counted up from many places at once, by `update`. An update is no compare-and-swap: of two at the
 * same time both are kept, as siblings. So the value has a count for every writer, each of whom raises only its own;
 * siblings merge by the highest of each, and nothing is counted twice or lost. (A grow-only counter: Shapiro et al.,
 * "Conflict-free Replicated Data Types", 2011.)
 *
 *     node dist/examples/counters.js
 */
import { strict as assert } from 'node:assert';
import { type Bucket, open, QuoralError, type Sibling } from 'quoral';

/** By writer. */
type Counts = Readonly<Record<string, number>>;

function highestOfEach(siblings: readonly Sibling<Counts>[]): Counts {
  const merged: Record<string, number> = {};
  for (const { value: counts } of siblings) {
    for (const [writer, count] of Object.entries(counts)) merged[writer] = Math.max(merged[writer] ?? 0, count);
  }
  return merged;
}

const sum = (counts: Counts | undefined): number => Object.values(counts ?? {}).reduce((a, b) => a + b, 0);

/** One place that counts: a process, say. It alone raises its own count, and knows how far it is. */
class Writer {
  private readonly bucket: Bucket<Counts>;
  private readonly name: string;
  private readonly counted = new Map<string, number>();

  constructor(bucket: Bucket<Counts>, name: string) {
    this.bucket = bucket;
    this.name = name;
  }

  /** Counts `key` up by one. */
  async increment(key: string): Promise<void> {
    const mine = (this.counted.get(key) ?? 0) + 1;
    this.counted.set(key, mine);
    // It writes a count, not "one more": to write it again, after a failure of which nobody knows whether it took
    // effect, changes nothing.
    for (let attempt = 1; ; attempt++) {
      try {
        await this.bucket.update(key, (counts) => ({
          ...counts,
          [this.name]: Math.max(counts?.[this.name] ?? 0, mine),
        }));
        return;
      } catch (error) {
        if (!(error instanceof QuoralError) || attempt === 5) throw error;
      }
    }
  }
}

await using store = await open({ nodes: 3 });
const counters = store.bucket<Counts>('counters', { codec: 'json', resolution: 'merge', merge: highestOfEach });

const PAGES = ['/', '/about', '/prices'];
const WRITERS = 4;
const VISITS_EACH = 250;
const expected = new Map<string, number>(PAGES.map((page) => [page, 0]));
const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(counters, `server-${i}`));

// All of them count at once; in the middle of it a node dies.
await Promise.all(
  writers.map(async (writer, i) => {
    for (let visit = 0; visit < VISITS_EACH; visit++) {
      const page = PAGES[(visit * (i + 1)) % PAGES.length]!;
      expected.set(page, expected.get(page)! + 1);
      await writer.increment(page);
      if (i === 0 && visit === VISITS_EACH / 2) await store.admin.crash('b');
    }
  }),
);
await store.admin.start('b');

const totals = new Map<string, number>();
for await (const { key, value } of counters.scan({ values: true })) totals.set(String(key), sum(value));
for (const page of PAGES) {
  console.log(`${page}: ${totals.get(page)} visits`);
  assert.equal(totals.get(page), expected.get(page), `${page} was counted wrongly`);
}
assert.equal(
  [...totals.values()].reduce((a, b) => a + b, 0),
  WRITERS * VISITS_EACH,
);
