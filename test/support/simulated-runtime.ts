/** Makes a simulation for the runtime's conformance stories: two worker threads and a client's. */
import type { Simulator } from '../../src/runtime/simulator/simulator.js';
import { type MakeRuntime, WORKER_THREADS } from '../conformance/runtime.js';
import { setUpConformanceThread } from './conformance-actors.js';

/** @param Made - the simulator's class, or that of a copy with a planted bug */
export function simulatedRuntime(Made: typeof Simulator, seed: number): MakeRuntime {
  return async (placements, marks) => {
    const simulator = new Made({ seed, threads: WORKER_THREADS + 1 });
    simulator.startThread(WORKER_THREADS, () => undefined);
    for (let thread = 0; thread < WORKER_THREADS; thread++) {
      simulator.startThread(thread, (host) => setUpConformanceThread(host, { placements, marks }));
    }
    const client = simulator.host(WORKER_THREADS);
    return {
      client,
      outside: (action) => simulator.outside(WORKER_THREADS, action),
      runUntil: async (done, limitMs) => void simulator.runUntil(done, limitMs),
      startThread: async (thread) => simulator.startThread(thread),
      crashThread: async (thread) => simulator.crashThread(thread),
      stopThread: async (thread) => {
        simulator.stopThread(thread);
        simulator.runUntil(() => !simulator.host(thread).up, 60_000);
      },
      pauseThread: async (thread, ms) => simulator.pauseThread(thread, ms),
      split: async (side) => simulator.split(side),
      heal: async () => simulator.heal(),
      close: async () => undefined,
    };
  };
}
