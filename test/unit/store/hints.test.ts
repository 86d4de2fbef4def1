/** Hints of a store on real threads and files: delivered when owners are there, waited for, counted, kept over restarts. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../../../src/base/bytes.js';
import { statusText } from '../../../src/cli/status.js';
import { encodeLocatedKey, setPartition } from '../../../src/codec/key.js';
import { hintKey } from '../../../src/hinted-handoff/hint-key.js';
import { open } from '../../../src/index.js';
import { statusOf } from '../../../src/service/http/overview.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import type { Store } from '../../../src/store/api/store.js';
import { plantHints } from '../../support/planted-hints.js';
import { fails } from '../../support/rejection.js';
import { readReplicas } from '../../support/replica-files.js';
import { test } from '../../support/test.js';

const NODES = ['a', 'b', 'c', 'd', 'e'];

async function inDirectory(story: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-hints-'));
  try {
    await story(join(directory, 'data'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A closed store in which node a keeps hints for b, of partitions that are b's. */
async function storeWithHints(path: string, count: number): Promise<void> {
  const store = await open({ path, partitions: 8 });
  const partitions = store.ring().filter(({ primaries }) => primaries.includes('b'));
  await store.close();
  const keys = Array.from({ length: count }, (_, i) => {
    const located = encodeLocatedKey(0, { type: utf8('default'), bucket: utf8('b'), key: utf8(`key ${i}`) });
    setPartition(located, partitions[i % partitions.length]!.partition);
    return located;
  });
  plantHints(openLmdbStorage({ path: join(path, 'a', 'hints.mdb'), sync: 'full' }), NODES.indexOf('b'), keys);
}

const hintsOf = (store: Store) => store.nodes().map(({ hints }) => hints);

test('hints found at a start are delivered; whoever waits for them is told when', () =>
  inDirectory(async (path) => {
    await storeWithHints(path, 2_000);
    const store = await open({ path });
    try {
      await store.admin.waitForHints({ timeoutMs: 20_000 });
      assert.deepEqual(hintsOf(store), [0, 0, 0, 0, 0]);
      const { nodes } = await store.stats();
      assert.equal(nodes.a!.hintsDelivered, 2_000);
      assert.equal(nodes.b!.hintsTaken, 2_000);
      assert.equal(nodes.a!.hints, 0);
      assert.equal(nodes.a!.hintsWaitingMs, 0);
    } finally {
      await store.close();
    }
    const replicas = [...readReplicas(path).values()].flat();
    assert.equal(replicas.filter(({ node }) => node === 'b').length, 2_000);
  }));

test('hints for a node that is down wait, over restarts of their holder; so does whoever waits for them', () =>
  inDirectory(async (path) => {
    const store = await open({ path, partitions: 8 });
    try {
      const { partition } = store.ring().find(({ primaries }) => primaries.includes('b'))!;
      const key = encodeLocatedKey(partition, { type: utf8('default'), bucket: utf8('b'), key: utf8('k') });
      await store.admin.stop('a');
      await store.admin.stop('b');
      plantHints(openLmdbStorage({ path: join(path, 'a', 'hints.mdb'), sync: 'full' }), 1, [key]);
      await store.admin.start('a');
      assert.deepEqual(hintsOf(store), [1, 0, 0, 0, 0]);
      // It tells what it was told in its time.
      for (let timeoutMs = 100, told = ''; !/hints that a may keep for b/.test(told); timeoutMs *= 2) {
        assert(timeoutMs < 60_000, told);
        const late = { code: 'TIMEOUT', definite: false } as const;
        told = (await fails(() => store.admin.waitForHints({ timeoutMs }), late)).message;
      }
      const { nodes } = await store.stats();
      assert.equal(nodes.a!.hints, 1);
      assert(nodes.a!.hintBytes! > hintKey(1, key).length + 100);
      assert(nodes.a!.hintsWaitingMs! > 0);
      // Its size, and for how long it has waited, which is as old as `plantHints` says.
      assert.match(statusText(await statusOf(store)), /│ a +│ +1 │ +\d+ B │ +\d+ d \d\d h │ +0 │ +0 │/);
      await store.admin.crash('a');
      await fails(() => store.admin.waitForHints({ timeoutMs: 50 }), { code: 'TIMEOUT', definite: false });
      const signal = AbortSignal.abort();
      await fails(() => store.admin.waitForHints({ signal }), 'ABORTED');
      const waiting = store.admin.waitForHints({ timeoutMs: 20_000 });
      await store.admin.start('a');
      assert.deepEqual(hintsOf(store), [1, 0, 0, 0, 0]);
      await store.admin.start('b');
      await waiting;
      assert.deepEqual(hintsOf(store), [0, 0, 0, 0, 0]);
    } finally {
      await store.close();
    }
    await fails(() => store.admin.waitForHints(), 'CLOSED');
  }));

test('a store without hints waits for none, in memory, too; one that closes lets nobody wait', async () => {
  const store = await open({ nodes: 3 });
  await store.admin.waitForHints({ timeoutMs: 5_000 });
  await store.admin.crash('b');
  await store.admin.waitForHints({ timeoutMs: 5_000 });
  await store.close();
});

test('a scan while a node is down, and right after its return, has what was put without it', async () => {
  const store = await open({ nodes: 5, partitions: 16 });
  try {
    const bucket = store.bucket<string>('b', { codec: 'text' });
    const put = async (prefix: string): Promise<string[]> => {
      const keys = Array.from({ length: 60 }, (_, i) => `${prefix}${i}`);
      await Promise.all(keys.map((key) => bucket.put(key, key, { w: 'all' })));
      return keys;
    };
    const scanned = async (r: number): Promise<string[]> => {
      const keys: string[] = [];
      for await (const { key } of bucket.scan({ r })) keys.push(key as string);
      return keys;
    };
    const before = await put('before');
    await store.admin.crash('b');
    const during = await put('during');
    const all = [...before, ...during].sort();
    assert.deepEqual(await scanned(2), all);
    await store.admin.start('b');
    // Its memory is lost, and hints for it are on their way: where it is asked alone, others are heard, too.
    assert.deepEqual(await scanned(1), all);
    await store.admin.waitForHints({ timeoutMs: 20_000 });
    assert.deepEqual(await scanned(1), all);
  } finally {
    await store.close();
  }
});
