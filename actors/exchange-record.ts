/**
 * What a node knows of the exchanges that it leads: which pairs were found equal, and since which call for it. Shared by
 * the exchanger and by whoever answers the application.
 */
import type { Pair } from '../src/anti-entropy/schedule.js';
import type { ComparedPairs } from '../src/messages/node-control.js';

interface EqualPair extends Pair {
  /** The number of the last call before the exchange began that found it equal. */
  readonly since: number;
}

export class ExchangeRecord {
  /** How often somebody has called for everything to be compared. */
  calls = 0;
  readonly session: number;
  /** Of a call that somebody waits for since the exchanger last asked; 0: none. */
  private awaited = 0;
  private readonly pairs = new Map<string, EqualPair>();
  /** What the node's reaper waits for. */
  private wanted: readonly Pair[] = [];
  private wantedSince = 0;

  /** @param session - drawn by chance, above 0: tells this run of the node from others */
  constructor(session: number) {
    this.session = session;
  }

  /** As `NodeControl.compare`. */
  compare(session: number, call: number): ComparedPairs {
    const mine = session === this.session ? call : ++this.calls;
    this.awaited = mine;
    const equal = [...this.pairs.values()].filter(({ since }) => since >= mine);
    return {
      session: this.session,
      call: mine,
      equal: equal.map(({ partition, first, second }) => ({ partition, first, second })),
    };
  }

  /** The pairs that somebody waits for to be compared now, if anybody does; of a call, once for each time that he asks. */
  takeAwaited(): ((pair: Pair) => boolean) | undefined {
    const { awaited, wanted, wantedSince } = this;
    this.awaited = 0;
    if (awaited === 0 && wanted.length === 0) return undefined;
    const names = new Set(wanted.map(nameOf));
    return (pair) => {
      const name = nameOf(pair);
      const since = this.pairs.get(name)?.since ?? 0;
      return since < awaited || (since < wantedSince && names.has(name));
    };
  }

  /** Has these pairs compared from now on until they are found equal, or something else is wanted; they are led here. */
  want(pairs: readonly Pair[]): void {
    this.wanted = pairs;
    this.wantedSince = ++this.calls;
  }

  /** True if all that is wanted has been found equal since. */
  get hasWanted(): boolean {
    return this.wanted.every((pair) => (this.pairs.get(nameOf(pair))?.since ?? 0) >= this.wantedSince);
  }

  /** @param since - `calls`, when the exchange began */
  foundEqual({ partition, first, second }: Pair, since: number): void {
    const pair = { partition, first, second, since };
    this.pairs.set(nameOf(pair), pair);
  }
}

/** A name for a pair. */
export function nameOf({ partition, first, second }: Pair): string {
  return `${partition}:${first}:${second}`;
}
