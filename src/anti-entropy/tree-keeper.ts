/**
 * Keeps a vnode's tree fresh, and builds it anew when it must be. Pure: the vnode notes its writes here and performs the
 * tasks that it is given (`hash-task.ts`) wherever they may run.
 *
 *     note ──▶ the tree that serves ◀── folds
 *      └─────▶ the tree being built ◀── slices:   keys   ├── covered ──┤── slice under way ──┤── still to come ──┤
 *                                        a write there:     noted          held                 left out
 *
 * A build walks through the keys in slices, each from a snapshot of its own, at whatever rate the tasks are fetched; the
 * old tree serves meanwhile. A snapshot tells how many of the vnode's writes it has (`build-mark.ts`): of the writes
 * that were held during a slice, those are dropped which the slice has seen already. Writes to keys that are still to
 * come will be in their slice's snapshot.
 *
 * Bounded: a tree that is more than `maxLogBytes` of changes behind is given up, and built anew.
 */
import { assert } from '../base/assert.js';
import { compareBytes } from '../base/bytes.js';
import { partitionRange } from '../codec/key.js';
import { buildMarkKey } from '../codec/own-keys.js';
import { encodeBuildMark } from './build-mark.js';
import { ChangeLog } from './change-log.js';
import { FoldingTree } from './folding-tree.js';
import type { HashResult, HashTask, Slice } from './hash-task.js';
import { depthFor, MerkleTree } from './merkle-tree.js';

export interface TreeKeeperOptions {
  readonly partition: number;
  /** A tree that was saved at a clean stop, and is that of the records. */
  readonly saved?: MerkleTree | undefined;
  /** Changes that are worth a task, with those of other trees (default 64). */
  readonly foldChanges?: number;
  /** Bytes of changes that may wait (default 4 MiB). */
  readonly maxLogBytes?: number;
  /** Records in a slice (default 8,192), and their bytes (default 4 MiB). */
  readonly sliceRecords?: number;
  readonly sliceBytes?: number;
}

/** A task, and the number under which its outcome is to be told. */
export interface NumberedTask {
  readonly number: number;
  readonly task: HashTask;
}

/** What a build has found so far. */
export interface BuildProgress {
  readonly records: number;
  readonly bytes: number;
  readonly corrupt: number;
}

interface Build {
  /** Drawn by chance: tells its marks from those of other builds. */
  readonly id: number;
  readonly folding: FoldingTree;
  /** Keys below this one are covered. */
  from: Uint8Array;
  /** The task of the slice that is under way; 0: none is. */
  slice: number;
  /** Writes to keys that are not covered, noted since that slice was asked for, and their numbers. */
  readonly held: ChangeLog;
  readonly heldNumbers: number[];
  records: number;
  bytes: number;
  corrupt: number;
}

export class TreeKeeper {
  /** How many writes were noted. */
  noted = 0;
  private readonly options: Required<Omit<TreeKeeperOptions, 'saved'>>;
  private current: FoldingTree | undefined;
  private build: Build | undefined;
  private tasks = 0;
  private stale: boolean;

  constructor(options: TreeKeeperOptions) {
    this.options = {
      partition: options.partition,
      foldChanges: options.foldChanges ?? 64,
      maxLogBytes: options.maxLogBytes ?? 4 * 2 ** 20,
      sliceRecords: options.sliceRecords ?? 8_192,
      sliceBytes: options.sliceBytes ?? 4 * 2 ** 20,
    };
    this.current = options.saved === undefined ? undefined : new FoldingTree(options.saved);
    this.stale = options.saved === undefined;
  }

  /** The tree that serves; undefined if there is none yet. It lacks what `isFresh` tells of. */
  get tree(): MerkleTree | undefined {
    return this.current?.tree;
  }

  /** True if the tree should be built anew: it is not what it should be, too small for its keys, or not there. */
  get wantsBuild(): boolean {
    if (this.build !== undefined) return false;
    const { tree } = this;
    return this.stale || tree === undefined || tree.wantedDepth > tree.depth;
  }

  /** True if the tree may be wrong, until a build has come to its end. What differs is found with it all the same. */
  get isStale(): boolean {
    return this.stale;
  }

  get isBuilding(): boolean {
    return this.build !== undefined;
  }

  get progress(): BuildProgress | undefined {
    return this.build;
  }

  /**
   * A write of the vnode: the record under `located` was `before` and is `after`. While building, write `mark`, too.
   * @returns true if there may be changes that are worth a task: `nextFold`
   */
  note(located: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): boolean {
    const number = ++this.noted;
    const { current, build } = this;
    current?.note(number, located, before, after);
    if (build === undefined && (current === undefined || current.unsent < this.options.foldChanges)) return false;
    if (build !== undefined) {
      if (compareBytes(located, build.from) < 0) build.folding.note(number, located, before, after);
      else if (build.slice !== 0) {
        build.held.note(located, before, after);
        build.heldNumbers.push(number);
      }
    }
    this.bound();
    return true;
  }

  /** What the vnode writes with every write while a tree is being built, and when it is given a slice to ask for. */
  get mark(): { readonly key: Uint8Array; readonly value: Uint8Array } | undefined {
    if (this.build === undefined) return undefined;
    const { id } = this.build;
    return {
      key: buildMarkKey(this.options.partition),
      value: encodeBuildMark({ build: id, noted: this.noted }),
    };
  }

  /** A commit failed: which of the writes noted since the last one are stored, nobody knows. */
  commitFailed(): void {
    this.stale = true;
    this.build = undefined;
  }

  /**
   * Begins to build the tree anew; a build that is under way is given up.
   * @param id - drawn by chance, 32 bits. @param keys - about how many there are, if more than the present tree covers
   */
  beginBuild(id: number, keys: number): void {
    this.build = {
      id,
      folding: new FoldingTree(new MerkleTree(depthFor(Math.max(keys, this.tree?.keys ?? 0)))),
      from: partitionRange(this.options.partition).gte,
      slice: 0,
      held: new ChangeLog(),
      heldNumbers: [],
      records: 0,
      bytes: 0,
      corrupt: 0,
    };
  }

  /**
   * The next slice of the build; undefined if none is to be asked for now. The vnode writes `mark` in the same turn.
   */
  nextSlice(): NumberedTask | undefined {
    const { build, options } = this;
    if (build === undefined || build.slice !== 0) return undefined;
    build.slice = ++this.tasks;
    const task: HashTask = {
      type: 'slice',
      partition: options.partition,
      depth: build.folding.tree.depth,
      from: build.from,
      limit: options.sliceRecords,
      limitBytes: options.sliceBytes,
      mark: { build: build.id, noted: this.noted },
    };
    return { number: build.slice, task };
  }

  /** Changes to be folded in; undefined if there are too few to be worth a task, or, if `all`, none. */
  nextFold(all = false): NumberedTask | undefined {
    const least = all ? 1 : this.options.foldChanges;
    for (const folding of [this.current, this.build?.folding]) {
      if (folding === undefined || folding.unsent < least) continue;
      const number = ++this.tasks;
      return { number, task: { type: 'fold', batch: folding.take(number)!, depth: folding.tree.depth } };
    }
    return undefined;
  }

  /** A task has come to its end. Outcomes of tasks that no longer matter are left aside. */
  done(number: number, result: HashResult): void {
    if (result.type === 'folded') this.foldingOf(number)?.folded(number, result.delta);
    else if (this.build !== undefined && this.build.slice === number) {
      if (result.type === 'slice') this.sliced(this.build, result);
      else this.dropHeld(this.build);
    }
    this.shrink();
  }

  /** A task has come to nothing: its worker died, or it was refused. It will be given out again. */
  failed(number: number): void {
    this.foldingOf(number)?.failed(number);
    if (this.build?.slice === number) this.dropHeld(this.build);
  }

  /** True if the first `number` writes are in the tree that serves. */
  isFresh(number: number): boolean {
    return this.current?.has(number) ?? false;
  }

  /** The tree as it is after all that was noted, at a clean stop; undefined if there is none that can be believed. */
  settle(): MerkleTree | undefined {
    return this.stale ? undefined : this.current?.settle();
  }

  private foldingOf(number: number): FoldingTree | undefined {
    if (this.current?.isUnderWay(number) === true) return this.current;
    return this.build?.folding.isUnderWay(number) === true ? this.build.folding : undefined;
  }

  private sliced(build: Build, slice: Slice): void {
    const { next } = slice;
    assert(next === undefined || compareBytes(next, build.from) > 0, 'a slice covers at least one key');
    build.folding.tree.apply(slice.delta);
    build.records += slice.records;
    build.bytes += slice.bytes;
    build.corrupt += slice.corrupt;
    const { heldNumbers } = build;
    build.folding.takeOver(slice.noted + 1, build.held, (located, index) => {
      return heldNumbers[index]! > slice.noted && (next === undefined || compareBytes(located, next) < 0);
    });
    this.dropHeld(build);
    if (next === undefined) this.finish(build);
    else build.from = next;
  }

  private dropHeld(build: Build): void {
    build.slice = 0;
    build.held.clear();
    build.heldNumbers.length = 0;
  }

  /** All keys are covered: the new tree serves, with what is outstanding for it. */
  private finish(build: Build): void {
    this.build = undefined;
    this.current = build.folding;
    this.stale = false;
  }

  /** The tree that serves is more than its keys need: its last levels go, at once. */
  private shrink(): void {
    const { current } = this;
    if (current === undefined) return;
    const { tree } = current;
    const wanted = tree.wantedDepth;
    if (wanted < tree.depth) current.tree = tree.shrunk(wanted);
  }

  private bound(): void {
    const { maxLogBytes } = this.options;
    if (this.current !== undefined && this.current.bytes > maxLogBytes) {
      this.current = undefined;
    }
    const { build } = this;
    if (build !== undefined && build.folding.bytes + build.held.size > maxLogBytes) {
      this.build = undefined;
    }
  }
}
