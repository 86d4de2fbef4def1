/**
 * The way down two trees, from the root to the segments that differ: depth first, so that what is yet to be looked into does
 * not grow with the number of differences.
 *
 *     pending    level 1 │ 0x3 0x7 0xa …            looked into last
 *                level 2 │ 0x10 0x1f …              looked into next, a few hundred at a time
 *     segments           │ 0x004 0x00b …            found to differ, ascending
 *
 * A *place* is a segment of the deepest tree there can be: by it an exchange of trees of another size can go on where one
 * has left off.
 */
import { MAX_DEPTH, nodesAt, WIDTH } from './merkle-tree.js';

/** Nodes of one level that differ and are yet to be looked into, ascending. */
interface Nodes {
  readonly level: number;
  readonly nodes: number[];
}

/** Branches whose children's sums are to be compared. */
export interface Branches {
  readonly level: number;
  readonly parents: Uint32Array;
}

export class TreeDescent {
  private readonly level: number;
  private readonly from: number;
  /** The deepest nodes last, and to be taken first. */
  private readonly pending: Nodes[] = [{ level: 0, nodes: [0] }];
  private segments: number[] = [];

  /** @param level - of the segments. @param from - the place before which everything is through */
  constructor(level: number, from: number) {
    this.level = level;
    this.from = from;
  }

  /** How many segments were found since they were taken. */
  get found(): number {
    return this.segments.length;
  }

  /** What is to be looked into next, at most so many; undefined: nothing is left. */
  next(maxBranches: number): Branches | undefined {
    const deepest = this.pending.at(-1);
    if (deepest === undefined) return undefined;
    const parents = Uint32Array.from(deepest.nodes.splice(0, maxBranches));
    if (deepest.nodes.length === 0) this.pending.pop();
    return { level: deepest.level, parents };
  }

  /** The sums of all children of those branches in both trees: low and high half of each. */
  compare({ level: above, parents }: Branches, first: Uint32Array, second: Uint32Array): void {
    const level = above + 1;
    const differing: number[] = [];
    for (let i = 0; i < first.length; i += 2) {
      if (first[i] === second[i] && first[i + 1] === second[i + 1]) continue;
      const at = i / 2;
      const node = parents[Math.floor(at / WIDTH)]! * WIDTH + (at % WIDTH);
      if (placeAfter(level, node) > this.from) differing.push(node);
    }
    if (level === this.level) for (const segment of differing) this.segments.push(segment);
    else if (differing.length > 0) this.pending.push({ level, nodes: differing });
  }

  /** The segments that were found, which are then seen to. */
  take(): Uint32Array {
    const taken = Uint32Array.from(this.segments);
    this.segments = [];
    return taken;
  }
}

/** The place behind a node. */
export function placeAfter(level: number, node: number): number {
  return (node + 1) * nodesAt(MAX_DEPTH - level);
}
