/** Passes everything on to a storage; override what is to be heard or changed. */
import type { RangeOptions, Storage, StorageEntry, StorageStats } from '../storage/storage.js';

export class TappedStorage implements Storage {
  protected readonly inner: Storage;

  constructor(inner: Storage) {
    this.inner = inner;
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
