/**
 * Which keys are asked for most: a bounded summary of a stream, so that a hot key can be found (scylladb#4703).
 *
 *     one in 16 requests ──▶ is its key among the 128? ── yes ──▶ count + 1
 *                                     └── no ──▶ takes the place of the least counted one, and inherits its count + 1
 *
 * A key with more than a 128th of all counted requests is always among them; its count is too high by no more than what
 * it inherited, which is reported with it. All counts are halved every 4,096 counted requests, so that what was hot an
 * hour ago is not shown as hot now.
 * Source: Metwally, Agrawal, El Abbadi, *Efficient Computation of Frequent and Top-k Elements in Data Streams* (ICDT
 * 2005), the Space-Saving algorithm.
 */
import { equalBytes } from '../base/bytes.js';
import { hash64 } from '../base/hash.js';

const CAPACITY = 128;
const COUNTED_OF = 16;
const HALVED_EVERY = 4_096;

export interface HotKey {
  /** As it was given to `see`. */
  readonly key: Uint8Array;
  /** Its share of the latest requests, 0 to 1. */
  readonly share: number;
  /** By how much the share may be too high. */
  readonly error: number;
}

export class HotKeys {
  private readonly keys: Uint8Array[] = [];
  private readonly hashes = new Int32Array(CAPACITY);
  private readonly counts = new Float64Array(CAPACITY);
  private readonly inherited = new Float64Array(CAPACITY);
  /** All that is counted, the halvings included. */
  private total = 0;
  private sinceHalving = 0;
  private skip = 0;
  /** Which requests are counted is drawn, or a stream that repeats itself in step would show one side of it only. */
  private draw = 1;

  /** A request for `key`, which is copied if it is kept. Costs a few nanoseconds, but for one in 16. */
  see(key: Uint8Array): void {
    if (this.skip > 0) {
      this.skip--;
      return;
    }
    this.draw = (Math.imul(this.draw, 1_664_525) + 1_013_904_223) | 0;
    this.skip = (this.draw >>> 16) % (2 * COUNTED_OF - 1);
    this.count(key);
  }

  /** The hottest keys first, of those that certainly have more than a 128th of all requests. */
  hottest(limit: number): HotKey[] {
    const found: HotKey[] = [];
    for (let place = 0; place < this.keys.length; place++) {
      if (this.counts[place]! - this.inherited[place]! <= this.total / CAPACITY) continue;
      const share = this.counts[place]! / this.total;
      found.push({ key: this.keys[place]!, share, error: this.inherited[place]! / this.total });
    }
    return found.sort((a, b) => b.share - a.share).slice(0, limit);
  }

  private count(key: Uint8Array): void {
    if (this.sinceHalving === HALVED_EVERY) this.halve();
    this.sinceHalving++;
    this.total++;
    const hash = hash64(key) | 0;
    for (let place = 0; place < this.keys.length; place++) {
      if (this.hashes[place] !== hash || !equalBytes(this.keys[place]!, key)) continue;
      this.counts[place]!++;
      return;
    }
    this.admit(key, hash);
  }

  private admit(key: Uint8Array, hash: number): void {
    let place = this.keys.length;
    if (place === CAPACITY) {
      place = 0;
      for (let other = 1; other < CAPACITY; other++) if (this.counts[other]! < this.counts[place]!) place = other;
    }
    this.keys[place] = Uint8Array.from(key);
    this.hashes[place] = hash;
    this.inherited[place] = this.counts[place]!;
    this.counts[place]!++;
  }

  private halve(): void {
    for (let place = 0; place < this.keys.length; place++) {
      this.counts[place]! /= 2;
      this.inherited[place]! /= 2;
    }
    this.total /= 2;
    this.sinceHalving = 0;
  }
}
