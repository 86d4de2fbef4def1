/**
 * What a node knows of the partitions whose rounds of reaping it leads: in which of them it has found nothing that may go,
 * and since which call for it. Shared by the reaper and by whoever answers the application.
 */
import type { ReapedPartitions } from '../src/messages/node-control.js';

export class ReapRecord {
  /** How often somebody has called for everything to be reaped. */
  calls = 0;
  private readonly session: number;
  /** Of a call that somebody waits for since the reaper last asked; 0: none. */
  private awaited = 0;
  /** By partition: the number of the last call before the look began that found nothing. */
  private readonly clean = new Map<number, number>();

  /** @param session - drawn by chance, above 0: tells this run of the node from others */
  constructor(session: number) {
    this.session = session;
  }

  /** As `NodeControl.reap`. */
  reap(session: number, call: number): ReapedPartitions {
    const mine = session === this.session ? call : ++this.calls;
    this.awaited = mine;
    const partitions = [...this.clean].filter(([, since]) => since >= mine).map(([partition]) => partition);
    return { session: this.session, call: mine, partitions };
  }

  /** The partitions that somebody waits for, if anybody does; asked once for each time that he asks. */
  takeAwaited(): ((partition: number) => boolean) | undefined {
    const { awaited } = this;
    this.awaited = 0;
    return awaited === 0 ? undefined : (partition) => (this.clean.get(partition) ?? 0) < awaited;
  }

  /** True if nothing was found there to be clean since the last call. */
  lacks(partition: number): boolean {
    return (this.clean.get(partition) ?? 0) < this.calls;
  }

  /** @param since - `calls`, when the look began */
  foundClean(partition: number, since: number): void {
    this.clean.set(partition, since);
  }
}
