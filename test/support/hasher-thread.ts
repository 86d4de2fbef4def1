/** A module for a hashing pool whose tasks do what a test asks for: hash, die, or wait on a word of shared memory. */
import { exit } from 'node:process';
import { hash } from '../../actors/tree-hasher.js';
import type { HasherTask } from '../../src/messages/hasher-task.js';
import { openLmdbSnapshot } from '../../src/storage/lmdb-snapshot.js';
import { SharedOpening } from '../../src/storage/shared-opening.js';

export type TestTask =
  | { readonly type: 'hash'; readonly task: HasherTask }
  | { readonly type: 'die' }
  /** Dies with the node's file open, in the middle of a read. */
  | { readonly type: 'die-reading'; readonly task: HasherTask }
  | { readonly type: 'wait'; readonly word: Int32Array };

export function work(task: TestTask): unknown {
  switch (task.type) {
    case 'hash':
      return hash(task.task);
    case 'die':
      exit(3);
      break;
    case 'die-reading': {
      const { path, opened } = task.task;
      const snapshot = openLmdbSnapshot(path, new SharedOpening(opened));
      for (const key of snapshot!.keys(Uint8Array.of(0), Uint8Array.of(0xff))) {
        if (snapshot!.get(key) !== undefined) exit(3);
      }
      throw new Error('There was nothing to read');
    }
    case 'wait':
      Atomics.wait(task.word, 0, 0);
      return { type: 'early' };
  }
}
