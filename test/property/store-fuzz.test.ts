/**
 * Goal: in a store that nothing happens to, every call gives what a single map would: whatever the nodes, quorums and
 * lanes between.
 * Method: random calls with random options on several buckets at the same time, each compared with the naive model.
 * QUORAL_RUNS multiplies the calls (34 makes 100,000 of them); QUORAL_SEED repeats those of one seed.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { SeededRandom } from '../../src/base/random.js';
import { open } from '../../src/index.js';
import { FuzzedBucket } from '../support/store-fuzz.js';
import { type ModelPut, type Seen, StoreModel } from '../support/store-model.js';
import { test } from '../support/test.js';

const BUCKETS = 8;
const CALLS = 3_000 * Number(process.env.QUORAL_RUNS ?? 1);

test('random calls with random options agree with the naive model', async () => {
  const seed = Number(process.env.QUORAL_SEED ?? randomInt(2 ** 31));
  const store = await open({ nodes: 4, n: 3, partitions: 8, maxValueBytes: 16_384 });
  try {
    let calls = 0;
    const fuzz = async (lane: number) => {
      const bucket = new FuzzedBucket(store, `lane ${lane}`, new SeededRandom(seed + lane));
      try {
        while (calls < CALLS) calls += await bucket.call();
      } catch (error) {
        calls = Number.POSITIVE_INFINITY;
        const story = bucket.story.join('\n  ');
        throw new Error(`seed ${seed}, bucket ${lane}: ${(error as Error).message}\nafter\n  ${story}`, {
          cause: error,
        });
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: BUCKETS }, (_, lane) => fuzz(lane)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    assert.equal((await store.stats()).inFlight, 0);
  } finally {
    await store.close();
  }
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
  const store = await open({ nodes: 3, n: 3, partitions: 8, maxValueBytes: 16_384 });
  try {
    const wrong = [ReceiptsCoverTheWholeObject, IgnoresIfMatch, TakesATombstoneForAValue, ForgetsDeletedKeys];
    for (const Model of wrong) {
      const bucket = new FuzzedBucket(store, Model.name, new SeededRandom(1), new Model());
      const noticed = async () => {
        for (let calls = 0; calls < 2_000; ) calls += await bucket.call();
      };
      await assert.rejects(noticed, assert.AssertionError, `2,000 calls agreed with a model that ${Model.name}`);
    }
  } finally {
    await store.close();
  }
});
