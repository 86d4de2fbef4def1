/**
 * The load of the key-value benchmarks: puts that carry the context of the put before, gets of what is there, and
 * their mixes, over uniformly drawn keys. Every get looks at its value: results decode what is looked at.
 */
import { below, SeededRandom, unit } from '../../src/base/random.js';
import type { Bucket, ReadResult } from '../../src/index.js';
import { workOn } from './work.js';

export interface LoadOptions {
  readonly keys: number;
  readonly valueBytes: number;
  /**
   * Of how many threads this is which: each puts keys of its own, since only it knows their contexts; all get all keys.
   * Default: the only one.
   */
  readonly share?: { readonly index: number; readonly of: number };
}

/** The mixes are named by their shares of gets and puts; 'get + work': the application then works on the value. */
export type Operation = 'put' | 'get' | 'get + work' | '95/5' | '50/50';

export class KeyValueLoad {
  private readonly bucket: Bucket<Uint8Array>;
  private readonly keys: readonly string[];
  private readonly index: number;
  private readonly of: number;
  /** Keys that this load puts. */
  private readonly ownKeys: number;
  private readonly contexts: (string | undefined)[];
  /** Keys with a put under way: a second one would have no context to carry, and leave siblings. */
  private readonly busy: Uint8Array;
  private readonly value: Uint8Array;
  private readonly random: SeededRandom;

  constructor(bucket: Bucket<Uint8Array>, { keys, valueBytes, share = { index: 0, of: 1 } }: LoadOptions) {
    this.bucket = bucket;
    this.keys = Array.from({ length: keys }, (_, i) => `user${i}`);
    this.index = share.index;
    this.of = share.of;
    this.ownKeys = Math.floor((keys - share.index - 1) / share.of) + 1;
    this.contexts = new Array(this.ownKeys).fill(undefined);
    this.busy = new Uint8Array(this.ownKeys);
    this.value = new Uint8Array(valueBytes).fill(7);
    this.random = new SeededRandom(1 + share.index);
  }

  /** Puts every key of its own once. */
  async fill(): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < this.ownKeys) await this.putOwn(next++);
    };
    await Promise.all(Array.from({ length: 128 }, lane));
  }

  readonly put = (): Promise<void> => {
    let own = below(this.random, this.ownKeys);
    while (this.busy[own] === 1) own = (own + 1) % this.ownKeys;
    return this.putOwn(own);
  };

  readonly get = async (): Promise<void> => {
    this.valueOf(await this.bucket.get(this.anyKey()));
  };

  private readonly getAndWork = async (): Promise<void> => {
    workOn(this.valueOf(await this.bucket.get(this.anyKey())));
  };

  operation(name: Operation): () => Promise<void> {
    if (name === 'put') return this.put;
    if (name === 'get') return this.get;
    if (name === 'get + work') return this.getAndWork;
    const puts = name === '95/5' ? 0.05 : 0.5;
    return () => (unit(this.random) < puts ? this.put() : this.get());
  }

  private anyKey(): string {
    return this.keys[below(this.random, this.keys.length)]!;
  }

  private valueOf({ value }: ReadResult<Uint8Array>): Uint8Array {
    if (value?.length !== this.value.length) throw new Error('a get did not give the value that was put');
    return value;
  }

  private async putOwn(own: number): Promise<void> {
    this.busy[own] = 1;
    const causalContext = this.contexts[own];
    const receipt = await this.bucket.put(this.keys[own * this.of + this.index]!, this.value, { causalContext });
    this.contexts[own] = receipt.causalContext;
    this.busy[own] = 0;
  }
}
