/** Reads that make replicas agree, and tell whether they did. */
import assert from 'node:assert/strict';
import type { Store } from '../../src/index.js';
import { CRASH_BUCKET } from '../support/crash-load.js';

const AT_A_TIME = 256;

/** Reads each key from all its replicas: what differs is repaired. */
export async function readStrictly(store: Store, keys: readonly string[]): Promise<void> {
  const bucket = store.bucket<string>(CRASH_BUCKET, { codec: 'text' });
  for (let at = 0; at < keys.length; at += AT_A_TIME) {
    await Promise.all(keys.slice(at, at + AT_A_TIME).map((key) => bucket.get(key, { r: 'all' })));
  }
}

/** How often, since the nodes were started, a read found replicas that differ. Throws if one met something worse. */
export async function digestMismatches(store: Store): Promise<number> {
  const { nodes } = await store.stats();
  for (const [name, counters] of Object.entries(nodes)) {
    assert.equal(counters.corruptRecords, 0, `node ${name} met a damaged record`);
    assert.equal(counters.identityAlarms, 0, `node ${name} met its own name beyond its counter`);
  }
  return Object.values(nodes).reduce((sum, counters) => sum + counters.digestMismatches!, 0);
}
