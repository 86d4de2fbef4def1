/**
 * How many requests may be hedged: a small share of all, saved up to a few. Under general overload everything is slower
 * than usual, and hedging it all would double the load that makes it so.
 * Source: Dean and Barroso, "The Tail at Scale" (CACM 2013): hedged requests; the share that they add.
 */
/** Hedges for each request. */
const SHARE = 0.02;
/** So many hedges may be saved up. */
const MOST = 10;

export class HedgeBudget {
  private saved = MOST;

  /** A request was made. */
  earn(): void {
    this.saved = Math.min(MOST, this.saved + SHARE);
  }

  /** True if a request may be hedged; it counts as hedged then. @param cost - so many ordinary hedges, 1 to 10 */
  spend(cost: number): boolean {
    if (this.saved < cost) return false;
    this.saved -= cost;
    return true;
  }
}
