/** Which threads of a group are cut off from which, by splits that are not healed yet. */

/** Two threads, the lower first. */
export type Pair = readonly [low: number, high: number];

export class CutPairs {
  private readonly pairs = new Map<string, Pair>();

  /** Cuts every thread of `side` off from every one of `rest`. */
  cut(side: readonly number[], rest: readonly number[]): void {
    for (const a of side) for (const b of rest) this.pairs.set(keyOf(a, b), a < b ? [a, b] : [b, a]);
  }

  isCut(a: number, b: number): boolean {
    return this.pairs.size > 0 && this.pairs.has(keyOf(a, b));
  }

  /** Ends all cuts. @returns what they were */
  heal(): Pair[] {
    const healed = [...this.pairs.values()];
    this.pairs.clear();
    return healed;
  }
}

function keyOf(a: number, b: number): string {
  return `${Math.min(a, b)} ${Math.max(a, b)}`;
}
