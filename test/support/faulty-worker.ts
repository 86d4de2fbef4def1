/**
 * The entry of a node's thread that can be made to fail from outside: `actors/worker`, and a listener beside it.
 * The store itself has no such door.
 */
import { EventEmitter } from 'node:events';
import { BroadcastChannel, workerData } from 'node:worker_threads';
import type { WorkerStart } from '../../src/runtime/threads/worker-thread.js';
import { FAULT_CHANNEL, type FaultOrder, MOST_STALL_MS } from './faults.js';

let exhaustsInside = false;
let errno = 0;
/**
 * lmdb's databases tell whoever listens that a transaction has begun: the one moment inside that this file can reach.
 * For one that only reads, too: `writeTxn` is there if it writes.
 */
const emit = EventEmitter.prototype.emit;
EventEmitter.prototype.emit = function (this: EventEmitter & { env?: { writeTxn?: object } }, event, ...details) {
  if (event === 'begin-transaction' && this.env?.writeTxn) {
    if (exhaustsInside) exhaust();
    // As lmdb does it: the number of the system in `code`.
    if (errno > 0) throw Object.assign(new Error('failed by a test'), { code: errno });
  }
  return emit.call(this, event, ...details);
};

const { thread } = workerData as WorkerStart;
const channel = new BroadcastChannel(FAULT_CHANNEL);
channel.onmessage = (event) => {
  const order = (event as { data: unknown }).data as FaultOrder;
  if (order.thread !== thread || order.fault === 'begun') return;
  // Outside of the listener, as an error of a driver or a timer would be: between two turns of the host.
  setImmediate(() => {
    channel.postMessage({ thread, fault: 'begun' } satisfies FaultOrder);
    if (order.fault === 'throw') throw new Error('thrown by a test');
    if (order.fault instanceof Int32Array) Atomics.wait(order.fault, 0, 0, MOST_STALL_MS);
    else if (order.fault === 'fill') fill();
    else if (typeof order.fault === 'object') ({ errno } = order.fault);
    else if (order.fault === 'exhaust-inside') exhaustsInside = true;
    else exhaust();
  });
};

await import('../../actors/worker.js');

const kept: number[][] = [];

/** So slowly that the heap is collected, and the thread takes turns, in between. */
function fill(): void {
  for (let i = 0; i < 10; i++) kept.push(new Array<number>(10_000).fill(kept.length));
  setTimeout(fill, 5);
}

function exhaust(): void {
  const hoard: number[][] = [];
  for (;;) hoard.push(new Array<number>(10_000).fill(hoard.length));
}
