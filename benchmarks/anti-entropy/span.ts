/** What clients, event loops and cores feel while a load goes on for a span of time. */
import type { Store } from '../../src/index.js';
import { Histogram } from '../../src/metrics/histogram.js';
import { openLoop } from '../workloads/open-loop.js';
import { threadCpuMs } from '../workloads/thread-cpu.js';
import type { EvenLoad } from './even-load.js';
import type { WatchedLoop, WatchedLoops } from './watched-loops.js';

export interface SpanOptions {
  readonly store: Store;
  readonly loops: WatchedLoops;
  readonly load: EvenLoad;
  readonly perSecond: number;
  /** All of them up. */
  readonly nodes: number;
}

export interface Span {
  /** Of those that succeeded, from when they were due. */
  readonly put: Histogram;
  readonly get: Histogram;
  readonly failed: number;
  /** By node. */
  readonly loops: ReadonlyMap<number, WatchedLoop>;
  readonly seconds: number;
  /** How many cores the application's thread kept busy, those of the nodes, and others: the hashing pool's, and V8's helpers. */
  readonly applicationCores: number;
  readonly nodeCores: number;
  readonly otherCores: number;
  /** Comparisons that ended meanwhile, and trees that were built. */
  readonly exchanges: number;
  readonly treesBuilt: number;
}

/** The load comes in pieces of so many milliseconds, so that it ends soon after `until`. */
const PIECE_MS = 1_000;

/** A span under load until `until` resolves. */
export async function spanOf(
  { store, loops, load, perSecond, nodes }: SpanOptions,
  until: Promise<unknown>,
): Promise<Span> {
  let running = true;
  void until.then(() => {
    running = false;
  });
  const put = new Histogram();
  const get = new Histogram();
  let failed = 0;
  const before = await counted(store);
  const loopsBefore = await loops.take(nodes);
  const own = threadCpuMs() ?? 0;
  const from = performance.now();
  const usage = process.cpuUsage();
  while (running) {
    for (const { kind, failure, dueMs, endedMs } of await openLoop({
      perSecond,
      durationMs: PIECE_MS,
      begin: load.begin,
    })) {
      if (failure !== undefined) failed++;
      else (kind === 'put' ? put : get).record(endedMs - dueMs);
    }
  }
  const { user, system } = process.cpuUsage(usage);
  const spentMs = performance.now() - from;
  const applicationMs = (threadCpuMs() ?? 0) - own;
  const found = await loops.take(nodes);
  const nodesMs = [...found].reduce((sum, [node, { cpuMs }]) => sum + cpuMs - loopsBefore.get(node)!.cpuMs, 0);
  const after = await counted(store);
  return {
    put,
    get,
    failed,
    loops: found,
    seconds: spentMs / 1_000,
    applicationCores: applicationMs / spentMs,
    nodeCores: nodesMs / spentMs,
    otherCores: ((user + system) / 1_000 - applicationMs - nodesMs) / spentMs,
    exchanges: after.exchanges - before.exchanges,
    treesBuilt: after.treesBuilt - before.treesBuilt,
  };
}

async function counted(store: Store): Promise<{ exchanges: number; treesBuilt: number }> {
  const { nodes } = await store.stats();
  const all = Object.values(nodes);
  const sum = (name: string): number => all.reduce((total, node) => total + (node[name] ?? 0), 0);
  return { exchanges: sum('exchanges'), treesBuilt: sum('treesBuilt') };
}
