/** Puts that a store is not made for: who hears of them, and how often. */
import assert from 'node:assert/strict';
import { LARGE_VALUE_BYTES, MANY_SIBLINGS, PutWarnings } from '../../../actors/put-warnings.js';
import { utf8 } from '../../../src/base/bytes.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { open } from '../../../src/index.js';
import type { ObjectPut } from '../../../src/messages/object-request.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { test } from '../../support/test.js';

function putOf(bytes: number, bucket = 'b'): ObjectPut {
  const key = encodeLocatedKey(0, { type: utf8('default'), bucket: utf8(bucket), key: utf8('k') });
  return { key, body: new Uint8Array(bytes) } as unknown as ObjectPut;
}

test('a value of 1 MiB and a key with 25 siblings are counted each time, and told of once for each bucket', () => {
  const counters = newNodeCounters();
  const told: string[] = [];
  const warnings = new PutWarnings({ counters, report: (what, { message }) => told.push(`${what}: ${message}`) });
  warnings.minted(putOf(LARGE_VALUE_BYTES - 1), MANY_SIBLINGS - 1);
  assert.deepEqual([counters.largeValues, counters.manySiblings, told], [0, 0, []]);
  for (let i = 0; i < 3; i++) warnings.minted(putOf(LARGE_VALUE_BYTES), 1);
  for (let i = 0; i < 2; i++) warnings.minted(putOf(5), MANY_SIBLINGS + i);
  assert.deepEqual([counters.largeValues, counters.manySiblings], [3, 2]);
  assert.equal(told.length, 2);
  assert.match(
    told[0]!,
    /^put: bucket "b" of type "default" was given a value of 1048576 bytes: .*store them in parts/,
  );
  assert.match(told[1]!, /^put: bucket "b" of type "default" has a key with 25 siblings: .*causalContext/);
  // What is remembered of buckets is bounded.
  for (let i = 0; i < 500; i++) warnings.minted(putOf(5, `b${i}`), MANY_SIBLINGS);
  assert.equal(told.length, 101);
  assert.equal(counters.manySiblings, 502);
});

test('whoever runs the process is warned, and stats() counts', async () => {
  const store = await open({ nodes: 1, n: 1, partitions: 8 });
  const awaited = new Map(
    [/was given a value/, /has a key with 25 siblings/].map((text): [RegExp, string] => [text, '']),
  );
  const heard = new Promise<void>((resolve) => {
    const hear = ({ name, message }: Error): void => {
      if (name !== 'QuoralWarning') return;
      for (const text of awaited.keys()) if (text.test(message)) awaited.set(text, message);
      if ([...awaited.values()].includes('')) return;
      process.off('warning', hear);
      resolve();
    };
    process.on('warning', hear);
  });
  try {
    const bucket = store.bucket('odd');
    await bucket.put('large', new Uint8Array(LARGE_VALUE_BYTES));
    for (let i = 0; i < MANY_SIBLINGS; i++) await bucket.put('siblings', Uint8Array.of(i));
    await heard;
    for (const message of awaited.values()) assert.match(message, /^node "a" bucket "odd" of type "default" /);
    const { counters } = (await store.stats()).total;
    assert.deepEqual([counters.largeValues, counters.manySiblings], [1, 1]);
  } finally {
    await store.close();
  }
});
