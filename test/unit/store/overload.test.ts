/** More is asked of a store on real threads than it can do: what it refuses it refuses at once, and the rest goes on. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import {
  type Bucket,
  type ErrorCode,
  OverloadedError,
  open,
  type Store,
  TooManySiblingsError,
} from '../../../src/index.js';
import { AttachedThread } from '../../support/attached-threads.js';
import { fails } from '../../support/rejection.js';
import { test } from '../../support/test.js';

interface Called {
  readonly key: string;
  readonly outcome: PromiseSettledResult<unknown>;
}

/** Calls for the hot key that are under way at a time. */
const HOT_LANES = 32;
/** What stood before a call, what came in with it, and what was on its way back. */
const MOST_MEANWHILE = 4 * HOT_LANES;

const text = (store: Store) => store.bucket<string>('b', { codec: 'text' });

/** Puts so many new keys in each turn of the event loop, whatever has become of those before. All are settled on return. */
async function openLoop(bucket: Bucket<string>, name: string, turns: number, atOnce: number): Promise<Called[]> {
  const keys = Array.from({ length: turns * atOnce }, (_, i) => `${name}${i}`);
  const calls: Promise<unknown>[] = [];
  for (const key of keys) {
    const call = bucket.put(key, key);
    // Looked at when all are settled.
    call.catch(() => undefined);
    calls.push(call);
    if (calls.length % atOnce === 0) await nextTurn();
  }
  const outcomes = await Promise.allSettled(calls);
  return outcomes.map((outcome, i) => ({ key: keys[i]!, outcome }));
}

/** Those that were refused; everything else was stored. */
function refusedOf(calls: readonly Called[]): string[] {
  const refused: string[] = [];
  for (const { key, outcome } of calls) {
    if (outcome.status === 'fulfilled') continue;
    const { reason } = outcome;
    assert(reason instanceof OverloadedError, `${key}: ${reason}`);
    assert(reason.definite, `${key}: ${reason}`);
    assert(Number.isInteger(reason.retryAfterMs) && reason.retryAfterMs >= 1 && reason.retryAfterMs <= 1_000);
    assert.match(reason.message, new RegExp(`wait ${reason.retryAfterMs} ms`));
    refused.push(key);
  }
  return refused;
}

/** Every 50th of those that were refused was not stored, every 50th of the others was. */
async function checkSome(bucket: Bucket<string>, calls: readonly Called[], refused: readonly string[]): Promise<void> {
  const were = new Set(refused);
  for (let i = 0; i < calls.length; i += 50) {
    const { key } = calls[i]!;
    assert.equal((await bucket.get(key)).found, !were.has(key), key);
  }
}

test('an open loop above what clients may have in flight, from three threads: all that does not fit is refused', async () => {
  const store = await open({ nodes: 3, maxInFlight: 32, timeoutMs: 60_000 });
  try {
    const threads = await Promise.all([0, 1].map(() => AttachedThread.attached(store.share())));
    for (const [i, { ask }] of threads.entries()) await ask.beginLoad(`other ${i} `, 32);
    const calls = await openLoop(text(store), 'k', 100, 100);
    const refused = refusedOf(calls);
    assert(refused.length > calls.length / 2, `${refused.length} of ${calls.length} refused`);
    assert(calls.length - refused.length >= 32, 'those for which there was room were stored');
    // Those who keep within their bound are not refused because another one does not.
    for (const { ask } of threads) {
      const outcomes = Object.values(await ask.endLoad());
      assert.deepEqual([...new Set(outcomes)], ['stored']);
      assert(outcomes.length >= 32);
    }
    assert.equal((await store.stats()).inFlight, 0);
    assert.deepEqual(refusedOf(await openLoop(text(store), 'after', 1, 16)).length, 0, 'it is over at once');
    await checkSome(text(store), calls, refused);
    for (const thread of threads) {
      await thread.ask.close();
      await thread.end();
    }
  } finally {
    await store.close();
  }
});

test('who waits as long as a refusal says, and comes again, is served in the end', async () => {
  const store = await open({ nodes: 3, maxInFlight: 8, timeoutMs: 60_000 });
  try {
    const bucket = text(store);
    await bucket.put('warm', 'up');
    let refusals = 0;
    const putPatiently = async (key: string): Promise<void> => {
      for (;;) {
        try {
          await bucket.put(key, key);
          return;
        } catch (error) {
          assert(error instanceof OverloadedError && error.definite, String(error));
          refusals++;
          await sleep(error.retryAfterMs);
        }
      }
    };
    const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
    await Promise.all(keys.map(putPatiently));
    assert(refusals >= 192, `${refusals} refusals`);
    for (const key of keys) assert.equal((await bucket.get(key)).value, key);
  } finally {
    await store.close();
  }
});

// Goal: a node has room for some thousands of requests; several times as many are no reason for a timeout, or for a crash.
test('a burst above what a node has room for: each call is stored or refused, and then there is room again', async () => {
  const store = await open({ nodes: 1, n: 1, maxInFlight: 65_536, timeoutMs: 60_000 });
  try {
    await text(store).put('warm', 'up');
    const calls = await openLoop(text(store), 'k', 1, 30_000);
    const refused = refusedOf(calls);
    assert(refused.length > 0, 'nothing was refused: this shows nothing');
    assert(calls.length - refused.length >= 1_000, `${refused.length} refused`);
    assert.deepEqual(refusedOf(await openLoop(text(store), 'after', 1, 1_000)), []);
    await checkSome(text(store), calls, refused);
  } finally {
    await store.close();
  }
});

test('a hot key with puts that conflict: it is named, stays small, and other keys of its node are served meanwhile', async () => {
  const store = await open({ nodes: 3, timeoutMs: 60_000 });
  try {
    const hot = store.bucket<string>('hot', { codec: 'text', maxSiblings: 10 });
    const bucket = text(store);
    const coordinator = (await hot.put('hot', 'first')).acks[0]!.node;
    let isOver = false;
    const hammering = Promise.all(
      Array.from({ length: 32 }, async (_, lane) => {
        const codes: string[] = [];
        while (!isOver) {
          const code = await hot.put('hot', `lane ${lane}`).then(
            () => 'stored',
            // What was sent elsewhere because of silence may have been stored by its first try.
            (error: Error) => (/last try was refused: .* siblings/.test(error.message) ? 'tried twice' : String(error)),
          );
          codes.push(code);
        }
        return codes;
      }),
    );
    // One call at a time, so that each waits behind whatever the hot key has under way.
    let beside = 0;
    for (let i = 0; i < 400; i++) {
      const { acks } = await bucket.put(`k${i}`, `v${i}`);
      if (acks[0]!.node === coordinator) beside++;
      assert.equal((await bucket.get(`k${i}`)).value, `v${i}`);
    }
    const { hottest } = await store.stats();
    isOver = true;
    const codes = (await hammering).flat();
    assert(beside > 40, `only ${beside} keys have the coordinator of the hot one`);
    const kinds = new Set(codes.map((code) => code.replace(/:.*/, '')));
    kinds.delete('tried twice');
    assert.deepEqual([...kinds].sort(), ['TooManySiblingsError', 'stored']);
    assert(codes.length > 400, `${codes.length} puts of the hot key`);
    const { siblings } = await hot.get('hot', { r: 'all' });
    assert(siblings.length > 1 && siblings.length <= 10, `${siblings.length} siblings`);
    const [first] = hottest;
    assert(first !== undefined && first.share > 0.3, JSON.stringify(hottest));
    assert.deepEqual({ ...first, share: 0 }, { type: 'default', bucket: 'hot', key: 'hot', share: 0 });
    const attached = await AttachedThread.attached(store.share());
    const { stats } = await attached.ask.about();
    const seen = (stats as Awaited<ReturnType<Store['stats']>>).hottest;
    assert.equal(seen[0]!.key, 'hot', 'whichever thread asks');
    await attached.ask.close();
    await attached.end();
  } finally {
    await store.close();
  }
});

// Goal: nobody's turn comes later for a key that is hot. Counted, not timed: how often the hot key is answered meanwhile.
test('a call for another key of the node is answered before the hot key has been once more for each that waits there', async () => {
  const store = await open({ nodes: 1, n: 1, partitions: 8, timeoutMs: 60_000 });
  try {
    const hot = store.bucket<string>('hot', { codec: 'text', maxSiblings: 10 });
    const bucket = text(store);
    let isOver = false;
    let answers = 0;
    const hammering = Array.from({ length: HOT_LANES }, async () => {
      while (!isOver) {
        await hot
          .put('hot', 'again')
          .catch((error: unknown) => assert(error instanceof TooManySiblingsError, String(error)));
        answers++;
      }
    });
    const meanwhile: number[] = [];
    for (let i = 0; i < 400; i++) {
      const before = answers;
      if (i % 2 === 0) await bucket.put(`k${i}`, `v${i}`);
      else assert.equal((await bucket.get(`k${i - 1}`)).value, `v${i - 1}`);
      meanwhile.push(answers - before);
    }
    isOver = true;
    await Promise.all(hammering);
    assert(answers > 10 * HOT_LANES, `${answers} answers for the hot key: it was none`);
    const most = Math.max(...meanwhile);
    assert(most <= MOST_MEANWHILE, `the hot key was answered ${most} times while one call waited`);
  } finally {
    await store.close();
  }
});

// Goal: a loop that tries again at every refusal, and waits for nothing else, leaves its thread to what ends the refusals.
test('who comes again at once at every refusal does not keep the event loop', async () => {
  const store = await open({ nodes: 2, n: 2, maxInFlight: 1, timeoutMs: 60_000 });
  const bucket = text(store);
  /** Comes again until the event loop has come round, or 1,000 times. @returns how often */
  async function triesUntilRound(call: () => Promise<unknown>, code: ErrorCode): Promise<number> {
    let isRound = false;
    setImmediate(() => {
      isRound = true;
    });
    let tries = 0;
    while (!isRound && tries < 1_000) {
      await fails(call, code);
      tries++;
    }
    return tries;
  }
  const calls = {
    put: () => bucket.put('k', 'v'),
    get: () => bucket.get('k'),
    update: () => bucket.update('k', () => 'v'),
    scan: () => bucket.scan().next(),
    properties: () => store.bucketProperties('b'),
  };
  try {
    await bucket.put('warm', 'up');
    const underWay = bucket.put('under', 'way');
    assert((await triesUntilRound(calls.put, 'OVERLOADED')) < 10, 'OVERLOADED');
    await underWay;
    for (const { name } of store.nodes()) await store.admin.stop(name);
    for (const [name, call] of Object.entries(calls)) {
      assert((await triesUntilRound(call, 'QUORUM_UNAVAILABLE')) < 10, `QUORUM_UNAVAILABLE of ${name}`);
    }
  } finally {
    const closed = store.close();
    for (const [name, call] of Object.entries(calls)) {
      assert((await triesUntilRound(call, 'CLOSED')) < 10, `CLOSED of ${name}`);
    }
    await closed;
  }
});
