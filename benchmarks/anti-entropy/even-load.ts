/** Puts and gets by turns, over all keys one after another: the load beside which anti-entropy is measured. */
import type { Bucket } from '../../src/index.js';
import type { Begun } from '../workloads/open-loop.js';

const FILLED_AT_ONCE = 128;
/** So that keys that follow each other lie far apart. */
const STRIDE = 7_919;

export class EvenLoad {
  private readonly bucket: Bucket<Uint8Array>;
  private readonly keys: readonly string[];
  private readonly value: Uint8Array;
  private readonly contexts: (string | undefined)[];
  private next = 0;

  constructor(bucket: Bucket<Uint8Array>, keys: number, valueBytes: number) {
    this.bucket = bucket;
    this.keys = Array.from({ length: keys }, (_, i) => `user${i}`);
    this.value = new Uint8Array(valueBytes).fill(7);
    this.contexts = new Array(keys).fill(undefined);
  }

  /** Puts every key once. */
  async fill(): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < this.keys.length) await this.put(next++);
    };
    await Promise.all(Array.from({ length: FILLED_AT_ONCE }, lane));
  }

  readonly begin = (n: number): Begun => {
    const at = (this.next++ * STRIDE) % this.keys.length;
    if (n % 2 === 0) return { kind: 'put', partition: 0, done: this.put(at) };
    return { kind: 'get', partition: 0, done: this.get(at) };
  };

  private async put(at: number): Promise<void> {
    const causalContext = this.contexts[at];
    const receipt = await this.bucket.put(this.keys[at]!, this.value, { causalContext });
    this.contexts[at] = receipt.causalContext;
  }

  private async get(at: number): Promise<void> {
    const { siblings } = await this.bucket.get(this.keys[at]!);
    if (siblings.length === 0) throw new Error('a get did not give the value that was put');
  }
}
