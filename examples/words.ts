/**
 * Imports the 274,137 English words of `word-list` with `quoral import`, and reads them back through the API: in byte
 * order, complete and equal. A second import leaves them as they are. Ends with an error if anything differs.
 *
 *     node dist/examples/words.js
 */
import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'quoral';
import wordListPath from 'word-list';
import { withTemporaryDirectory } from './temporary-directory.js';

const QUORAL = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

await withTemporaryDirectory(async (directory) => {
  const data = join(directory, 'data');
  const expected = (await readFile(wordListPath, 'utf8')).split('\n').sort();
  const count = expected.length;
  assert.deepEqual(await importWords(data), { lines: count, stored: count, unchanged: 0, bad: 0 });
  assert.deepEqual(await importWords(data), { lines: count, stored: 0, unchanged: count, bad: 0 });

  await using store = await open({ path: data });
  const started = performance.now();
  let read = 0;
  // `value` would throw if a word had siblings.
  for await (const { key, value } of store.bucket<string>('words', { codec: 'text' }).scan({ values: true })) {
    const word = expected[read++];
    assert.equal(key, word, `entry ${read} is out of order`);
    assert.equal(value, word, `the value of ${String(key)} is not as it was stored`);
  }
  assert.equal(read, count, 'the scan is not complete');
  console.log(
    `${read} words read back in order, all equal, in ${((performance.now() - started) / 1_000).toFixed(1)} s`,
  );
});

/** Runs the import, with its progress on this process's standard error, and gives its counts. */
async function importWords(data: string) {
  const args = ['import', wordListPath, '--bucket', 'words', '--format', 'lines', '--data', data, '--json'];
  const child = spawn(process.execPath, [QUORAL, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk) => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  assert.equal(code, 0, 'quoral import failed');
  const { lines, stored, unchanged, bad, seconds } = JSON.parse(said);
  console.log(`${lines} lines imported in ${seconds.toFixed(1)} s: ${stored} stored, ${unchanged} unchanged`);
  return { lines, stored, unchanged, bad };
}
