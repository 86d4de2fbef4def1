/**
 * Waiting until nothing is left that may be reaped, as seen from outside the nodes' threads: asks each node in which of
 * the partitions that it leads it has found nothing since the call, until none is left.
 */
import type { ReapedPartitions } from '../messages/node-control.js';
import { pollNodes } from './poll-nodes.js';

/** What is known of the nodes. */
export interface Reapers {
  readonly nodes: number;
  readonly partitions: number;
  isUp(node: number): boolean;
  /** As `NodeControl.reap`. Rejects if the node dies meanwhile. */
  ask(node: number, session: number, call: number): Promise<ReapedPartitions>;
}

export class ReapWait {
  private readonly reapers: Reapers;
  private readonly open: Set<number>;
  /** By node: its call of this wait. */
  private readonly calls = new Map<number, ReapedPartitions>();
  private stopped = false;

  constructor(reapers: Reapers) {
    this.reapers = reapers;
    this.open = new Set(Array.from({ length: reapers.partitions }, (_, partition) => partition));
  }

  /** Resolves when nothing that may go was found in any partition, or after `stop`. */
  async done(): Promise<void> {
    await pollNodes(
      this.reapers.nodes,
      (node) => this.ask(node),
      () => this.open.size === 0 || this.stopped,
    );
  }

  /** Nobody waits any more. */
  stop(): void {
    this.stopped = true;
  }

  /** How many partitions are left. */
  get awaited(): number {
    return this.open.size;
  }

  private async ask(node: number): Promise<void> {
    if (!this.reapers.isUp(node)) return;
    const { session, call } = this.calls.get(node) ?? { session: 0, call: 0 };
    const [answer] = await Promise.allSettled([this.reapers.ask(node, session, call)]);
    // A node that died is asked again in the next round.
    if (answer.status === 'rejected') return;
    this.calls.set(node, answer.value);
    for (const partition of answer.value.partitions) this.open.delete(partition);
  }
}
