/**
 * Waiting until all replicas have been compared and are equal, as seen from outside the nodes' threads: asks each node
 * which pairs the exchanges that it leads have found equal since the call, until none is left.
 */
import type { Pair } from '../anti-entropy/schedule.js';
import type { ComparedPairs } from '../messages/node-control.js';
import type { PreferenceList } from '../ring/preference-list.js';
import { type CalledNodes, NodeCalls } from './node-calls.js';

/** What is known of the nodes; asked as by `NodeControl.compare`. */
export interface Comparers extends CalledNodes<ComparedPairs> {
  readonly nodes: readonly number[];
  readonly preferenceLists: readonly Pick<PreferenceList, 'primaries'>[];
}

export class ExchangeWait extends NodeCalls<ComparedPairs> {
  /** Those that were not found equal since the call. */
  private readonly open = new Map<string, Pair>();

  constructor(comparers: Comparers) {
    super(comparers);
    for (const [partition, { primaries }] of comparers.preferenceLists.entries()) {
      for (const [i, first] of primaries.entries()) {
        for (const second of primaries.slice(i + 1)) {
          const pair = { partition, first, second };
          this.open.set(nameOf(pair), pair);
        }
      }
    }
  }

  protected isDone(): boolean {
    return this.open.size === 0;
  }

  protected hear({ equal }: ComparedPairs): void {
    for (const pair of equal) this.open.delete(nameOf(pair));
  }

  /** How many pairs are left, and the nodes of them. */
  get awaited(): { readonly pairs: number; readonly nodes: readonly number[] } {
    const nodes = new Set([...this.open.values()].flatMap(({ first, second }) => [first, second]));
    return { pairs: this.open.size, nodes: [...nodes].sort((a, b) => a - b) };
  }
}

function nameOf({ partition, first, second }: Pair): string {
  return `${partition}:${first}:${second}`;
}
