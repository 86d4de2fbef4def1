/**
 * Waiting until nothing is left that may be reaped, as seen from outside the nodes' threads: asks each node in which of
 * the partitions that it leads it has found nothing since the call, until none is left.
 */
import type { ReapedPartitions } from '../messages/node-control.js';
import { type CalledNodes, NodeCalls } from './node-calls.js';

/** What is known of the nodes; asked as by `NodeControl.reap`. */
export interface Reapers extends CalledNodes<ReapedPartitions> {
  readonly nodes: readonly number[];
  readonly partitions: number;
}

export class ReapWait extends NodeCalls<ReapedPartitions> {
  private readonly open: Set<number>;

  constructor(reapers: Reapers) {
    super(reapers);
    this.open = new Set(Array.from({ length: reapers.partitions }, (_, partition) => partition));
  }

  protected isDone(): boolean {
    return this.open.size === 0;
  }

  protected hear({ partitions }: ReapedPartitions): void {
    for (const partition of partitions) this.open.delete(partition);
  }

  /** How many partitions are left. */
  get awaited(): number {
    return this.open.size;
  }
}
