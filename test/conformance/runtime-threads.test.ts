/** Holds the worker threads to the contract of the runtime. */
import { setTimeout as pass } from 'node:timers/promises';
import { ThreadGroup } from '../../src/runtime/threads/thread-group.js';
import type { ThreadPlan } from '../support/conformance-actors.js';
import { type MakeRuntime, runtimeConformance, WORKER_THREADS } from './runtime.js';

const ENTRY = new URL('../support/conformance-worker.js', import.meta.url);
/** How often to look whether something has happened on other threads, in milliseconds. */
const LOOK_MS = 1;

const threads: MakeRuntime = async (placements, marks) => {
  const group = new ThreadGroup({ entry: ENTRY, workers: WORKER_THREADS });
  const plan: ThreadPlan = { placements, marks };
  await Promise.all(Array.from({ length: WORKER_THREADS }, (_, thread) => group.start(thread, plan)));
  return {
    client: group.host,
    outside: (action) => group.host.outside(action),
    runUntil: async (done, limitMs) => {
      const until = performance.now() + limitMs;
      while (!done() && performance.now() < until) await pass(LOOK_MS);
    },
    startThread: (thread) => group.start(thread, plan),
    crashThread: (thread) => group.crash(thread),
    stopThread: (thread) => group.stop(thread),
    pauseThread: (thread, ms) => group.pause(thread, ms),
    split: (side) => group.split(side),
    heal: () => group.heal(),
    close: () => group.close(),
  };
};

runtimeConformance('threads', threads);
