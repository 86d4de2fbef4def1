/**
 * Keeps a vnode's tree fresh, and builds it anew when it must be. Pure: the vnode notes its writes here and performs the
 * tasks that it is given (`hash-task.ts`) wherever they may run.
 *
 *     note ──▶ the node's log ──folded──▶ the tree that serves
 *      └──────▶ the node's log ──folded──▶ the tree being built ◀── slices:   keys   ├─ covered ─┤─ slice under way ─┤─ still to come ─┤
 *                                                                    a write there:      noted          held             left out
 *
 * A build walks through the keys in slices, each from a snapshot of its own, at whatever rate the tasks are fetched; the
 * old tree serves meanwhile. A snapshot tells how many of the vnode's writes it has (`build-mark.ts`): of the writes
 * that were held during a slice, those are dropped which the slice has seen already. Writes to keys that are still to
 * come will be in their slice's snapshot.
 *
 * Bounded: a build during whose slice more than `maxHeldBytes` of changes come is given up, and begun anew; for the log
 * see there.
 */
import { assert } from '../base/assert.js';
import { compareBytes } from '../base/bytes.js';
import { viewOf } from '../codec/byte-reader.js';
import { partitionRange } from '../codec/key.js';
import { buildMarkKey } from '../codec/own-keys.js';
import { encodeBuildMark } from './build-mark.js';
import { ChangeBuffer, changeBytes } from './change-buffer.js';
import { type ChangeLog, KEEPER_NOTES } from './change-log.js';
import type { FoldingTree } from './folding-tree.js';
import type { HashResult, NumberedTask, Slice, SliceTask } from './hash-task.js';
import { depthFor, MerkleTree } from './merkle-tree.js';

export interface TreeKeeperOptions {
  readonly partition: number;
  /** Where changes wait for being folded in: of all trees of the node. */
  readonly log: ChangeLog;
  /** A tree that was saved at a clean stop, and is that of the records. */
  readonly saved?: MerkleTree | undefined;
  /** Bytes of changes that a build holds during a slice (default 4 MiB). */
  readonly maxHeldBytes?: number;
  /** Records in a slice (default 8,192), and their bytes (default 4 MiB). */
  readonly sliceRecords?: number;
  readonly sliceBytes?: number;
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
  held: ChangeBuffer;
  readonly heldNumbers: number[];
  records: number;
  bytes: number;
  corrupt: number;
}

export class TreeKeeper {
  private readonly options: Required<Omit<TreeKeeperOptions, 'saved'>>;
  private readonly log: ChangeLog;
  private current: FoldingTree | undefined;
  /** How many writes were noted while a tree was being built. */
  private noted = 0;
  /** How many builds came to their end. */
  built = 0;
  private build: Build | undefined;
  private tasks = 0;
  private stale: boolean;

  constructor(options: TreeKeeperOptions) {
    this.options = {
      partition: options.partition,
      log: options.log,
      maxHeldBytes: options.maxHeldBytes ?? 4 * 2 ** 20,
      sliceRecords: options.sliceRecords ?? 8_192,
      sliceBytes: options.sliceBytes ?? 4 * 2 ** 20,
    };
    this.log = options.log;
    if (options.saved !== undefined) this.serve(options.log.enlist(options.saved));
    this.stale = options.saved === undefined;
    this.route();
  }

  /** The tree that serves; undefined if there is none yet. It lacks what `isFresh` tells of. */
  get tree(): MerkleTree | undefined {
    return this.serving?.tree;
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
   * A write of the vnode: the record under `located` was `before` and is `after`.
   * The log's `noteWrite` does the same where it returns true.
   * @returns true while a tree is being built: write `mark`, too
   */
  note(located: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): boolean {
    if (this.log.noteWrite(this.options.partition, located, before, after)) return false;
    const { build, serving } = this;
    assert(build !== undefined, 'a keeper notes what is written while a tree is being built');
    if (serving !== undefined) this.log.note(serving.number, located, before, after);
    this.noteInBuild(build, located, before, after);
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
    this.giveUpBuild();
  }

  /** The vnode is no more. */
  retire(): void {
    this.giveUpBuild();
    if (this.current !== undefined) this.log.drop(this.current);
    this.current = undefined;
    this.route();
  }

  /**
   * Begins to build the tree anew; a build that is under way is given up.
   * @param id - drawn by chance, 32 bits. @param keys - about how many there are, if more than the present tree covers
   */
  beginBuild(id: number, keys: number): void {
    this.giveUpBuild();
    this.build = {
      id,
      folding: this.log.enlist(new MerkleTree(depthFor(Math.max(keys, this.tree?.keys ?? 0)))),
      from: partitionRange(this.options.partition).gte,
      slice: 0,
      held: new ChangeBuffer(new Uint8Array(0)),
      heldNumbers: [],
      records: 0,
      bytes: 0,
      corrupt: 0,
    };
    this.route();
  }

  /**
   * The next slice of the build; undefined if none is to be asked for now. The vnode writes `mark` in the same turn.
   * @param share - of a core that it may take: it is so much smaller, and takes as long
   */
  nextSlice(share = 1): NumberedTask<SliceTask> | undefined {
    const { build, options } = this;
    if (build === undefined || build.slice !== 0) return undefined;
    build.slice = ++this.tasks;
    const task: SliceTask = {
      type: 'slice',
      partition: options.partition,
      depth: build.folding.tree.depth,
      from: build.from,
      limit: Math.ceil(options.sliceRecords * share),
      limitBytes: Math.ceil(options.sliceBytes * share),
      share,
      mark: { build: build.id, noted: this.noted },
    };
    return { number: build.slice, task };
  }

  /** A slice has come to its end. Outcomes of tasks that no longer matter are left aside. */
  done(number: number, result: HashResult): void {
    const { build } = this;
    if (build === undefined || build.slice !== number) return;
    if (result.type === 'slice') this.sliced(build, result);
    else dropHeld(build);
  }

  /** A slice has come to nothing: its worker died, or it was refused. It will be given out again. */
  failed(number: number): void {
    if (this.build?.slice === number) dropHeld(this.build);
  }

  /** True if the tree that serves has all changes up to that number of the log. */
  isFresh(number: number): boolean {
    const { serving } = this;
    return serving !== undefined && this.log.has(Math.max(number, serving.lateUpTo));
  }

  /** The tree as it is after all that was noted, at a clean stop; undefined if there is none that can be believed. */
  settle(): MerkleTree | undefined {
    if (this.stale || this.tree === undefined) return undefined;
    this.log.settle();
    return this.tree;
  }

  /** The tree that serves, as long as the log keeps what is noted for it. */
  private get serving(): FoldingTree | undefined {
    return this.current?.isDropped === false ? this.current : undefined;
  }

  private serve(folding: FoldingTree): void {
    this.current = folding;
    folding.serve();
  }

  /** Which tree writes are noted for: most of the time the log knows it by itself. */
  private route(): void {
    const number = this.serving?.number ?? 0;
    this.log.route(this.options.partition, this.build === undefined ? number : KEEPER_NOTES);
  }

  private noteInBuild(
    build: Build,
    located: Uint8Array,
    before: Uint8Array | undefined,
    after: Uint8Array | undefined,
  ): void {
    const number = ++this.noted;
    if (compareBytes(located, build.from) < 0) this.log.note(build.folding.number, located, before, after);
    else if (build.slice !== 0) {
      makeRoom(build, located);
      build.held.note(build.folding.number, located, before, after);
      build.heldNumbers.push(number);
      if (build.held.length > this.options.maxHeldBytes) this.giveUpBuild();
    }
  }

  private sliced(build: Build, slice: Slice): void {
    const { next } = slice;
    assert(next === undefined || compareBytes(next, build.from) > 0, 'a slice covers at least one key');
    if (build.folding.isDropped) {
      // The log could not keep what was noted for it.
      this.giveUpBuild();
      return;
    }
    build.folding.apply(slice.delta);
    build.records += slice.records;
    build.bytes += slice.bytes;
    build.corrupt += slice.corrupt;
    const { heldNumbers, folding } = build;
    build.held.forEach((located, before, after, index) => {
      if (heldNumbers[index]! <= slice.noted || (next !== undefined && compareBytes(located, next) >= 0)) return;
      this.log.note(folding.number, located, before, after);
      folding.lateUpTo = this.log.noted;
    });
    dropHeld(build);
    if (next === undefined) this.finish(build);
    else build.from = next;
  }

  /** All keys are covered: the new tree serves, with what the log has for it. */
  private finish(build: Build): void {
    this.build = undefined;
    if (this.current !== undefined) this.log.drop(this.current);
    this.serve(build.folding);
    this.stale = false;
    this.built++;
    this.route();
  }

  private giveUpBuild(): void {
    if (this.build === undefined) return;
    this.log.drop(this.build.folding);
    this.build = undefined;
    this.route();
  }
}

const FIRST_HELD_BYTES = 4_096;

/** What is held grows: a build is not often under way. */
function makeRoom(build: Build, located: Uint8Array): void {
  const { held } = build;
  if (held.fits(located)) return;
  const needed = held.length + changeBytes(located);
  const bytes = new Uint8Array(Math.max(FIRST_HELD_BYTES, 2 * needed));
  bytes.set(viewOf(held.bytes, 0, held.length));
  build.held = new ChangeBuffer(bytes);
  build.held.length = held.length;
  build.held.changes = held.changes;
}

function dropHeld(build: Build): void {
  build.slice = 0;
  build.held.clear();
  build.heldNumbers.length = 0;
}
