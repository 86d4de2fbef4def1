/** A storage that tells what is removed from it of which nothing is alive: what was deleted, and is forgotten now. */
import { isSoundRecord } from '../codec/record.js';
import { deadFromMsIn } from '../codec/record-update.js';
import type { RangeOptions, Storage, StorageEntry, StorageStats } from '../storage/storage.js';

export class ReapTap implements Storage {
  private readonly inner: Storage;
  private readonly reaped: (record: Uint8Array) => void;

  /** @param reaped - is given the record, which is the storage's: it may be looked at, and not kept */
  constructor(inner: Storage, reaped: (record: Uint8Array) => void) {
    this.inner = inner;
    this.reaped = reaped;
  }

  remove(key: Uint8Array): void {
    const record = this.inner.get(key);
    if (record !== undefined && isSoundRecord(record) && deadFromMsIn(record) < Number.POSITIVE_INFINITY) {
      this.reaped(record);
    }
    this.inner.remove(key);
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
