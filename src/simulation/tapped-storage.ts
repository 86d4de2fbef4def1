/** Passes everything on to a storage; override what is to be heard or changed. */
import type { RangeOptions, Storage, StorageEntry, StorageStats } from '../storage/storage.js';

/** One of a simulated disk says how long it takes (`group-commit.ts`); unheard, its disk would be as fast as memory. */
interface TimedStorage extends Storage {
  commitMs?(): number;
  flushMs?(): number;
}

export class TappedStorage implements TimedStorage {
  protected readonly inner: TimedStorage;

  constructor(inner: TimedStorage) {
    this.inner = inner;
  }

  commitMs(): number {
    return this.inner.commitMs?.() ?? 0;
  }

  flushMs(): number {
    return this.inner.flushMs?.() ?? 0;
  }

  get pending(): boolean {
    return this.inner.pending;
  }

  get commitIsDurable(): boolean {
    return this.inner.commitIsDurable;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.inner.get(key);
  }

  isPending(key: Uint8Array): boolean {
    return this.inner.isPending(key);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.inner.put(key, value);
  }

  remove(key: Uint8Array): void {
    this.inner.remove(key);
  }

  range(options: RangeOptions): StorageEntry[] {
    return this.inner.range(options);
  }

  commit(): void {
    this.inner.commit();
  }

  flush(): void {
    this.inner.flush();
  }

  stats(): StorageStats {
    return this.inner.stats();
  }

  close(): void {
    this.inner.close();
  }
}
