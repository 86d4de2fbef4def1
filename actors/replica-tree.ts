/**
 * The Merkle trees of a node's replicas: its vnodes tell them of each write, its exchanger asks them. When a tree is
 * built, and what a task does, is decided in `src/anti-entropy/tree-keeper.ts`; who performs tasks, by the `Hashing` given.
 *
 * No tree is built before somebody asks for it; until then a write costs nothing here.
 */
import { answerFromTree, type ExchangeAnswer, type ExchangeAsk } from '../src/anti-entropy/exchange-asks.js';
import { ExchangeLease } from '../src/anti-entropy/exchange-lease.js';
import type { HashResult, HashTask } from '../src/anti-entropy/hash-task.js';
import { type NumberedTask, TreeKeeper } from '../src/anti-entropy/tree-keeper.js';
import { EMPTY } from '../src/base/bytes.js';
import { partitionRange } from '../src/codec/key.js';
import type { Root } from '../src/messages/exchange-messages.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { ActorContext } from '../src/runtime/actor.js';
import type { Storage } from '../src/storage/storage.js';

/** Performs tasks of a tree. `done` may be called before `run` returns, or later; with undefined: nothing came of it. */
export interface Hashing {
  /** True if it reads what is committed, and not what the vnode sees: then builds mark how far that is. */
  readonly readsCommitted: boolean;
  /** @param keeper - whose task it is: it knows how many writes there have been */
  run(task: HashTask, keeper: TreeKeeper, done: (result: HashResult | undefined) => void): void;
}

/** How far a tree is asked to look for changes worth a task, in writes. */
const LOOK_EVERY = 64;
/** In an answer to 'keys', and looked through for it. */
const LISTED_KEYS = 1_024;
const SCANNED_KEYS = 8_192;
/** Several times what lies between two questions of an exchange: another leader waits so long after the last one. */
const LEASE_MS = 2_000;
const SLICE_RECORDS = 512;
const SLICE_BYTES = 2 ** 20;

export interface ReplicaTreesOptions {
  readonly objects: Storage;
  readonly hashing: Hashing;
  readonly counters: NodeCounters;
  /** How old a tree may be, in milliseconds, before one is built anew to find what has rotted since (default a week). */
  readonly maxAgeMs?: number | undefined;
}

export class ReplicaTrees {
  readonly objects: Storage;
  readonly hashing: Hashing;
  readonly counters: NodeCounters;
  readonly maxAgeMs: number;
  /** Partitions whose tree is to be built, or being built: the first one is worked at. */
  readonly builds = new Set<number>();
  private readonly trees = new Map<number, ReplicaTree>();

  constructor({ objects, hashing, counters, maxAgeMs }: ReplicaTreesOptions) {
    this.objects = objects;
    this.hashing = hashing;
    this.counters = counters;
    this.maxAgeMs = maxAgeMs ?? 7 * 24 * 3_600_000;
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

  /** About how many keys a replica has. */
  get keysEach(): number {
    return Math.ceil(this.objects.stats().entries / Math.max(1, this.trees.size));
  }

  /** The tree whose build can go on now; undefined: there is none to be built, or hashing has to bring something first. */
  get buildable(): ReplicaTree | undefined {
    for (const partition of this.builds) {
      const tree = this.trees.get(partition);
      if (tree !== undefined) return tree.isSlicing ? undefined : tree;
      this.builds.delete(partition);
    }
    return undefined;
  }
}

export class ReplicaTree {
  /** True while hashing has a slice of its build in hand. */
  isSlicing = false;
  readonly lease = new ExchangeLease(LEASE_MS);
  /** By leader: what it was told of the root last. */
  readonly told = new Map<number, Root>();
  /** The other nodes with which this replica was found equal. */
  readonly equalWith = new Set<number>();
  private readonly trees: ReplicaTrees;
  private readonly partition: number;
  private readonly keeper: TreeKeeper;
  private writes = 0;
  /** When the build of the tree that serves began, and when the last one did. */
  private builtMs = 0;
  private begunMs = 0;

  constructor(trees: ReplicaTrees, partition: number) {
    this.trees = trees;
    this.partition = partition;
    const size = trees.hashing.readsCommitted ? {} : { sliceRecords: SLICE_RECORDS, sliceBytes: SLICE_BYTES };
    this.keeper = new TreeKeeper({ partition, ...size });
  }

  /**
   * The vnode writes: the record under `key` was `before`, which its storage may have lent, and will be `after`;
   * undefined: it is removed.
   */
  note(key: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    const { keeper } = this;
    keeper.note(key, before, after);
    if (keeper.isBuilding) this.mark();
    if (++this.writes % LOOK_EVERY === 0) this.fold(false);
  }

  /** The vnode's commit failed. */
  commitFailed(): void {
    this.keeper.commitFailed();
  }

  /** The tree is to be built anew. */
  rebuild(): void {
    this.trees.builds.add(this.partition);
  }

  /** Goes on with its build by a slice. */
  build(context: ActorContext): void {
    const { keeper, trees } = this;
    if (!keeper.isBuilding) {
      keeper.beginBuild(context.random.uint32(), trees.keysEach);
      this.begunMs = context.now();
    }
    this.fold(false);
    const slice = keeper.nextSlice();
    if (slice === undefined) return;
    this.isSlicing = true;
    this.mark();
    this.run(slice);
  }

  /**
   * What it says to a leader; undefined: not yet, ask again soon.
   * @param since - how many writes it must have: `noted` when the question came
   */
  answer(
    ask: ExchangeAsk & { type: 'root' | 'branches' | 'sums' },
    since: number,
    nowMs: number,
  ): ExchangeAnswer | undefined {
    const { keeper } = this;
    if (keeper.wantsBuild || nowMs - this.builtMs > this.trees.maxAgeMs) this.rebuild();
    const { tree } = keeper;
    // A tree that has what may not be stored could be equal to another by that.
    if (tree === undefined || keeper.isStale) return { type: 'not-ready' };
    if (!keeper.isFresh(since)) this.fold(true);
    return keeper.isFresh(since) && keeper.tree !== undefined ? answerFromTree(keeper.tree, ask) : undefined;
  }

  /** Lists keys for a leader. */
  list(ask: ExchangeAsk & { type: 'keys' }, done: (answer: ExchangeAnswer) => void): void {
    const from = ask.from.length === 0 ? partitionRange(this.partition).gte : ask.from;
    const { level, segments } = ask;
    const limits = { limit: LISTED_KEYS, limitScanned: SCANNED_KEYS };
    const task: HashTask = { type: 'keys', partition: this.partition, depth: level, segments, from, ...limits };
    this.trees.hashing.run(task, this.keeper, (result) => {
      if (result?.type !== 'keys') done({ type: 'not-ready' });
      else done({ type: 'keys', leaves: result.leaves, next: result.next ?? EMPTY });
    });
  }

  /** How many writes it was told of. */
  get noted(): number {
    return this.keeper.noted;
  }

  /** Gives out what is to be folded in: what is worth a task, or all. */
  private fold(all: boolean): void {
    const { keeper } = this;
    for (let task = keeper.nextFold(all); task !== undefined; task = keeper.nextFold(all)) this.run(task);
  }

  private run({ number, task }: NumberedTask): void {
    const { keeper, trees } = this;
    trees.hashing.run(task, keeper, (result) => {
      if (task.type === 'slice') this.isSlicing = false;
      if (result === undefined) {
        keeper.failed(number);
        return;
      }
      const { isBuilding } = keeper;
      keeper.done(number, result);
      if (result.type !== 'slice') return;
      trees.counters.corruptRecords += result.corrupt;
      if (isBuilding && !keeper.isBuilding) {
        this.builtMs = this.begunMs;
        trees.counters.treesBuilt++;
        trees.builds.delete(this.partition);
      }
    });
  }

  /** So that whoever reads what is committed knows which writes are in it. */
  private mark(): void {
    const { mark } = this.keeper;
    if (mark !== undefined && this.trees.hashing.readsCommitted) this.trees.objects.put(mark.key, mark.value);
  }
}
