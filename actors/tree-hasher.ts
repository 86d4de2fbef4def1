/**
 * The entry of a thread of the hashing pool: opens a snapshot of a node's records by itself, hashes there, and gives back
 * only what changes in a tree, or the leaves that were asked for, in buffers that are moved.
 *
 * Holds nothing between two tasks: one that dies in its hands can be given to another.
 */
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { buffersOf, type HashResult, type HashTask, runHashTask } from '../src/anti-entropy/hash-task.js';
import type { HasherResult, HasherTask } from '../src/messages/hasher-task.js';
import { type LmdbSnapshot, openLmdbSnapshot } from '../src/storage/lmdb-snapshot.js';
import { SharedOpening } from '../src/storage/shared-opening.js';

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
    return runHashTask(task, () => snapshot);
  } finally {
    snapshot.close();
  }
}

function noSnapshot(): never {
  throw new Error('Changes are folded without a look at the records');
}
