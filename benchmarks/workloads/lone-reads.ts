/**
 * Reads with r = 1 of keys that were put while one of their primaries was down: whether one through that node, once it is
 * back, misses what was acknowledged without it, and says so. Every other key was acknowledged by three nodes, the others by W; all
 * of them long before the node's return, so that only it can lack one.
 */
import type { Bucket, Store } from '../../src/index.js';

const KEYS = 200;
const BETWEEN_MS = 2;

export class LoneReads {
  private readonly bucket: Bucket<string>;
  private readonly keys: string[] = [];
  private prepared: Promise<void> | undefined;
  private reads = 0;
  private warned = 0;
  private missed = 0;
  private isOver = false;

  /** @param bucket - the name of one that nobody else writes to */
  constructor(store: Store, bucket: string) {
    this.bucket = store.bucket<string>(bucket, { codec: 'text' });
  }

  /** Begins to put the keys. To be called while the node is down. */
  begin(): void {
    this.prepared = this.prepare();
    // Told by `ready`.
    this.prepared.catch(() => {});
  }

  /** Resolves once they are there. To be awaited before the node comes back. */
  async ready(): Promise<void> {
    await this.prepared;
  }

  private async prepare(): Promise<void> {
    // One after the other: all at once would be a burst beside the load, in the moment that is measured.
    for (let i = 0; i < KEYS; i++) {
      const key = `key ${i}`;
      await this.bucket.put(key, key, i % 2 === 0 ? { w: 'all' } : {});
      this.keys.push(key);
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
