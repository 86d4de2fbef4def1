/**
 * The worker's side of a thread group: makes the host, lets the entry put actors into it, then follows the group's
 * orders between turns.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

import { assert } from '../../base/assert.js';
import { errorData, serveControl } from './control-plane.js';
import { transactionWord } from './doorbell.js';
import { followLinkOrder, type GroupOrder, type ThreadReport } from './group-order.js';
import { watchHeap } from './heap-watch.js';
import type { LinkEnds } from './link.js';
import { type StandbyStart, standBy } from './standby.js';
import { ThreadHost, type ThreadHostOptions } from './thread-host.js';

/** What the group gives a worker at its start. */
export interface WorkerStart {
  readonly thread: number;
  /** 1, 2, … over the life of the group. */
  readonly incarnation: number;
  readonly doorbell: SharedArrayBuffer;
  readonly links: readonly LinkEnds[];
  readonly control: MessagePort;
  /** See `ThreadGroupOptions`. */
  readonly service: MessagePort | undefined;
  /** See `WorkerContext`. */
  readonly stranded: boolean;
  /** The owner's own, for the entry. */
  readonly data: unknown;
}

/** What an entry makes of its thread. */
export interface ThreadSetup {
  /** Served to the group by its control plane. */
  readonly control?: object;
  /** False if the storages cannot flush, because they are in memory (default true). */
  readonly canFlush?: boolean;
  /** Called after the host has stopped cleanly, before the exit: closes what the entry opened. */
  stopped?(): void | Promise<void>;
}

/** What an entry is given. */
export interface WorkerContext<Data> {
  readonly host: ThreadHost;
  readonly thread: number;
  readonly incarnation: number;
  readonly data: Data;
  /** Of `ThreadGroupOptions`: this incarnation's end of a port, if the group's owner gives one. */
  readonly service: MessagePort | undefined;
  /** To be kept at 1, as index 0, while a transaction is written to a storage that a thread dead within would lock. */
  readonly inTransaction: Int32Array;
  /**
   * True if an earlier incarnation died within a transaction, and none has been ready since. What it had open stays
   * locked until the process ends: opening it would never return.
   */
  readonly stranded: boolean;
  /** Tells the group's owner something that someone must know: the event 'trouble'. */
  readonly report: (what: string, error: unknown) => void;
  /** Tells the group that this thread has much to do: a worker stands by from now on, if the group is to have one. */
  readonly inUse: () => void;
}

export interface WorkerThreadOptions extends Pick<ThreadHostOptions, 'turnFrames' | 'supervision'> {
  /** What a worker that stands by does before it is known which thread it will be; see standby.ts. */
  readonly prepare?: (data: unknown) => Promise<void>;
}

/** The share of the heap from which on a thread stops while it still can. */
const FULL_HEAP = 0.8;
/** How long the actors of such a thread may finish what they have in hand: little, since they go on allocating. */
const HEAP_GRACE_MS = 100;

/** How often a thread that is to end looks whether its actors have let go of everything, in milliseconds. */
const LOOK_MS = 5;

/**
 * Runs a worker thread: to be called once by its entry. `setup` opens what is needed and spawns the actors; if it
 * throws, the start of the thread fails. The returned promise resolves when the thread is ready.
 */
export async function runWorkerThread<Data>(
  setup: (context: WorkerContext<Data>) => ThreadSetup | Promise<ThreadSetup>,
  options: WorkerThreadOptions = {},
): Promise<void> {
  const port = parentPort;
  assert(port !== null, 'a worker thread is started by a thread group');
  const given = workerData as WorkerStart | StandbyStart;
  const start = 'standby' in given ? await standBy(given, options.prepare ?? (async () => {})) : given;
  const report = (message: ThreadReport): void => port.postMessage(message);

  const host = new ThreadHost({
    ...options,
    thread: start.thread,
    doorbell: start.doorbell,
    events: {
      crashed: (slot, incarnation, error) => report({ type: 'crashed', slot, incarnation, error: errorData(error) }),
      escalated: (slot, error) => {
        report({ type: 'escalated', slot, error: errorData(error) });
        // The thread ends as if the actor's error had not been caught; the group's supervision decides what follows.
        throw new Error(`the actor in slot ${slot} failed too often`, { cause: error });
      },
      trouble: (what, error) => report({ type: 'trouble', what, error: errorData(error) }),
    },
  });
  const context: WorkerContext<Data> = {
    host,
    thread: start.thread,
    incarnation: start.incarnation,
    data: start.data as Data,
    service: start.service,
    inTransaction: transactionWord(start.doorbell),
    stranded: start.stranded,
    report: (what, error) => report({ type: 'trouble', what, error: errorData(error) }),
    inUse: () => report({ type: 'in-use' }),
  };
  let made: ThreadSetup;
  try {
    made = await host.shielded(() => setup(context));
  } catch (error) {
    report({ type: 'start-failed', error: errorData(error) });
    // The report is delivered before the exit event; a throw would be told twice.
    process.exit(1);
  }
  serveControl(made.control ?? {}, start.control);
  for (const ends of start.links) host.connect(ends);

  let stopping = false;
  function stopInOrder(graceMs: number, code: number): void {
    if (stopping) return;
    stopping = true;
    stop(host, made, graceMs).then(
      () => process.exit(code),
      (error: unknown) => {
        // Not in order: what the next start finds is as after a crash.
        report({ type: 'trouble', what: 'stop-failed', error: errorData(error) });
        process.exit(1);
      },
    );
  }
  watchHeap(FULL_HEAP, (used) => {
    const why = `stops in order and begins anew: its heap is ${Math.round(used * 100)} % full of what is in use`;
    report({ type: 'trouble', what: 'heap-full', error: errorData(new Error(why)) });
    stopInOrder(HEAP_GRACE_MS, 1);
  });
  // This listener also keeps the thread alive, which waits for mail in a way that does not.
  port.on('message', (order: GroupOrder) => {
    if (followLinkOrder(host, order)) return;
    switch (order.type) {
      case 'stop':
        stopInOrder(order.graceMs, 0);
        return;
      case 'crash':
        process.exit(1);
        return;
      case 'pause':
        report({ type: 'paused' });
        host.standStill(order.ms);
        return;
      case 'settle':
        void whileTrue(() => host.isUnderWay, order.graceMs).then(() => {
          report({ type: 'followed', order: order.order });
        });
        return;
      case 'follow':
        report({ type: 'followed', order: order.order });
        return;
    }
  });
  // However it ends, the others see it at once, before the group has told them; but for an exhausted heap.
  process.on('exit', () => host.endPulse());
  host.startPulse();
  host.begin();
  report({ type: 'ready' });
}

async function stop(host: ThreadHost, made: ThreadSetup, graceMs: number): Promise<void> {
  host.refuseRequests();
  await whileTrue(() => host.busy, graceMs);
  host.stop({ flush: made.canFlush ?? true });
  await host.shielded(() => made.stopped?.());
}

/** Resolves once `condition` is false, or after `forMs`. */
async function whileTrue(condition: () => boolean, forMs: number): Promise<void> {
  const until = performance.now() + forMs;
  while (condition() && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
}
