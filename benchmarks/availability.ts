/**
 * What the application sees when something happens to a node: `npm run bench -- failover` crashes one and starts it
 * again, `npm run bench -- pause` lets one stand still for a second. Puts and gets arrive at a constant rate
 * (`open-loop.ts`), to every partition in turn, every put to a new key. QUORAL_BENCH_RATE sets the operations a second.
 *
 * Targets: with a node killed no request fails, and no gap is over 30 ms; with a thread standing still for a second no
 * request takes over 100 ms. At the default rate each partition has a put and a get every 16 ms, so a partition's gaps are
 * that long at the least.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from '../src/base/assert.js';
import { utf8 } from '../src/base/bytes.js';
import { bucketPrefix, keyHash, locateKey } from '../src/codec/key.js';
import { type Bucket, open, type Store } from '../src/index.js';
import { partitionOf } from '../src/ring/token.js';
import { count, machine, markdown, ms } from './report.js';
import { type Begun, type Ended, figureOf, openLoop } from './workloads/open-loop.js';

const NODES = 5;
const VICTIM = 'b';
const PARTITIONS = 64;
const BUCKET = 'bench';
const VALUE = new Uint8Array(100).fill(7);
const DEFAULT_PER_SECOND = 8_000;
const WARM_UP_MS = 4_000;
/** Keys that are there before, for each partition. */
const FOUND_KEYS = 16;

/** A stretch of the run, and what begins it. */
interface Phase {
  readonly name: string;
  readonly durationMs: number;
  act?(store: Store): Promise<void>;
}

const BEFORE: Phase = { name: 'before', durationMs: 5_000 };

export function failover(): Promise<void> {
  return measure([
    BEFORE,
    { name: `${VICTIM} crashed`, durationMs: 5_000, act: (store) => store.admin.crash(VICTIM) },
    { name: `${VICTIM} started again`, durationMs: 5_000, act: (store) => store.admin.start(VICTIM) },
  ]);
}

export function pause(): Promise<void> {
  return measure([
    BEFORE,
    { name: `${VICTIM} stands still`, durationMs: 1_000, act: (store) => store.admin.pause(VICTIM, 1_000) },
    { name: 'after', durationMs: 5_000 },
  ]);
}

async function measure(phases: readonly Phase[]): Promise<void> {
  const perSecond = Number(process.env.QUORAL_BENCH_RATE ?? DEFAULT_PER_SECOND);
  assert(perSecond > 0, 'QUORAL_BENCH_RATE is a number of operations a second');
  console.log(
    `${machine()}; ${NODES} nodes, N = 3, R = W = 2, sync: 'none'; ${count(perSecond / 2)} puts and as many gets a second\n`,
  );
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await open({ path: directory, nodes: NODES, partitions: PARTITIONS, sync: 'none' });
  try {
    const total = phases.reduce((sum, { durationMs }) => sum + durationMs, 0);
    const load = new AvailabilityLoad(store.bucket(BUCKET), perSecond * ((WARM_UP_MS + total) / 1_000));
    await load.fill();
    await openLoop({ perSecond, durationMs: WARM_UP_MS, begin: load.begin });
    const loop = openLoop({ perSecond, durationMs: total, begin: load.begin });
    const starts = await act(store, phases);
    report(phases, starts, total, await loop);
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Lets the phases begin when they are due. @returns when each began, in milliseconds */
async function act(store: Store, phases: readonly Phase[]): Promise<number[]> {
  const start = performance.now();
  const starts: number[] = [];
  const acts: Promise<void>[] = [];
  let dueMs = 0;
  for (const phase of phases) {
    const waitMs = dueMs - (performance.now() - start);
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    starts.push(performance.now() - start);
    // The next phase begins when it is due, however long this takes.
    if (phase.act !== undefined) acts.push(phase.act(store));
    dueMs += phase.durationMs;
  }
  await Promise.all(acts);
  return starts;
}

/** Puts and gets by turns, each kind to one partition after another. */
class AvailabilityLoad {
  private readonly bucket: Bucket<Uint8Array>;
  /** By partition. */
  private readonly toGet: string[][] = Array.from({ length: PARTITIONS }, () => []);
  private readonly toPut: string[][] = Array.from({ length: PARTITIONS }, () => []);
  private puts = 0;
  private gets = 0;

  constructor(bucket: Bucket<Uint8Array>, operations: number) {
    this.bucket = bucket;
    const prefix = bucketPrefix(0, utf8('default'), utf8(BUCKET));
    const puts = Math.ceil(operations / 2 / PARTITIONS) + 1;
    let missing = PARTITIONS * (puts + FOUND_KEYS);
    for (let i = 0; missing > 0; i++) {
      const key = `user${i}`;
      const partition = partitionOf(keyHash(locateKey(prefix, key)).high, PARTITIONS);
      const keys = this.toGet[partition]!.length < FOUND_KEYS ? this.toGet[partition]! : this.toPut[partition]!;
      if (keys.length === puts) continue;
      keys.push(key);
      missing--;
    }
  }

  /** Puts what is to be got. */
  async fill(): Promise<void> {
    for (const keys of this.toGet) await Promise.all(keys.map((key) => this.bucket.put(key, VALUE, { w: 'all' })));
  }

  readonly begin = (n: number): Begun => {
    if (n % 2 === 0) {
      const partition = this.puts++ % PARTITIONS;
      const key = this.toPut[partition]!.pop();
      assert(key !== undefined, 'there are keys for all puts');
      return { kind: 'put', partition, done: this.bucket.put(key, VALUE) };
    }
    const partition = this.gets++ % PARTITIONS;
    const key = this.toGet[partition]![Math.floor(this.gets / PARTITIONS) % FOUND_KEYS]!;
    return { kind: 'get', partition, done: this.get(key) };
  };

  private async get(key: string): Promise<void> {
    const { value } = await this.bucket.get(key);
    if (value?.length !== VALUE.length) throw new Error('a get did not give the value that was put');
  }
}

function report(phases: readonly Phase[], starts: readonly number[], total: number, ended: readonly Ended[]): void {
  const head = ['', 'phase', 'operations', 'failed', 'p50 ms', 'p99', 'p99.9', 'longest'];
  const rows: string[][] = [];
  for (const kind of ['put', 'get'] as const) {
    for (const [at, { name }] of phases.entries()) {
      const figure = figureOf(ended, kind, PARTITIONS, { fromMs: starts[at]!, toMs: starts[at + 1] ?? total });
      const { p50Ms, p99Ms, p999Ms, maxMs } = figure.latencies.summary();
      const failed = Object.entries(figure.failures).map(([code, times]) => `${code} × ${count(times)}`);
      rows.push([
        kind,
        name,
        count(figure.operations),
        failed.join(', ') || '0',
        ...[p50Ms, p99Ms, p999Ms, maxMs, figure.gapMs].map(ms),
        `${ms(figure.partitionGapMs)} (${figure.partition})`,
      ]);
    }
  }
  console.log(`${markdown([...head, 'longest gap', 'of one partition (which)'], rows, 2)}\n`);
}
