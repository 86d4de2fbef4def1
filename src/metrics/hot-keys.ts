/**
 * Which keys are asked for most: a bounded summary of a stream, so that a hot key can be found (scylladb#4703).
 *
 *     one in 64 requests ──▶ is its key among the 128? ── yes ──▶ count + 1
 *                                     └── no ──▶ takes the place of the least counted one, and inherits its count + 1
 *
 * A key with more than a 128th of all counted requests is always among them; its count is too high by no more than what
 * it inherited, which is reported with it. All counts are halved every 10 seconds, so that what was hot two minutes ago is
 * not shown as hot now, and counts of several nodes, however busy each is, can be added up.
 * Source: Metwally, Agrawal, El Abbadi, *Efficient Computation of Frequent and Top-k Elements in Data Streams* (ICDT
 * 2005), the Space-Saving algorithm.
 */
import { equalBytes, latin1 } from '../base/bytes.js';
import { hash64 } from '../base/hash.js';

const CAPACITY = 128;
const COUNTED_OF = 64;
const HALF_LIFE_MS = 10_000;
/** What was counted less often may be chance: some hundreds of requests within the last seconds. */
const LEAST_COUNT = 4;

/** What one node has counted: plain data, to be sent to whoever adds it up. */
export interface KeyCounts {
  /** Of all keys together; one in 64 requests is counted, and what is older counts less. */
  readonly total: number;
  readonly keys: readonly {
    /** As it was given to `see`. */
    readonly key: Uint8Array;
    readonly count: number;
    /** By how much the count may be too high. */
    readonly error: number;
  }[];
}

export interface HotKey {
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
  private halvedAt = 0;
  private skip = 0;
  /** Which requests are counted is drawn, or a stream that repeats itself in step would show one side of it only. */
  private draw = 1;

  /**
   * A request for `key`, which is copied if it is kept. Costs a few nanoseconds, but for one in 64.
   * @param nowMs - monotonic milliseconds
   */
  see(key: Uint8Array, nowMs: number): void {
    if (this.skip > 0) {
      this.skip--;
      return;
    }
    this.draw = (Math.imul(this.draw, 1_664_525) + 1_013_904_223) | 0;
    this.skip = (this.draw >>> 16) % (2 * COUNTED_OF - 1);
    this.halve(nowMs);
    this.count(key);
  }

  /** Those that certainly have more than a 128th of all requests, if there are enough to tell. */
  counted(nowMs: number): KeyCounts {
    this.halve(nowMs);
    const keys: { key: Uint8Array; count: number; error: number }[] = [];
    for (let place = 0; place < this.keys.length; place++) {
      const certain = this.counts[place]! - this.inherited[place]!;
      if (certain <= this.total / CAPACITY || certain < LEAST_COUNT) continue;
      keys.push({ key: this.keys[place]!, count: this.counts[place]!, error: this.inherited[place]! });
    }
    return { total: this.total, keys };
  }

  private count(key: Uint8Array): void {
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
    // Not `slice`, which on a Buffer copies nothing.
    this.keys[place] = new Uint8Array(key);
    this.hashes[place] = hash;
    this.inherited[place] = this.counts[place]!;
    this.counts[place]!++;
  }

  private halve(nowMs: number): void {
    const times = Math.floor((nowMs - this.halvedAt) / HALF_LIFE_MS);
    if (times <= 0) return;
    this.halvedAt += times * HALF_LIFE_MS;
    const kept = 2 ** -times;
    for (let place = 0; place < this.keys.length; place++) {
      this.counts[place]! *= kept;
      this.inherited[place]! *= kept;
    }
    this.total *= kept;
  }
}

/** The hottest keys first, of those that have more than a 128th of what all these have counted. */
export function hottestOf(nodes: readonly KeyCounts[], limit: number): HotKey[] {
  let total = 0;
  const sums = new Map<string, { key: Uint8Array; count: number; error: number }>();
  for (const node of nodes) {
    total += node.total;
    for (const { key, count, error } of node.keys) {
      const name = latin1(key);
      const before = sums.get(name);
      sums.set(name, { key, count: count + (before?.count ?? 0), error: error + (before?.error ?? 0) });
    }
  }
  return [...sums.values()]
    .filter(({ count, error }) => count - error > total / CAPACITY)
    .map(({ key, count, error }) => ({ key, share: count / total, error: error / total }))
    .sort((a, b) => b.share - a.share)
    .slice(0, limit);
}
