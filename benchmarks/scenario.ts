/**
 * Measures one scenario of `npm run bench` in a process of its own, so that its memory is its own: the entry of the child.
 * Takes the scenario and the scale as JSON, sends the `Outcome`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '../src/base/assert.js';
import { open, type Store } from '../src/index.js';
import { ClientThreads } from './client-threads.js';
import { type FloorFigure, FloorRig } from './floor.js';
import { medianFloor, storedBytes } from './report.js';
import {
  CLOCK_BYTES,
  MAX_THREADS,
  N,
  NODES,
  ROUNDS,
  type Scenario,
  SLICE_MS,
  type Slice,
  slicesOf,
  TIMEOUT_MS,
  WARM_UP_MS,
} from './scenarios.js';
import { type LoopFigure, medianOf } from './workloads/closed-loop.js';
import { workMicros } from './workloads/work.js';

export interface Row extends Slice {
  readonly figure: LoopFigure;
  readonly floor: FloorFigure | undefined;
}

export interface Outcome {
  readonly scenario: Scenario;
  readonly rows: readonly Row[];
  /** Of a node, on average, in bytes. */
  readonly heap: number;
  readonly external: number;
  readonly stored: number;
  /** Of the process, in bytes: memory of its own, and pages of files that lie in memory. */
  readonly resident: { readonly own: number; readonly files: number };
  /** What the application's work on a value takes by itself ('get + work'), in microseconds. */
  readonly workMicros: number;
}

async function measureScenario(scenario: Scenario, scale: number): Promise<Outcome> {
  const { keys, valueBytes, sync } = scenario;
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const rig = await FloorRig.open({
    sync,
    nodes: NODES,
    n: N,
    // As many as a node of the store holds.
    keys: Math.ceil((keys * N) / NODES),
    valueBytes: valueBytes + CLOCK_BYTES,
  });
  try {
    const store = await open({ path: directory, nodes: NODES, n: N, sync, timeoutMs: TIMEOUT_MS });
    try {
      const clients = await ClientThreads.start(store, MAX_THREADS, { keys, valueBytes });
      await clients.fill();
      console.error('  filled');
      const rows = await measureRows(clients, rig, scenario, scale);
      const memory = await memoryOf(store);
      await clients.close();
      return { scenario, rows, ...memory, workMicros: workMicros() };
    } finally {
      await store.close();
    }
  } finally {
    await rig.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureRows(clients: ClientThreads, rig: FloorRig, scenario: Scenario, scale: number): Promise<Row[]> {
  const slices = slicesOf(scenario);
  const durationMs = SLICE_MS * scale;
  for (const operation of ['put', 'get'] as const) {
    await clients.run(operation, { inFlight: 256, threads: MAX_THREADS, durationMs: WARM_UP_MS * scale });
  }
  const figures: LoopFigure[][] = slices.map(() => []);
  const floors: { put: FloorFigure[]; get: FloorFigure[] } = { put: [], get: [] };
  for (let round = 0; round < ROUNDS; round++) {
    console.error(`  round ${round + 1} of ${ROUNDS}`);
    floors.put.push(await rig.put(durationMs));
    if (scenario.sync === 'none') floors.get.push(await rig.get(durationMs));
    for (const [at, { operation, ...slice }] of slices.entries()) {
      figures[at]!.push(await clients.run(operation, { ...slice, durationMs }));
    }
  }
  return slices.map((slice, at) => {
    const { operation } = slice;
    const floor = operation === 'put' || operation === 'get' ? medianFloor(floors[operation]) : undefined;
    return { ...slice, figure: medianOf(figures[at]!), floor };
  });
}

async function memoryOf(store: Store): Promise<Pick<Outcome, 'heap' | 'external' | 'stored' | 'resident'>> {
  const nodes = Object.values((await store.stats()).nodes);
  const mean = (name: string): number => nodes.reduce((sum, node) => sum + (node[name] ?? 0), 0) / nodes.length;
  return {
    heap: mean('heapUsedBytes'),
    external: mean('externalBytes'),
    stored: await storedBytes(store),
    resident: resident(),
  };
}

/** Pages of LMDB's files count as resident, but are the system's to take back: they are told apart. */
function resident(): { own: number; files: number } {
  const status = readFileSync('/proc/self/status', 'utf8');
  const bytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1_024;
  return { own: bytes('RssAnon') + bytes('RssShmem'), files: bytes('RssFile') };
}

assert(process.send !== undefined, 'a scenario is measured by a child process');
// Whoever asked may be gone: then nobody wants the figures, and others may be measuring.
const left = (): never => process.exit(1);
process.once('disconnect', left);
const { scenario, scale } = JSON.parse(process.argv[2]!) as { scenario: Scenario; scale: number };
const outcome = await measureScenario(scenario, scale);
process.off('disconnect', left);
process.send(outcome);
