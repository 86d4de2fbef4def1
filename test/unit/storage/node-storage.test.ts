/** What a node makes of its files when it starts, after every kind of end. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { distrustHints } from '../../../actors/hint-store.js';
import { InvariantError } from '../../../src/base/assert.js';
import { utf8 } from '../../../src/base/bytes.js';
import { StorageFailedError } from '../../../src/base/errors.js';
import { withoutLoaders } from '../../../src/base/loaders.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { encodeRecord } from '../../../src/codec/record.js';
import { checkInChild } from '../../../src/storage/check-in-child.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import {
  type NodeStorage,
  type NodeStorageOptions,
  openMemoryNodeStorage,
  openNodeStorage,
} from '../../../src/storage/node-storage.js';
import { writeRunMark } from '../../../src/storage/run-mark.js';
import type { Storage } from '../../../src/storage/storage.js';
import { anObject } from '../../support/records.js';
import { fails } from '../../support/rejection.js';
import type { Task } from '../../support/storage-child.js';
import { test } from '../../support/test.js';

const CHECKER = new URL('../../../actors/objects-checker.js', import.meta.url);
const STORAGE_CHILD = new URL('../../support/storage-child.js', import.meta.url);
const CRASHING = new URL('../../support/crashing-child.js', import.meta.url);

async function inDirectory(story: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-node-'));
  try {
    await story(join(directory, 'a'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What was asked to be checked: the objects ('all'), the hints ('order'). */
class Checker {
  readonly counts = { all: 0, order: 0 };
  damage: { all?: string; order?: string } = {};
  readonly check = async (_path: string, what: 'all' | 'order'): Promise<string | undefined> => {
    this.counts[what]++;
    return this.damage[what];
  };
}

function write(storage: Storage, key: string, value: string): void {
  storage.put(utf8(key), utf8(value));
  storage.commit();
}

function read(storage: Storage, key: string): string | undefined {
  const value = storage.get(utf8(key));
  return value && Buffer.from(value).toString();
}

test('a node has its objects and its system storage side by side', () =>
  inDirectory(async (path) => {
    const checker = new Checker();
    const options: NodeStorageOptions = {
      sync: 'none',
      boot: '1',
      mayStartEmpty: true,
      check: checker.check,
      distrustHints,
    };
    const first = await openNodeStorage(path, options);
    assert.deepEqual(first.warnings, []);
    assert.equal(first.objects.commitIsDurable, false);
    assert.equal(first.hints.commitIsDurable, false);
    assert.equal(first.system.commitIsDurable, true);
    write(first.objects, 'k', 'object');
    write(first.system, 'k', 'system');
    first.stop();
    first.close();
    assert.throws(() => first.objects.get(utf8('k')), InvariantError, 'closed');

    const second = await openNodeStorage(path, { ...options, sync: 'full' });
    assert.deepEqual(second.warnings, []);
    assert.equal(second.objects.commitIsDurable, true);
    assert.equal(second.hints.commitIsDurable, true);
    assert.equal(read(second.objects, 'k'), 'object');
    assert.equal(read(second.system, 'k'), 'system');
    second.close();

    rmSync(join(path, 'objects.mdb'));
    const third = await openNodeStorage(path, options);
    assert.deepEqual([first.losses, second.losses, third.losses], [0, 0, 1]);
    assert.match(third.warnings.join(), /objects file .*objects\.mdb is missing/);
    third.stop();
    assert.deepEqual(checker.counts, { all: 0, order: 0 });

    // Its other files: one that is damaged, and one that is missing.
    for (const [file, loss] of [
      ['system.mdb', /has lost its identity and its fences/],
      ['hints.mdb', /has lost what it kept for other nodes/],
    ] as const) {
      writeFileSync(join(path, file), 'garbage');
      await fails(() => openNodeStorage(path, { ...options, mayStartEmpty: false }), {
        code: 'STORAGE_FAILED',
        definite: true,
        message: /mdb is damaged.*no other node/,
      });
      const fourth = await openNodeStorage(path, options);
      assert.equal(fourth.warnings.length, 1);
      assert.match(fourth.warnings[0]!, loss);
      assert.match(fourth.warnings[0]!, new RegExp(`kept as .*${file}\\.damaged-\\d{4}-.*no file of LMDB`));
      fourth.stop();
      rmSync(join(path, file));
      const fifth = await openNodeStorage(path, options);
      assert.equal(fifth.warnings.length, 1);
      assert.match(fifth.warnings[0]!, loss);
      assert.match(fifth.warnings[0]!, /mdb is missing/);
      fifth.stop();
    }
    const last = await openNodeStorage(path, options);
    assert.deepEqual([last.warnings, last.filesSetAside()], [[], 2]);
    last.stop();

    const memory = openMemoryNodeStorage({ isNew: true });
    write(memory.objects, 'k', 'v');
    assert.equal(memory.persistent, false);
    memory.stop();
    assert.throws(() => memory.objects.get(utf8('k')), InvariantError);
  }));

// Goal: a file is looked through exactly when the end of the system may have damaged it.
test('only what an unclean end under another boot left unsynced is looked through', () =>
  inDirectory(async (path) => {
    const checker = new Checker();
    /** Opens, ends, and tells whether the files of objects and hints were looked through first, and the hints distrusted. */
    async function run(sync: 'full' | 'none', boot: string, end: (storage: NodeStorage) => void): Promise<boolean> {
      const before = checker.counts.all;
      let distrusted = 0;
      const storage = await openNodeStorage(path, {
        sync,
        boot,
        mayStartEmpty: true,
        check: checker.check,
        distrustHints: () => void distrusted++,
      });
      const wasChecked = checker.counts.all > before;
      assert.equal(checker.counts.order, checker.counts.all);
      assert.equal(distrusted, wasChecked ? 1 : 0);
      write(storage.objects, 'k', `${sync} ${boot}`);
      end(storage);
      return wasChecked;
    }
    const stop = (storage: NodeStorage): void => storage.stop();
    const die = (storage: NodeStorage): void => storage.close();
    assert.equal(await run('none', '1', die), false, 'new');
    assert.equal(await run('none', '1', die), false, 'the same boot: the system has every page');
    assert.equal(await run('none', '2', stop), true);
    assert.equal(await run('none', '3', die), false, 'ended in order');
    assert.equal(await run('full', '4', die), true, 'of how it was written, not of how it will be');
    assert.equal(await run('full', '5', stop), true, 'pages of the run before the last may still be in danger');
    assert.equal(await run('full', '6', die), false);
    assert.equal(await run('full', '7', die), false, 'every commit was synced');
    assert.equal(await run('none', '8', die), false);
    assert.equal(await run('none', '9', stop), true);
    rmSync(join(path, 'system.mdb'));
    assert.equal(await run('none', '9', stop), true, 'nobody knows how it was left');
    assert.equal(await run('none', '9', die), false);
    rmSync(join(path, 'objects.mdb'));
    assert.equal(await run('full', '9', die), false, 'the objects are new');
    assert.equal(await run('full', '10', stop), true, 'the hints are as they were');
  }));

// Goal: a start that is cut off by a process's end leaves nothing behind by which the file would be believed.
test('hints that may be old are distrusted before the run counts as begun; damaged ones are set aside', () =>
  inDirectory(async (path) => {
    const checker = new Checker();
    const options = { sync: 'none', boot: '1', mayStartEmpty: true, check: checker.check } as const;
    const distrusted: string[] = [];
    const open = (boot: string, mayStartEmpty = true) => {
      const distrust = (hints: Storage) => {
        distrusted.push(boot);
        write(hints, 'trusted', 'no');
      };
      return openNodeStorage(path, { ...options, boot, mayStartEmpty, distrustHints: distrust });
    };
    const first = await open('1');
    write(first.hints, 'trusted', 'yes');
    write(first.hints, 'k', 'a hint');
    first.close();

    // Cut off after it, and before the mark: here by an objects file that nobody can look through.
    const unknown = new StorageFailedError('nobody knows', { definite: true });
    const check = async (_path: string, what: 'all' | 'order') => {
      if (what === 'all') throw unknown;
      return undefined;
    };
    await assert.rejects(openNodeStorage(path, { ...options, boot: '2', check, distrustHints }), /nobody knows/);
    const second = await open('2');
    assert.deepEqual([read(second.hints, 'k'), read(second.hints, 'trusted')], ['a hint', 'no']);
    assert.deepEqual([distrusted, second.warnings], [['2'], []]);
    second.close();
    const third = await open('2');
    assert.deepEqual([read(third.hints, 'trusted'), distrusted], ['no', ['2']], 'once for all');
    third.close();

    checker.damage = { order: 'a page is torn' };
    await fails(() => open('3', false), { code: 'STORAGE_FAILED', definite: true, message: /hints\.mdb is damaged/ });
    const fourth = await open('3');
    assert.match(fourth.warnings.join(), /lost what it kept for other nodes.*hints\.mdb\.damaged-.*a page is torn/);
    assert.deepEqual([read(fourth.hints, 'k'), fourth.losses, fourth.filesSetAside()], [undefined, 0, 1]);
    assert.deepEqual(distrusted, ['2'], 'of one that is empty there is nothing to be believed');
    write(fourth.hints, 'k', 'another');
    fourth.stop();
    checker.damage = {};
    const fifth = await open('4');
    assert.deepEqual([read(fifth.hints, 'k'), distrusted], ['another', ['2']], 'it ended in order');
    fifth.stop();
  }));

test('a damaged file is set aside, kept and named, where others have its data; else it is refused and left alone', () =>
  inDirectory(async (path) => {
    const checker = new Checker();
    const options = { sync: 'none', boot: '1', check: checker.check, distrustHints } as const;
    const file = join(path, 'objects.mdb');
    const first = await openNodeStorage(path, { ...options, mayStartEmpty: true });
    write(first.objects, 'k', 'v');
    first.close();

    checker.damage = { all: 'a page is torn' };
    for (let i = 0; i < 2; i++) {
      await fails(() => openNodeStorage(path, { ...options, boot: '2', mayStartEmpty: false }), {
        code: 'STORAGE_FAILED',
        definite: true,
        message: /a page is torn.*no other node.*backup/,
      });
    }
    const whole = readFileSync(file);
    const second = await openNodeStorage(path, { ...options, boot: '2', mayStartEmpty: true });
    assert.equal(read(second.objects, 'k'), undefined);
    assert.equal(second.warnings.length, 1);
    assert.match(second.warnings[0]!, /starts empty.*objects\.mdb\.damaged-\d{4}-.*a page is torn/);
    assert.equal(second.filesSetAside(), 1);
    write(second.objects, 'k', 'new');
    second.stop();
    const kept = readdirSync(path).filter((name) => name.includes('.damaged-'));
    assert(readFileSync(join(path, kept[0]!)).equals(whole), 'kept as it was');

    // What cannot be opened at all, even after a clean stop.
    for (const content of ['garbage', Buffer.alloc(20_000), whole.subarray(0, 5_000)]) {
      writeFileSync(file, content);
      await fails(() => openNodeStorage(path, { ...options, boot: '2', mayStartEmpty: false }), 'STORAGE_FAILED');
      const again = await openNodeStorage(path, { ...options, boot: '2', mayStartEmpty: true });
      assert.match(again.warnings[0]!, /starts empty/);
      again.stop();
    }
    const last = await openNodeStorage(path, { ...options, boot: '2', mayStartEmpty: true });
    assert.deepEqual(last.warnings, []);
    assert.equal(last.filesSetAside(), 4);
    last.stop();
  }));

// Method: a file of many pages, damaged in every way that torn and lost pages come in, and given to the real child.
test('the child finds what is damaged, and its own death by it is an answer', () =>
  inDirectory(async (path) => {
    const file = `${path}.mdb`;
    const storage = openLmdbStorage({ path: file, sync: 'none' });
    const keyOf = (n: number) =>
      encodeLocatedKey(n % 8, { type: utf8('default'), bucket: utf8('b'), key: utf8(`key ${n}`) });
    for (let n = 0; n < 2_000; n++) storage.put(keyOf(n), encodeRecord(anObject(n)));
    storage.put(Uint8Array.of(0xff, 0xff, 1), utf8('no record, and need not be one'));
    storage.commit();
    storage.close();
    assert.equal(await checkInChild(CHECKER, file), undefined, 'whole');

    const whole = readFileSync(file);
    const pages = whole.length / 4_096;
    assert(pages > 40);
    const damaged = async (what: string, change: (bytes: Buffer) => void): Promise<string> => {
      const bytes = Buffer.from(whole);
      change(bytes);
      const copy = `${path}-damaged.mdb`;
      rmSync(`${copy}-lock`, { force: true });
      writeFileSync(copy, bytes);
      const damage = await checkInChild(CHECKER, copy);
      assert(damage !== undefined, `${what} was not found`);
      return damage;
    };
    const middle = 4_096 * Math.floor(pages / 2);
    await damaged('a page of ones', (bytes) => bytes.fill(0xff, middle, middle + 4_096));
    await damaged('a page of zeros', (bytes) => bytes.fill(0, middle, middle + 4_096));
    await damaged('a page of another', (bytes) => bytes.copy(bytes, middle, middle + 8_192, middle + 12_288));
    await damaged('one bit', (bytes) => {
      // In a value, where nothing but its record's checksum knows; a page may hold old copies of it in its free part.
      for (let at = bytes.indexOf('1000 fill'); at !== -1; at = bytes.indexOf('1000 fill', at)) bytes[at]! ^= 1;
    });
    await damaged('half a file', (bytes) => bytes.fill(0, bytes.length / 2));

    copyFileSync(file, `${path}-crash.mdb`);
    assert.match((await checkInChild(CRASHING, `${path}-crash.mdb`))!, /was ended by SIG(SEGV|ABRT)/);
    // That it was killed, or cannot even start, says nothing of the file.
    for (const how of ['killed', 'throws']) {
      await assert.rejects(checkInChild(CRASHING, how), (error) => {
        assert(error instanceof StorageFailedError && error.definite);
        assert.match(error.message, /could not be checked/);
        return true;
      });
    }
  }));

// Goal: files whose lock a dead thread of this process holds are usable again, with exactly what was committed.
test('stranded files are replaced by copies', () =>
  inDirectory(async (path) => {
    const { check } = new Checker();
    const options: NodeStorageOptions = { sync: 'none', boot: '1', mayStartEmpty: true, check, distrustHints };
    const first = await openNodeStorage(path, options);
    write(first.objects, 'k', 'committed');
    write(first.system, 'k', 'system');
    first.close();
    const file = join(path, 'objects.mdb');
    const until = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { task: 'stand-inside' satisfies Task, path: file, sync: 'none', until: until.buffer };
    const holder = new Worker(STORAGE_CHILD, { workerData, ...withoutLoaders(process) });
    try {
      await once(holder, 'message');
      writeFileSync(`${file}.copy`, 'of a copy that was cut short');
      const second = await openNodeStorage(path, { ...options, stranded: true });
      assert.deepEqual(second.warnings, []);
      assert.equal(read(second.objects, 'k'), 'committed');
      assert.equal(read(second.system, 'k'), 'system');
      write(second.objects, 'k', 'new');
      second.close();
      const third = await openNodeStorage(path, options);
      assert.equal(read(third.objects, 'k'), 'new', 'it is the file from now on');
      third.close();
    } finally {
      Atomics.store(until, 0, 1);
      Atomics.notify(until, 0);
      await once(holder, 'exit');
    }
    const last = await openNodeStorage(path, options);
    assert.equal(read(last.objects, 'k'), 'new', 'whatever becomes of the old transaction');
    last.stop();
    assert.deepEqual(
      readdirSync(path).filter((name) => name.includes('copy')),
      [],
    );
    rmSync(path, { recursive: true });
    const empty = await openNodeStorage(path, { ...options, stranded: true });
    assert.deepEqual(empty.warnings, [], 'there may be no file yet');
    empty.close();
  }));

test('a start that was cut off before there was an objects file has lost none; what was lost stays known', () =>
  inDirectory(async (path) => {
    const checker = new Checker();
    const options: NodeStorageOptions = {
      sync: 'full',
      boot: '1',
      mayStartEmpty: true,
      check: checker.check,
      distrustHints,
    };
    const open = () => openNodeStorage(path, options);
    const first = await open();
    writeRunMark(first.system, { boot: '1', sync: 'full', isNew: true, losses: 0, clean: false });
    first.close();
    const objects = join(path, 'objects.mdb');
    rmSync(objects);
    const second = await open();
    assert.deepEqual([second.losses, second.warnings], [0, []]);
    second.close();
    for (const losses of [1, 2]) {
      writeFileSync(objects, 'garbage');
      const damaged = await open();
      assert.equal(damaged.losses, losses);
      damaged.close();
    }
    const killed = await open();
    assert.equal(killed.losses, 2, 'after an end that was not in order');
    killed.stop();
    const last = await open();
    assert.equal(last.losses, 2);
    last.stop();
    assert.equal(openMemoryNodeStorage({ isNew: false }).losses, 1, 'in memory every end is a loss');
  }));
