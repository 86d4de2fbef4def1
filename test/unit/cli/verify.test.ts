/** `quoral verify`: a store that is whole, one with a rotten record, a missing one, a stale one, and a damaged file. */
import { copyFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { utf8 } from '../../../src/base/bytes.js';
import { decodeLocatedKey } from '../../../src/codec/key.js';
import {
  decodeMarker,
  encodeFence,
  encodeMarker,
  entriesWith,
  entryKey,
  FENCE_PREFIX,
  MARKER_PREFIX,
  numberInKey,
} from '../../../src/codec/system-entries.js';
import { encodeHintFence } from '../../../src/hinted-handoff/hint-fence.js';
import { ownKey } from '../../../src/hinted-handoff/hint-key.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import type { Storage, StorageEntry } from '../../../src/storage/storage.js';
import { open } from '../../../src/store/open.js';
import type { VerifyReport } from '../../../src/store/verify.js';
import { windowFarFromNow } from '../../support/exchange-window.js';
import { FakeTerminal } from '../../support/fake-terminal.js';

const KEYS = 200;

/** Does `act` to the entry of a key in a node's file. */
function change(path: string, node: string, key: string, act: (storage: Storage, entry: StorageEntry) => void): void {
  const storage = openLmdbStorage({ path: join(path, node, 'objects.mdb'), sync: 'full' });
  const entries = storage.range({ lt: Uint8Array.of(0xff), limit: 10_000 });
  const entry = entries.find((one) => Buffer.from(decodeLocatedKey(one.key).key).toString() === key)!;
  act(storage, entry);
  storage.commit();
  storage.close();
}

test('what is amiss in a store is found, and named', async (t) => {
  const path = join(t.testdir({}), 'store');
  const terminal = new FakeTerminal();
  await using(path, async (store) => {
    const bucket = store.bucket('carts', { codec: 'text', w: 'all' });
    for (let i = 0; i < KEYS; i++) await bucket.put(`k${i}`, `value ${i}`);
    await store.admin.waitForExchange();
  });
  const whole = await terminal.run('verify', path);
  t.match(whole, { code: 0, err: '' });
  t.match(whole.out, /│ b +│ +\d+ │ +8 │ +0 │ whole/);
  t.match(whole.out, new RegExp(`${KEYS} keys: 0 unreadable, 0 missing, 0 different`));

  // Three nodes, each with every key.
  change(path, 'a', 'k1', (storage, { key, value }) => {
    const rotten = Uint8Array.from(value);
    rotten[rotten.length - 1]! ^= 1;
    storage.put(key, rotten);
  });
  change(path, 'b', 'k2', (storage, { key }) => storage.remove(key));
  let other: Uint8Array | undefined;
  change(path, 'c', 'k4', (_storage, { value }) => {
    other = Uint8Array.from(value);
  });
  change(path, 'c', 'k3', (storage, { key }) => storage.put(key, other!));
  const amiss = await terminal.run('verify', path);
  t.equal(amiss.code, 1);
  t.match(amiss.out, /^unreadable on a: carts\/k1$/m);
  t.match(amiss.out, /^missing on b: carts\/k2$/m);
  t.match(amiss.out, /^different on [abc], [abc], [abc]: carts\/k3$/m);
  t.match(amiss.out, new RegExp(`${KEYS} keys: 1 unreadable, 1 missing, 1 different`));
  t.match(amiss.err, /1 unreadable record, 3 wrong trees\. Start the store/);
  t.match(amiss.out, /│ a +│ +\d+ │ 1 of 8 wrong │ +0 │ whole/, 'each was changed beneath its tree');
  const json = JSON.parse((await terminal.run('verify', path, '--json', '--findings', '1')).out);
  t.match(json, { keys: KEYS, unreadable: 1, missing: 1, different: 1 });
  t.equal(json.findings.length, 1);

  copyFileSync(join(path, 'a', 'objects.mdb'), join(path, 'kept'));
  truncateSync(join(path, 'a', 'objects.mdb'), 1_000);
  const damaged = await terminal.run('verify', path);
  t.equal(damaged.code, 1);
  t.match(damaged.err, /1 node with damaged files, .*Move damaged files out of the way, then start the store/);
  t.match(damaged.out, /│? ?a .*–/);
  for (const node of ['b', 'c']) rmSync(join(path, node, 'objects.mdb'));
  const lost = await terminal.run('verify', path);
  t.equal(lost.code, 1);
  t.match(lost.err, /3 nodes with damaged files. 8 partitions have no replica left .* from a backup, and do not start/);
});

/** Does `act` to one of a node's files. */
function plant(path: string, file: string, act: (storage: Storage) => void): void {
  const storage = openLmdbStorage({ path: join(path, file), sync: 'full' });
  act(storage);
  storage.commit();
  storage.close();
}

// Goal: what a node keeps beside its objects is looked at, too, and held against what the others keep.
test('hints and system files that are damaged, or contradict themselves or each other, are found and named', async (t) => {
  const path = join(t.testdir({}), 'store');
  const terminal = new FakeTerminal();
  await using store = await open({ path, nodes: 4, n: 3, partitions: 8, exchangeWindow: windowFarFromNow() });
  const bucket = store.bucket('carts', { codec: 'text' });
  for (let i = 0; i < KEYS; i++) await bucket.put(`k${i}`, `value ${i}`, { w: 'all' });
  await store.admin.stop('b');
  for (let i = 0; i < KEYS; i++) await bucket.put(`k${i}`, `other ${i}`);
  await store.close();
  const whole = await terminal.run('verify', path);
  t.match(whole, { code: 0, err: '' });
  const told: VerifyReport = JSON.parse((await terminal.run('verify', path, '--json')).out);
  const [most] = [...told.nodes].sort((one, another) => another.hints - one.hints);
  t.ok(most!.hints > 1, 'somebody keeps hints for b');
  const holder = most!.name;
  plant(path, `${holder}/hints.mdb`, (storage) => {
    const [first, second] = storage.range({ lt: Uint8Array.of(0xff), limit: 2 });
    const rotten = Uint8Array.from(first!.value);
    rotten[rotten.length - 1]! ^= 1;
    storage.put(first!.key, rotten);
    const stray = Uint8Array.from(second!.key);
    stray[1] = 77;
    storage.put(stray, second!.value);
    storage.put(ownKey('f', 3), encodeHintFence(9));
    storage.put(ownKey('f', 4), encodeHintFence(0).fill(1, 0, 1));
  });
  let marker: Uint8Array | undefined;
  let partition = -1;
  plant(path, 'c/system.mdb', (storage) => {
    const key = entryKey(FENCE_PREFIX, 2);
    const rotten = Uint8Array.from(storage.get(key)!);
    rotten[0]! ^= 1;
    storage.put(key, rotten);
  });
  plant(path, 'a/system.mdb', (storage) => {
    const markers = storage.range({ ...entriesWith(MARKER_PREFIX), limit: 8 });
    const entry = markers.find(({ value }) => decodeMarker(value)!.counter > 0);
    marker = entry!.value;
    partition = numberInKey(entry!.key, MARKER_PREFIX);
    storage.put(entry!.key, encodeMarker({ ...decodeMarker(marker)!, counter: 0 }));
    storage.put(utf8('nobody knows'), Uint8Array.of(1));
    storage.put(entryKey(FENCE_PREFIX, 99), encodeFence({ tag: 0, floor: 0, isSetAside: false }));
  });
  // Another vnode of that partition has its name, under a stop of its own.
  const other = ['c', 'd'].find((node) => {
    let had = false;
    plant(path, `${node}/system.mdb`, (storage) => {
      const key = entryKey(MARKER_PREFIX, partition);
      const own = storage.get(key);
      if (own === undefined) return;
      had = true;
      storage.put(key, encodeMarker({ ...decodeMarker(marker!)!, stop: Uint8Array.from(decodeMarker(own)!.stop) }));
      storage.put(entryKey(FENCE_PREFIX, partition), encodeFence({ tag: 5, floor: 5, isSetAside: false }));
    });
    return had;
  });
  const amiss = await terminal.run('verify', path);
  t.equal(amiss.code, 1);
  t.match(amiss.out, new RegExp(`│ ${holder} +│ .*, 1 unreadable`));
  for (const what of [
    `on ${holder}: a hint for b cannot be read`,
    `on ${holder}: a hint of partition \\d+ for node 77 .which there is not., which has no replica of it`,
    `on ${holder}: the ledger of its hints for node 77 .which there is not. cannot be read`,
    `on ${holder}: it refuses hints of partition 3 below 9, and no primary has given more than \\d`,
    'on c: system file: the fence of partition 2 cannot be read: the node will hold it for lost',
    `on ${holder}: hints file: below which tag it refuses hints of partition 4 cannot be read`,
    'on a: system file: an entry that nobody knows: nobody knows',
    'on a: system file: a fence of partition 99, of which it has no replica',
    `on a: its replica of partition ${partition} is older than what was reaped .its tag is 0, the floor 5.`,
    `on a: records of partition ${partition} have seen more of its writer than the marker says`,
    `on .: the vnode of partition ${partition} has the writer's name of the vnode of partition ${partition} of node`,
  ]) {
    t.match(amiss.out, new RegExp(`^${what}`, 'm'));
  }
  t.ok(other !== undefined);
  const json = JSON.parse((await terminal.run('verify', path, '--json', '--findings', '2')).out);
  t.ok(json.contradictions > 8);
  t.equal(json.contradicting.length, 2);

  truncateSync(join(path, 'a', 'system.mdb'), 1_000);
  rmSync(join(path, 'b', 'hints.mdb'));
  const damaged = await terminal.run('verify', path);
  t.equal(damaged.code, 1);
  t.match(damaged.err, /^.*2 nodes with damaged files/);
  t.match(damaged.out, /hints.mdb: the file is missing/);
  t.match(damaged.out, /system.mdb: /);
});

test('a store that is open or is not there is not looked through', async (t) => {
  const path = join(t.testdir({}), 'store');
  const terminal = new FakeTerminal();
  t.match(await terminal.run('verify', path), { code: 2, err: /holds no store/ });
  await using(path, async () => {
    t.match(await terminal.run('verify', path), { code: 1, err: /LOCKED/ });
  });
});

async function using(path: string, use: (store: Awaited<ReturnType<typeof open>>) => Promise<void>): Promise<void> {
  await using store = await open({ path, nodes: 3, partitions: 8, sync: 'none' });
  await use(store);
}
