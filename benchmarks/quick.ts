/**
 * `npm run bench -- quick`: in under a minute, what a quorum costs beside LMDB alone, measured in the same run.
 * Rounds of floor and store are interleaved, so that a machine that slows down slows both. Two shares of the floor are
 * printed: of its throughput, and, steadier where other programs run, of its CPU time per operation.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type Store } from '../src/index.js';
import { type Floor, measureFloor } from './floor.js';
import { measureLanes } from './micro/lanes.js';
import { count, judged, machine, medianFloor, mib, ms, percent, storedBytes, targetOf } from './report.js';
import { closedLoop, type LoopFigure, medianOf } from './workloads/closed-loop.js';
import { KeyValueLoad } from './workloads/key-value-load.js';

const NODES = 5;
const KEYS = 10_000;
const VALUE_BYTES = 100;
const IN_FLIGHT: Readonly<Record<string, readonly number[]>> = {
  put: [1, 16, 256],
  get: [1, 16, 256],
  '95/5': [1, 16, 256],
};
const ROUNDS = 3;
const SLICE_MS = 500;
/** Six threads compile what they run, each for itself: before this is over, every figure is too high by half. */
const WARM_UP_MS = 3_500;
/** Beside other programs that takes longer: what counts is how often it ran. */
const WARM_UP_OPERATIONS = 60_000;

type Sync = 'none' | 'full';

export async function quick(): Promise<void> {
  console.log(
    `${NODES} nodes, N=3 R=W=2, ${KEYS} keys of ${VALUE_BYTES} B; ${machine()}; medians of ${ROUNDS} rounds of ${SLICE_MS} ms\n`,
  );
  for (const sync of ['none', 'full'] as const) await measureMode(sync);
  await reportLanes();
  console.log(`idle: ${(100 * (await measureIdle())).toFixed(2)} % of one core (target: ≤ 1 %)`);
}

async function measureMode(sync: Sync): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await open({ path: directory, nodes: NODES, sync });
  try {
    const load = new KeyValueLoad(store.bucket('bench'), { keys: KEYS, valueBytes: VALUE_BYTES });
    await load.fill();
    const operations: [string, () => Promise<void>][] = [['put', load.put]];
    // How writes are flushed does not touch reads: once is enough.
    if (sync === 'none') operations.push(['get', load.get], ['95/5', load.operation('95/5')]);
    const figures = new Map<string, LoopFigure[]>();
    const floors: Floor[] = [];
    for (const [, operation] of operations.slice(0, 2)) {
      await closedLoop(operation, { inFlight: 256, durationMs: WARM_UP_MS, atLeast: WARM_UP_OPERATIONS });
    }
    for (let round = 0; round < ROUNDS; round++) {
      console.error(`sync: '${sync}', round ${round + 1} of ${ROUNDS}`);
      floors.push(await measureFloor({ sync, durationMs: SLICE_MS }));
      for (const [name, operation] of operations) {
        for (const inFlight of IN_FLIGHT[name] ?? []) {
          const figure = await closedLoop(operation, { inFlight, durationMs: SLICE_MS });
          const key = `${name} ${inFlight}`;
          figures.set(key, [...(figures.get(key) ?? []), figure]);
        }
      }
    }
    report(sync, figures, floors);
    await reportHedges(store);
    await reportMemory(store);
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function report(sync: Sync, figures: ReadonlyMap<string, LoopFigure[]>, floors: readonly Floor[]): void {
  console.log(`sync: '${sync}'`);
  console.log('  operation  in flight   per second   of floor   p50 ms   p99 ms  p99.9 ms   µs CPU   of floor');
  for (const [key, all] of figures) {
    const [name = '', inFlight = ''] = key.split(' ');
    const figure = medianOf(all);
    const floor = name === 'put' || name === 'get' ? medianFloor(floors.map((one) => one[name])) : undefined;
    const share = floor === undefined ? '' : percent(figure.perSecond / floor.perSecond);
    const cpuShare = floor === undefined ? '' : percent(floor.cpuMicros / figure.cpuMicros);
    const target = targetOf(name, sync, Number(inFlight));
    const verdict = target === undefined || floor === undefined ? '' : `  ${judged(target, figure, floor)}`;
    console.log(
      `  ${name.padEnd(9)} ${inFlight.padStart(10)} ${count(figure.perSecond).padStart(12)} ${share.padStart(10)} ` +
        `${ms(figure.p50Ms).padStart(8)} ${ms(figure.p99Ms).padStart(8)} ${ms(figure.p999Ms).padStart(9)} ${figure.cpuMicros.toFixed(1).padStart(8)} ${cpuShare.padStart(10)}${verdict}`,
    );
  }
  for (const name of ['put', 'get'] as const) {
    const { perSecond, cpuMicros } = medianFloor(floors.map((one) => one[name]));
    console.log(
      `  floor ${name.padEnd(14)} ${count(perSecond).padStart(12)} ${''.padStart(38)} ${cpuMicros.toFixed(1).padStart(8)}`,
    );
  }
}

/** Requests that were backed up for being slow, and what became hints: over the whole run, warm-up included. */
async function reportHedges(store: Store): Promise<void> {
  const nodes = Object.values((await store.stats()).nodes);
  const perThousand = (what: string): string => {
    const sum = (name: string): number => nodes.reduce((total, node) => total + (node[name] ?? 0), 0);
    return ((1_000 * sum(what)) / Math.max(1, sum('puts'))).toFixed(1);
  };
  console.log(
    `  of 1,000 puts: ${perThousand('hedges')} hedges (those of gets among them), ${perThousand('hintsKept')} hints`,
  );
}

async function reportMemory(store: Store): Promise<void> {
  const { rss, arrayBuffers } = process.memoryUsage();
  console.log(
    `  memory: ${mib(rss)} resident, ${mib(arrayBuffers)} in buffers; ${mib(await storedBytes(store))} on disk\n`,
  );
}

/** The share of one core that an idle store takes. */
export async function measureIdle(): Promise<number> {
  const store = await open({ nodes: NODES });
  try {
    await store.bucket('bench').put('k', new Uint8Array(1));
    // Idleness has no event to wait for: a second of it is what is measured, after one in which what ran before ends.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const cpu = process.cpuUsage();
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const used = process.cpuUsage(cpu);
    return (used.user + used.system) / 1_000 / (performance.now() - start);
  } finally {
    await store.close();
  }
}

async function reportLanes(): Promise<void> {
  console.log('request and reply of 100 B between actors on two threads, 4 workers');
  for (const { inFlight, perSecond, cpuMicros } of await measureLanes(SLICE_MS / 1_000)) {
    const cpu = cpuMicros.toFixed(2).padStart(47);
    console.log(`            ${String(inFlight).padStart(10)} ${count(perSecond).padStart(12)}${cpu}`);
  }
  console.log();
}
