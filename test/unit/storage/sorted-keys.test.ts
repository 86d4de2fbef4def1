import assert from 'node:assert/strict';
import { test } from 'tap';
import { below, SeededRandom } from '../../../src/base/random.js';
import { SortedKeys } from '../../../src/storage/sorted-keys.js';

// Goal: blocks split, empty and vanish without a key out of place. Method: enough keys for dozens of blocks, loaded in
// three orders, thinned out at random and emptied, compared with a sorted array at each stage.
test('a sorted set agrees with a sorted array, whatever the order of loading', (t) => {
  const random = new SeededRandom(1);
  const all = Array.from({ length: 20_000 }, (_, i) => `\x00\xff${i.toString().padStart(6, '0')}`);
  for (const order of ['ascending', 'descending', 'random'] as const) {
    const keys = new SortedKeys();
    const loaded = [...all];
    if (order === 'descending') loaded.reverse();
    if (order === 'random') loaded.sort(() => below(random, 3) - 1);
    for (const key of loaded) keys.add(key);
    assert.deepEqual(keys.range({ limit: Number.POSITIVE_INFINITY }), all);

    const kept = all.filter(() => below(random, 4) === 0);
    const keep = new Set(kept);
    for (const key of loaded) if (!keep.has(key)) keys.remove(key);
    assert.deepEqual(keys.range({ limit: Number.POSITIVE_INFINITY }), kept);
    for (let i = 0; i < 200; i++) {
      const [from, to] = [all[below(random, all.length)]!, all[below(random, all.length)]!];
      const limit = below(random, 3_000);
      const wanted = (low: (key: string) => boolean): string[] =>
        kept.filter((key) => low(key) && key < to).slice(0, limit);
      assert.deepEqual(
        keys.range({ gte: from, lt: to, limit }),
        wanted((key) => key >= from),
      );
      assert.deepEqual(
        keys.range({ gt: from, lt: to, limit }),
        wanted((key) => key > from),
      );
    }
    for (const key of kept) keys.remove(key);
    assert.deepEqual(keys.range({ limit: 9 }), []);
    keys.add('again');
    assert.deepEqual(keys.range({ limit: 9 }), ['again']);
    assert.throws(() => keys.add('again'), { name: 'InvariantError' });
    assert.throws(() => keys.remove('never'), { name: 'InvariantError' });
    t.pass(order);
  }
  t.end();
});
