/**
 * Keys whose record on this node is unreadable, as reads, scans and builds of trees have found them: waiting to be fetched
 * from the other replicas (`rot-healer.ts`). Bounded: what finds no room is found again by a later read, or by the next
 * build of its tree, which lacks it and is found to differ.
 */
import { latin1 } from '../src/base/bytes.js';

const MAX_KEYS = 1_024;

export class RottenKeys {
  private readonly keys = new Map<string, Uint8Array>();
  /** Names of those that were taken, and are being healed. */
  private readonly taken = new Set<string>();

  /** The key is copied. */
  note(located: Uint8Array): void {
    if (this.keys.size >= MAX_KEYS) return;
    const name = latin1(located);
    if (!this.keys.has(name) && !this.taken.has(name)) this.keys.set(name, Uint8Array.from(located));
  }

  /** The one that has waited longest: until it is given back by `ended`, to find it once more says nothing new. */
  take(): Uint8Array | undefined {
    for (const [name, key] of this.keys) {
      this.keys.delete(name);
      this.taken.add(name);
      return key;
    }
    return undefined;
  }

  /** Healed, or not to be healed now. */
  ended(located: Uint8Array): void {
    this.taken.delete(latin1(located));
  }

  /** Nobody heals them any more: all that was taken waits again. */
  retake(): void {
    for (const name of this.taken) this.keys.set(name, Buffer.from(name, 'latin1'));
    this.taken.clear();
  }

  get size(): number {
    return this.keys.size;
  }
}
