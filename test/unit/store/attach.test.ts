/** Several threads of an application on one store: tickets, the same calls everywhere, deaths, and who closes what. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { attach, type OpenOptions, open, type Store } from '../../../src/index.js';
import { openWith } from '../../../src/store/open.js';
import type { LoadOutcomes } from '../../support/attached-thread.js';
import { AttachedThread, endAttachedThreads, outcomeOf } from '../../support/attached-threads.js';
import { FAULTY_WORKER, Faults } from '../../support/faults.js';
import { fails } from '../../support/rejection.js';
import { test } from '../../support/test.js';

/** On a busy machine large values take their time. */
const SMALL: OpenOptions = { nodes: 3, partitions: 8, timeoutMs: 60_000 };
const text = (store: Store) => store.bucket<string>('b', { codec: 'text' });

/** Opens, runs, closes; nothing that someone must know may have been said. */
async function using(options: OpenOptions, story: (store: Store) => Promise<void>): Promise<void> {
  const warnings: string[] = [];
  const hear = (warning: Error) => {
    if (warning.name === 'QuoralWarning') warnings.push(warning.message);
  };
  process.on('warning', hear);
  const store = await open(options);
  try {
    await story(store);
  } finally {
    await endAttachedThreads();
    await store.close();
    process.off('warning', hear);
  }
  assert.deepEqual(warnings, []);
}

async function inDirectory(story: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-attach-'));
  try {
    await story(join(directory, 'data'));
  } finally {
    await endAttachedThreads();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits until a share is free, and takes it: the opener hears of a thread's end a moment later. */
async function shareOnceFree(store: Store): Promise<ReturnType<Store['share']>> {
  for (;;) {
    try {
      return store.share();
    } catch (error) {
      assert.match(String(error), /OverloadedError/);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

async function untilCount(thread: AttachedThread, count: number): Promise<void> {
  while ((await thread.ask.loadCount()) < count) await new Promise((resolve) => setImmediate(resolve));
}

test('an attached thread has the same store, with the same options', () =>
  using({ ...SMALL, maxValueBytes: 1_000, r: 'all', timeoutMs: 20_000 }, async (store) => {
    const bucket = text(store);
    await bucket.put('here', 'first');
    const thread = await AttachedThread.attached(store.share());
    const { ask } = thread;
    const seen = await ask.get('here');
    assert.deepEqual(seen.values, ['first']);
    await ask.put('here', 'second', { causalContext: seen.causalContext });
    assert.equal((await bucket.get('here')).value, 'second', 'a context is good on every thread');
    await ask.put('here', 'third');
    assert.deepEqual(
      (await bucket.get('here')).siblings.map(({ value }) => value),
      ['second', 'third'],
    );
    for (let i = 0; i < 20; i++)
      await (i % 2 === 0 ? ask.update('shared', `${i},`) : update(bucket, 'shared', `${i},`));
    assert.equal((await ask.get('shared')).values[0], Array.from({ length: 20 }, (_, i) => `${i},`).join(''));
    assert.deepEqual(await ask.scan({ gt: 'a' }), ['here', 'shared']);
    assert.deepEqual(await ask.buckets(), ['b']);

    const { nodes, ring, stats } = await ask.about();
    assert.deepEqual(nodes, store.nodes());
    assert.deepEqual(ring, store.ring());
    const { puts, nodes: counters, total } = stats;
    assert.deepEqual([puts.count, Object.keys(counters)], [12, ['a', 'b', 'c']], 'its own calls, and the nodes of all');
    assert(total.latencies.puts.count > puts.count, 'nodes have coordinated the calls of both');

    assert.equal(await outcomeOf(ask.put('k', 'x'.repeat(1_001))), 'VALUE_TOO_LARGE definite');
    await ask.put('large', 'x'.repeat(1_000));
    await store.admin.stop('b');
    assert.equal(await outcomeOf(ask.get('here')), 'QUORUM_UNAVAILABLE definite', 'r: all is its default, too');
    assert.equal(await outcomeOf(ask.share()), 'INVALID_ARGUMENT definite');
    await ask.close();
    assert.equal(await outcomeOf(ask.get('here')), 'CLOSED definite');
    assert.equal(await outcomeOf(ask.administer('start', 'b')), 'CLOSED definite');
    assert.equal((await bucket.get('here', { r: 1 })).found, true, 'closing it closes it alone');
    assert.equal(await thread.end(), 0);
  }));

async function update(bucket: ReturnType<typeof text>, key: string, suffix: string): Promise<void> {
  await bucket.update(key, (value = '') => value + suffix);
}

test('values too large for a lane pass, and several threads at once', () =>
  using({ ...SMALL, maxShares: 4 }, async (store) => {
    const threads = await Promise.all([0, 1, 2, 3].map(() => AttachedThread.attached(store.share())));
    await Promise.all(
      threads.map(async ({ ask }, i) => {
        const value = String(i).repeat(700_000 + i);
        await Promise.all(Array.from({ length: 8 }, (_, k) => ask.put(`${i} ${k}`, value)));
        // Read by the next thread.
        const other = threads[(i + 1) % 4]!.ask;
        for (let k = 0; k < 8; k++) assert.deepEqual((await other.get(`${i} ${k}`)).values, [value]);
      }),
    );
    await Promise.all(threads.map(({ ask }) => ask.close()));
    await Promise.all(threads.map((thread) => thread.end()));
  }));

test('nodes are stopped, crashed and started from any thread, and every thread hears of it', () =>
  using(SMALL, async (store) => {
    const thread = await AttachedThread.attached(store.share());
    const { ask } = thread;
    const states = async () => (await ask.about()).nodes.map(({ state }) => state);
    assert.equal(await outcomeOf(ask.administer('stop', 'x')), 'INVALID_ARGUMENT definite');
    assert.equal(await outcomeOf(ask.administer('stop', 'a', { timeoutMs: 0 })), 'INVALID_ARGUMENT definite');
    for (const act of ['stop', 'crash'] as const) {
      await ask.administer(act, 'b');
      assert.deepEqual([store.nodes()[1]!.state, await states()], ['down', ['up', 'down', 'up']]);
      await ask.administer('start', 'b');
      assert.deepEqual([store.nodes()[1]!.state, await states()], ['up', ['up', 'up', 'up']]);
      assert.equal(await outcomeOf(ask.put('k', 'v', { w: 'all' })), 'done', 'the restarted node is linked to it');
    }
    const late = outcomeOf(ask.administer('stop', 'b', { timeoutMs: 1 }));
    assert.equal(await late, 'TIMEOUT indefinite');
    await store.admin.stop('b');
    await store.admin.start('b');
    // Faults, too: a thread that is cut off from a node hears nothing of it, until the split is healed.
    assert.equal(await outcomeOf(ask.administer('split', ['a', 'b', 'c'])), 'INVALID_ARGUMENT definite');
    assert.equal(await outcomeOf(ask.administer('pause', 'a', 0)), 'INVALID_ARGUMENT definite');
    await ask.administer('split', ['a']);
    assert.match(await outcomeOf(ask.put('cut', 'v', { w: 'all', timeoutMs: 100 })), / indefinite$/);
    await ask.administer('heal');
    assert.equal(await outcomeOf(ask.put('cut', 'v', { w: 'all' })), 'done');
    await ask.administer('pause', 'a', 1);
    assert.equal(await outcomeOf(ask.administer('waitForHints', { timeoutMs: 20_000 })), 'done');
    // Under load: one node after another crashes and comes back; two of three always hold the quorum.
    await ask.beginLoad('load', 32);
    for (const node of ['a', 'b', 'c']) {
      await untilCount(thread, (await ask.loadCount()) + 200);
      await store.admin.crash(node);
      await untilCount(thread, (await ask.loadCount()) + 200);
      await store.admin.start(node);
    }
    const outcomes = await ask.endLoad();
    assert.deepEqual(
      Object.entries(outcomes).filter(([, outcome]) => outcome !== 'stored'),
      [],
    );
    await ask.close();
    await thread.end();
  }));

test('a thread that dies under load gives its share back, and troubles nobody', () =>
  using({ ...SMALL, maxShares: 2 }, async (store) => {
    const steady = await AttachedThread.attached(store.share());
    await steady.ask.beginLoad('steady', 16);
    for (let round = 0; round < 6; round++) {
      const doomed = await AttachedThread.attached(await shareOnceFree(store));
      await doomed.ask.beginLoad(`doomed ${round}`, 64);
      await untilCount(doomed, 100);
      await fails(() => store.share(), { code: 'OVERLOADED', message: /all 2 shares.*maxShares/ });
      if (round % 2 === 0) await doomed.terminate();
      else await doomed.ask.exit().catch(() => undefined);
      await doomed.exited;
    }
    const outcomes = await steady.ask.endLoad();
    assert(Object.values(outcomes).every((outcome) => outcome === 'stored'));
    for (const key of Object.keys(outcomes).slice(0, 100)) assert.equal((await text(store).get(key)).value, key);
    await steady.ask.close();
    await steady.end();
    // Whatever the dead left in the nodes' hands ends: a node that stopped with requests in hand would warn.
    for (const node of ['a', 'b', 'c']) await store.admin.stop(node);
  }));

test('tickets: one attach each, so many at a time, and what is no ticket is refused', async () => {
  await using({ nodes: 1, n: 1, maxShares: 0 }, async (store) => {
    await fails(() => store.share(), 'OVERLOADED');
  });
  const { port1, port2 } = new MessageChannel();
  for (const wrong of [undefined, null, {}, 'ticket', 5]) await fails(() => attach(wrong as never), 'INVALID_ARGUMENT');
  await fails(() => attach(port1), 'CLOSED');
  port2.postMessage({ ticket: 'another' });
  await fails(() => attach(port1), { code: 'INVALID_ARGUMENT', message: /version/ });
  port1.close();

  const store = await open({ nodes: 1, n: 1, maxShares: 2 });
  const unused = store.share();
  const ticket = store.share();
  await fails(() => store.share(), 'OVERLOADED');
  unused.close();
  // On the same thread, too: a library may be given a ticket wherever it runs.
  const here = await attach(ticket);
  await fails(() => attach(ticket), { code: 'INVALID_ARGUMENT', message: /one of its own/ });
  await text(here).put('k', 'v');
  await fails(() => here.share(), { code: 'INVALID_ARGUMENT', message: /thread that opened/ });
  // A thread that ends without having attached gives its share back, too.
  const thread = new AttachedThread(await shareOnceFree(store));
  await fails(() => store.share(), 'OVERLOADED');
  await thread.end();
  const late = await shareOnceFree(store);
  await Promise.all([here.close(), here.close()]);
  await here[Symbol.asyncDispose]();
  assert.equal((await text(store).get('k')).value, 'v');
  const closing = store.close();
  await fails(() => store.share(), 'CLOSED');
  await fails(() => attach(late), 'CLOSED');
  await closing;
});

// Goal: what an attached thread was told of its puts is true of the store when it is opened again.
test('closing the store closes all of its threads: what they have under way ends, truthfully', () =>
  inDirectory(async (path) => {
    const store = await open({ ...SMALL, path, sync: 'none' });
    const threads = await Promise.all([0, 1].map(() => AttachedThread.attached(store.share())));
    for (const [i, { ask }] of threads.entries()) await ask.beginLoad(`load ${i}`, 64);
    for (const thread of threads) await untilCount(thread, 500);
    await Promise.all([store.close(), store.close()]);
    const outcomes: LoadOutcomes = Object.assign({}, ...(await Promise.all(threads.map(({ ask }) => ask.endLoad()))));
    for (const thread of threads) {
      const { ask } = thread;
      assert.equal(await outcomeOf(ask.put('late', 'v')), 'CLOSED definite');
      const { nodes, latencies, total, inFlight } = (await ask.about()).stats;
      assert.deepEqual([nodes, latencies, total.counters, inFlight], [{}, {}, {}, 0]);
      await ask.close();
      await thread.end();
    }
    const told = new Set(Object.values(outcomes));
    assert.deepEqual([...told].sort(), ['CLOSED definite', 'stored'], 'nothing was cut off');
    const again = await open({ path });
    const bucket = text(again);
    const wrong: string[] = [];
    for (const [key, outcome] of Object.entries(outcomes)) {
      if ((await bucket.get(key)).found !== (outcome === 'stored')) wrong.push(`${key}: ${outcome}`);
    }
    await again.close();
    assert.deepEqual(wrong, []);
  }));

test('a thread that does not end in time is cut off: its writes fail as CLOSED, indefinite', async () => {
  const faults = new Faults();
  const store = await openWith({ nodes: 3, partitions: 8, timeoutMs: 200 }, { entry: FAULTY_WORKER });
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const release = () => {
    Atomics.store(gate, 0, 1);
    Atomics.notify(gate, 0);
  };
  const [waiting, standing] = await Promise.all([0, 1].map(() => AttachedThread.attached(store.share())));
  try {
    // One waits for nodes that stand still, the other stands still itself.
    await waiting!.ask.get('k', { timeoutMs: 20_000 });
    const goOn = await faults.stall([0, 1, 2]);
    await waiting!.ask.leaveUnderWay('k', 2, 60_000);
    const blocked = standing!.ask.block(gate.buffer);
    const closing = store.close();
    assert.equal(await waiting!.ask.leftUnderWay(), 'CLOSED indefinite');
    goOn();
    assert.equal(await outcomeOf(waiting!.ask.get('k')), 'CLOSED definite');
    // Both were cut off at once.
    release();
    await blocked;
    assert.equal(await outcomeOf(standing!.ask.get('k')), 'CLOSED definite');
    assert.deepEqual(
      (await standing!.ask.about()).nodes.map(({ state }) => state),
      ['down', 'down', 'down'],
    );
    await closing;
  } finally {
    release();
    await endAttachedThreads();
    await store.close();
    faults.close();
  }
});
