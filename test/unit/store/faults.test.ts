/** Faults that a user injects into a live store: pauses and splits of nodes. */
import assert from 'node:assert/strict';
import { setTimeout as pass } from 'node:timers/promises';
import { type Bucket, open, type Store } from '../../../src/index.js';
import { fails } from '../../support/rejection.js';
import { test } from '../../support/test.js';

const text = (store: Store): Bucket<string> => store.bucket<string>('b', { codec: 'text' });
const KEYS = Array.from({ length: 30 }, (_, i) => `k${i}`);

async function using(nodes: number, story: (store: Store) => Promise<void>): Promise<void> {
  const store = await open({ nodes, n: 3, partitions: 16 });
  try {
    await story(store);
  } finally {
    await store.close();
  }
}

const state = (store: Store, name: string) => store.nodes().find((node) => node.name === name)!.state;

/** Looks until a node is in `wanted`. */
async function becomes(store: Store, name: string, wanted: string): Promise<void> {
  const until = performance.now() + 20_000;
  while (state(store, name) !== wanted) {
    assert(performance.now() < until, `in vain: waited until node ${name} was ${wanted}`);
    await pass(10);
  }
}

test('a paused node stands still, is suspect, and goes on', () =>
  using(3, async (store) => {
    const bucket = text(store);
    await bucket.put('k', 'before', { w: 'all' });
    const began = performance.now();
    assert.equal(await store.admin.pause('b', 2_000), undefined);
    // All three primaries are wanted, and one of them stands still.
    const put = bucket.put('k', 'after', { pw: 3 }).then(() => performance.now() - began);
    await becomes(store, 'b', 'suspect');
    assert.equal(state(store, 'a'), 'up');
    const tookMs = await put;
    assert(tookMs >= 1_995, `a node that stood still for 2 s answered after ${tookMs}`);
    await becomes(store, 'b', 'up');
    await Promise.all(KEYS.map((key) => bucket.put(key, 'v', { w: 'all' })));
    await store.admin.stop('b');
    await store.admin.pause('b', 800);
    assert.equal(state(store, 'b'), 'down');
  }));

test('a split cuts nodes off from the rest; once it is healed all is as before', () =>
  using(5, async (store) => {
    const bucket = text(store);
    await Promise.all(KEYS.map((key) => bucket.put(key, 'before', { w: 'all' })));
    assert.equal(await store.admin.split(['b']), undefined);
    await store.admin.split(['b']);
    const ofB = KEYS.filter((_, i) => i < 10);
    // The others go on, whoever is asked first.
    await Promise.all(ofB.map((key) => bucket.put(key, 'during', { w: 2 })));
    for (const { siblings } of await Promise.all(ofB.map((key) => bucket.get(key, { r: 2 })))) {
      assert(siblings.some(({ value }) => value === 'during'));
    }
    await becomes(store, 'b', 'suspect');
    const partition = store.ring().findIndex(({ primaries }) => primaries.includes('b'));
    assert.notEqual(partition, -1);
    const all = await Promise.allSettled(KEYS.map((key) => bucket.put(key, 'lost', { pw: 3, timeoutMs: 300 })));
    assert(
      all.some(({ status }) => status === 'rejected'),
      'where b is a primary, not all primaries can be reached',
    );
    assert.equal(await store.admin.heal(), undefined);
    await store.admin.heal();
    await becomes(store, 'b', 'up');
    for (const key of KEYS) {
      // The coordinators find their way back each in its own time.
      for (;;) {
        const receipt = await bucket.put(key, 'after', { pw: 3 }).catch(() => undefined);
        if (receipt !== undefined) break;
        await pass(20);
      }
    }
  }));

test('faults are checked before they are begun, and refused once the store is closed', async () => {
  const store = await open({ nodes: 3, n: 3, partitions: 8 });
  const { admin } = store;
  const wrong: [string, () => Promise<void>][] = [
    ['there is no node', () => admin.pause('x', 10)],
    ['there is no node', () => admin.split(['a', 'x'])],
    ['there is no node', () => admin.split([5 as never])],
    ['some nodes off from others', () => admin.split([])],
    ['some nodes off from others', () => admin.split(['a', 'b', 'c', 'a'])],
    ['takes a list', () => admin.split('a' as never)],
    ['takes a list', () => admin.split(undefined as never)],
    ...[0, -1, Number.NaN, 3_600_001, '5', undefined].map((ms): [string, () => Promise<void>] => [
      'from 1 to 3,600,000',
      () => admin.pause('a', ms as never),
    ]),
    ['admin has no option', () => admin.heal({ force: true } as never)],
    ['timeoutMs', () => admin.split(['a'], { timeoutMs: 0 })],
  ];
  for (const [message, call] of wrong) {
    await fails(call, { code: 'INVALID_ARGUMENT', message: new RegExp(message) });
  }
  assert.deepEqual(
    store.nodes().map((node) => node.state),
    ['up', 'up', 'up'],
  );
  await text(store).put('k', 'v', { w: 'all' });
  // Neither a pause nor a split holds up the end.
  await admin.pause('a', 3_600_000);
  await admin.split(['b']);
  await store.close();
  for (const call of [() => admin.pause('a', 10), () => admin.split(['a']), () => admin.heal()]) {
    await fails(call, 'CLOSED');
  }
});
