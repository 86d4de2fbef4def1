/** What is stored of the properties of a fuzzed bucket and of its type, and what must hold by that. */
import assert from 'node:assert/strict';
import { below, type Random } from '../../src/base/random.js';
import type { BucketProperties, BucketPropertyChanges, Store } from '../../src/index.js';
import type { Handle } from './fuzz-books.js';
import { N } from './fuzz-books.js';
import type { FuzzPlans } from './fuzz-plans.js';

/** What holds where neither the bucket nor its type says anything. */
const DEFAULTS: Omit<BucketProperties, 'n' | 'r' | 'pr' | 'pw' | 'dw' | 'basicQuorum'> = {
  ...{ resolution: 'siblings', maxSiblings: 100, w: 2, notfoundOk: true, ttlMs: undefined },
};

export interface PropertyChange {
  readonly of: 'bucket' | 'type';
  readonly changes: BucketPropertyChanges;
}

export class FuzzedProperties {
  private readonly store: Store;
  private readonly name: string;
  private readonly type: string | undefined;
  private readonly stored = { bucket: new Map<string, unknown>(), type: new Map<string, unknown>() };

  /** @param type - of the bucket; undefined for the default one, whose properties are left alone */
  constructor(store: Store, name: string, type: string | undefined) {
    this.store = store;
    this.name = name;
    this.type = type;
  }

  plan(random: Random, plans: FuzzPlans): PropertyChange {
    const of = this.type !== undefined && below(random, 2) === 0 ? 'type' : 'bucket';
    const changes: BucketPropertyChanges = {
      ...plans.maybe('resolution', [undefined, null, 'siblings', 'last-write-wins'] as const),
      ...plans.maybe('maxSiblings', [undefined, null, 3, 100]),
      ...plans.maybe('w', [undefined, null, 1, 'all'] as const),
      ...plans.maybe('notfoundOk', [undefined, null, true]),
      ...plans.maybe('ttlMs', [undefined, null, 3_600_000]),
    };
    return { of, changes };
  }

  /**
   * Stores the change, and reads what holds then.
   * @param following - the handle that says nothing: it does so from now on
   * @returns how many calls of the API were made
   */
  async change({ of, changes }: PropertyChange, following: Handle): Promise<number> {
    const { store, name, type, stored } = this;
    const inType = type === undefined ? {} : { type };
    if (of === 'type') await store.setBucketType(type!, changes);
    else await store.setBucketProperties(name, changes, inType);
    for (const [property, value] of Object.entries(changes)) {
      if (value === null) stored[of].delete(property);
      else stored[of].set(property, value);
    }
    const ofType = { ...DEFAULTS, ...Object.fromEntries(stored.type) };
    const ofBucket = { ...ofType, ...Object.fromEntries(stored.bucket) };
    following.lastWriteWins = ofBucket.resolution === 'last-write-wins';
    following.maxSiblings = ofBucket.maxSiblings;
    assertHolds(await store.bucketProperties(name, inType), ofBucket);
    if (type === undefined) return 2;
    assertHolds(await store.bucketType(type), ofType);
    return 3;
  }
}

function assertHolds(holding: BucketProperties, expected: typeof DEFAULTS): void {
  const { n, resolution, maxSiblings, w, notfoundOk, ttlMs } = holding;
  assert.deepEqual({ n, resolution, maxSiblings, w, notfoundOk, ttlMs }, { n: N, ...expected });
}
