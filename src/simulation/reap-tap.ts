/** A storage that tells what is removed from it of which nothing is alive: what was deleted, and is forgotten now. */
import { isSoundRecord } from '../codec/record.js';
import { deadFromMsIn } from '../codec/record-update.js';
import type { Storage } from '../storage/storage.js';
import { TappedStorage } from './tapped-storage.js';

export class ReapTap extends TappedStorage {
  private readonly reaped: (record: Uint8Array) => void;

  /** @param reaped - is given the record, which is the storage's: it may be looked at, and not kept */
  constructor(inner: Storage, reaped: (record: Uint8Array) => void) {
    super(inner);
    this.reaped = reaped;
  }

  override remove(key: Uint8Array): void {
    const record = this.inner.get(key);
    if (record !== undefined && isSoundRecord(record) && deadFromMsIn(record) < Number.POSITIVE_INFINITY) {
      this.reaped(record);
    }
    this.inner.remove(key);
  }
}
