/**
 * Waiting until all replicas have been compared and are equal, as seen from outside the nodes' threads: asks each node
 * which pairs the exchanges that it leads have found equal since the call, until none is left.
 */
import type { Pair } from '../anti-entropy/schedule.js';
import type { ComparedPairs } from '../messages/node-control.js';
import type { PreferenceList } from '../ring/preference-list.js';
import { pollNodes } from './poll-nodes.js';

/** What is known of the nodes. */
export interface Comparers {
  readonly nodes: number;
  readonly preferenceLists: readonly Pick<PreferenceList, 'primaries'>[];
  isUp(node: number): boolean;
  /** As `NodeControl.compare`. Rejects if the node dies meanwhile. */
  ask(node: number, session: number, call: number): Promise<ComparedPairs>;
}

export class ExchangeWait {
  private readonly comparers: Comparers;
  /** Those that were not found equal since the call. */
  private readonly open = new Map<string, Pair>();
  /** By node: its call of this wait. */
  private readonly calls = new Map<number, ComparedPairs>();
  private stopped = false;

  constructor(comparers: Comparers) {
    this.comparers = comparers;
    for (const [partition, { primaries }] of comparers.preferenceLists.entries()) {
      for (const [i, first] of primaries.entries()) {
        for (const second of primaries.slice(i + 1)) {
          const pair = { partition, first, second };
          this.open.set(nameOf(pair), pair);
        }
      }
    }
  }

  /** Resolves when every pair of replicas was found equal, or after `stop`. */
  async done(): Promise<void> {
    await pollNodes(
      this.comparers.nodes,
      (node) => this.ask(node),
      () => this.open.size === 0 || this.stopped,
    );
  }

  /** Nobody waits any more. */
  stop(): void {
    this.stopped = true;
  }

  /** How many pairs are left, and the nodes of them. */
  get awaited(): { readonly pairs: number; readonly nodes: readonly number[] } {
    const nodes = new Set([...this.open.values()].flatMap(({ first, second }) => [first, second]));
    return { pairs: this.open.size, nodes: [...nodes].sort((a, b) => a - b) };
  }

  private async ask(node: number): Promise<void> {
    if (!this.comparers.isUp(node)) return;
    const { session, call } = this.calls.get(node) ?? { session: 0, call: 0 };
    const [answer] = await Promise.allSettled([this.comparers.ask(node, session, call)]);
    // A node that died is asked again in the next round.
    if (answer.status === 'rejected') return;
    this.calls.set(node, answer.value);
    for (const pair of answer.value.equal) this.open.delete(nameOf(pair));
  }
}

function nameOf({ partition, first, second }: Pair): string {
  return `${partition}:${first}:${second}`;
}
