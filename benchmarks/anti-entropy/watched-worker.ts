/**
 * The entry of a node's thread whose event loop is watched: `actors/worker`, and a timer beside it. How late the timer
 * comes is how long anything waits for that loop: for the turn before it, and for a core.
 */
import { BroadcastChannel, workerData } from 'node:worker_threads';
import { Histogram } from '../../src/metrics/histogram.js';
import type { WorkerStart } from '../../src/runtime/threads/worker-thread.js';
import { threadCpuMs } from '../workloads/thread-cpu.js';
import { LOOP_CHANNEL, type LoopMessage } from './watched-loops.js';

/** Two hundred looks a second cost a thousandth of a core. */
const EVERY_MS = 5;

const { thread } = workerData as WorkerStart;
const late = new Histogram();
let last = performance.now();
setInterval(() => {
  const now = performance.now();
  late.record(Math.max(0, now - last - EVERY_MS));
  last = now;
}, EVERY_MS).unref();

const channel = new BroadcastChannel(LOOP_CHANNEL);
channel.onmessage = (event) => {
  const message = (event as { data: LoopMessage }).data;
  if (message.type !== 'tell') return;
  const { call } = message;
  channel.postMessage({
    type: 'told',
    call,
    thread,
    late: late.data(),
    cpuMs: threadCpuMs() ?? 0,
  } satisfies LoopMessage);
  late.reset();
};
// Whoever wants to hear of a loop must not keep its thread from ending.
channel.unref();

await import('../../actors/worker.js');
