/**
 * A queue of numbers (tickets, correlations), each with the moment from which it is to be looked at again; first in,
 * first out. Where all wait equally long, looking after what is due costs nothing for the rest: no sweep over all that is
 * under way, and no timer for each.
 */
import { assert } from './assert.js';

const AT_FIRST = 64;

export class DueQueue {
  /** How many wait. */
  size = 0;
  private head = 0;
  private entries = new Float64Array(AT_FIRST);
  private times = new Float64Array(AT_FIRST);

  push(entry: number, time: number): void {
    if (this.size === this.entries.length) this.grow();
    const at = (this.head + this.size) & (this.entries.length - 1);
    this.entries[at] = entry;
    this.times[at] = time;
    this.size++;
  }

  /** The time of the first entry; Infinity if there is none. */
  get firstTime(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.times[this.head]!;
  }

  /** Takes the first entry out. There must be one. */
  shift(): number {
    assert(this.size > 0, 'only what was pushed can be taken out');
    const entry = this.entries[this.head]!;
    this.head = (this.head + 1) & (this.entries.length - 1);
    this.size--;
    return entry;
  }

  private grow(): void {
    const { entries, times, head } = this;
    const length = entries.length;
    this.entries = new Float64Array(2 * length);
    this.times = new Float64Array(2 * length);
    for (let i = 0; i < length; i++) {
      this.entries[i] = entries[(head + i) & (length - 1)]!;
      this.times[i] = times[(head + i) & (length - 1)]!;
    }
    this.head = 0;
  }
}
