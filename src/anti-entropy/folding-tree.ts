/** A tree whose changes stand in the log of its node until they are folded in (`change-log.ts`). */
import type { MerkleTree } from './merkle-tree.js';
import type { TreeDelta } from './tree-delta.js';

export class FoldingTree {
  tree: MerkleTree;
  /** By which its changes are known in the log: another one for each tree that ever was. */
  readonly number: number;
  /** True once the log holds no more changes for it: it lacks some, and will never have them. */
  isDropped = false;
  /** Changes that came into the log later than they were made: up to this one. */
  lateUpTo = 0;
  private serves = false;

  constructor(tree: MerkleTree, number: number) {
    this.tree = tree;
    this.number = number;
  }

  /** It has all keys: where it is more than they need, its last levels go at once. */
  serve(): void {
    this.serves = true;
    this.shrink();
  }

  apply(delta: TreeDelta): void {
    this.tree.apply(delta);
    if (this.serves) this.shrink();
  }

  private shrink(): void {
    const wanted = this.tree.wantedDepth;
    if (wanted < this.tree.depth) this.tree = this.tree.shrunk(wanted);
  }
}
