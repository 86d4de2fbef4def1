/** Waiting until a node has built all of its Merkle trees anew, as seen from outside its thread. */
import type { RebuiltTrees } from '../messages/node-control.js';
import { NodeCalls } from './node-calls.js';

/** Of one node, asked as by `NodeControl.rebuild`. */
export class RebuildWait extends NodeCalls<RebuiltTrees> {
  /** How many trees are left; undefined while the node has not said. */
  left: number | undefined;

  protected isDone(): boolean {
    return this.left === 0;
  }

  protected hear({ left }: RebuiltTrees): void {
    this.left = left;
  }
}
