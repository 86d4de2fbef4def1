/**
 * A tree, and the changes that are not in it yet: in a log, or on their way through a worker and back.
 *
 *     note ──▶ log ──take──▶ batch under way ──folded──▶ tree
 *                                └──failed──▶ waits to be taken again: a worker that died has lost nothing
 */
import { assert } from '../base/assert.js';
import { type ChangeBatch, ChangeLog, foldChanges } from './change-log.js';
import type { MerkleTree } from './merkle-tree.js';
import type { TreeDelta } from './tree-delta.js';

/** A batch, and the vnode's first write in it. */
interface Outstanding {
  readonly batch: ChangeBatch;
  readonly first: number;
}

export class FoldingTree {
  tree: MerkleTree;
  private readonly log = new ChangeLog();
  /** The number of the first write in the log. */
  private first = 0;
  private readonly underWay = new Map<number, Outstanding>();
  private readonly waiting: Outstanding[] = [];
  private outstandingBytes = 0;

  constructor(tree: MerkleTree) {
    this.tree = tree;
  }

  /** Changes that no worker has yet. */
  get unsent(): number {
    return this.waiting.length > 0 ? Number.POSITIVE_INFINITY : this.log.changes;
  }

  /** Bytes of changes that are not in the tree. */
  get bytes(): number {
    return this.log.size + this.outstandingBytes;
  }

  /** `number`: of the vnode's writes; ascending. */
  note(number: number, located: Uint8Array, before: Uint8Array | undefined, after: Uint8Array | undefined): void {
    if (this.log.changes === 0) this.first = number;
    this.log.note(located, before, after);
  }

  /** Takes over from `held` the changes that are `wanted`; none is older than what is noted here later. */
  takeOver(number: number, held: ChangeLog, wanted: (located: Uint8Array, index: number) => boolean): void {
    if (this.log.changes === 0) this.first = number;
    this.first = Math.min(this.first, number);
    held.moveTo(this.log, wanted);
  }

  /** A batch for a worker, under the number by which it is answered; undefined if there is none. */
  take(task: number): ChangeBatch | undefined {
    let next = this.waiting.shift();
    if (next === undefined) {
      if (this.log.changes === 0) return undefined;
      next = { batch: this.log.take(), first: this.first };
      this.outstandingBytes += next.batch.bytes.length;
    }
    this.underWay.set(task, next);
    return next.batch;
  }

  isUnderWay(task: number): boolean {
    return this.underWay.has(task);
  }

  folded(task: number, delta: TreeDelta): void {
    const done = this.underWay.get(task);
    assert(done !== undefined, 'a batch is folded in once');
    this.underWay.delete(task);
    this.outstandingBytes -= done.batch.bytes.length;
    this.tree.apply(delta);
    this.log.reuse(done.batch);
  }

  /** Nothing came of it: the batch will be taken again. */
  failed(task: number): void {
    const lost = this.underWay.get(task);
    assert(lost !== undefined, 'only a batch that is under way fails');
    this.underWay.delete(task);
    this.waiting.push(lost);
  }

  /** True if the first `number` of the vnode's writes are all in the tree, as far as they concern it. */
  has(number: number): boolean {
    if (this.log.changes > 0 && this.first <= number) return false;
    for (const { first } of this.waiting) if (first <= number) return false;
    for (const { first } of this.underWay.values()) if (first <= number) return false;
    return true;
  }

  /** Folds all that is outstanding in, here and now: at a stop, when there is nobody left to do it. */
  settle(): MerkleTree {
    for (const { batch } of [...this.waiting, ...this.underWay.values()]) {
      this.tree.apply(foldChanges(batch, this.tree.depth));
    }
    this.waiting.length = 0;
    this.underWay.clear();
    this.outstandingBytes = 0;
    if (this.log.changes > 0) this.tree.apply(foldChanges(this.log.take(), this.tree.depth));
    return this.tree;
  }
}
