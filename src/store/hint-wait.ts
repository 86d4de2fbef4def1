/**
 * Waiting for the hints that exist now to be delivered, as seen from outside the nodes' threads. Asks each node what it
 * keeps, notes how far its delivery must come, and asks again until it has come so far.
 */
import type { Session } from '../hinted-handoff/hint-record.js';
import type { HintStatus } from '../messages/node-control.js';

/** What is known of the nodes. */
export interface HintHolders {
  readonly nodes: number;
  isUp(node: number): boolean;
  /** How many hints the node keeps; of one that is down, how many it kept. */
  hintsOn(node: number): number;
  /** Rejects if the node dies meanwhile. */
  ask(node: number): Promise<HintStatus>;
}

/** What a node kept when it was first asked. */
interface Kept {
  session: Session;
  /** By owner: the pass after which all of it is delivered. */
  readonly passes: Map<number, number>;
}

/** Between two rounds of questions, in milliseconds. */
const ROUND_MS = 10;

export class HintWait {
  private readonly holders: HintHolders;
  /** By node: what is still awaited; undefined while it was not asked. */
  private readonly open = new Map<number, Kept | undefined>();
  private stopped = false;

  constructor(holders: HintHolders) {
    this.holders = holders;
    for (let node = 0; node < holders.nodes; node++) this.open.set(node, undefined);
  }

  /** Resolves when every hint that was there is delivered, or after `stop`. */
  async done(): Promise<void> {
    for (;;) {
      await Promise.all([...this.open.keys()].map((node) => this.ask(node)));
      if (this.open.size === 0 || this.stopped) return;
      await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
    }
  }

  /** Nobody waits any more. */
  stop(): void {
    this.stopped = true;
  }

  /** Nodes of which hints are awaited: those that keep them, and those for which they are. */
  get awaited(): { readonly holders: readonly number[]; readonly owners: readonly number[] } {
    const owners = new Set<number>();
    for (const kept of this.open.values()) for (const owner of kept?.passes.keys() ?? []) owners.add(owner);
    return { holders: [...this.open.keys()], owners: [...owners].sort((a, b) => a - b) };
  }

  private async ask(node: number): Promise<void> {
    if (!this.holders.isUp(node)) {
      // What it keeps waits for its return.
      if (this.holders.hintsOn(node) === 0) this.open.delete(node);
      return;
    }
    const [answer] = await Promise.allSettled([this.holders.ask(node)]);
    // A node that died is asked again in the next round.
    if (answer.status === 'fulfilled') this.hear(node, answer.value);
  }

  private hear(node: number, { session, owners }: HintStatus): void {
    const kept = this.open.get(node);
    const now = new Map(owners.map((one) => [one.owner, one]));
    if (kept === undefined) {
      // The pass under way may have begun before the last hint came.
      const passes = new Map(owners.map(({ owner, begun }) => [owner, begun + 1]));
      if (passes.size === 0) this.open.delete(node);
      else this.open.set(node, { session, passes });
      return;
    }
    const isSame = session.high === kept.session.high && session.low === kept.session.low;
    for (const [owner, pass] of kept.passes) {
      const present = now.get(owner);
      if (present === undefined || (isSame && present.clean >= pass)) kept.passes.delete(owner);
      // Passes are counted anew after a start.
      else if (!isSame) kept.passes.set(owner, present.begun + 1);
    }
    kept.session = session;
    if (kept.passes.size === 0) this.open.delete(node);
  }
}
