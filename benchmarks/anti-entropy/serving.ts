/**
 * What clients and event loops feel of anti-entropy, under a constant rate of puts and gets, and how fast a lost replica
 * comes back.
 *
 * - **Loop delay**: how long the slowest of all nodes' threads takes to answer a call on its control port, which its event
 *   loop serves like everything else; one after another, all the time. Targets: p99 while trees are built within 1.2 ×, of
 *   clients with exchanges within 1.5 × of quiet times.
 * - **Exchanges on**: every pair of replicas is compared again as soon as all have been. **Rebuilding**: every tree is.
 * - **Refill**: a node is stopped, its directory deleted, and the node started again: until no replica is left to refill.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Bucket, open, type Store } from '../../src/index.js';
import { Histogram } from '../../src/metrics/histogram.js';
import { count, markdown, ms } from '../report.js';
import { type Begun, type Ended, openLoop } from '../workloads/open-loop.js';

const NODES = 5;
const VICTIM = 'b';
const VALUE = new Uint8Array(100).fill(7);
const WARM_UP_MS = 3_000;
const PHASE_MS = 4_000;
const ROUNDS = 3;
/** A refill that takes longer is reported as far as it has come. */
const REFILL_MS = 40_000;
const LOOK_MS = 100;
/** So that nothing is compared but what is called for. */
const NEVER_MS = 604_800_000;

const PHASES = ['quiet', 'exchanges', 'rebuilding'] as const;
type PhaseName = (typeof PHASES)[number] | 'refill';

interface Felt {
  readonly put: Histogram;
  readonly get: Histogram;
  readonly loop: Histogram;
  failed: number;
}

export async function serving(keys: number, perSecond: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await open({ path: directory, nodes: NODES, sync: 'none', exchangeIntervalMs: NEVER_MS });
  try {
    const load = new Load(store.bucket('bench'), keys);
    await load.fill();
    await store.admin.waitForExchange();
    await openLoop({ perSecond, durationMs: WARM_UP_MS, begin: load.begin });
    const felt = new Map<PhaseName, Felt>();
    for (let round = 0; round < ROUNDS; round++) {
      console.error(`  round ${round + 1} of ${ROUNDS}`);
      for (const phase of PHASES) {
        const work = new Background(store, phase);
        await feel(felt, phase, store, openLoop({ perSecond, durationMs: PHASE_MS, begin: load.begin }));
        await work.stop();
      }
    }
    console.error('  refilling');
    const quietly = await refill(store, directory, keys, undefined);
    const busily = await refill(store, directory, keys, (until) => {
      return feel(felt, 'refill', store, loadUntil(until, perSecond, load));
    });
    console.log(`
${count(keys)} keys of ${VALUE.length} B in ${NODES} nodes, N = 3, R = W = 2, ${count(perSecond / 2)} puts and as many gets a second, ${ROUNDS} rounds of ${PHASE_MS / 1_000} s each

${table(felt)}

refill of a lost node, without any load: ${quietly}
refill of a lost node, under that load:  ${busily}`);
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What goes on beside the load, over and over. */
class Background {
  private stopped = false;
  private readonly ended: Promise<void>;

  constructor(store: Store, phase: PhaseName) {
    this.ended = this.run(store, phase);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.ended;
  }

  private async run(store: Store, phase: PhaseName): Promise<void> {
    while (!this.stopped && phase !== 'quiet') {
      if (phase === 'exchanges') await store.admin.waitForExchange();
      else for (const { name } of store.nodes()) await store.admin.rebuildTrees(name);
    }
  }
}

/** Adds what was felt while the loop ran. */
async function feel(felt: Map<PhaseName, Felt>, phase: PhaseName, store: Store, loop: Promise<Ended[]>): Promise<void> {
  const found = felt.get(phase) ?? { put: new Histogram(), get: new Histogram(), loop: new Histogram(), failed: 0 };
  felt.set(phase, found);
  let running = true;
  const probing = (async () => {
    while (running) {
      const from = performance.now();
      await store.stats();
      found.loop.record(performance.now() - from);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  const ended = await loop;
  running = false;
  await probing;
  for (const { kind, failure, dueMs, endedMs } of ended) {
    if (failure === undefined) found[kind].record(endedMs - dueMs);
    else found.failed++;
  }
}

/** @param loaded - runs a load until the promise that it is given ends; undefined: none */
async function refill(
  store: Store,
  directory: string,
  keys: number,
  loaded: ((until: Promise<unknown>) => Promise<void>) | undefined,
): Promise<string> {
  const { nodes } = await store.stats();
  const bytes = nodes[VICTIM]!.storedBytes!;
  await store.admin.stop(VICTIM);
  rmSync(join(directory, VICTIM), { recursive: true });
  await store.admin.start(VICTIM);
  const from = performance.now();
  const moved = await exchangeBytes(store);
  const watching = refilled(store, from);
  await Promise.all([watching, loaded?.(watching)]);
  const left = await watching;
  const seconds = (performance.now() - from) / 1_000;
  const { storedEntries } = (await store.stats()).nodes[VICTIM]!;
  const all = left === 0 ? 'whole' : `${left} partitions left`;
  const rate = (await exchangeBytes(store)) - moved;
  return `${all} after ${seconds.toFixed(1)} s, ${count(storedEntries!)} of about ${count((keys * 3) / NODES)} records; ${mib(rate / seconds)} MiB/s moved, its file had ${mib(bytes)} MiB`;
}

/** Resolves with the number of partitions that are left to refill. */
async function refilled(store: Store, from: number): Promise<number> {
  for (;;) {
    const { nodes } = await store.stats();
    const left = nodes[VICTIM]?.partitionsToRefill ?? -1;
    if (left === 0 || performance.now() - from > REFILL_MS) return left;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

async function loadUntil(until: Promise<unknown>, perSecond: number, load: Load): Promise<Ended[]> {
  const all: Ended[] = [];
  let running = true;
  void until.then(() => {
    running = false;
  });
  while (running) all.push(...(await openLoop({ perSecond, durationMs: 1_000, begin: load.begin })));
  return all;
}

async function exchangeBytes(store: Store): Promise<number> {
  const { nodes } = await store.stats();
  return Object.values(nodes).reduce((sum, node) => sum + (node.exchangeBytes ?? 0), 0);
}

/** Puts and gets by turns, over all keys one after another. */
class Load {
  private readonly bucket: Bucket<Uint8Array>;
  private readonly keys: readonly string[];
  private readonly contexts: (string | undefined)[];
  private next = 0;

  constructor(bucket: Bucket<Uint8Array>, keys: number) {
    this.bucket = bucket;
    this.keys = Array.from({ length: keys }, (_, i) => `user${i}`);
    this.contexts = new Array(keys).fill(undefined);
  }

  async fill(): Promise<void> {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < this.keys.length) await this.put(next++);
    };
    await Promise.all(Array.from({ length: 128 }, lane));
  }

  readonly begin = (n: number): Begun => {
    const at = (this.next++ * 7_919) % this.keys.length;
    if (n % 2 === 0) return { kind: 'put', partition: 0, done: this.put(at) };
    return { kind: 'get', partition: 0, done: this.get(at) };
  };

  private async put(at: number): Promise<void> {
    const causalContext = this.contexts[at];
    const receipt = await this.bucket.put(this.keys[at]!, VALUE, { causalContext });
    this.contexts[at] = receipt.causalContext;
  }

  private async get(at: number): Promise<void> {
    const { siblings } = await this.bucket.get(this.keys[at]!);
    if (siblings.length === 0) throw new Error('a get did not give the value that was put');
  }
}

function table(felt: ReadonlyMap<PhaseName, Felt>): string {
  const quiet = felt.get('quiet')!;
  const rows = [...felt].map(([phase, { put, get, loop, failed }]) => [
    phase,
    ...columnsOf(put, quiet.put),
    ...columnsOf(get, quiet.get),
    ...columnsOf(loop, quiet.loop),
    String(failed),
  ]);
  const of = (what: string) => [`${what} p50 ms`, 'p99', 'of quiet'];
  return markdown(['', ...of('put'), ...of('get'), ...of('loop'), 'failed'], rows, 1);
}

function columnsOf(histogram: Histogram, quiet: Histogram): string[] {
  const { p50Ms, p99Ms } = histogram.summary();
  return [ms(p50Ms), ms(p99Ms), `${(p99Ms / quiet.summary().p99Ms).toFixed(2)} ×`];
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
