/**
 * Hashing by the threads of the process's pool, which read the node's objects file by themselves: the node's event loop
 * only notes what has changed, and adds up what comes back.
 *
 * Changes are in shared memory, and nothing of them is copied. What was sent stays in the log until its outcome is known: a
 * thread that dies loses nothing.
 */
import { type HashTask, runHashTask } from '../src/anti-entropy/hash-task.js';
import type { HasherResult } from '../src/messages/hasher-task.js';
import type { Hashing } from './replica-trees.js';

/** Changes that cost less to fold in here than to send. */
const FEW_CHANGES = 300;

/** @param run - gives a task to the pool; 'gone' if nothing comes of it. It does not reject */
export function poolHashing(run: (task: HashTask) => Promise<HasherResult>): Hashing {
  return {
    readsCommitted: true,
    run(task, done) {
      if (task.type === 'fold' && task.changes < FEW_CHANGES) done(runHashTask(task, refuseSnapshot));
      else void run(task).then((result) => done(result.type === 'gone' ? undefined : result));
    },
  };
}

function refuseSnapshot(): never {
  throw new Error('Changes are folded without a look at the records');
}
