/**
 * The Merkle tree of one of a node's replicas: its vnode tells it of each write, the node's exchanger asks it. How a tree
 * is built, and what a task does, is decided in `src/anti-entropy/tree-keeper.ts`; who performs tasks, by the `Hashing` given.
 *
 * Saved by a stop in order, and taken over by the start that follows. Else, as after an unclean stop, there is none before
 * somebody asks for it, or nobody has for as long as a tree may be old; until then a write costs nothing here. It is then built
 * with the share of a core that hashing has: all of one while no client asks for anything, else a sixteenth
 * (`BackgroundBudget.hashingShare`). Built anew when it is too small, in doubt, or so old that much may have rotted since; and
 * when somebody asks for that. Unless it is in doubt, the old one serves meanwhile, and the build reads no faster than
 * `REBUILD_BYTES_PER_MS`, too.
 */
import { answerFromTree, type ExchangeAnswer, type ExchangeAsk } from '../src/anti-entropy/exchange-asks.js';
import { ExchangeLease } from '../src/anti-entropy/exchange-lease.js';
import type { KeysTask, NumberedTask, Slice, SliceTask } from '../src/anti-entropy/hash-task.js';
import { readTree, saveTree } from '../src/anti-entropy/tree-form.js';
import { TreeKeeper } from '../src/anti-entropy/tree-keeper.js';
import { EMPTY } from '../src/base/bytes.js';
import { CorruptRecordError } from '../src/codec/errors.js';
import { partitionRange } from '../src/codec/key.js';
import type { Root } from '../src/messages/exchange-messages.js';
import type { ActorContext } from '../src/runtime/actor.js';
import type { ReplicaTrees } from './replica-trees.js';

/** Keys in an answer to 'keys', and looked through for it. */
export const LISTING = { limit: 1_024, limitScanned: 8_192 } as const;
/** Several times what lies between two questions of an exchange: another leader waits so long after the last one. */
const LEASE_MS = 2_000;
const SLICE_RECORDS = 512;
const SLICE_BYTES = 2 ** 20;

/**
 * What a build reads in a millisecond at most while an old tree serves: 32 MiB a second. Nobody waits for it, and a disk
 * has more to do. Where none serves, comparisons wait, and only the share of a core bounds it.
 */
const REBUILD_BYTES_PER_MS = 2 ** 25 / 1_000;

export class ReplicaTree {
  /** True while hashing has a slice of its build in hand. */
  isSlicing = false;
  readonly lease = new ExchangeLease(LEASE_MS);
  /** By leader: what it was told of the root last. */
  readonly told = new Map<number, Root>();
  /** The other nodes with which this replica was found equal. */
  readonly equalWith = new Set<number>();
  /** The number of the last call for all trees when the build of the one that serves began. */
  builtForCall = 0;
  private readonly trees: ReplicaTrees;
  private readonly partition: number;
  private keeper: TreeKeeper;
  /**
   * Since when a tree serves, as `SavedTree` tells it, or it is looked at that there is none; 0: it was not. Of the build
   * under way, when it began, and for which call.
   */
  private builtAtMs = 0;
  private begunAtMs = 0;
  private begunForCall = 0;
  /** When the last slice was asked for, in monotonic milliseconds, and what it had to read. */
  private slicedMs = 0;
  private slicedBytes = 0;

  constructor(trees: ReplicaTrees, partition: number) {
    this.trees = trees;
    this.partition = partition;
    this.keeper = new TreeKeeper({ partition, log: trees.log, ...sizesFor(trees) });
  }

  /** Takes over what was saved by the last stop, given which one that was. Before any write. */
  restore(stop: Uint8Array): void {
    const { trees, partition } = this;
    try {
      const saved = readTree(trees.objects, partition, stop);
      if (saved === undefined) return;
      this.keeper = new TreeKeeper({ partition, log: trees.log, saved: saved.tree, ...sizesFor(trees) });
      this.builtAtMs = saved.builtAtMs;
      trees.counters.treesRestored++;
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error;
      // It is built anew, as if none had been saved.
      trees.counters.treesDamaged++;
    }
  }

  /** The vnode stops: stored with its last commit, of which `stop` is the name. Nothing is told to it afterwards. */
  save(stop: Uint8Array): void {
    const tree = this.keeper.settle();
    if (tree !== undefined) saveTree(this.trees.objects, this.partition, { tree, builtAtMs: this.builtAtMs }, stop);
  }

  /** A write of the vnode, as `ReplicaTrees.note`, for what is no put's way. */
  note(key: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    if (this.keeper.note(key, before, after)) this.mark();
  }

  /** The vnode is no more. */
  retire(): void {
    this.keeper.retire();
  }

  /** The vnode's commit failed. */
  commitFailed(): void {
    this.keeper.commitFailed();
  }

  /** The tree is to be built anew. */
  rebuild(): void {
    this.trees.builds.add(this.partition);
  }

  /** To be called now and then: what has rotted since it was built is found by building it. */
  lookAtAge(wallMs: number): void {
    if (this.builtAtMs === 0) this.builtAtMs = wallMs;
    // A clock that has been set back says as little of its age as one that is far ahead.
    if (Math.abs(wallMs - this.builtAtMs) > this.trees.maxAgeMs) this.rebuild();
  }

  /** A tree will be asked for soon. */
  buildIfNone(): void {
    if (this.keeper.tree === undefined) this.rebuild();
  }

  /** When its build may go on: at once if nothing serves meanwhile. Monotonic milliseconds. */
  get nextSliceMs(): number {
    const { tree, isStale } = this.keeper;
    return tree === undefined || isStale ? 0 : this.slicedMs + this.slicedBytes / REBUILD_BYTES_PER_MS;
  }

  /** Goes on with its build by a slice. @param share - of a core that it may take, where that is not the node's own thread */
  build(share: number, context: ActorContext): void {
    const { keeper, trees } = this;
    if (!keeper.isBuilding) {
      keeper.beginBuild(context.random.uint32(), trees.keysEach);
      this.begunAtMs = Math.max(0, Math.floor(context.wallClock()));
      this.begunForCall = trees.calls;
    }
    const slice = keeper.nextSlice(trees.hashing.readsCommitted ? share : 1);
    if (slice === undefined) return;
    this.isSlicing = true;
    this.slicedMs = context.now();
    this.mark();
    this.run(slice);
  }

  /**
   * What it says to a leader; undefined: not yet, ask again soon.
   * @param since - which writes it must have: `noted` of the log when the question came
   */
  answer(ask: ExchangeAsk & { type: 'root' | 'branches' | 'sums' }, since: number): ExchangeAnswer | undefined {
    const { keeper } = this;
    if (keeper.wantsBuild) this.rebuild();
    const { tree } = keeper;
    // A tree that has what may not be stored could be equal to another by that.
    if (tree === undefined || keeper.isStale) return { type: 'not-ready' };
    if (!keeper.isFresh(since)) this.trees.fold(true);
    return keeper.isFresh(since) && keeper.tree !== undefined ? answerFromTree(keeper.tree, ask) : undefined;
  }

  /** Lists keys for a leader. */
  list(ask: ExchangeAsk & { type: 'keys' }, done: (answer: ExchangeAnswer) => void): void {
    const from = ask.from.length === 0 ? partitionRange(this.partition).gte : ask.from;
    const { level, segments } = ask;
    const task: KeysTask = { type: 'keys', partition: this.partition, depth: level, segments, from, ...LISTING };
    this.trees.hashing.run(task, (result) => {
      if (result?.type !== 'keys') done({ type: 'not-ready' });
      else done({ type: 'keys', leaves: result.leaves, next: result.next ?? EMPTY });
    });
  }

  private run({ number, task }: NumberedTask<SliceTask>): void {
    const { keeper, trees } = this;
    trees.hashing.run(task, (result) => {
      this.isSlicing = false;
      if (result === undefined) {
        keeper.failed(number);
        return;
      }
      const { built } = keeper;
      keeper.done(number, result);
      if (result.type === 'slice') this.sliced(result, keeper.built > built);
    });
  }

  private sliced({ bytes, corrupt, rotten }: Slice, isLast: boolean): void {
    const { trees, partition } = this;
    this.slicedBytes = bytes;
    trees.counters.corruptRecords += corrupt;
    for (const key of rotten) trees.rotten.note(key);
    if (!isLast) return;
    this.builtAtMs = this.begunAtMs;
    this.builtForCall = this.begunForCall;
    trees.counters.treesBuilt++;
    trees.builds.delete(partition);
  }

  /** So that whoever reads what is committed knows which writes are in it. */
  private mark(): void {
    const { mark } = this.keeper;
    if (mark !== undefined && this.trees.hashing.readsCommitted) this.trees.objects.put(mark.key, mark.value);
  }
}

/** Where it costs the node's own event loop, a slice is small. */
function sizesFor({ hashing }: ReplicaTrees): { sliceRecords?: number; sliceBytes?: number } {
  return hashing.readsCommitted ? {} : { sliceRecords: SLICE_RECORDS, sliceBytes: SLICE_BYTES };
}
