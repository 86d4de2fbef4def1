/**
 * Disks that are full or read-only, under one node and under all of them: what the caller and the operator hear, that the
 * others go on, that nothing acknowledged is lost, and that what is well again is used. Real disks, where root may mount
 * some; a disk that turns read-only under open files, as a failing one does, can only be told of by the system's error.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pass } from 'node:timers/promises';
import { type Bucket, open, QuoralError, type Store } from '../../../src/index.js';
import { openWith } from '../../../src/store/open.js';
import { FAULTY_WORKER, Faults } from '../../support/faults.js';
import { fails } from '../../support/rejection.js';
import { SmallDisk } from '../../support/small-disk.js';
import { Skipped, test } from '../../support/test.js';

const MIB = 2 ** 20;
const VALUE = new Uint8Array(4_096).fill(7);
const DEADLINE_MS = 20_000;

/** Tells `story` with a disk of 2 MiB, and a directory elsewhere; skipped where there can be no such disk. */
function testOnDisk(name: string, story: (disk: SmallDisk, directory: string) => Promise<void>): void {
  test(name, async () => {
    const disk = SmallDisk.mount(2 * MIB);
    if (typeof disk === 'string') return new Skipped(disk);
    const directory = mkdtempSync(join(tmpdir(), 'quoral-full-'));
    const quiet = () => {};
    process.on('warning', quiet);
    try {
      await story(disk, directory);
      return undefined;
    } finally {
      process.off('warning', quiet);
      disk.unmount();
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

const bucketOf = (store: Store): Bucket<Uint8Array> => store.bucket('b');

/** Puts again and again until one is acknowledged by `w` nodes; gives what the others failed with. */
async function putUntilStored(store: Store, key: string, w: number): Promise<QuoralError[]> {
  const deadline = performance.now() + DEADLINE_MS;
  const errors: QuoralError[] = [];
  for (let i = 0; performance.now() < deadline; i++) {
    try {
      await bucketOf(store).put(`${key} ${i}`, VALUE, { w });
      return errors;
    } catch (error) {
      assert(error instanceof QuoralError);
      errors.push(error);
    }
  }
  throw new Error(`nothing was stored by ${w} nodes; last: ${errors.at(-1)?.message}`);
}

testOnDisk(
  'one node on a full disk: the others go on, whoever wants it gets STORAGE_FULL, and it comes back',
  async (disk, directory) => {
    const nodes = [{ name: 'a', path: join(disk.path, 'a') }, { name: 'b' }, { name: 'c' }];
    const store = await open({ path: join(directory, 'data'), nodes, partitions: 8, sync: 'none' });
    try {
      const bucket = bucketOf(store);
      const keys = Array.from({ length: 800 }, (_, i) => `key ${i}`);
      for (let from = 0; from < keys.length; from += 50) {
        await Promise.all(keys.slice(from, from + 50).map((key) => bucket.put(key, VALUE)));
      }
      const { nodes: counted } = await store.stats();
      assert(counted.a!.failedCommits! > 0 && counted.a!.writesRefused! > 100, JSON.stringify(counted.a));
      assert(counted.a!.failedCommits! < 100, 'it is not tried with every write');
      assert.equal(counted.b!.failedCommits! + counted.c!.failedCommits!, 0);
      const refused = await Promise.all(
        keys.slice(0, 50).map((key) =>
          bucket.put(`${key} for all`, VALUE, { w: 'all' }).then(
            () => undefined,
            (error: QuoralError) => error,
          ),
        ),
      );
      for (const error of refused) assert.equal(error?.code, 'STORAGE_FULL', error?.message);
      assert.match(refused[0]!.message, /free space/);
      for (const key of keys) assert.equal((await bucket.get(key)).value?.length, VALUE.length);

      disk.resize(64 * MIB);
      await putUntilStored(store, 'room again', 3);
      await Promise.all(keys.map((key) => bucket.put(`${key} later`, VALUE, { w: 'all' })));
    } finally {
      await store.close();
    }
  },
);

testOnDisk(
  'all nodes on one full disk: nothing acknowledged is lost, nothing refused for certain is there, and room is used',
  async (disk) => {
    for (const sync of ['full', 'none'] as const) {
      const options = { path: join(disk.path, sync), nodes: 3, partitions: 8, sync } as const;
      disk.resize(3 * MIB);
      const acknowledged: string[] = [];
      const certain: string[] = [];
      let store = await open(options);
      try {
        for (let i = 0; i < 600; i++) {
          const key = `key ${i}`;
          try {
            await bucketOf(store).put(key, VALUE);
            acknowledged.push(key);
          } catch (error) {
            assert(error instanceof QuoralError);
            assert.equal(error.code, 'STORAGE_FULL', error.message);
            if (error.definite) certain.push(key);
          }
        }
        assert(acknowledged.length > 10 && certain.length > 200, `${acknowledged.length}, ${certain.length}`);
        for (const key of acknowledged) assert((await bucketOf(store).get(key)).found, 'reads go on');
      } finally {
        await store.close();
      }
      disk.resize(64 * MIB);
      store = await open(options);
      try {
        for (const key of acknowledged) assert((await bucketOf(store).get(key)).found, `${key} is lost`);
        for (const key of certain) assert(!(await bucketOf(store).get(key, { r: 'all' })).found, `${key} is there`);
        await bucketOf(store).put('room', VALUE, { w: 'all' });
      } finally {
        await store.close();
      }
      disk.setReadOnly(true);
      await fails(() => open(options), { code: 'STORAGE_FAILED', message: /read-only/ });
      disk.setReadOnly(false);
      rmSync(options.path, { recursive: true });
    }
  },
);

testOnDisk(
  'a node on a read-only disk does not start, says why, and the others go on; writable again, it starts',
  async (disk, directory) => {
    const own = join(disk.path, 'a');
    const options = {
      path: join(directory, 'data'),
      nodes: [{ name: 'a', path: own }, { name: 'b' }, { name: 'c' }],
      partitions: 8,
    };
    disk.resize(64 * MIB);
    const store = await open(options);
    try {
      await bucketOf(store).put('before', VALUE, { w: 'all' });
      await store.admin.stop('a');
      disk.setReadOnly(true);
      const message = new RegExp(`^node "a" could not be started: ${own}/.* the file system is read-only: remount it`);
      await fails(() => store.admin.start('a'), { code: 'STORAGE_FAILED', message });
      assert.deepEqual(
        store.nodes().map(({ state }) => state),
        ['down', 'up', 'up'],
      );
      await bucketOf(store).put('meanwhile', VALUE);
      for (const key of ['before', 'meanwhile']) assert((await bucketOf(store).get(key)).found);
      disk.setReadOnly(false);
      await store.admin.start('a');
      await putUntilStored(store, 'after', 3);
    } finally {
      await store.close();
    }
    disk.setReadOnly(true);
    await fails(() => open(options), { code: 'STORAGE_FAILED', message: new RegExp(`^${own} .*read-only`) });
    disk.setReadOnly(false);
  },
);

const { EDQUOT, EROFS } = constants.errno;

for (const [what, errno, code, gauge] of [
  ['turns read-only', EROFS, 'STORAGE_FAILED', 'diskFailing'],
  ['has used up its quota', EDQUOT, 'STORAGE_FULL', 'diskFull'],
] as const) {
  test(`a disk under a node that runs ${what}: it is named, the others go on, and it is used once it is well`, async () => {
    const directory = mkdtempSync(join(tmpdir(), 'quoral-failing-'));
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.message);
    process.on('warning', listen);
    const faults = new Faults();
    const store = await openWith({ path: join(directory, 'data'), nodes: 3, partitions: 8 }, { entry: FAULTY_WORKER });
    try {
      const bucket = bucketOf(store);
      const keys = Array.from({ length: 40 }, (_, i) => `key ${i}`);
      await bucket.put('before', VALUE, { w: 'all' });
      await faults.strike(1, { errno });
      for (const key of keys) await bucket.put(key, VALUE);
      const outcomes = keys.map((key) =>
        bucket.put(`${key} for all`, VALUE, { w: 'all' }).catch((error: unknown) => error),
      );
      for (const [i, error] of (await Promise.all(outcomes)).entries()) {
        assert(error instanceof QuoralError, 'all three replicas stored it');
        assert.equal(error.code, code, error.message);
        // Where b was to mint, nobody has it; where another did, the other two do.
        const { found } = await bucket.get(`${keys[i]} for all`, { r: 'all' });
        assert(!(error.definite && found), error.message);
      }
      for (const key of ['before', ...keys]) assert((await bucket.get(key, { r: 'all' })).found, 'b answers reads');
      const { nodes } = await store.stats();
      const gauges = ['a', 'b', 'c'].map((name) => [nodes[name]!.diskFull, nodes[name]!.diskFailing]);
      assert.deepEqual(gauges, [[0, 0], gauge === 'diskFull' ? [1, 0] : [0, 1], [0, 0]]);
      const named = new RegExp(
        `^node "b" cannot store: ${join(directory, 'data', 'b')}/\\w+\\.mdb could not be written: .*: `,
      );
      assert(
        warnings.some((warning) => named.test(warning)),
        warnings.join('\n'),
      );
      assert(!warnings.some((warning) => /node "[ac]"/.test(warning)), warnings.join('\n'));

      await faults.strike(1, { errno: 0 });
      await putUntilStored(store, 'after', 3);
      // What it keeps for others has a file of its own, which is tried at its own times.
      for (const deadline = performance.now() + DEADLINE_MS; ; ) {
        const { diskFull, diskFailing } = (await store.stats()).nodes.b!;
        if (diskFull === 0 && diskFailing === 0) break;
        assert(performance.now() < deadline, 'b still counts as failing');
        await pass(10);
      }
    } finally {
      process.off('warning', listen);
      await store.close();
      faults.close();
      rmSync(directory, { recursive: true, force: true });
    }
  });
}
