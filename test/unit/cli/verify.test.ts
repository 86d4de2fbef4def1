/** `quoral verify`: a store that is whole, one with a rotten record, a missing one, a stale one, and a damaged file. */
import { copyFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { decodeLocatedKey } from '../../../src/codec/key.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import type { Storage, StorageEntry } from '../../../src/storage/storage.js';
import { open } from '../../../src/store/open.js';
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
  t.match(whole.out, /│ b +│ +\d+ │ +8 │ whole/);
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
  t.match(amiss.err, /0 damaged files, 1 unreadable records, 3 wrong trees/);
  t.match(amiss.out, /│ a +│ +\d+ │ 1 of 8 wrong │ whole/, 'each was changed beneath its tree');
  const json = JSON.parse((await terminal.run('verify', path, '--json', '--findings', '1')).out);
  t.match(json, { keys: KEYS, unreadable: 1, missing: 1, different: 1 });
  t.equal(json.findings.length, 1);

  copyFileSync(join(path, 'a', 'objects.mdb'), join(path, 'kept'));
  truncateSync(join(path, 'a', 'objects.mdb'), 1_000);
  const damaged = await terminal.run('verify', path);
  t.equal(damaged.code, 1);
  t.match(damaged.err, /1 damaged files, 0 unreadable/);
  t.match(damaged.out, /│? ?a .*–/);
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
