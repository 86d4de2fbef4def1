/**
 * The Merkle trees of all replicas of a node (`replica-tree.ts`), and which of them are to be built: one at a time, at the
 * rate at which the exchanger has slices for it.
 */
import { ChangeLog } from '../src/anti-entropy/change-log.js';
import type { HashResult, HashTask } from '../src/anti-entropy/hash-task.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { Storage } from '../src/storage/storage.js';
import { ReplicaTree } from './replica-tree.js';
import { RottenKeys } from './rotten-keys.js';

/** Performs tasks of a tree. `done` may be called before `run` returns, or later; with undefined: nothing came of it. */
export interface Hashing {
  /** True if it reads what is committed, and not what the vnode sees: then builds mark how far that is. */
  readonly readsCommitted: boolean;
  run(task: HashTask, done: (result: HashResult | undefined) => void): void;
}

/**
 * A page of changes for another thread: a trip to the hashing pool and back costs about 1.5 ms of CPU time, in four threads,
 * and what comes of a page is added up in one turn of the node. Nobody needs trees that are fresh before he asks.
 */
const SENT_PAGE_BYTES = 512 * 1_024;
/** Here they are folded in little by little: it is the node's own event loop. */
const OWN_PAGE_BYTES = 4_096;

export interface ReplicaTreesOptions {
  readonly objects: Storage;
  readonly hashing: Hashing;
  readonly counters: NodeCounters;
  /** How old a tree may be, in milliseconds, before one is built anew to find what has rotted since. */
  readonly maxAgeMs: number;
}

export class ReplicaTrees {
  readonly objects: Storage;
  readonly hashing: Hashing;
  readonly counters: NodeCounters;
  readonly maxAgeMs: number;
  /** Partitions whose tree is to be built, or being built: the first one is worked at. */
  readonly builds = new Set<number>();
  /** What was written to the node's replicas and is not in their trees yet. */
  readonly log: ChangeLog;
  /** What builds, reads and scans have found unreadable. */
  readonly rotten = new RottenKeys();
  /** How often somebody has called for all trees to be built anew. */
  calls = 0;
  private readonly trees = new Map<number, ReplicaTree>();

  constructor({ objects, hashing, counters, maxAgeMs }: ReplicaTreesOptions) {
    this.objects = objects;
    this.hashing = hashing;
    this.counters = counters;
    this.maxAgeMs = maxAgeMs;
    this.log = new ChangeLog(
      hashing.readsCommitted
        ? { pageBytes: SENT_PAGE_BYTES, newMemory: (bytes) => new SharedArrayBuffer(bytes) }
        : { pageBytes: OWN_PAGE_BYTES },
    );
  }

  /**
   * The vnode of a partition writes: the record under `key` was `before`, which its storage may have lent, and will be
   * `after`; undefined: it is removed. Touches nothing of the partition's own, which would be in no cache.
   */
  note(partition: number, key: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    const { log } = this;
    if (!log.noteWrite(partition, key, before, after)) this.trees.get(partition)!.note(key, before, after);
    if (log.isWaiting) this.fold(false);
  }

  /** Has what was noted folded in: what is worth a task, or all. */
  fold(all: boolean): void {
    const { log } = this;
    for (let next = log.nextFold(all); next !== undefined; next = log.nextFold(all)) {
      const { number, task } = next;
      this.hashing.run(task, (result) => {
        if (result?.type === 'folded') log.folded(number, result);
        else log.failed(number);
      });
    }
  }

  /** A vnode begins: what its predecessor wrote last, nobody knows. */
  renew(partition: number): ReplicaTree {
    this.trees.get(partition)?.retire();
    const tree = new ReplicaTree(this, partition);
    this.trees.set(partition, tree);
    return tree;
  }

  get(partition: number): ReplicaTree | undefined {
    return this.trees.get(partition);
  }

  /** Has trees built that are too old, or have been wanting for as long. @param wallMs - the wall clock */
  lookAtAges(wallMs: number): void {
    for (const tree of this.trees.values()) tree.lookAtAge(wallMs);
  }

  /** Has every tree built anew, also one whose build is under way. @returns the number of the call */
  rebuildAll(): number {
    for (const partition of this.trees.keys()) this.builds.add(partition);
    return ++this.calls;
  }

  /** How many trees were not built since a call. Those that were given up meanwhile are built again. */
  unbuiltSince(call: number): number {
    let count = 0;
    for (const [partition, { builtForCall }] of this.trees) {
      if (builtForCall >= call) continue;
      this.builds.add(partition);
      count++;
    }
    return count;
  }

  /** About how many keys a replica has. */
  get keysEach(): number {
    return Math.ceil(this.objects.stats().entries / Math.max(1, this.trees.size));
  }

  /** The tree whose build can go on now; undefined: there is none to be built, or hashing has to bring something first. */
  buildable(nowMs: number): ReplicaTree | undefined {
    for (const partition of this.builds) {
      const tree = this.trees.get(partition);
      if (tree !== undefined) return tree.isSlicing || nowMs < tree.nextSliceMs ? undefined : tree;
      this.builds.delete(partition);
    }
    return undefined;
  }
}
