/**
 * `npm run bench -- turns`: where requests wait under a mixed load: how long the turns of the nodes' threads are, and how
 * much of them is the commit. 50/50, 256 in flight, one application thread, 10,000 keys of 100 B; five nodes with and without
 * flushes, and a single node that has the disk for itself. Half a minute.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BroadcastChannel } from 'node:worker_threads';
import { SeededRandom, unit } from '../src/base/random.js';
import type { Store } from '../src/index.js';
import { Histogram } from '../src/metrics/histogram.js';
import { openWith } from '../src/store/open.js';
import { machine, markdown, ms, percent } from './report.js';
import { TIMEOUT_MS } from './scenarios.js';
import { TURNS_CHANNEL, type Turns, type TurnsOrder } from './turns-channel.js';
import { closedLoop } from './workloads/closed-loop.js';
import { KeyValueLoad } from './workloads/key-value-load.js';

const ENTRY = new URL('./turns-worker.js', import.meta.url);
const KEYS = 10_000;
const VALUE_BYTES = 100;
const IN_FLIGHT = 256;
const WARM_UP = { inFlight: IN_FLIGHT, durationMs: 3_000, atLeast: 40_000 };
const MEASURED_MS = 3_000;

interface Setting {
  readonly name: string;
  readonly nodes: number;
  readonly n: number;
  readonly sync: 'none' | 'full';
}

const SETTINGS: readonly Setting[] = [
  { name: "5 nodes, N = 3, `sync: 'none'`", nodes: 5, n: 3, sync: 'none' },
  { name: "5 nodes, N = 3, `sync: 'full'`", nodes: 5, n: 3, sync: 'full' },
  { name: "1 node, N = 1, `sync: 'full'`", nodes: 1, n: 1, sync: 'full' },
];

export async function turns(): Promise<void> {
  console.log(`${machine()}; 50/50, ${KEYS} keys of ${VALUE_BYTES} B, ${IN_FLIGHT} in flight; milliseconds\n`);
  const rows: string[][] = [];
  for (const setting of SETTINGS) {
    console.error(setting.name);
    rows.push([setting.name, ...(await measure(setting))]);
  }
  const quantiles = ['puts', 'gets', 'turns', 'commits'].flatMap((what) => [`${what} p50`, 'p99']);
  console.log(markdown(['', ...quantiles, 'a thread is in turns', 'in commits'], rows, 1));
}

async function measure({ nodes, n, sync }: Setting): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await openWith({ path: directory, nodes, n, sync, timeoutMs: TIMEOUT_MS }, { entry: ENTRY });
  const channel = new BroadcastChannel(TURNS_CHANNEL);
  try {
    return await measureStore(store, channel);
  } finally {
    channel.close();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureStore(store: Store, channel: BroadcastChannel): Promise<string[]> {
  const load = new KeyValueLoad(store.bucket('bench'), { keys: KEYS, valueBytes: VALUE_BYTES });
  await load.fill();
  await closedLoop(load.operation('50/50'), WARM_UP);
  const puts = new Histogram();
  const gets = new Histogram();
  const random = new SeededRandom(1);
  channel.postMessage('begin' satisfies TurnsOrder);
  const mixed = () => (unit(random) < 0.5 ? timed(load.put, puts) : timed(load.get, gets));
  await closedLoop(mixed, { inFlight: IN_FLIGHT, durationMs: MEASURED_MS });
  const all = await toldBy(store.nodes().length, channel);
  const turns = new Histogram();
  const commits = new Histogram();
  for (const each of all) {
    turns.add(each.turns);
    commits.add(each.commits);
  }
  const shareOf = (field: 'inTurnsMs' | 'inCommitsMs') =>
    percent(all.reduce((sum, each) => sum + each[field] / each.elapsedMs, 0) / all.length);
  const quantiles = [puts, gets, turns, commits].flatMap((one) => [ms(one.quantile(0.5)), ms(one.quantile(0.99))]);
  return [...quantiles, shareOf('inTurnsMs'), shareOf('inCommitsMs')];
}

async function timed(operation: () => Promise<void>, latencies: Histogram): Promise<void> {
  const before = performance.now();
  await operation();
  latencies.record(performance.now() - before);
}

function toldBy(nodes: number, channel: BroadcastChannel): Promise<Turns[]> {
  const told: Turns[] = [];
  return new Promise((resolve) => {
    channel.onmessage = (event) => {
      told.push((event as { data: unknown }).data as Turns);
      if (told.length === nodes) resolve(told);
    };
    channel.postMessage('tell' satisfies TurnsOrder);
  });
}
