/** Writes that show, by the dots in their receipts, under which ids the vnodes of a store write at present. */
import type { Store } from '../../src/index.js';
import { ackedEntry, CRASH_BUCKET, type LogEntry, valueFor } from './crash-load.js';

/** Enough to reach most of 64 partitions' first primaries. */
export const IDENTITY_KEYS: readonly string[] = Array.from({ length: 16 }, (_, i) => `identity-${i}`);

/**
 * Puts every key once, in answer to a read, and logs it. On a condition: such a put goes to one coordinator alone, and so
 * to the vnode that minted before, while others are sent to a second one if the first is slow.
 */
export async function writeIdentities(
  store: Store,
  keys: readonly string[],
  run: string,
  log: (entry: LogEntry) => void,
): Promise<void> {
  const bucket = store.bucket<string>(CRASH_BUCKET, { codec: 'text' });
  const written = keys.map(async (key) => {
    const { causalContext: token } = await bucket.get(key);
    const id = `${run}.${key}`;
    log({ type: 'begun', id, key, kind: 'put', token });
    const receipt = await bucket.put(
      key,
      valueFor(id),
      token === undefined ? { ifNoneMatch: true } : { causalContext: token, ifMatch: token },
    );
    log(ackedEntry(id, receipt));
  });
  await Promise.all(written);
}
