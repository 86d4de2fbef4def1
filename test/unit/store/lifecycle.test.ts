/** A store from its opening to its end: directories, nodes that stop and start, receipts, closing. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { withoutLoaders } from '../../../src/base/loaders.js';
import { decodeLocatedKey } from '../../../src/codec/key.js';
import { isSoundRecord } from '../../../src/codec/record.js';
import {
  type Bucket,
  type OpenOptions,
  open,
  type PartitionStatus,
  type QuorumNotMetError,
  type Receipt,
  type Store,
} from '../../../src/index.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import { openWith } from '../../../src/store/open.js';
import { windowFarFromNow } from '../../support/exchange-window.js';
import { FAULTY_WORKER, Faults } from '../../support/faults.js';
import { keyPrimaries } from '../../support/key-primaries.js';
import { fails, refuses } from '../../support/rejection.js';
import { readReplicas } from '../../support/replica-files.js';
import { test } from '../../support/test.js';

const FORGETFUL = new URL('../../support/forgetful-child.js', import.meta.url);

/** Runs `story` with the path of a directory that is not there yet. */
async function inDirectory(story: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-store-'));
  try {
    await story(join(directory, 'data'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Opens, runs, closes. */
async function using(options: OpenOptions, story: (store: Store) => Promise<void>): Promise<void> {
  const store = await open(options);
  try {
    await story(store);
  } finally {
    await store.close();
  }
}

const text = (store: Store): Bucket<string> => store.bucket<string>('b', { codec: 'text' });
const SMALL = { nodes: 3, partitions: 8 } as const;

test('a directory keeps its data and its fixed options, and has one owner', () =>
  inDirectory(async (path) => {
    let context = '';
    await using({ path, ...SMALL }, async (store) => {
      await text(store).put('kept', 'v');
      await text(store).delete('deleted');
      context = (await text(store).put('replaced', 'old')).causalContext;
      // However the path is spelt.
      symlinkSync(path, `${path}-link`);
      for (const other of [path, `${path}/`, relative(process.cwd(), path), `${path}-link`]) {
        await fails(() => open({ path: other }), 'LOCKED');
      }
    });
    const mismatches: OpenOptions[] = [
      { partitions: 16 },
      { n: 2 },
      { nodes: 4 },
      { nodes: 2 },
      { nodes: [{ name: 'a' }] },
    ];
    for (const other of mismatches) await fails(() => open({ path, ...other }), 'OPTIONS_MISMATCH');
    // Refused for another reason, it does not stay locked.
    await fails(() => open({ path, w: 4 }), 'INVALID_ARGUMENT');
    await using({ path }, async (store) => {
      assert.equal(store.nodes().length, 3);
      assert.equal(store.ring().length, 8);
      assert.equal((await text(store).get('kept')).value, 'v');
      assert.equal((await text(store).get('deleted')).found, false);
      // A token outlives the process that gave it.
      await text(store).put('replaced', 'new', { causalContext: context });
      assert.equal((await text(store).get('replaced')).value, 'new');
      const keys: unknown[] = [];
      for await (const { key } of text(store).scan()) keys.push(key);
      assert.deepEqual(keys, ['kept', 'replaced']);
    });
    await using({ path, ...SMALL, n: 3, sync: 'none' }, async (store) => {
      assert.equal((await text(store).get('kept', { r: 'all' })).value, 'v');
    });
  }));

test('receipts tell who stored a write, and who flushed it', () =>
  inDirectory(async (path) => {
    const names = (receipt: Receipt) => receipt.acks.map(({ node }) => node).sort();
    await using({ path, ...SMALL }, async (store) => {
      const { acks, hints } = await text(store).put('full', 'v');
      assert(acks.length >= 2 && acks.every(({ role, durable }) => role === 'primary' && durable));
      assert.deepEqual(hints, []);
      const all = await text(store).put('full', 'v', { w: 'all', dw: 'all' });
      assert.deepEqual(names(all), ['a', 'b', 'c']);
      assert((await text(store).put('full', 'v', { w: 1, dw: 2 })).acks.filter(({ durable }) => durable).length >= 2);
      assert.equal((await text(store).put('full', 'v', { w: 1 })).acks.length >= 1, true);
    });
    await fails(() => open({ path, sync: 'none', dw: 1 } as never), 'INVALID_ARGUMENT');
    await using({ path, sync: 'none' }, async (store) => {
      const { acks } = await text(store).put('none', 'v', { w: 'all' });
      assert.deepEqual(
        acks.map(({ durable }) => durable),
        [false, false, false],
      );
      await fails(() => text(store).put('none', 'v', { dw: 1 }), { code: 'INVALID_ARGUMENT', message: /sync: 'full'/ });
    });
  }));

test('closing waits for what is in flight, refuses the rest, and can be asked for twice', () =>
  inDirectory(async (path) => {
    const store = await open({ path, ...SMALL, sync: 'none' });
    const bucket = text(store);
    await bucket.put('read first', 'v');
    const keys = Array.from({ length: 300 }, (_, i) => `k${i}`);
    const puts = keys.map((key) => bucket.put(key, key));
    const removed = bucket.delete('read first');
    const scan = bucket.scan();
    const goOn = () => scan.next();
    const closing = store.close();
    const refused: (() => unknown)[] = [
      () => bucket.get('k'),
      () => bucket.put('late', 'v'),
      () => bucket.delete('late'),
      () => bucket.scan().next(),
      goOn,
      () => store.admin.stop('a'),
      () => store.admin.start('a'),
      () => store.admin.crash('a'),
    ];
    for (const call of refused) await fails(call, { code: 'CLOSED', message: /open it again/ });
    await Promise.all(puts);
    await removed;
    await closing;
    await store.close();
    await store[Symbol.asyncDispose]();
    for (const call of refused.filter((one) => one !== goOn)) await fails(call, 'CLOSED');
    assert.deepEqual(
      store.nodes().map(({ state }) => state),
      ['down', 'down', 'down'],
    );
    assert.deepEqual((await store.stats()).nodes, {});
    await fails(() => store.bucket('b').get('k'), 'CLOSED');

    assertWhole(path, ['read first', ...keys]);
  }));

test('closing leaves no write half way to a node that stands still', () =>
  inDirectory(async (path) => {
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    await using({ path, ...SMALL, sync: 'none' }, async (store) => {
      await text(store).put('first', 'v');
      await store.admin.pause('c', 60_000);
      await Promise.all(keys.map((key) => text(store).put(key, 'v')));
    });
    assertWhole(path, keys);
  }));

/** Every replica has what some of them acknowledged. */
function assertWhole(path: string, keys: readonly string[]): void {
  const replicas = readReplicas(path);
  assert.deepEqual(
    keys.filter((key) => replicas.get(key)?.length !== 3),
    [],
  );
}

test('nodes stop, crash and start by request, as often as one likes', () =>
  inDirectory(async (path) => {
    await using({ path, ...SMALL }, async (store) => {
      const state = (name: string) => store.nodes().find((node) => node.name === name)!.state;
      const { admin } = store;
      for (const name of ['x', '', 'A', '__proto__', 5, undefined]) {
        for (const act of [admin.stop, admin.start, admin.crash]) {
          await fails(() => act(name as string), { code: 'INVALID_ARGUMENT', message: /the nodes are a, b, c/ });
        }
      }
      await admin.start('a');
      for (const end of [admin.stop, admin.crash]) {
        await text(store).put('k', 'v');
        assert.equal(await end('b'), undefined);
        assert.equal(state('b'), 'down');
        await end('b');
        await Promise.all([admin.stop('b'), admin.crash('b')]);
        assert.equal(state('b'), 'down');
        assert.deepEqual(Object.keys((await store.stats()).nodes), ['a', 'c']);
        await Promise.all([admin.start('b'), admin.start('b')]);
        assert.equal(state('b'), 'up');
        assert.equal(await admin.start('b'), undefined);
        assert.equal((await text(store).get('k', { r: 'all' })).found, true);
      }
      // Deadlines: a thread takes longer than a millisecond to start; it starts all the same.
      await admin.stop('b', { timeoutMs: 60_000 });
      const late = { code: 'TIMEOUT', definite: false, message: /start of node "b".*goes on/ } as const;
      await fails(() => admin.start('b', { timeoutMs: 1 }), late);
      await admin.start('b', { signal: new AbortController().signal });
      assert.equal(state('b'), 'up');
      await fails(() => admin.crash('b', { signal: AbortSignal.abort() }), { code: 'ABORTED', definite: true });
      assert.equal(state('b'), 'up');
      const controller = new AbortController();
      const given = fails(() => admin.stop('b', { signal: controller.signal }), { code: 'ABORTED', definite: false });
      controller.abort();
      await given;
      await admin.stop('b');
      await admin.start('b');
      for (const options of [null, 5, { timeoutMs: 0 }, { signal: 5 }, { graceMs: 5 }]) {
        await fails(() => admin.stop('b', options as never), 'INVALID_ARGUMENT');
      }
      assert.equal(state('b'), 'up');
      // Several at once, and all of them.
      await Promise.all(['a', 'b', 'c'].map((name, i) => (i === 1 ? admin.crash(name) : admin.stop(name))));
      await fails(() => text(store).get('k', { r: 1 }), 'QUORUM_UNAVAILABLE');
      await Promise.all(['a', 'b', 'c'].map((name) => admin.start(name)));
      assert.equal((await text(store).get('k', { r: 'all' })).found, true);
      // Stopped while it starts.
      await admin.stop('c');
      const starting = admin.start('c').catch(() => undefined);
      await admin.stop('c');
      await starting;
      assert.equal(state('c'), 'down');
      await admin.start('c');
      assert.equal(state('c'), 'up');
    });
  }));

test('a node that is started anew is not suspected for what its thread was before', () =>
  using({ nodes: 3 }, async (store) => {
    const state = () => store.nodes()[1]!.state;
    for (const end of [store.admin.crash, store.admin.stop]) {
      await store.admin.pause('b', 60_000);
      while (state() !== 'suspect') await new Promise((resolve) => setImmediate(resolve));
      await end('b');
      // Nobody looks while it is down.
      await store.admin.start('b');
      assert.equal(state(), 'up');
    }
  }));

test('one node down: two of three go on, three of three are refused, and nothing of those is stored', () =>
  using({ nodes: 3, n: 3 }, async (store) => {
    const bucket = text(store);
    await bucket.put('before', 'v', { w: 'all' });
    await store.admin.stop('b');
    assert.deepEqual(
      store.nodes().map(({ state }) => state),
      ['up', 'down', 'up'],
    );
    const keys = Array.from({ length: 50 }, (_, i) => `k${i}`);
    for (const receipt of await Promise.all(keys.map((key) => bucket.put(key, 'v', { w: 2 })))) {
      assert.deepEqual(receipt.acks.map(({ node }) => node).sort(), ['a', 'c']);
    }
    const refused = keys.map((key) =>
      fails(() => bucket.put(`${key} refused`, 'v', { w: 3 }), {
        code: 'QUORUM_UNAVAILABLE',
        definite: true,
        message: /2 of the 3/,
      }),
    );
    await Promise.all(refused);
    await fails(() => bucket.put('before', 'w', { pw: 3 }), 'QUORUM_UNAVAILABLE');
    await fails(() => bucket.delete('before', { w: 'all' }), 'QUORUM_UNAVAILABLE');
    await fails(() => bucket.get('before', { r: 'all' }), 'QUORUM_UNAVAILABLE');
    await fails(() => bucket.get('before', { pr: 3 }), 'QUORUM_UNAVAILABLE');
    await store.admin.start('b');
    for (const key of keys) {
      assert.equal(
        (await bucket.get(key, { r: 'all' })).value,
        'v',
        'a node that lost its memory is refilled by reads',
      );
      assert.equal((await bucket.get(`${key} refused`, { r: 'all' })).found, false);
    }
    assert.equal((await bucket.get('before', { r: 'all' })).value, 'v');
    const { nodes, latencies, total, puts, gets } = await store.stats();
    assert.deepEqual(Object.keys(nodes), ['a', 'b', 'c']);
    assert.deepEqual(Object.keys(latencies), ['a', 'b', 'c']);
    const sum = (of: (name: string) => number) => Object.keys(nodes).reduce((all, name) => all + of(name), 0);
    assert.equal(
      total.latencies.puts.count,
      sum((name) => latencies[name]!.puts.count),
    );
    assert.equal(
      total.counters.minted,
      sum((name) => nodes[name]!.minted!),
    );
    // Node b's own are those since its start: it was down when the 50 were put.
    assert(latencies.b!.puts.count === 0 && total.latencies.puts.count >= 50);
    for (const { count, p50Ms, p99Ms, maxMs } of [total.latencies.puts, total.latencies.gets, latencies.a!.gets]) {
      assert(count > 0 && p50Ms <= p99Ms && p99Ms <= maxMs && maxMs > 0);
    }
    assert(puts.count >= 51 && puts.p50Ms > 0 && puts.maxMs >= puts.p99Ms && gets.count > 0);
    assert(nodes.a!.readRepairs! + nodes.b!.readRepairs! + nodes.c!.readRepairs! > 0);
  }));

test('a session reads what it wrote, or is told that it cannot', async () => {
  const store = await open({ nodes: 3, n: 3 });
  try {
    const bucket = text(store);
    const { causalContext: session } = await bucket.put('k', 'v', { w: 1 });
    for (let i = 0; i < 20; i++) assert.equal((await bucket.get('k', { r: 1, session })).value, 'v');
    await fails(() => bucket.get('other', { session }), 'INVALID_ARGUMENT');
    // Their memory is lost, and with it what the session saw.
    for (const name of ['a', 'b', 'c']) await store.admin.crash(name);
    for (const name of ['a', 'b', 'c']) await store.admin.start(name);
    // Replicas that do not know yet what was reaped before take no writes; they are compared once they do.
    await store.admin.waitForExchange();
    await fails(() => bucket.get('k', { r: 1, session }), { code: 'STALE_READ', definite: true });
    assert.equal((await bucket.get('k', { r: 1 })).found, false);
    await bucket.put('k', 'w', { causalContext: session });
    assert.equal((await bucket.get('k', { session })).value, 'w', 'what covers it will do');
  } finally {
    await store.close();
  }
});

test('a node that was to be started again is not, once the store is closed', async () => {
  const store = await open({ nodes: 1, n: 1 });
  const stopped = store.admin.stop('a');
  const started = fails(() => store.admin.start('a'), 'CLOSED');
  await store.close();
  await Promise.all([stopped, started]);
  assert.equal(store.nodes()[0]!.state, 'down');
});

test('a store whose disk is full says so when it is opened', async () => {
  const entry = new URL('../../support/full-disk-worker.js', import.meta.url);
  await fails(() => openWith({ nodes: 1, n: 1 }, { entry }), { code: 'STORAGE_FULL', message: /free some space/ });
});

test('a damaged record is never served, is counted, and is healed from the others', () =>
  inDirectory(async (path) => {
    let ring: readonly PartitionStatus[] = [];
    await using({ path, ...SMALL }, async (store) => {
      for (const key of ['one', 'two', 'all']) await text(store).put(key, `value of ${key}`, { w: 'all' });
      ring = store.ring();
    });
    // The replica that a read asks first.
    const replicas = readReplicas(path);
    const primariesOf = (key: string) => ring[replicas.get(key)![0]!.partition]!.primaries;
    damage(path, primariesOf('one')[0]!, 'one');
    const two = primariesOf('two').slice(0, 2);
    for (const node of two) damage(path, node, 'two');
    for (const node of ['a', 'b', 'c']) damage(path, node, 'all');
    // No exchange finds what the reads are to find.
    await using({ path, exchangeWindow: windowFarFromNow() }, async (store) => {
      const bucket = text(store);
      for (const r of [1, 2, 3]) await fails(() => bucket.get('all', { r }), { code: 'CORRUPT', definite: true });
      await refuses(() => bucket.put('all', 'new', { w: 1 }), { code: 'CORRUPT', definite: true });
      await fails(() => bucket.get('one', { r: 'all' }), 'QUORUM_NOT_MET');
      const keys: unknown[] = [];
      for await (const { key } of bucket.scan()) keys.push(key);
      assert.deepEqual(keys, ['one', 'two'], 'a scan has what any replica can read, and goes on behind the rest');
      assert.equal(
        (await bucket.get('one', { r: 'all' })).value,
        'value of one',
        'the read that failed had it repaired',
      );
      const { nodes } = await store.stats();
      assert(Object.values(nodes).every(({ corruptRecords }) => corruptRecords! > 0));
    });
    // Of the others, some may have been healed in the background by now.
    for (const node of ['a', 'b', 'c']) changeLastByte(path, node, 'all', (record) => !isSoundRecord(record));
    for (const node of two) changeLastByte(path, node, 'two', (record) => !isSoundRecord(record));
    for (const [key, copies] of readReplicas(path)) assert.equal(copies.length, 3, `${key} is whole again`);
  }));

/** Changes a record, as a failing disk would. */
function damage(path: string, node: string, key: string): void {
  assert(changeLastByte(path, node, key, isSoundRecord));
}

/** Changes the last byte of a record, if `which` says so; done twice, it is whole again. @returns whether it was changed */
function changeLastByte(path: string, node: string, key: string, which: (record: Uint8Array) => boolean): boolean {
  const storage = openLmdbStorage({ path: join(path, node, 'objects.mdb'), sync: 'full' });
  for (const entry of storage.range({ lt: Uint8Array.of(0xff), limit: 100 })) {
    if (Buffer.from(decodeLocatedKey(entry.key).key).toString() !== key || !which(entry.value)) continue;
    const value = new Uint8Array(entry.value);
    value[value.length - 1]! ^= 1;
    storage.put(entry.key, value);
  }
  const { pending } = storage;
  storage.commit();
  storage.close();
  return pending;
}

test('a process that ends without closing the store ends by itself, and loses nothing acknowledged', () =>
  inDirectory(async (path) => {
    for (const how of ['exit', 'itself']) {
      const child = fork(FORGETFUL, [path, '200', how], { timeout: 60_000, ...withoutLoaders(process) });
      const code = await new Promise((resolve) => child.once('exit', (exit, signal) => resolve(exit ?? signal)));
      assert.equal(code, 0);
      await using({ path }, async (store) => {
        for (let i = 0; i < 200; i++) {
          const { siblings } = await text(store).get(`k${i}`);
          assert(siblings.some(({ value }) => value === how));
        }
      });
    }
  }));

test('a node that has died is stopped, started or closed while it waits for its restart', async () => {
  const faults = new Faults();
  const store = await openWith({ nodes: 3 }, { entry: FAULTY_WORKER });
  const state = () => store.nodes()[1]!.state;
  const die = async () => {
    await faults.strike(1, 'throw');
    while (state() !== 'down') await new Promise((resolve) => setImmediate(resolve));
  };
  try {
    await die();
    await store.admin.stop('b');
    assert.equal(state(), 'down');
    await store.admin.start('b');
    await die();
    await store.admin.start('b');
    assert.equal(state(), 'up');
    await text(store).put('k', 'v', { w: 'all' });
    await die();
    await store.admin.crash('b');
    await text(store).put('k', 'v', { w: 2 });
    assert.equal(state(), 'down');
    await store.admin.start('b');
    await die();
  } finally {
    await store.close();
    faults.close();
  }
  assert.equal(state(), 'down');
});

test('what takes too long fails in time: definite for reads, indefinite for writes that were sent', async () => {
  const faults = new Faults();
  const store = await openWith({ nodes: 3, n: 3 }, { entry: FAULTY_WORKER });
  try {
    const bucket = text(store);
    await bucket.put('k', 'v', { w: 'all' });
    const goOn = await faults.stall([1]);
    // From the first answer on that another gives in its stead it is known that b stands still.
    let first = 'k0';
    while (keyPrimaries(store, 'b', first)[0] !== 'b') first += 'x';
    await bucket.get(first, { timeoutMs: 20_000 });
    // Another node coordinates, alone, since it is conditional; and has the time to say so, on a busy machine, too.
    let key = 'k1';
    while (keyPrimaries(store, 'b', key)[2] !== 'b') key += 'x';
    const slow = fails(() => bucket.put(key, 'v', { w: 'all', timeoutMs: 1_500, ifNoneMatch: true }), {
      code: 'QUORUM_NOT_MET',
      definite: false,
    });
    const { got, wanted } = (await slow) as QuorumNotMetError;
    assert.deepEqual([got, wanted], [2, 3]);
    goOn();
    assert.equal((await bucket.get('k', { r: 'all', timeoutMs: 20_000 })).value, 'v', 'it goes on');
    const allGoOn = await faults.stall([0, 1, 2]);
    // Whoever waits long enough has an answer when the nodes go on: the others have theirs before.
    const patient = bucket.get('k', { timeoutMs: 20_000 });
    const outcomes = [
      fails(() => bucket.put('k2', 'v', { timeoutMs: 100 }), {
        code: 'TIMEOUT',
        definite: false,
        message: /may be stored/,
      }),
      fails(() => bucket.get('k', { timeoutMs: 100 }), { code: 'TIMEOUT', definite: true }),
      fails(() => bucket.delete('k', { timeoutMs: 100 }), { code: 'TIMEOUT' }),
      fails(() => bucket.scan({ timeoutMs: 100 }).next(), { code: 'TIMEOUT' }),
    ];
    await Promise.all(outcomes);
    allGoOn();
    assert.equal((await patient).value, 'v');
    assert.equal((await store.stats()).inFlight, 0);
    assert.equal((await bucket.get('k', { r: 'all', timeoutMs: 20_000 })).value, 'v');
  } finally {
    await store.close();
    faults.close();
  }
});
