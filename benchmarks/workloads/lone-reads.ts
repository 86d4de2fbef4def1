/**
 * Reads with r = 1 of keys that were put while one of their primaries was down: whether one through that node, once it is
 * back, misses what was acknowledged without it, and says so. Three nodes have acknowledged each key, so that only the one that was
 * away can lack it.
 */
import type { Bucket, Store } from '../../src/index.js';

const KEYS = 200;
const BETWEEN_MS = 2;

export class LoneReads {
  private readonly bucket: Bucket<string>;
  private keys: readonly string[] = [];
  private reads = 0;
  private warned = 0;
  private missed = 0;
  private isOver = false;

  /** @param bucket - the name of one that nobody else writes to */
  constructor(store: Store, bucket: string) {
    this.bucket = store.bucket<string>(bucket, { codec: 'text' });
  }

  /** Puts the keys. To be called while the node is down. */
  async prepare(): Promise<void> {
    this.keys = Array.from({ length: KEYS }, (_, i) => `key ${i}`);
    // One after the other: all at once would be a burst beside the load, in the moment that is measured.
    for (const key of this.keys) {
      await this.bucket.put(key, key, { w: 'all' });
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    }
  }

  /** Reads one key after the other, until `end` is called. @returns what it saw, in words */
  async run(): Promise<string> {
    while (!this.isOver) {
      await this.read(this.keys[this.reads % KEYS]!);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    }
    const { reads, warned, missed } = this;
    for (const key of this.keys) await this.read(key);
    return (
      `${reads} reads with r = 1 of keys put while it was down, until its hints were delivered: ${warned} said that they may miss ` +
      `hints, ${missed} missed and did not say so; ${this.reads - reads} after that: ${this.missed - missed} missed`
    );
  }

  /** From now on nothing may be missed. */
  end(): void {
    this.isOver = true;
  }

  private async read(key: string): Promise<void> {
    const { value, mayMissHints } = await this.bucket.get(key, { r: 1 });
    this.reads++;
    if (mayMissHints) this.warned++;
    else if (value !== key) this.missed++;
  }
}
