/**
 * `npm run bench -- quick`: in under a minute, what a quorum costs beside LMDB alone, measured in the same run.
 * Rounds of floor and store are interleaved, so that a machine that slows down slows both. Two shares of the floor are
 * printed: of its throughput, and, steadier where other programs run, of its CPU time per operation.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type Store } from '../src/index.js';
import { type Floor, type FloorFigure, measureFloor } from './floor.js';
import { measureLanes } from './micro/lanes.js';
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

type Sync = 'none' | 'full';

/** Throughput at 256 in flight as a share of the floor, and p99: the targets. */
const TARGETS: Readonly<Record<string, { readonly share: number; readonly p99Ms: number }>> = {
  'put none': { share: 0.65, p99Ms: 6 },
  'put full': { share: 0.85, p99Ms: 10 },
  'get none': { share: 0.4, p99Ms: 3 },
};

export async function quick(): Promise<void> {
  console.log(
    `${NODES} nodes, N=3 R=W=2, ${KEYS} keys of ${VALUE_BYTES} B; Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}; medians of ${ROUNDS} rounds of ${SLICE_MS} ms\n`,
  );
  for (const sync of ['none', 'full'] as const) await measureMode(sync);
  await reportLanes();
  await measureIdle();
}

async function measureMode(sync: Sync): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await open({ path: directory, nodes: NODES, sync });
  try {
    const load = new KeyValueLoad(store.bucket('bench'), { keys: KEYS, valueBytes: VALUE_BYTES });
    await load.fill();
    const operations: [string, () => Promise<void>][] = [['put', load.put]];
    // How writes are flushed does not touch reads: once is enough.
    if (sync === 'none') operations.push(['get', load.get], ['95/5', load.mix(0.05)]);
    const figures = new Map<string, LoopFigure[]>();
    const floors: Floor[] = [];
    for (const [, operation] of operations.slice(0, 2)) {
      await closedLoop(operation, { inFlight: 256, durationMs: WARM_UP_MS });
    }
    for (let round = 0; round < ROUNDS; round++) {
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
    const floor = name === 'put' || name === 'get' ? floorOf(floors, name) : undefined;
    const share = floor === undefined ? '' : percent(figure.perSecond / floor.perSecond);
    const cpuShare = floor === undefined ? '' : percent(floor.cpuMicros / figure.cpuMicros);
    const target = inFlight === '256' ? TARGETS[`${name} ${sync}`] : undefined;
    const judged =
      target === undefined || floor === undefined
        ? ''
        : figure.perSecond / floor.perSecond >= target.share && figure.p99Ms <= target.p99Ms
          ? '  target met'
          : `  target: ≥ ${100 * target.share} %, p99 ≤ ${target.p99Ms} ms`;
    console.log(
      `  ${name.padEnd(9)} ${inFlight.padStart(10)} ${count(figure.perSecond).padStart(12)} ${share.padStart(10)} ` +
        `${ms(figure.p50Ms)} ${ms(figure.p99Ms)} ${ms(figure.p999Ms).padStart(9)} ${figure.cpuMicros.toFixed(1).padStart(8)} ${cpuShare.padStart(10)}${judged}`,
    );
  }
  for (const name of ['put', 'get'] as const) {
    const { perSecond, cpuMicros } = floorOf(floors, name);
    console.log(
      `  floor ${name.padEnd(14)} ${count(perSecond).padStart(12)} ${''.padStart(38)} ${cpuMicros.toFixed(1).padStart(8)}`,
    );
  }
}

async function reportMemory(store: Store): Promise<void> {
  const { nodes } = await store.stats();
  const stored = Object.values(nodes).reduce((sum, node) => sum + (node.storedBytes ?? 0), 0);
  const { rss, arrayBuffers } = process.memoryUsage();
  console.log(`  memory: ${mib(rss)} resident, ${mib(arrayBuffers)} in buffers; ${mib(stored)} on disk\n`);
}

async function measureIdle(): Promise<void> {
  const store = await open({ nodes: NODES });
  try {
    await store.bucket('bench').put('k', new Uint8Array(1));
    // Idleness has no event to wait for: a second of it is what is measured, after one in which what ran before ends.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const cpu = process.cpuUsage();
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const used = process.cpuUsage(cpu);
    const share = (used.user + used.system) / 1_000 / (performance.now() - start);
    console.log(`idle: ${(100 * share).toFixed(2)} % of one core (target: ≤ 1 %)`);
  } finally {
    await store.close();
  }
}

/** Medians of the rounds. */
function floorOf(floors: readonly Floor[], name: 'put' | 'get'): FloorFigure {
  return {
    perSecond: middle(floors.map((one) => one[name].perSecond)),
    cpuMicros: middle(floors.map((one) => one[name].cpuMicros)),
  };
}

async function reportLanes(): Promise<void> {
  console.log('request and reply of 100 B between actors on two threads, 4 workers');
  for (const { inFlight, perSecond, cpuMicros } of await measureLanes(SLICE_MS / 1_000)) {
    const cpu = cpuMicros.toFixed(2).padStart(47);
    console.log(`            ${String(inFlight).padStart(10)} ${count(perSecond).padStart(12)}${cpu}`);
  }
  console.log();
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)]!;
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function ms(value: number): string {
  return value.toFixed(2).padStart(8);
}

function mib(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
