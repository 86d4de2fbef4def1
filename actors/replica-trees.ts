/**
 * The Merkle trees of all replicas of a node (`replica-tree.ts`), and which of them are to be built: one at a time, at the
 * rate at which the exchanger has slices for it.
 */
import type { HashResult, HashTask } from '../src/anti-entropy/hash-task.js';
import type { TreeKeeper } from '../src/anti-entropy/tree-keeper.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { Storage } from '../src/storage/storage.js';
import { ReplicaTree } from './replica-tree.js';
import { RottenKeys } from './rotten-keys.js';

/** Performs tasks of a tree. `done` may be called before `run` returns, or later; with undefined: nothing came of it. */
export interface Hashing {
  /** True if it reads what is committed, and not what the vnode sees: then builds mark how far that is. */
  readonly readsCommitted: boolean;
  /** @param keeper - whose task it is: it knows how many writes there have been */
  run(task: HashTask, keeper: TreeKeeper, done: (result: HashResult | undefined) => void): void;
  /** Somebody waits for what was given out: nothing is to be put off until there is more. */
  hurry(): void;
}

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
  }

  /** A vnode begins: what its predecessor wrote last, nobody knows. */
  renew(partition: number): ReplicaTree {
    const tree = new ReplicaTree(this, partition);
    this.trees.set(partition, tree);
    return tree;
  }

  get(partition: number): ReplicaTree | undefined {
    return this.trees.get(partition);
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
