/**
 * Hashing where the replicas live, in small pieces: for memory, which no other thread can read, and for the simulator.
 * It sees all that was written, committed or not; so a slice has every write that was noted.
 */
import { encodeBuildMark } from '../src/anti-entropy/build-mark.js';
import { runHashTask, type Snapshot } from '../src/anti-entropy/hash-task.js';
import { equalBytes } from '../src/base/bytes.js';
import { buildMarkKey } from '../src/codec/own-keys.js';
import type { Storage, StorageEntry } from '../src/storage/storage.js';
import type { Hashing } from './replica-trees.js';

/** Entries that are read at a time. */
const READ_AT_ONCE = 64;

export function localHashing(objects: Storage): Hashing {
  return {
    readsCommitted: false,
    run(task, done) {
      done(
        runHashTask(task, () => {
          const snapshot = new StorageSnapshot(objects);
          if (task.type === 'slice') snapshot.pretend(buildMarkKey(task.partition), encodeBuildMark(task.mark));
          return snapshot;
        }),
      );
    },
  };
}

/** What a storage holds now: nobody writes while a task runs. */
class StorageSnapshot implements Snapshot {
  private readonly objects: Storage;
  /** The entry of the last key that was given out; or one that the storage does not have. */
  private current: StorageEntry | undefined;

  constructor(objects: Storage) {
    this.objects = objects;
  }

  pretend(key: Uint8Array, value: Uint8Array): void {
    this.current = { key, value };
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const { current } = this;
    return current !== undefined && equalBytes(current.key, key) ? current.value : this.objects.get(key);
  }

  *keys(gte: Uint8Array, lt: Uint8Array): Generator<Uint8Array> {
    let found = this.objects.range({ gte, lt, limit: READ_AT_ONCE });
    for (;;) {
      for (const entry of found) {
        this.current = entry;
        yield entry.key;
      }
      const last = found.at(-1);
      if (last === undefined || found.length < READ_AT_ONCE) return;
      found = this.objects.range({ gt: last.key, lt, limit: READ_AT_ONCE });
    }
  }
}
