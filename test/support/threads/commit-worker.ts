/** Entry of workers that spend nearly all their time within LMDB transactions: for the tests of how a process ends. */
import { open } from 'lmdb';
import type { Committer } from '../../../src/runtime/actor.js';
import { runWorkerThread } from '../../../src/runtime/threads/worker-thread.js';
import { ECHO, ECHO_SLOT, EchoActor } from './echo.js';

/** So many records a commit: some milliseconds. */
const RECORDS = 3_000;

await runWorkerThread<{ path: string; stuck: boolean }>(({ host, thread, data }) => {
  const database = open({ path: `${data.path}/${thread}`, keyEncoding: 'binary', encoding: 'binary', noSync: true });
  const value = Buffer.alloc(100);
  let next = 0;
  const committer: Committer = {
    // There is always something to write.
    pending: true,
    commitIsDurable: true,
    commit(): void {
      database.transactionSync(() => {
        for (let i = 0; i < RECORDS; i++) {
          const key = Buffer.alloc(8);
          key.writeUInt32BE(next++ % 50_000);
          // Within a transaction it writes at once; its promise tells nothing more.
          void database.put(key, value);
        }
        // As a thread does whose heap is exhausted here: it neither goes on nor ends.
        if (data.stuck && thread === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
      });
    },
    flush(): void {},
  };
  host.addCommitter(committer);
  host.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  return { stopped: () => database.close() };
});
