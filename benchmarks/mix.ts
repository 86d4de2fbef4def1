/**
 * `npm run bench -- mix`: reads and writes as applications mix them, 95/5 and 50/50, one client process, 256 in flight, beside
 * what was measured of others with the same mix, number of keys and size of values on a machine of the same kind. Those
 * figures are for orientation: this command does not measure them. Under a minute.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from '../src/index.js';
import { ClientThreads } from './client-threads.js';
import { count, machine, markdown, ms } from './report.js';
import { TIMEOUT_MS } from './scenarios.js';
import { coresOf, type LoopFigure, medianOf } from './workloads/closed-loop.js';

const NODES = 5;
const KEYS = 10_000;
const VALUE_BYTES = 100;
const IN_FLIGHT = 256;
const ROUNDS = 5;
const SLICE_MS = 1_000;
const WARM_UP = { durationMs: 3_500, atLeast: 60_000 };
const MIXES = ['95/5', '50/50'] as const;
const THREADS = [1, 2] as const;

/** Operations a second, 95/5 and 50/50. */
const OTHERS: readonly (readonly [string, string, string])[] = [
  ['bare lmdb in one thread, one copy', '497,000', '181,000'],
  ['one Redis with autopipelining, one copy', '188,000', '168,000'],
  ['Redis Cluster 3 + 3, `WAIT 1`', '64,000', '38,000'],
  ['etcd', '5,000', ''],
  ['Riak, 3 nodes', '3,600', '2,500'],
];

export async function mix(): Promise<void> {
  console.log(
    `${machine()}; ${NODES} nodes, N = 3, R = W = 2, ${count(KEYS)} keys of ${VALUE_BYTES} B, ${IN_FLIGHT} in flight; medians of ${ROUNDS} rounds of ${SLICE_MS} ms\n`,
  );
  const rows: string[][] = [];
  for (const sync of ['none', 'full'] as const) rows.push(...(await measureSync(sync)));
  const head = ['', 'mix', 'client threads', 'per second', 'p50 ms', 'p99', 'p99.9', 'µs CPU', 'cores'];
  console.log(`${markdown(head, rows, 2)}\n`);
  const others = OTHERS.map((row) => [...row]);
  console.log('Others, one client process, on two cores of the same kind, not measured by this command:\n');
  console.log(markdown(['', '95/5, per second', '50/50'], others, 1));
}

async function measureSync(sync: 'none' | 'full'): Promise<string[][]> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await open({ path: directory, nodes: NODES, sync, timeoutMs: TIMEOUT_MS });
  try {
    const clients = await ClientThreads.start(store, 2, { keys: KEYS, valueBytes: VALUE_BYTES });
    await clients.fill();
    for (const operation of ['put', 'get'] as const) {
      await clients.run(operation, { inFlight: IN_FLIGHT, threads: 1, ...WARM_UP });
    }
    const figures = new Map<string, LoopFigure[]>();
    for (let round = 0; round < ROUNDS; round++) {
      console.error(`sync: '${sync}', round ${round + 1} of ${ROUNDS}`);
      for (const operation of MIXES) {
        for (const threads of THREADS) {
          const figure = await clients.run(operation, { inFlight: IN_FLIGHT, threads, durationMs: SLICE_MS });
          const key = `${operation} ${threads}`;
          figures.set(key, [...(figures.get(key) ?? []), figure]);
        }
      }
    }
    await clients.close();
    return [...figures].map(([key, all]) => [`sync: '${sync}'`, ...key.split(' '), ...cellsOf(medianOf(all))]);
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function cellsOf(figure: LoopFigure): string[] {
  const { perSecond, p50Ms, p99Ms, p999Ms, cpuMicros } = figure;
  return [count(perSecond), ms(p50Ms), ms(p99Ms), ms(p999Ms), cpuMicros.toFixed(1), coresOf(figure).toFixed(2)];
}
