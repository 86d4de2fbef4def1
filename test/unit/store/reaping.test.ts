/** Deletions of a store on real threads, forgotten on disk and in memory; and a node that is restored from an old copy. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OpenOptions, Store } from '../../../src/index.js';
import { openWith } from '../../../src/store/open.js';
import { fails } from '../../support/rejection.js';
import { readReplicas } from '../../support/replica-files.js';
import { test } from '../../support/test.js';

const KEYS = 300;
const WAIT = { timeoutMs: 60_000 };
const OPTIONS: OpenOptions = { partitions: 8, exchangeIntervalMs: 500, tombstoneGraceMs: 200 };

async function inDirectory(story: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-reaping-'));
  try {
    await story(join(directory, 'data'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A put that was tried again is forgotten as soon as any other: the stories wait for no tries. */
const open = (options: OpenOptions) => openWith(options, { attemptMs: 0 });

const keysOf = (count: number) => Array.from({ length: count }, (_, i) => `key ${i}`);

async function putAll(store: Store, ttlMs?: number): Promise<void> {
  const bucket = store.bucket('things', { codec: 'text' });
  const options = ttlMs === undefined ? {} : { ttlMs };
  await Promise.all(keysOf(KEYS).map((key) => bucket.put(key, 'value', { w: 3, ...options })));
}

async function deleteAll(store: Store): Promise<void> {
  const bucket = store.bucket('things', { codec: 'text' });
  await Promise.all(keysOf(KEYS).map((key) => bucket.delete(key)));
}

async function sum(store: Store, counter: string): Promise<number> {
  const { nodes } = await store.stats();
  return Object.values(nodes).reduce((all, counters) => all + counters[counter]!, 0);
}

const past = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test('what was deleted is gone from every disk, and from those of the next start; what lives stays', () =>
  inDirectory(async (path) => {
    let store = await open({ path, ...OPTIONS });
    try {
      await putAll(store);
      await store.bucket('living', { codec: 'text' }).put('alive', 'milk', { w: 3 });
      const { causalContext: session } = await store.bucket('things', { codec: 'text' }).put('key 0', 'more');
      await deleteAll(store);
      // The grace time is what it is for: nothing may go before.
      await past(OPTIONS.tombstoneGraceMs!);
      await store.admin.waitForReaping(WAIT);
      assert.equal(await sum(store, 'tombstonesReaped'), 3 * KEYS);
      assert((await sum(store, 'reapRounds')) > 0 && (await sum(store, 'lastReapAtMs')) > 0);
      assert.equal((await store.bucket('things').get('key 1')).found, false);
      assert.equal(
        (await store.bucket('things').get('key 0', { session })).found,
        false,
        'deleted since, and forgotten',
      );
    } finally {
      await store.close();
    }
    assert.equal(readReplicas(path).size, 1);
    store = await open({ path, ...OPTIONS });
    try {
      await store.admin.waitForExchange(WAIT);
      assert.equal((await store.bucket('living', { codec: 'text' }).get('alive')).value, 'milk');
      // Fences have risen, and what is written is taken all the same; also by stand-ins.
      await store.admin.stop('b');
      await putAll(store);
      await store.admin.start('b');
      await store.admin.waitForHints(WAIT);
      await store.admin.waitForExchange(WAIT);
    } finally {
      await store.close();
    }
    for (const [key, found] of readReplicas(path)) assert.equal(found.length, 3, key);
  }));

test('values that have expired go the same way; a node that is down is waited for', async () => {
  const store = await open(OPTIONS);
  try {
    await putAll(store, 100);
    await past(100 + OPTIONS.tombstoneGraceMs!);
    await store.admin.stop('c');
    await fails(() => store.admin.waitForReaping({ timeoutMs: 1_000 }), {
      code: 'TIMEOUT',
      definite: false,
      message: /partitions/,
    });
    await store.admin.start('c');
    await store.admin.waitForReaping(WAIT);
    assert.equal(await sum(store, 'storedEntries'), 0);
  } finally {
    await store.close();
  }
});

test('a node in memory that crashed, and has lost its fences, takes them from the others and serves again', async () => {
  const store = await open(OPTIONS);
  try {
    await putAll(store);
    await deleteAll(store);
    await past(OPTIONS.tombstoneGraceMs!);
    await store.admin.waitForReaping(WAIT);
    await store.admin.crash('b');
    await store.admin.start('b');
    await putAll(store);
    await store.admin.waitForHints(WAIT);
    await store.admin.waitForExchange(WAIT);
    assert.equal(await sum(store, 'storedEntries'), 3 * KEYS);
    assert((await store.stats()).nodes.b!.replicasDiscarded! > 0);
    await deleteAll(store);
    await past(OPTIONS.tombstoneGraceMs!);
    await store.admin.waitForReaping(WAIT);
    assert.equal(await sum(store, 'storedEntries'), 0);
  } finally {
    await store.close();
  }
});

test('a node whose directory is restored from before a deletion does not bring it back', () =>
  inDirectory(async (path) => {
    const store = await open({ path, ...OPTIONS });
    try {
      await putAll(store);
      await store.admin.stop('d');
      cpSync(join(path, 'd'), join(path, '..', 'copy'), { recursive: true });
      await store.admin.start('d');
      await deleteAll(store);
      await past(OPTIONS.tombstoneGraceMs!);
      await store.admin.waitForReaping(WAIT);
      await store.admin.stop('d');
      rmSync(join(path, 'd'), { recursive: true });
      cpSync(join(path, '..', 'copy'), join(path, 'd'), { recursive: true });
      await store.admin.start('d');
      await store.admin.waitForExchange(WAIT);
      assert((await store.stats()).nodes.d!.replicasDiscarded! > 0);
      const bucket = store.bucket('things');
      for (const key of keysOf(KEYS)) assert.equal((await bucket.get(key)).found, false);
    } finally {
      await store.close();
    }
    assert.equal(readReplicas(path).size, 0);
  }));
