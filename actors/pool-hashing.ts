/**
 * Hashing by the threads of the process's pool, which read the node's objects file by themselves: the node's event loop
 * only copies what has changed, and adds up what comes back.
 *
 * A trip to the pool and back costs about 1.5 ms of CPU time, in four threads: as much as noting thousands of writes. So
 * changes are sent together, those of all the node's trees:
 *
 *     trees ──a few changes each──▶ shared memory ──256 KiB, or somebody waits──▶ a thread of the pool
 *
 * What is gathered or sent stays with its tree until its outcome is known: a thread that dies loses nothing.
 */
import { BATCH_STRIDE, type HashResult, type HashTask, runHashTask } from '../src/anti-entropy/hash-task.js';
import type { HasherResult } from '../src/messages/hasher-task.js';
import type { Hashing } from './replica-trees.js';

/** Changes that cost less to fold in here than to send. */
const FEW_CHANGES = 300;
const GATHERED_BYTES = 256 * 1_024;
/** Memory that is kept for the next changes while others are under way. */
const MAX_SPARE = 2;

type Done = (result: HashResult | undefined) => void;
type FoldTask = HashTask & { type: 'fold' };

/** @param run - gives a task to the pool; 'gone' if nothing comes of it. It does not reject */
export function poolHashing(run: (task: HashTask) => Promise<HasherResult>): Hashing {
  const gatherer = new Gatherer(run);
  return {
    readsCommitted: true,
    run(task, _keeper, done) {
      if (task.type === 'fold') gatherer.add(task, done);
      else void run(task).then((result) => done(result.type === 'gone' ? undefined : result));
    },
    hurry: () => gatherer.send(),
  };
}

class Gatherer {
  private readonly run: (task: HashTask) => Promise<HasherResult>;
  private readonly spare: SharedArrayBuffer[] = [];
  private memory: SharedArrayBuffer | undefined;
  private view: Uint8Array = new Uint8Array(0);
  private length = 0;
  private changes = 0;
  private batches: number[] = [];
  private waiting: Done[] = [];

  constructor(run: (task: HashTask) => Promise<HasherResult>) {
    this.run = run;
  }

  add(task: FoldTask, done: Done): void {
    const { batch, depth } = task;
    const { length } = batch.bytes;
    if (length > GATHERED_BYTES) {
      void this.run(task).then((result) => done(result.type === 'gone' ? undefined : result));
      return;
    }
    if (this.length + length > GATHERED_BYTES) this.send();
    if (this.memory === undefined) {
      this.memory = this.spare.pop() ?? new SharedArrayBuffer(GATHERED_BYTES);
      this.view = new Uint8Array(this.memory);
    }
    this.view.set(batch.bytes, this.length);
    this.length += length;
    this.changes += batch.changes;
    this.batches.push(length, batch.changes, depth);
    this.waiting.push(done);
  }

  /** Has what was gathered folded. */
  send(): void {
    const { memory, waiting, changes } = this;
    if (memory === undefined) return;
    const batches = Uint32Array.from(this.batches);
    this.memory = undefined;
    this.length = 0;
    this.changes = 0;
    this.batches = [];
    this.waiting = [];
    const ended = (result: HasherResult): void => {
      if (this.spare.length < MAX_SPARE) this.spare.push(memory);
      tell(waiting, batches, result);
    };
    const task: HashTask = { type: 'folds', memory, batches };
    if (changes < FEW_CHANGES) ended(runHashTask(task, refuseSnapshot));
    else void this.run(task).then(ended);
  }
}

/** Gives each tree its own part of the result. */
function tell(waiting: readonly Done[], batches: Uint32Array, result: HasherResult): void {
  let at = 0;
  for (const [i, done] of waiting.entries()) {
    if (result.type !== 'folded-all') {
      done(undefined);
      continue;
    }
    const end = at + result.lengths[i]!;
    const depth = batches[BATCH_STRIDE * i + 2]!;
    done({ type: 'folded', delta: { depth, words: result.words.subarray(at, end) } });
    at = end;
  }
}

function refuseSnapshot(): never {
  throw new Error('Changes are folded without a look at the records');
}
