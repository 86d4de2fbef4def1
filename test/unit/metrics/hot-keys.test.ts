// Goal: a hot key is named whatever else goes on, and what is no longer hot is forgotten.
import assert from 'node:assert/strict';
import { textOf, utf8 } from '../../../src/base/bytes.js';
import { SeededRandom } from '../../../src/base/random.js';
import { HotKeys, hottestOf } from '../../../src/metrics/hot-keys.js';
import { test } from '../../support/test.js';

function shares(hot: HotKeys, nowMs = 0, limit = 10): [string | undefined, number][] {
  return hottestOf([hot.counted(nowMs)], limit).map(({ key, share }) => [textOf(key), share]);
}

test('a key that is asked for often is named first, with about its share', () => {
  const random = new SeededRandom(11n);
  const hot = new HotKeys();
  for (let i = 0; i < 200_000; i++) {
    const draw = random.uint32() % 100;
    hot.see(utf8(draw < 20 ? 'hot' : draw < 25 ? 'warm' : `cold-${random.uint32() % 50_000}`), 0);
  }
  const [first, second] = shares(hot);
  assert.equal(first![0], 'hot');
  assert.ok(Math.abs(first![1] - 0.2) < 0.04, `a fifth of all requests, not ${first![1]}`);
  assert.equal(second![0], 'warm');
  assert.ok(Math.abs(second![1] - 0.05) < 0.03, `a twentieth of all requests, not ${second![1]}`);
});

test('where no key stands out none is named', () => {
  const random = new SeededRandom(12n);
  const hot = new HotKeys();
  for (let i = 0; i < 300_000; i++) hot.see(utf8(`key-${random.uint32() % 100_000}`), 0);
  assert.deepEqual(shares(hot), []);
});

test('a key that is no longer asked for goes', () => {
  const hot = new HotKeys();
  for (let i = 0; i < 50_000; i++) hot.see(utf8('yesterday'), 0);
  assert.equal(shares(hot)[0]![0], 'yesterday');
  for (let i = 0; i < 50_000; i++) hot.see(utf8(i % 2 === 0 ? 'today' : `other-${i}`), 90_000 + i / 10);
  const names = shares(hot, 95_000).map(([name]) => name);
  assert.deepEqual(names.slice(0, 1), ['today']);
  assert.ok(!names.includes('yesterday'));
  assert.deepEqual(shares(hot, 600_000), [], 'where nothing is asked for nothing is hot');
});

test('what a few requests were for is not called hot', () => {
  const hot = new HotKeys();
  for (let i = 0; i < 20; i++) hot.see(utf8('one'), 0);
  assert.deepEqual(shares(hot), []);
});

test('counts of several nodes are added up, a busy node weighing more than an idle one', () => {
  const counts = (requests: number, hot: string, every: number) => {
    const keys = new HotKeys();
    for (let i = 0; i < requests; i++) keys.see(utf8(i % every === 0 ? hot : `other-${i}`), 0);
    return keys.counted(0);
  };
  const found = hottestOf([counts(80_000, 'a', 3), counts(80_000, 'b', 3), counts(1_000, 'c', 1)], 10);
  assert.deepEqual(found.map(({ key }) => textOf(key)).sort(), ['a', 'b'], 'c is a hundred and sixty-first of all');
  for (const { share } of found) assert.ok(Math.abs(share - 1 / 6) < 0.03, `a sixth of all requests, not ${share}`);
  const both = hottestOf([counts(80_000, 'a', 3), counts(80_000, 'a', 3)], 10);
  assert.deepEqual(
    both.map(({ key }) => textOf(key)),
    ['a'],
  );
  assert.ok(Math.abs(both[0]!.share - 1 / 3) < 0.05, `a third of all requests, not ${both[0]!.share}`);
});

test('a share lies within what it is said to be too high by', () => {
  const random = new SeededRandom(13n);
  const hot = new HotKeys();
  const seen = new Map<string, number>();
  const total = 240_000;
  for (let i = 0; i < total; i++) {
    const key = `key-${Math.floor((random.uint32() / 2 ** 32) ** 8 * 2_000)}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
    hot.see(utf8(key), 0);
  }
  const named = hottestOf([hot.counted(0)], 50);
  assert.ok(named.length >= 3, `${named.length} keys`);
  // One in 64 is counted: what is left between the true share and the counted one is chance, at most 5 sigma of it.
  for (const { key, share, error } of named) {
    const truth = seen.get(textOf(key)!)! / total;
    const chance = 5 * Math.sqrt(truth / (total / 64));
    assert.ok(share >= truth - chance && share - error <= truth + chance, `${share} - ${error} against ${truth}`);
  }
});

test('the bytes of a key are its own: the caller may use the buffer again', () => {
  const hot = new HotKeys();
  const buffer = utf8('one');
  for (let i = 0; i < 640; i++) hot.see(buffer, 0);
  buffer.set(utf8('two'));
  assert.equal(shares(hot)[0]![0], 'one');
});
