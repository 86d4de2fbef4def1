/**
 * What storage tests run outside their own thread: as a process (`node storage-child.js TASK PATH SYNC`) or as a worker
 * (`workerData: { task, path, sync }`). Without a task, as `node --test` starts every file under `test`, it does nothing.
 */
import { writeSync } from 'node:fs';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { open } from 'lmdb';
import { utf8 } from '../../src/base/bytes.js';
import { openLmdbStorage } from '../../src/storage/lmdb-storage.js';
import type { Storage } from '../../src/storage/storage.js';

export type Task =
  | 'count-until-killed'
  | 'grow-until-refused'
  | 'write-and-exit'
  | 'write-and-wait'
  | 'write-200'
  | 'stand-inside';

const [task, path, sync] = (
  isMainThread ? process.argv.slice(2) : [workerData.task, workerData.path, workerData.sync]
) as [Task | undefined, string, 'full' | 'none'];

if (task === 'stand-inside') standInside();
else if (task !== undefined) perform(task, openLmdbStorage({ path, sync }));

function perform(task: Exclude<Task, 'stand-inside'>, storage: Storage): void {
  switch (task) {
    case 'count-until-killed':
      for (let n = 1; ; n++) {
        storage.put(utf8(`n ${n}`), utf8(`${n}`));
        storage.put(utf8('last'), utf8(`${n}`));
        storage.commit();
        // At once, and not through a stream: what was written before the kill has been acknowledged.
        writeSync(1, `${n}\n`);
      }
    case 'grow-until-refused':
      console.log(JSON.stringify(growUntilRefused(storage)));
      break;
    case 'write-200':
      for (let n = 0; n < 200; n++) {
        storage.put(utf8(`worker ${n}`), utf8('v'));
        storage.commit();
      }
      storage.close();
      break;
    case 'write-and-exit':
    case 'write-and-wait':
      storage.put(utf8('committed'), utf8(task));
      storage.commit();
      storage.get(utf8('committed'));
      storage.range({ limit: 9 });
      storage.put(utf8('pending'), utf8('v'));
      if (task === 'write-and-exit') process.exit(0);
      parentPort?.on('message', () => undefined); // Holds the thread, between two commits, until it is terminated.
      parentPort?.postMessage('waiting');
  }
}

/** Writes until a commit fails (the file may not grow on), and tells what can be done after that. */
function growUntilRefused(storage: Storage): Record<string, unknown> {
  // The signal's default would end the process; with a handler, the write fails with EFBIG instead.
  process.on('SIGXFSZ', () => undefined);
  let groups = 0;
  let error: unknown;
  while (error === undefined) {
    for (let i = 0; i < 10; i++) storage.put(utf8(`group ${groups}, ${i}`), new Uint8Array(10_000).fill(i));
    try {
      storage.commit();
      groups++;
    } catch (thrown) {
      error = thrown;
    }
  }
  const before = storage.range({ limit: Number.POSITIVE_INFINITY }).length;
  const pending = storage.pending;
  storage.put(utf8('group 0, 0'), utf8('small'));
  storage.commit();
  for (let i = 1; i < 10; i++) storage.remove(utf8(`group 0, ${i}`));
  storage.commit();
  storage.flush();
  storage.close();
  const again = openLmdbStorage({ path, sync });
  const after = again.stats().entries;
  const small = Buffer.from(again.get(utf8('group 0, 0'))!).toString();
  again.close();
  const { code, definite, message } = error as { code: unknown; definite: unknown; message: string };
  return { groups, code, definite, message, before, pending, after, small };
}

/** Stands within a transaction, as a thread does that died there, until the word in `workerData.until` is not 0. */
function standInside(): void {
  const until = new Int32Array(workerData.until as SharedArrayBuffer);
  const database = open({ path, noSubdir: true, keyEncoding: 'binary', encoding: 'binary', overlappingSync: false });
  database.transactionSync(() => {
    void database.put(Buffer.from('k'), Buffer.from('not committed'));
    parentPort?.postMessage('inside');
    Atomics.wait(until, 0, 0);
  });
  void database.close();
}
