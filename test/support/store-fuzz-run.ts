/** A fuzz run: buckets of two stores, one in memory and one on disk, each compared with a model of its own, side by side. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../src/base/random.js';
import { open, type Store } from '../../src/index.js';
import { VALUE_KINDS } from './fuzz-values.js';
import { FUZZ_LIMITS, FuzzedBucket } from './store-fuzz.js';

export interface FuzzOptions {
  /** Calls of the API, all buckets together. */
  readonly calls: number;
  readonly seed: number;
  /** Buckets in memory, and on disk, where writes may be asked to be durable. */
  readonly inMemory: number;
  readonly onDisk: number;
  /** Told now and then of the calls made so far. */
  readonly progress?: (calls: number) => void;
}

/** Bucket by bucket: see `FuzzedBucketOptions`. */
const WRITTEN = [3, 2, 3, 1] as const;
const PROGRESS_CALLS = 5_000;

/** @returns the calls made @throws at a difference, with the seed and the bucket's last calls */
export async function fuzzStores({ calls, seed, inMemory, onDisk, progress }: FuzzOptions): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-fuzz-'));
  const memory = await open(FUZZ_LIMITS);
  const disk = await open({ ...FUZZ_LIMITS, path: join(directory, 'data') });
  let made = 0;
  let failed = false;
  const fuzz = async (index: number, store: Store): Promise<void> => {
    const random = new SeededRandom(seed + index);
    const written = WRITTEN[index % WRITTEN.length]!;
    const kind = VALUE_KINDS[index % VALUE_KINDS.length]!;
    const canBeDurable = store === disk;
    const bucket = new FuzzedBucket({ store, canBeDurable, name: `bucket ${index}`, random, written, kind });
    try {
      while (made < calls && !failed) {
        const more = await bucket.call();
        made += more;
        if (made % PROGRESS_CALLS < more) progress?.(made);
      }
    } catch (error) {
      failed = true;
      const story = bucket.story.join('\n  ');
      throw new Error(`seed ${seed}, bucket ${index}: ${(error as Error).message}\nafter\n  ${story}`, {
        cause: error,
      });
    }
  };
  try {
    const indexes = Array.from({ length: inMemory + onDisk }, (_, index) => index);
    const ends = await Promise.allSettled(indexes.map((index) => fuzz(index, index < inMemory ? memory : disk)));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    for (const store of [memory, disk]) assert.equal((await store.stats()).inFlight, 0);
  } finally {
    await Promise.all([memory.close(), disk.close()]);
    rmSync(directory, { recursive: true, force: true });
  }
  return made;
}
