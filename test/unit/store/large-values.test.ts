/** Values from nothing to the largest, whole and unmixed, also where several are on their way at once. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../../../src/index.js';
import { fails, refuses } from '../../support/rejection.js';
import { test } from '../../support/test.js';

const KIB = 2 ** 10;
const MIB = 2 ** 20;

/** Bytes of which each place tells where it belongs, and to which value. */
function patterned(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i++) words[i] = Math.imul(i + 1, 0x9e37_79b1) ^ seed;
  return new Uint8Array(words.buffer, 0, length);
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}

test('values of every size up to 8 MiB come back as they were', async () => {
  const store = await open({ nodes: 3, timeoutMs: 60_000 });
  try {
    const bucket = store.bucket('sizes');
    // Around what fits a lane, a batch, a frame, and by default.
    const around = [1, 4 * KIB, 16 * KIB, 32 * KIB, 64 * KIB, 256 * KIB, MIB].flatMap((size) => [
      size - 1,
      size,
      size + 1,
    ]);
    const sizes = [...around, 3 * MIB, 8 * MIB];
    await Promise.all(sizes.map((size) => bucket.put(`k${size}`, patterned(size, size))));
    for (const size of sizes) {
      assert(same((await bucket.get(`k${size}`, { r: 'all' })).value, patterned(size, size)), `${size} bytes`);
    }
    await fails(() => bucket.put('too large', new Uint8Array(8 * MIB + 1)), {
      code: 'VALUE_TOO_LARGE',
      message: /8388608/,
    });
    // Siblings, each large: a read brings them all.
    await Promise.all([1, 2, 3].map((seed) => bucket.put('siblings', patterned(2 * MIB, seed))));
    const { siblings } = await bucket.get('siblings', { r: 'all' });
    const seeds = [1, 2, 3].filter((seed) => siblings.some(({ value }) => same(value, patterned(2 * MIB, seed))));
    assert.deepEqual([siblings.length, seeds], [3, [1, 2, 3]]);
    const keys: unknown[] = [];
    for await (const entry of bucket.scan({ values: true, prefix: 'k1' })) {
      keys.push(entry.key);
      const size = Number(String(entry.key).slice(1));
      assert(same(entry.value, patterned(size, size)));
    }
    assert.deepEqual(
      keys,
      sizes
        .map((size) => `k${size}`)
        .filter((key) => key.startsWith('k1'))
        .sort(),
    );
  } finally {
    await store.close();
  }
});

test('64 MiB, where it is allowed, on disk, through a crash of a node', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-large-'));
  const value = patterned(64 * MIB, 7);
  try {
    const store = await open({ path: join(directory, 'data'), nodes: 3, sync: 'none', maxValueBytes: 64 * MIB });
    try {
      const bucket = store.bucket('large', { w: 'all' });
      const receipt = await bucket.put('k', value, { timeoutMs: 60_000 });
      assert.equal(receipt.acks.length, 3);
      await store.admin.crash('a');
      assert(same((await bucket.get('k', { timeoutMs: 60_000 })).value, value));
      await store.admin.start('a');
      assert(same((await bucket.get('k', { r: 'all', timeoutMs: 60_000 })).value, value));
      await bucket.delete('k', { timeoutMs: 60_000 });
      assert.equal((await bucket.get('k', { r: 'all' })).found, false);
    } finally {
      await store.close();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('the siblings of a key are bounded together; resolving them frees the key', async () => {
  const store = await open({ nodes: 3, maxValueBytes: MIB, timeoutMs: 60_000 });
  try {
    const bucket = store.bucket('siblings');
    const value = patterned(MIB, 1);
    // Four of the largest values, and a mebibyte for what goes with them: that is one more, but for its own overhead.
    for (let i = 0; i < 4; i++) await bucket.put('k', value, { pw: 'all' });
    await refuses(() => bucket.put('k', value), { code: 'VALUE_TOO_LARGE', definite: true, message: /resolve/ });
    const { siblings, causalContext } = await bucket.get('k', { r: 'all' });
    assert.equal(siblings.length, 4);
    await bucket.put('k', value, { causalContext });
    await bucket.put('k', value);
    assert.equal((await bucket.get('k')).siblings.length, 2);
  } finally {
    await store.close();
  }
});
