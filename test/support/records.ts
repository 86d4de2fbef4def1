/** Objects to be stored where a test does not care what they are. */
import { utf8 } from '../../src/base/bytes.js';
import type { StoredObject } from '../../src/objects/stored-object.js';

/** An object with one sibling, another for each `n` from 0 up; its body has 100 bytes and more. */
export function anObject(n: number): StoredObject {
  const id = { high: 1, low: 2, counter: n + 1 };
  return {
    context: { vv: [id.high, id.low, id.counter], extra: [] },
    siblings: [
      {
        dot: id,
        attempt: { high: 3, low: 4, counter: n + 1 },
        timestamp: { ms: 1_000 + n, logical: 0 },
        tombstone: false,
        expiresAtMs: 0,
        body: utf8(`${n} ${'filling'.repeat(15)}`),
      },
    ],
  };
}
