/** What LMDB does when things go wrong around it, and what is made of that. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { t, test } from 'tap';
import { InvariantError } from '../../../src/base/assert.js';
import { utf8 } from '../../../src/base/bytes.js';
import { StorageFailedError, StorageFullError } from '../../../src/base/errors.js';
import { withoutLoaders } from '../../../src/base/loaders.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import type { Storage } from '../../../src/storage/storage.js';
import { storageError } from '../../../src/storage/storage-errors.js';
import type { Task } from '../../support/storage-child.js';

const child = new URL('../../support/storage-child.js', import.meta.url);
const directory = mkdtempSync(join(tmpdir(), 'quoral-lmdb-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));
let places = 0;
const place = (): string => join(directory, `${++places}.mdb`);
const text = (storage: Storage, key: string): string | undefined => {
  const value = storage.get(utf8(key));
  return value && Buffer.from(value).toString();
};

async function inWorker(task: Task, path: string, sync: 'full' | 'none'): Promise<void> {
  const worker = new Worker(child, { workerData: { task, path, sync }, ...withoutLoaders(process) });
  worker.on('message', () => void worker.terminate());
  await once(worker, 'exit');
}

test('a full file refuses the group, keeps everything before it, and goes on', async (t) => {
  for (const sync of ['full', 'none'] as const) {
    // In blocks of 512 or 1,024 bytes, as the shell has it: 2 or 4 MiB.
    const command = 'ulimit -f 4096 && exec "$0" "$@"';
    const run = spawnSync(
      'sh',
      ['-c', command, process.execPath, fileURLToPath(child), 'grow-until-refused', place(), sync],
      {
        encoding: 'utf8',
      },
    );
    assert.equal(run.status, 0, run.stderr);
    const outcome = JSON.parse(run.stdout);
    t.match(outcome.code, /STORAGE_(FULL|FAILED)/);
    t.match(outcome.message, /ulimit -f/, 'says what to do');
    t.equal(outcome.definite, false);
    t.ok(outcome.groups > 5, `${outcome.groups} groups fitted`);
    t.equal(outcome.before, outcome.groups * 10, 'all of the groups before, nothing of the refused one');
    t.equal(outcome.pending, false, 'the refused group is dropped');
    t.equal(outcome.after, outcome.groups * 10 - 9);
    t.equal(outcome.small, 'small');
  }
});

test('numbers of the system and of LMDB become the store’s errors', (t) => {
  const of = (code: number): Error => storageError(Object.assign(new Error('native'), { code }), 'written', directory);
  for (const full of [28, 27, -30792]) t.ok(of(full) instanceof StorageFullError, `${full}`);
  for (const failed of [5, 30, 13, 12, -30796, -30795, -30782, 99])
    t.ok(of(failed) instanceof StorageFailedError, `${failed}`);
  const native = Object.assign(new Error('native'), { code: 30 });
  const error = storageError(native, 'written', '/data/x.mdb');
  t.equal(error.cause, native);
  t.equal(error.definite, false);
  t.match(error.message, /\/data\/x\.mdb.*read-only.*remount/);
  t.equal(storageError(native, 'opened', '/data/x.mdb').definite, true);
  t.equal(storageError(error, 'opened', 'elsewhere'), error, 'is not wrapped twice');
  // What LMDB calls a bad transaction has many reasons, of which only some are the disk's.
  const givenUp = (why: string): string =>
    storageError(Object.assign(new Error(`MDB_BAD_TXN: ${why}`), { code: -30782 }), 'written', directory).message;
  const freelist = givenUp('Transaction must abort: reserved freelist had a data entry with zero-size, last id 7\n');
  t.match(freelist, /free pages \(MDB_BAD_TXN: .* last id 7\): write it again/);
  t.notMatch(freelist, /disk/);
  t.match(givenUp('Transaction must abort, has a child, or is invalid'), /invalid\): check that the disk has space/);
  t.end();
});

test('what the system refuses is told as what it is, and what to do', (t) => {
  const { errno } = constants;
  const table: [number, 'STORAGE_FULL' | 'STORAGE_FAILED', RegExp][] = [
    [errno.ENOSPC, 'STORAGE_FULL', /free some space/],
    [errno.EDQUOT, 'STORAGE_FULL', /raise the quota/],
    [errno.EIO, 'STORAGE_FAILED', /check that the disk is well/],
    [errno.EROFS, 'STORAGE_FAILED', /read-only: remount it writable/],
    [errno.EACCES, 'STORAGE_FAILED', /correct its permissions/],
    [errno.EPERM, 'STORAGE_FAILED', /does not allow it: correct the permissions/],
    [errno.EMFILE, 'STORAGE_FAILED', /raise the limit \(ulimit -n\)/],
    [errno.ENFILE, 'STORAGE_FAILED', /raise its limit/],
    [errno.ENOMEM, 'STORAGE_FAILED', /no memory left/],
    [errno.ENOENT, 'STORAGE_FAILED', /is missing/],
  ];
  for (const [number, code, message] of table) {
    // As lmdb tells it, and as Node does.
    for (const details of [{ code: number }, { errno: -number, code: 'E' }]) {
      const error = Object.assign(new Error('native'), details);
      t.match(storageError(error, 'written', directory), { code, message, definite: false });
      t.match(storageError(error, 'opened', directory), { code, message, definite: true });
    }
  }
  t.end();
});

test('a file that would crash the process is refused', (t) => {
  const whole = place();
  const storage = openLmdbStorage({ path: whole, sync: 'full' });
  for (let i = 0; i < 300; i++) {
    storage.put(utf8(`key ${i}`), new Uint8Array(100));
    if (i % 10 === 0) storage.commit();
  }
  storage.commit();
  storage.close();
  const bytes = readFileSync(whole);
  const zeroed = (from: number, to: number): Buffer => Buffer.from(bytes).fill(0, from, to);
  const damaged: Record<string, Buffer> = {
    'other bytes': Buffer.alloc(30_000, 'some text\n'),
    zeros: Buffer.alloc(30_000),
    'a hundred bytes': bytes.subarray(0, 100),
    'only its first two pages': bytes.subarray(0, 8_192),
    'cut in a page': bytes.subarray(0, 6_000),
    'cut in half': bytes.subarray(0, bytes.length >> 1),
    'no first page': zeroed(0, 4_096),
    'no second page': zeroed(4_096, 8_192),
    'no data': zeroed(8_192, bytes.length),
  };
  for (const [what, content] of Object.entries(damaged)) {
    const path = place();
    writeFileSync(path, content);
    t.throws(() => openLmdbStorage({ path, sync: 'full' }), { code: 'STORAGE_FAILED', definite: true }, what);
    t.ok(readFileSync(path).equals(content), `${what}: left as it was`);
  }
  t.throws(() => openLmdbStorage({ path: directory, sync: 'full' }), { code: 'STORAGE_FAILED' }, 'a directory');
  t.throws(() => openLmdbStorage({ path: join(directory, 'none', 'x.mdb'), sync: 'full' }), { code: 'STORAGE_FAILED' });
  t.notOk(existsSync(join(directory, 'none')), 'a missing directory is not made');

  const again = openLmdbStorage({ path: whole, sync: 'full' });
  t.equal(again.stats().entries, 300, 'the whole one opens');
  again.close();
  truncateSync(whole, 0);
  const empty = openLmdbStorage({ path: whole, sync: 'full' });
  t.equal(empty.stats().entries, 0);
  empty.close();
  t.end();
});

test('a read of a key that cannot be is a mistake, not a failing disk', (t) => {
  for (const storage of [openLmdbStorage({ path: place(), sync: 'none' }), openMemoryStorage()]) {
    for (const length of [0, 1_979, 5_000]) t.throws(() => storage.get(new Uint8Array(length)), InvariantError);
    t.throws(() => storage.range({ gte: utf8('a'), gt: utf8('a'), limit: 1 }), InvariantError);
    t.throws(() => storage.range({ limit: -1 }), InvariantError);
    storage.close();
  }
  t.end();
});

test('a value in shared memory is refused', (t) => {
  const storage = openLmdbStorage({ path: place(), sync: 'none' });
  t.throws(() => storage.put(utf8('k'), new Uint8Array(new SharedArrayBuffer(8))), InvariantError);
  storage.put(new Uint8Array(new SharedArrayBuffer(8)).fill(65), utf8('v')); // A key is copied, wherever it is.
  storage.commit();
  t.equal(text(storage, 'AAAAAAAA'), 'v');
  storage.close();
  t.end();
});

// Method: lmdb asks a value for its `buffer` inside the transaction, and a value can look around when it is asked.
test('the shared word is set inside the transaction, and nowhere else', (t) => {
  const word = new Int32Array(new SharedArrayBuffer(4));
  const storage = openLmdbStorage({ path: place(), sync: 'none', inTransaction: word });
  const seen: number[] = [];
  class Watching extends Uint8Array {
    override get buffer(): ArrayBuffer {
      seen.push(word[0]!);
      return super.buffer as ArrayBuffer;
    }
  }
  storage.put(utf8('k'), new Watching(8));
  t.equal(seen.includes(1), false);
  storage.commit();
  t.equal(seen.at(-1), 1);
  t.equal(word[0], 0);
  storage.close();
  t.end();
});

test('a commit that throws drops its group, clears the word, and lets the next one through', (t) => {
  const word = new Int32Array(1);
  const storage = openLmdbStorage({ path: place(), sync: 'none', inTransaction: word });
  storage.put(utf8('kept'), utf8('v'));
  storage.commit();
  class Failing extends Uint8Array {
    override get buffer(): ArrayBuffer {
      if (word[0] === 1) throw Object.assign(new Error('native'), { code: 28 });
      return super.buffer as ArrayBuffer;
    }
  }
  storage.put(utf8('before'), utf8('v'));
  storage.put(utf8('failing'), new Failing(8));
  t.throws(() => storage.commit(), StorageFullError);
  t.equal(word[0], 0);
  t.equal(storage.pending, false);
  t.equal(text(storage, 'before'), undefined, 'all of a group or nothing');
  t.equal(text(storage, 'kept'), 'v');
  storage.put(utf8('after'), utf8('v'));
  storage.commit();
  t.equal(text(storage, 'after'), 'v');
  storage.close();
  t.end();
});

// Method: lmdb's own flush is replaced for one call, as a disk cannot be made to fail on demand.
test('a flush that failed once fails for good, until the storage is opened again', (t) => {
  const path = place();
  const storage = openLmdbStorage({ path, sync: 'none' });
  storage.put(utf8('k'), utf8('v'));
  storage.commit();
  storage.flush();
  const { env } = (storage as unknown as { db: { env: { sync(): void } } }).db;
  const native = Object.assign(new Error('native'), { code: 5 });
  const fail = (): never => {
    throw native;
  };
  Object.defineProperty(env, 'sync', { configurable: true, value: fail });
  t.throws(() => storage.flush(), { code: 'STORAGE_FAILED', definite: false, cause: native });
  Object.defineProperty(env, 'sync', { configurable: true, value: () => undefined });
  t.throws(() => storage.flush(), { code: 'STORAGE_FAILED' }, 'though the disk would now say yes');
  t.equal(text(storage, 'k'), 'v');
  storage.close();
  const again = openLmdbStorage({ path, sync: 'none' });
  again.flush();
  t.equal(text(again, 'k'), 'v');
  again.close();
  t.end();
});

test('the file grows beyond the map that was reserved', (t) => {
  const path = place();
  const storage = openLmdbStorage({ path, sync: 'none', mapBytes: 1 << 20 });
  for (let i = 0; i < 400; i++) {
    storage.put(utf8(`key ${i}`), new Uint8Array(20_000).fill(i));
    storage.commit();
    assert.equal(storage.get(utf8(`key ${i >> 1}`))![19_999], (i >> 1) & 255);
  }
  t.ok(statSync(path).size > 8_000_000);
  storage.close();
  const again = openLmdbStorage({ path, sync: 'none' });
  for (let i = 0; i < 400; i++) assert.equal(again.get(utf8(`key ${i}`))![0], i & 255);
  again.close();
  t.end();
});

test('a thread that ends with the storage open leaves it to the next one', async (t) => {
  for (const sync of ['full', 'none'] as const) {
    for (const task of ['write-and-exit', 'write-and-wait'] as const) {
      const path = place();
      await inWorker(task, path, sync);
      const storage = openLmdbStorage({ path, sync });
      t.equal(text(storage, 'committed'), task);
      t.equal(text(storage, 'pending'), undefined);
      storage.put(utf8('committed'), utf8('by the next'));
      storage.commit();
      t.equal(text(storage, 'committed'), 'by the next');
      storage.close();
    }
  }
});

test('two threads that have one file open take turns', async (t) => {
  const path = place();
  const storage = openLmdbStorage({ path, sync: 'none' });
  let running = true;
  const other = inWorker('write-200', path, 'none').then(() => {
    running = false;
  });
  let own = 0;
  while (running) {
    storage.put(utf8(`main ${own++}`), utf8('v'));
    storage.commit();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await other;
  storage.put(utf8(`main ${own++}`), utf8('v'));
  storage.commit();
  t.equal(storage.stats().entries, own + 200);
  storage.close();
});

test('what was acknowledged before a kill -9 is there, and nothing else is', async (t) => {
  for (const sync of ['full', 'none'] as const) {
    const path = place();
    const run = spawn(process.execPath, [fileURLToPath(child), 'count-until-killed', path, sync]);
    let printed = '';
    run.stdout.on('data', (chunk) => {
      printed += chunk;
      if (printed.length > 400) run.kill('SIGKILL');
    });
    await once(run, 'close');
    const acknowledged = Number(printed.slice(0, printed.lastIndexOf('\n')).split('\n').at(-1));
    t.ok(acknowledged > 50, `${acknowledged} acknowledged`);
    const storage = openLmdbStorage({ path, sync });
    const last = Number(text(storage, 'last'));
    // The kill may fall between a commit and its acknowledgement.
    t.ok(last >= acknowledged);
    t.equal(storage.stats().entries, last + 1, 'both puts of every group');
    for (let n = 1; n <= last; n++) assert.equal(text(storage, `n ${n}`), `${n}`);
    storage.close();
  }
});
