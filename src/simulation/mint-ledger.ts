/**
 * Promise 6, the minting invariant of semantics §1: a writer mints for a key only on an object that holds or covers all
 * its own earlier dots for that key. Which these are is written down here, mint by mint, and held against the record that
 * the next one is minted upon; the result would not show it, for its context claims every dot of the writer up to its own.
 */
import { counterOf, coversDot } from '../clocks/causal-context.js';
import type { Dot } from '../clocks/event-id.js';
import { decodeSoundContext, isSoundRecord } from '../codec/record.js';

export class MintLedger {
  /** Mints that broke the invariant. */
  readonly violations: string[] = [];
  /** By the place of an object, by writer: its dots there, oldest first. */
  private readonly dots = new Map<string, Map<string, Dot[]>>();

  /**
   * `dot` was minted.
   * @param place - names the object: its replica, or the hint, and its key
   * @param upon - the record that its minter had there, undefined if it had none, or had not looked
   */
  minted(place: string, dot: Dot, upon: Uint8Array | undefined): void {
    let writers = this.dots.get(place);
    if (writers === undefined) {
      writers = new Map();
      this.dots.set(place, writers);
    }
    const writer = `${dot.high}:${dot.low}`;
    const earlier = writers.get(writer);
    if (earlier === undefined) {
      writers.set(writer, [dot]);
      return;
    }
    const seen = upon === undefined || !isSoundRecord(upon) ? undefined : decodeSoundContext(upon);
    const last = earlier[earlier.length - 1]!;
    earlier.push(dot);
    // Nearly always, and then all before it are covered, too.
    if (seen !== undefined && counterOf(seen, last.high, last.low) >= last.counter) return;
    const missing = earlier.slice(0, -1).filter((one) => seen === undefined || !coversDot(seen, one));
    if (missing.length > 0) {
      const counters = missing.map(({ counter }) => counter).join(', ');
      this.violations.push(
        `minted upon an object that lacks its writer's own: dot ${counters} before dot ${dot.counter}, ${place}`,
      );
    }
  }

  /** A round of reaping has come to its commit for the object: what it no longer names is nowhere else. */
  mayBeForgotten(place: string): void {
    this.dots.delete(place);
  }
}
