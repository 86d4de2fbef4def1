/** Hints put into a hint storage by hand, as if their owner had been out of reach. */
import { HintStore } from '../../actors/hint-store.js';
import { SeededRandom } from '../../src/base/random.js';
import { encodeRecord } from '../../src/codec/record.js';
import { newNodeCounters } from '../../src/metrics/node-counters.js';
import type { Storage } from '../../src/storage/storage.js';
import { assertReadable } from './own-records.js';
import { anObject } from './records.js';

/** Keeps an object for `owner` under each of these located keys; durably, and closes. */
export function plantHints(storage: Storage, owner: number, located: readonly Uint8Array[]): void {
  const random = new SeededRandom(1);
  const counters = newNodeCounters();
  const hints = new HintStore({
    storage,
    maxBytes: 2 ** 30,
    random,
    counters,
    isNew: true,
    onUnreadable: assertReadable,
  });
  const id = { high: 1, low: 1 };
  located.forEach((key, i) => {
    const hint = { tag: 0, session: id, writer: id, counter: 0, record: encodeRecord(anObject(i)) };
    if (!hints.put(owner, key, hint, 0)) throw new Error('the hint store is full');
  });
  hints.commit();
  if (!storage.commitIsDurable) storage.flush();
  storage.close();
}
