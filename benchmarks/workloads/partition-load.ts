/**
 * Puts and gets by turns, each kind to one partition after another, every put to a new key: so each partition is asked at
 * equal intervals, and a gap in its completions is not one that chance has made in its arrivals.
 */
import { assert } from '../../src/base/assert.js';
import { utf8 } from '../../src/base/bytes.js';
import { bucketPrefix, keyHash, locateKey } from '../../src/codec/key.js';
import type { Bucket } from '../../src/index.js';
import { partitionOf } from '../../src/ring/token.js';
import type { Begun } from './open-loop.js';

export interface PartitionLoadOptions {
  readonly bucket: Bucket<Uint8Array>;
  /** Its name: keys are chosen by their partition. */
  readonly name: string;
  readonly partitions: number;
  readonly value: Uint8Array;
}

/** Keys that are there before, for each partition. */
const FOUND_KEYS = 16;

export class PartitionLoad {
  private readonly bucket: Bucket<Uint8Array>;
  private readonly prefix: Uint8Array;
  private readonly partitions: number;
  private readonly value: Uint8Array;
  /** By partition. */
  private readonly toGet: string[][];
  private readonly toPut: string[][];
  private drawn = 0;
  private puts = 0;
  private gets = 0;

  constructor({ bucket, name, partitions, value }: PartitionLoadOptions) {
    this.bucket = bucket;
    this.prefix = bucketPrefix(0, utf8('default'), utf8(name));
    this.partitions = partitions;
    this.value = value;
    this.toGet = Array.from({ length: partitions }, () => []);
    this.toPut = Array.from({ length: partitions }, () => []);
    this.draw(this.toGet, FOUND_KEYS);
  }

  /** Puts what is to be got. */
  async fill(): Promise<void> {
    for (const keys of this.toGet) await Promise.all(keys.map((key) => this.bucket.put(key, this.value, { w: 'all' })));
  }

  /** Has new keys for so many operations more, so that none is drawn while they run. */
  prepare(operations: number): void {
    this.draw(this.toPut, Math.ceil(operations / 2 / this.partitions) + 1);
  }

  readonly begin = (n: number): Begun => {
    if (n % 2 === 0) {
      const partition = this.puts++ % this.partitions;
      const key = this.toPut[partition]!.pop();
      assert(key !== undefined, 'there are keys for all puts');
      return { kind: 'put', partition, done: this.bucket.put(key, this.value) };
    }
    const partition = this.gets++ % this.partitions;
    const key = this.toGet[partition]![Math.floor(this.gets / this.partitions) % FOUND_KEYS]!;
    return { kind: 'get', partition, done: this.get(key) };
  };

  private async get(key: string): Promise<void> {
    const { value } = await this.bucket.get(key);
    if (value?.length !== this.value.length) throw new Error('a get did not give the value that was put');
  }

  /** Fills each partition's keys up to so many. */
  private draw(keysOf: readonly string[][], wanted: number): void {
    let missing = keysOf.reduce((sum, keys) => sum + Math.max(0, wanted - keys.length), 0);
    while (missing > 0) {
      const key = `user${this.drawn++}`;
      const keys = keysOf[partitionOf(keyHash(locateKey(this.prefix, key)).high, this.partitions)]!;
      if (keys.length >= wanted) continue;
      keys.push(key);
      missing--;
    }
  }
}
