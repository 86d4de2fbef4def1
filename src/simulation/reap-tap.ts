/**
 * A storage that tells what a round of reaping has removed from it: what was deleted or has expired, and is forgotten now.
 * A replica that was set aside is emptied, too, and forgets nothing by that: the others have it.
 */
import { latin1 } from '../base/bytes.js';
import { isSoundRecord } from '../codec/record.js';
import type { Storage } from '../storage/storage.js';
import { TappedStorage } from './tapped-storage.js';

export class ReapTap extends TappedStorage {
  private readonly reaped: (record: Uint8Array) => void;
  /** Keys whose removal a commit has asked for. */
  private readonly due = new Set<string>();

  /** @param reaped - is given the record, which is the storage's: it may be looked at, and not kept */
  constructor(inner: Storage, reaped: (record: Uint8Array) => void) {
    super(inner);
    this.reaped = reaped;
  }

  /** A round has come to its commit, which removes what is under `key`, unless it has changed since. */
  committed(key: Uint8Array): void {
    this.due.add(latin1(key));
  }

  override remove(key: Uint8Array): void {
    const record = this.due.delete(latin1(key)) ? this.inner.get(key) : undefined;
    if (record !== undefined && isSoundRecord(record)) this.reaped(record);
    this.inner.remove(key);
  }
}
