/**
 * A fuzz run: buckets of two stores, one in memory and one on disk, each compared with a model of its own, side by side.
 * Some are reached through the stores' opener, some through it and somebody attached, in turns; those of another thread
 * through its own attached stores alone.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { withoutLoaders } from '../../src/base/loaders.js';
import { SeededRandom } from '../../src/base/random.js';
import { attach, open, type ShareTicket, type Store } from '../../src/index.js';
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

/** One bucket of a run. */
interface Share {
  readonly index: number;
  readonly onDisk: boolean;
}

/** What all threads of a run have in common. */
interface Run {
  readonly calls: number;
  readonly seed: number;
  /** How many calls were made, and whether a difference was found. */
  readonly state: Int32Array;
}

/** What a fuzzing thread is started with. */
export interface FuzzThreadData extends Run {
  readonly memory: ShareTicket;
  readonly disk: ShareTicket;
  readonly shares: readonly Share[];
}

interface Stores {
  readonly memory: readonly [Store, ...Store[]];
  readonly disk: readonly [Store, ...Store[]];
}

/** Bucket by bucket: see `FuzzedBucketOptions`. */
const WRITTEN = [3, 2, 3, 1] as const;
const PROGRESS_CALLS = 5_000;
/**
 * Of so many buckets one is another thread's, one reached through all clients, one has a type of its own: prime to each
 * other and to the quorums and kinds, so that all meet.
 */
const THREAD_EVERY = 7;
const SHARED_EVERY = 3;
const TYPE_EVERY = 2;
const THREAD = new URL('./fuzz-thread.js', import.meta.url);
const MADE = 0;
const FAILED = 1;

/** @returns the calls made @throws at a difference, with the seed and the bucket's last calls */
export async function fuzzStores({ calls, seed, inMemory, onDisk, progress }: FuzzOptions): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-fuzz-'));
  const memory = await open(FUZZ_LIMITS);
  const disk = await open({ ...FUZZ_LIMITS, path: join(directory, 'data') });
  const attached = await Promise.all([attach(memory.share()), attach(disk.share())]);
  const run: Run = { calls, seed, state: new Int32Array(new SharedArrayBuffer(8)) };
  try {
    const shares = Array.from({ length: inMemory + onDisk }, (_, index) => ({ index, onDisk: index >= inMemory }));
    const isAnotherThreads = ({ index }: Share) => index % THREAD_EVERY === 0;
    const own = shares.filter((share) => !isAnotherThreads(share));
    const theirs = shares.filter(isAnotherThreads);
    const stores: Stores = { memory: [memory, attached[0]], disk: [disk, attached[1]] };
    const ends = await Promise.allSettled([
      fuzzShares(stores, own, run, progress),
      fuzzInThread({ ...run, memory: memory.share(), disk: disk.share(), shares: theirs }),
    ]);
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    for (const store of [memory, disk, ...attached]) assert.equal((await store.stats()).inFlight, 0);
  } finally {
    await Promise.all([memory, disk, ...attached].map((store) => store.close()));
    rmSync(directory, { recursive: true, force: true });
  }
  return Atomics.load(run.state, MADE);
}

/** Makes random calls on these buckets, side by side, until all threads together have made enough. */
export async function fuzzShares(
  stores: Stores,
  shares: readonly Share[],
  run: Run,
  progress?: (calls: number) => void,
): Promise<void> {
  const ends = await Promise.allSettled(shares.map((share) => fuzzBucket(stores, share, run, progress)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}

async function fuzzBucket(
  { memory, disk }: Stores,
  { index, onDisk }: Share,
  { calls, seed, state }: Run,
  progress?: (calls: number) => void,
): Promise<void> {
  const all = onDisk ? disk : memory;
  const type = index % TYPE_EVERY === 0 ? undefined : `type ${index}`;
  if (type !== undefined) await all[0].setBucketType(type);
  const bucket = new FuzzedBucket({
    stores: index % SHARED_EVERY === 0 ? all : [all[0]],
    // Those that have a type have their names in common with those of the default type.
    ...{ type, name: `bucket ${Math.floor(index / TYPE_EVERY)}` },
    random: new SeededRandom(seed + index),
    written: WRITTEN[index % WRITTEN.length]!,
    canBeDurable: onDisk,
    kind: VALUE_KINDS[index % VALUE_KINDS.length]!,
  });
  try {
    while (Atomics.load(state, MADE) < calls && Atomics.load(state, FAILED) === 0) {
      const more = await bucket.call();
      const made = Atomics.add(state, MADE, more) + more;
      if (made % PROGRESS_CALLS < more) progress?.(made);
    }
  } catch (error) {
    Atomics.store(state, FAILED, 1);
    const story = bucket.story.join('\n  ');
    throw new Error(`seed ${seed}, bucket ${index}: ${(error as Error).message}\nafter\n  ${story}`, { cause: error });
  }
}

/** Resolves once the thread has ended. @throws what it threw */
function fuzzInThread(data: FuzzThreadData): Promise<void> {
  const { memory, disk } = data;
  const worker = new Worker(THREAD, {
    workerData: data,
    transferList: [memory, disk],
    ...withoutLoaders(process),
  });
  return new Promise((resolve, reject) => {
    worker.once('error', (error) => {
      Atomics.store(data.state, FAILED, 1);
      reject(error);
    });
    worker.once('exit', () => resolve());
  });
}
