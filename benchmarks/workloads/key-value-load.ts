/**
 * The load of the key-value benchmarks: puts that carry the context of the put before, gets of what is there, and
 * their mixes, over uniformly drawn keys. Every get looks at its value: results decode what is looked at.
 */
import { below, SeededRandom, unit } from '../../src/base/random.js';
import type { Bucket } from '../../src/index.js';

export class KeyValueLoad {
  private readonly bucket: Bucket<Uint8Array>;
  private readonly keys: readonly string[];
  private readonly contexts: (string | undefined)[];
  /** Keys with a put under way: a second one would have no context to carry, and leave siblings. */
  private readonly busy: Uint8Array;
  private readonly value: Uint8Array;
  private readonly random = new SeededRandom(1);

  constructor(bucket: Bucket<Uint8Array>, options: { readonly keys: number; readonly valueBytes: number }) {
    this.bucket = bucket;
    this.keys = Array.from({ length: options.keys }, (_, i) => `user${i}`);
    this.contexts = new Array(options.keys).fill(undefined);
    this.busy = new Uint8Array(options.keys);
    this.value = new Uint8Array(options.valueBytes).fill(7);
  }

  /** Puts every key once. */
  async fill(): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < this.keys.length) await this.putKey(next++);
    };
    await Promise.all(Array.from({ length: 128 }, lane));
  }

  readonly put = (): Promise<void> => {
    let key = below(this.random, this.keys.length);
    while (this.busy[key] === 1) key = (key + 1) % this.keys.length;
    return this.putKey(key);
  };

  readonly get = async (): Promise<void> => {
    const result = await this.bucket.get(this.keys[below(this.random, this.keys.length)]!);
    if (result.value?.length !== this.value.length) throw new Error('a get did not give the value that was put');
  };

  /** `share` of the operations are puts. */
  mix(share: number): () => Promise<void> {
    return () => (unit(this.random) < share ? this.put() : this.get());
  }

  private async putKey(key: number): Promise<void> {
    this.busy[key] = 1;
    const causalContext = this.contexts[key];
    const receipt = await this.bucket.put(this.keys[key]!, this.value, { causalContext });
    this.contexts[key] = receipt.causalContext;
    this.busy[key] = 0;
  }
}
