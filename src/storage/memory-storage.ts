/**
 * Storage in memory: a hash map for reads, a sorted set of keys for ranges. Everything is gone when it is closed, so
 * nothing in it is ever durable: `commitIsDurable` is false, and `flush` throws, since returning would be a lie.
 */
import { assert } from '../base/assert.js';
import { latin1 } from '../base/bytes.js';
import { StorageFailedError } from '../base/errors.js';
import { PendingWrites, requireKey } from './pending-writes.js';
import { SortedKeys } from './sorted-keys.js';
import type { RangeOptions, Storage, StorageEntry, StorageStats } from './storage.js';

export function openMemoryStorage(): Storage {
  return new MemoryStorage();
}

class MemoryStorage implements Storage {
  readonly commitIsDurable = false;
  private readonly writes = new PendingWrites();
  /** By key, as latin1 text: one character a byte. */
  private readonly values = new Map<string, Uint8Array>();
  private readonly keys = new SortedKeys();
  private bytes = 0;
  private closed = false;

  get pending(): boolean {
    return this.writes.count > 0;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.assertOpen();
    requireKey(key);
    if (this.writes.count > 0) {
      const index = this.writes.find(key);
      if (index >= 0) return this.writes.values[index];
    }
    return this.values.get(latin1(key));
  }

  isPending(key: Uint8Array): boolean {
    return this.writes.count > 0 && this.writes.find(key) >= 0;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.assertOpen();
    this.writes.set(key, value);
  }

  remove(key: Uint8Array): void {
    this.assertOpen();
    this.writes.set(key, undefined);
  }

  range(options: RangeOptions): StorageEntry[] {
    this.assertOpen();
    return this.writes.range(options, (limit) => {
      const { gte, gt, lt } = options;
      const keys = this.keys.range({
        ...(gte && { gte: latin1(gte) }),
        ...(gt && { gt: latin1(gt) }),
        ...(lt && { lt: latin1(lt) }),
        limit,
      });
      return keys.map((key) => ({ key: Buffer.from(key, 'latin1'), value: Buffer.from(this.values.get(key)!) }));
    });
  }

  commit(): void {
    this.assertOpen();
    const { writes } = this;
    for (let index = 0; index < writes.count; index++) {
      const key = latin1(writes.keys[index]!);
      const value = writes.values[index];
      const before = this.values.get(key);
      if (before !== undefined) this.bytes -= before.length;
      if (value === undefined) {
        if (before === undefined) continue;
        this.values.delete(key);
        this.keys.remove(key);
        this.bytes -= key.length;
      } else {
        // The caller's buffers are its own again after the commit.
        this.values.set(key, Buffer.from(value));
        this.bytes += value.length;
        if (before !== undefined) continue;
        this.keys.add(key);
        this.bytes += key.length;
      }
    }
    writes.clear();
  }

  /** @throws {StorageFailedError} Always: memory has nothing that outlives the process. */
  flush(): void {
    this.assertOpen();
    throw new StorageFailedError(
      'A store in memory cannot make anything durable: give it a `path`, or ask for no durable replicas (dw: 0)',
    );
  }

  /** `bytes` counts keys and values, not what holds them. */
  stats(): StorageStats {
    this.assertOpen();
    return { entries: this.values.size, bytes: this.bytes };
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.writes.clear();
    this.values.clear();
  }

  private assertOpen(): void {
    assert(!this.closed, 'The storage is closed');
  }
}
