/**
 * Goal: in a store that nothing happens to, every call gives what a single map would: whatever the nodes, quorums and
 * lanes between.
 * Method: random calls with random options on several buckets at the same time, each compared with the naive model.
 * `npm run fuzz` makes 100,000 of them. QUORAL_SEED repeats those of one seed, QUORAL_RUNS multiplies them.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { SeededRandom } from '../../src/base/random.js';
import { open } from '../../src/index.js';
import { FuzzBooks, type Handle } from '../support/fuzz-books.js';
import { VALUE_KINDS } from '../support/fuzz-values.js';
import { FUZZ_LIMITS, FuzzedBucket } from '../support/store-fuzz.js';
import { fuzzStores } from '../support/store-fuzz-run.js';
import { type ModelPut, type Seen, StoreModel } from '../support/store-model.js';
import { test } from '../support/test.js';

test('random calls with random options agree with the naive model', async () => {
  const seed = Number(process.env.QUORAL_SEED ?? randomInt(2 ** 31));
  await fuzzStores({ calls: 4_000 * Number(process.env.QUORAL_RUNS ?? 1), seed, inMemory: 6, onDisk: 2 });
});

// Goal: the model knows no stand-ins. What one has acknowledged, a primary that was slow does not have yet.
test('a key counts as being everywhere only once all of its primaries have it', () => {
  const receipt = (...roles: ('primary' | 'fallback')[]) => ({
    causalContext: 'token',
    acks: roles.map((role, i) => ({ node: `${i}`, role, durable: false })),
    hints: [],
  });
  const books = new FuzzBooks(VALUE_KINDS[0]!, new SeededRandom(1));
  const handle: Handle = { bucket: undefined as never, lastWriteWins: false, merges: false, maxSiblings: 100 };
  const write = () => books.write(handle, 'k', { value: 'v1', seen: new Set(), options: {} });
  assert.equal(books.mayCountAbsences(['k']), true, 'nobody has it');
  for (const acks of [
    ['primary', 'primary'],
    ['primary', 'primary', 'fallback'],
  ] as const) {
    books.conclude({ key: 'k', expect: write }, receipt(...acks));
    assert.equal(books.mayCountAbsences(['k']), false, `${acks}`);
  }
  books.conclude({ key: 'k', expect: write }, receipt('primary', 'primary', 'primary'));
  assert.equal(books.mayCountAbsences(['k']), true);
});

// ---- The comparison must see differences: each model below is wrong in one way.

class ReceiptsCoverTheWholeObject extends StoreModel {
  override put(key: string, put: ModelPut) {
    const outcome = super.put(key, put);
    return typeof outcome === 'string' ? outcome : new Set([...outcome, ...this.seen(key)!]);
  }
}

class IgnoresIfMatch extends StoreModel {
  override put(key: string, put: ModelPut) {
    return super.put(key, { ...put, ifMatch: undefined });
  }
}

class TakesATombstoneForAValue extends StoreModel {
  override put(key: string, put: ModelPut) {
    return put.ifNoneMatch && this.seen(key) !== undefined ? 'PRECONDITION_FAILED' : super.put(key, put);
  }
}

class ForgetsDeletedKeys extends StoreModel {
  override seen(key: string): Seen | undefined {
    return this.values(key, false).length === 0 ? undefined : super.seen(key);
  }
}

test('the comparison notices a model that is wrong', async () => {
  const store = await open({ nodes: 3, n: 3, partitions: 8, maxValueBytes: FUZZ_LIMITS.maxValueBytes });
  try {
    const wrong = [ReceiptsCoverTheWholeObject, IgnoresIfMatch, TakesATombstoneForAValue, ForgetsDeletedKeys];
    for (const Model of wrong) {
      const random = new SeededRandom(1);
      const bucket = new FuzzedBucket({ stores: [store], name: Model.name, random, written: 3, model: new Model() });
      const noticed = async () => {
        for (let calls = 0; calls < 2_000; ) calls += await bucket.call();
      };
      await assert.rejects(noticed, assert.AssertionError, `2,000 calls agreed with a model that ${Model.name}`);
    }
  } finally {
    await store.close();
  }
});
