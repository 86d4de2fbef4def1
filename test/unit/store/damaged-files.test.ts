/** Nodes whose objects files were damaged, by a power failure or otherwise, in a store that goes on with the others. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { utf8 } from '../../../src/base/bytes.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { entryKey, FENCE_PREFIX, MARKER_PREFIX } from '../../../src/codec/system-entries.js';
import type { Bucket, OpenOptions, Store } from '../../../src/index.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import { RUN_KEY } from '../../../src/storage/run-mark.js';
import { openWith } from '../../../src/store/open.js';
import { plantHints } from '../../support/planted-hints.js';
import { fails } from '../../support/rejection.js';
import { readReplicas } from '../../support/replica-files.js';
import { test } from '../../support/test.js';

const SMALL = { nodes: 3, partitions: 8, sync: 'none' } as const;
const KEYS = Array.from({ length: 400 }, (_, i) => `key ${i}`);

async function inDirectory(story: (path: string, warnings: string[]) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-damaged-'));
  const warnings: string[] = [];
  const heard = (warning: Error) => void (warning.name === 'QuoralWarning' && warnings.push(warning.message));
  process.on('warning', heard);
  try {
    await story(join(directory, 'data'), warnings);
  } finally {
    process.off('warning', heard);
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Opens the store under `boot`, runs the story, closes it; `dies`: as if the power had failed at its end. */
async function using(
  options: OpenOptions,
  boot: string,
  story: (store: Store) => Promise<void>,
  { dies = false } = {},
): Promise<void> {
  const store = await openWith(options, { boot });
  try {
    await story(store);
    if (dies) await Promise.all(store.nodes().map(({ name }) => store.admin.crash(name)));
  } finally {
    await store.close();
  }
}

const text = (store: Store): Bucket<string> => store.bucket<string>('b', { codec: 'text' });

async function putAll(store: Store): Promise<void> {
  await Promise.all(KEYS.map((key) => text(store).put(key, key, { w: 'all' })));
}

/** The writerIds in the objects files of a store that is closed. */
function writersIn(path: string): Set<string> {
  const writers = new Set<string>();
  for (const copies of readReplicas(path).values()) {
    for (const { object } of copies) {
      for (const { dot } of object.siblings) writers.add(`${dot.high}.${dot.low}`);
    }
  }
  return writers;
}

// Goal: after a power failure no file is trusted that was not looked through, and none is lost that is whole.
test('after a power failure a whole file is kept under new writerIds, a damaged one set aside', () =>
  inDirectory(async (path, warnings) => {
    await using({ path, ...SMALL }, '1', putAll, { dies: true });
    const before = writersIn(path);
    const file = join(path, 'b', 'objects.mdb');
    const bytes = readFileSync(file);
    // Where only a walk through all of it finds it.
    for (let at = bytes.indexOf('key 123'); at !== -1; at = bytes.indexOf('key 123', at)) bytes[at + 6] = 0x5a;
    writeFileSync(file, bytes);

    await using({ path, ...SMALL }, '2', async (store) => {
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /^node "b" starts empty.*objects\.mdb\.damaged-.*The checksum does not match/);
      const { nodes } = await store.stats();
      assert.deepEqual(
        ['a', 'b', 'c'].map((name) => nodes[name]!.filesSetAside),
        [0, 1, 0],
      );
      // The others refill it meanwhile: how far they are by now is not for this test to say.
      assert.deepEqual(
        ['a', 'c'].map((name) => nodes[name]!.partitionsToRefill),
        [0, 0],
      );
      for (const key of KEYS) assert.equal((await text(store).get(key, { r: 'all' })).value, key);
      await Promise.all(KEYS.map((key) => text(store).put(`${key} again`, key, { w: 'all' })));
    });
    const replicas = readReplicas(path);
    for (const key of KEYS) assert.equal(replicas.get(key)!.length, 3, 'b has it again, from the read');
    const fresh = new Set<string>();
    for (const key of KEYS) {
      const { dot } = replicas.get(`${key} again`)![0]!.object.siblings[0]!;
      fresh.add(`${dot.high}.${dot.low}`);
    }
    for (const writer of fresh) assert(!before.has(writer), 'a writer of before the failure has minted again');

    // Ended in order: nothing to look through, no new identities.
    await using({ path, ...SMALL }, '3', async (store) => {
      await store.admin.waitForExchange({ timeoutMs: 60_000 });
      assert.equal((await store.stats()).nodes.b!.partitionsToRefill, 0, 'the others have refilled it');
      await Promise.all(KEYS.map((key) => text(store).put(`${key} once more`, key, { w: 'all' })));
      const { nodes } = await store.stats();
      for (const name of ['a', 'b', 'c']) assert.equal(nodes[name]!.newIdentities, 0, `a new writer on ${name}`);
    });
    assert.equal(warnings.length, 1);
  }));

// Goal: where nothing is synced, hints are looked through as the objects are; those that are whole find their owners.
test('after a power failure hints in a whole file are delivered; a damaged one is set aside, and takes nothing with it', () =>
  inDirectory(async (path, warnings) => {
    await using({ path, ...SMALL }, '1', putAll, { dies: true });
    const located = Array.from({ length: 400 }, (_, i) =>
      encodeLocatedKey(i % SMALL.partitions, { type: utf8('default'), bucket: utf8('b'), key: utf8(`hint ${i}`) }),
    );
    for (const holder of ['a', 'c']) {
      plantHints(openLmdbStorage({ path: join(path, holder, 'hints.mdb'), sync: 'none' }), 1, located);
    }
    const file = join(path, 'c', 'hints.mdb');
    const bytes = readFileSync(file);
    // Out of the order of its keys.
    for (let at = bytes.indexOf('hint 200'); at !== -1; at = bytes.indexOf('hint 200', at)) bytes[at + 5] = 0x7a;
    writeFileSync(file, bytes);

    await using({ path, ...SMALL }, '2', async (store) => {
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, /^node "c" has lost what it kept.*hints\.mdb\.damaged-.*out of order/);
      await store.admin.waitForHints({ timeoutMs: 60_000 });
      const { nodes } = await store.stats();
      assert.equal(nodes.a!.hintsDelivered, located.length);
      assert.deepEqual([nodes.c!.hintsDelivered, nodes.c!.filesSetAside], [0, 1]);
      for (const key of KEYS) assert.equal((await text(store).get(key, { r: 'all' })).value, key);
    });
  }));

test('a file that is no file of LMDB any more is set aside at once, while the others go on', () =>
  inDirectory(async (path, warnings) => {
    await using({ path, ...SMALL }, '1', async (store) => {
      await putAll(store);
      await store.admin.stop('b');
      truncateSync(join(path, 'b', 'objects.mdb'), 5_000);
      await store.admin.start('b');
      assert.match(warnings.join(), /^node "b" starts empty.*cut short, or is no file of LMDB/);
      for (const key of KEYS) assert.equal((await text(store).get(key, { r: 'all' })).value, key);
    });
  }));

test('what a node keeps for itself and cannot read any more is counted, told to the operator, and made good', () =>
  inDirectory(async (path, warnings) => {
    await using({ path, ...SMALL }, '1', async (store) => {
      await putAll(store);
      await store.admin.stop('b');
      const system = openLmdbStorage({ path: join(path, 'b', 'system.mdb'), sync: 'full' });
      for (const key of [RUN_KEY, entryKey(MARKER_PREFIX, 0), entryKey(FENCE_PREFIX, 1)]) {
        const stored = Uint8Array.from(system.get(key)!);
        stored[1]! ^= 4;
        system.put(key, stored);
      }
      system.commit();
      system.close();
      await store.admin.start('b');
      for (const key of KEYS) assert.equal((await text(store).get(key, { r: 'all' })).value, key);
      assert.equal((await store.stats()).nodes.b!.corruptOwnRecords, 3);
      for (const what of ['how its last run ended', 'vnode of partition 0', 'the fence of partition 1']) {
        assert(
          warnings.some((warning) => warning.startsWith('node "b" cannot read') && warning.includes(what)),
          what,
        );
      }
    });
    await using({ path, ...SMALL }, '1', async (store) => {
      assert.equal((await store.stats()).total.counters.corruptOwnRecords, 0, 'it was written anew');
    });
  }));

// Goal: neither one bad small file nor the same one of every node keeps a store from opening, or takes anything with it.
for (const [file, damaged, loss] of [
  ['system.mdb', ['b'], /lost its identity and its fences/],
  ['system.mdb', ['a', 'b', 'c'], /lost its identity and its fences/],
  ['hints.mdb', ['a', 'b', 'c'], /lost what it kept for other nodes/],
] as const) {
  test(`the ${file} of ${damaged.join(', ')} is damaged: it is set aside, and nothing that is stored is lost`, () =>
    inDirectory(async (path, warnings) => {
      await using({ path, ...SMALL }, '1', async (store) => {
        await putAll(store);
        await text(store).delete(KEYS[0]!, { w: 'all' });
        await store.admin.waitForExchange({ timeoutMs: 60_000 });
      });
      const before = writersIn(path);
      for (const node of damaged) truncateSync(join(path, node, file), 6_000);

      await using({ path, ...SMALL }, '1', async (store) => {
        const told = warnings.filter((warning) => loss.test(warning));
        assert.deepEqual(
          told.map((warning) => warning.slice(0, 8)).sort(),
          damaged.map((node) => `node "${node}"`),
        );
        for (const warning of told) assert.match(warning, /file is damaged, and kept as .*mdb\.damaged-/);
        for (const key of KEYS.slice(1)) assert.equal((await text(store).get(key, { r: 'all' })).value, key);
        assert.equal((await text(store).get(KEYS[0]!, { r: 'all' })).found, false);
        await Promise.all(KEYS.slice(1).map((key) => text(store).put(`${key} again`, key, { w: 'all' })));
        const { nodes } = await store.stats();
        for (const node of ['a', 'b', 'c']) {
          assert.equal(nodes[node]!.filesSetAside, (damaged as readonly string[]).includes(node) ? 1 : 0);
        }
      });
      if (file !== 'system.mdb') return;
      // Its counters were in no file any more: what it mints now must not bear a name of before.
      const replicas = readReplicas(path);
      const again = KEYS.slice(1).map((key) => replicas.get(`${key} again`)![0]!.object.siblings[0]!.dot);
      const fresh = new Set(again.map(({ high, low }) => `${high}.${low}`));
      if (damaged.length === 3) for (const writer of fresh) assert(!before.has(writer), `${writer} mints again`);
    }));
}

test('with one replica a damaged file is never set aside: the store says so, and does not open', () =>
  inDirectory(async (path, warnings) => {
    const options = { path, ...SMALL, n: 1 };
    await using(options, '1', async (store) => {
      await Promise.all(KEYS.map((key) => text(store).put(key, key)));
    });
    const file = join(path, 'b', 'objects.mdb');
    const whole = readFileSync(file);
    writeFileSync(file, 'garbage');
    for (let i = 0; i < 2; i++) {
      await fails(() => openWith(options, { boot: '1' }), {
        code: 'STORAGE_FAILED',
        message: /node "b".*objects\.mdb is damaged.*no other node has its data.*backup/,
      });
    }
    writeFileSync(file, whole);
    await using(options, '1', async (store) => {
      for (const key of KEYS) assert.equal((await text(store).get(key)).value, key);
    });
    assert.deepEqual(warnings, []);
  }));
