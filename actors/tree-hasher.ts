/**
 * The entry of a thread of the hashing pool: opens a snapshot of a node's records by itself, hashes there, and gives back
 * only what changes in a tree, or the leaves that were asked for, in buffers that are moved.
 *
 * Holds nothing between two tasks: one that dies in its hands can be given to another.
 * One that may take only a share of a core sleeps again and again: `src/anti-entropy/work-share.ts`.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { buffersOf, type HashResult, type HashTask, runHashTask } from '../src/anti-entropy/hash-task.js';
import { WorkShare } from '../src/anti-entropy/work-share.js';
import type { HasherResult, HasherTask } from '../src/messages/hasher-task.js';
import { type LmdbSnapshot, openLmdbSnapshot } from '../src/storage/lmdb-snapshot.js';
import { SharedOpening } from '../src/storage/shared-opening.js';

/** Nobody wakes it: who waits on it sleeps. */
const ASLEEP = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** What the pool calls. */
export function hash(task: HasherTask): unknown {
  const result = run(task);
  return move({ [transferableSymbol]: buffersOf(result), [valueSymbol]: result });
}

function run({ task, path, opened }: HasherTask): HasherResult {
  if (task.type === 'fold') return runHashTask(task, noSnapshot);
  const snapshot = openLmdbSnapshot(path, new SharedOpening(opened));
  if (snapshot === undefined) return { type: 'gone' };
  return runOn(task, snapshot);
}

function runOn(task: HashTask, snapshot: LmdbSnapshot): HashResult {
  try {
    const isShared = task.type === 'slice' && task.share < 1;
    return runHashTask(task, () => snapshot, isShared ? resting(task.share) : undefined);
  } finally {
    snapshot.close();
  }
}

/** To be called again and again by who works: sleeps as long as its share of a core demands. */
function resting(share: number): () => void {
  const work = new WorkShare(share, performance.now());
  return () => {
    const restMs = work.restMs(performance.now());
    if (restMs === 0) return;
    // eslint-disable-next-line no-restricted-syntax -- a thread of the pool, which has nothing else to do
    Atomics.wait(ASLEEP, 0, 0, restMs);
    work.rested(performance.now());
  };
}

function noSnapshot(): never {
  throw new Error('Changes are folded without a look at the records');
}
