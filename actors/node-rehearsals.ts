/**
 * When a thread rehearses a node's failure (`rehearsal.ts`).
 *
 *     a node's thread    start ─▶ briefly, at once ── is in use ─▶ at length, with rests, one node after the other
 *     one that stands by          at length, several times; there is nothing left to rehearse when it takes a place
 *
 * At once, because what V8 compiles for the first requests is to hold later on: it has seen by then what a failure does.
 * When a busy thread rehearsed for the first time, all that it had compiled was thrown away, as in a failure, and compiling
 * it anew took so much of the cores that clients were refused (benchmarks/README.md). Briefly, because this comes with the
 * opening of a store. And once more at length, since what only failures need is then compiled, too.
 */
import type { NodeStart } from '../src/messages/node-control.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import { EntropyRandom } from '../src/runtime/threads/entropy.js';
import { Miniature } from '../src/runtime/threads/miniature.js';
import type { WorkerContext } from '../src/runtime/threads/worker-thread.js';
import { openMemoryStorage } from '../src/storage/memory-storage.js';
import { objectsFile } from '../src/storage/node-storage.js';
import { openStageStorage } from '../src/storage/stage-storage.js';
import type { Storage } from '../src/storage/storage.js';
import { rehearse } from './rehearsal.js';

/** How much of a rehearsal there is. */
const BRIEFLY = 1 / 4;
const AT_LENGTH = 1;
/**
 * The long one comes so long after the start of the thread, in milliseconds, and so much later for each node before it: one
 * after the other. Not while it catches up, nor before the node has been asked so much.
 */
const AFTER_MS = 8_000;
const APART_MS = 4_000;
const IN_USE_OPERATIONS = 5_000;
const LOOK_MS = 500;
/** Between two rounds of a long one, in milliseconds: it takes a tenth of a core then. */
const REST_MS = 20;
/** So often a thread rehearses that stands by: until its code is compiled. */
const TIMES = 4;

/** True if this thread has stood by, and so has rehearsed before it became a node's. */
let isPrepared = false;

/** Has the failure of a node rehearsed by the thread of one. @returns what breaks that off */
export function rehearseAsNode(start: WorkerContext<NodeStart>, counters: NodeCounters): () => void {
  const rehearsals = new NodeRehearsals(start, counters);
  rehearsals.begin();
  return () => rehearsals.end();
}

/**
 * What a thread does that stands by: it is not known yet whose place it will take, but it has to be as fast as if it had been
 * there for long.
 * @param directory - of one of the store's nodes; null if they are in memory
 */
export async function prepare(directory: unknown): Promise<void> {
  const random = new EntropyRandom();
  const openStorage = storageAs(directory as string | null);
  const report = (_what: string, error: Error): void => {
    throw error;
  };
  for (let i = 0; i < TIMES; i++) {
    const stage = new Miniature({});
    await rehearse({ stage, random, openStorage, share: AT_LENGTH, restMs: REST_MS, report });
    stage.close();
  }
  isPrepared = true;
}

class NodeRehearsals {
  private readonly start: WorkerContext<NodeStart>;
  private readonly counters: NodeCounters;
  private readonly told: (error: unknown) => void;
  private stage: Miniature | undefined = undefined;
  private timer: NodeJS.Timeout | undefined = undefined;

  constructor(start: WorkerContext<NodeStart>, counters: NodeCounters) {
    this.start = start;
    this.counters = counters;
    this.told = (error) => start.report('rehearsal', error);
  }

  begin(): void {
    // First it says that it is ready.
    this.after(0, () => {
      if (!isPrepared) this.rehearse(BRIEFLY, 0);
      this.after(AFTER_MS, this.look);
    });
  }

  end(): void {
    clearTimeout(this.timer);
    this.stage?.close();
  }

  private readonly look = (): void => {
    const { start, counters } = this;
    if (counters.puts + counters.gets < IN_USE_OPERATIONS) {
      this.after(LOOK_MS, this.look);
      return;
    }
    start.inUse();
    if (!isPrepared) this.after(start.thread * APART_MS, () => this.rehearse(AT_LENGTH, REST_MS));
  };

  private rehearse(share: number, restMs: number): void {
    const { told } = this;
    const { host, data } = this.start;
    this.stage?.close();
    const stage = new Miniature({
      crashed: (_slot, _incarnation, error) => told(error),
      trouble: (_what, error) => told(error),
      // Nothing is at stake: an actor that fails again and again stays down, and this node goes on.
      escalated: (_slot, error) => {
        told(error);
        stage.close();
      },
    });
    this.stage = stage;
    const report = (_what: string, error: Error): void => told(error);
    rehearse({ stage, random: host.random, openStorage: storageAs(data.path), share, restMs, report })
      .catch(told)
      .finally(() => stage.close());
  }

  private after(ms: number, then: () => void): void {
    this.timer = setTimeout(then, ms).unref();
  }
}

/** Storages in memory, of the kind that a node has whose data is in `directory`. */
function storageAs(directory: string | null): () => Storage {
  return directory === null ? openMemoryStorage : () => openStageStorage(objectsFile(directory));
}
