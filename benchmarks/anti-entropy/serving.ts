/**
 * What clients and event loops feel of anti-entropy, under a constant rate of puts and gets, and how fast a lost replica
 * comes back. After a warm-up in which comparing and building have run, too, each span of background work is set beside a
 * quiet one right before it or behind it: what else runs on the machine differs more from minute to minute than what is to be
 * measured. Ratios are those of such pairs: their median, the lowest and the highest.
 *
 * - **Clients**: p99 of puts and gets of a span. Target: within 1.5 × of quiet times, whatever goes on.
 * - **Event loops**: how late a timer of 5 ms comes in each node's thread, of each node by itself (`watched-worker.ts`).
 *   Target: while trees are built p99 within 1.2 ×.
 * - **Nothing**: quiet times beside quiet times, which says what the other ratios are worth. **Exchanges**: every pair of
 *   replicas is compared again as soon as all have been. **Rebuilding**: every tree is built again.
 * - **Refill**: a node is stopped, its directory deleted, and the node started again: until no replica is left to refill.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from '../../src/index.js';
import { openWith } from '../../src/store/open.js';
import { count, markdown, middle, ms } from '../report.js';
import { openLoop } from '../workloads/open-loop.js';
import { STEADY_AFTER_MS } from '../workloads/steady.js';
import { EvenLoad } from './even-load.js';
import { type Span, type SpanOptions, spanOf } from './span.js';
import { WATCHED_WORKER, WatchedLoops } from './watched-loops.js';

const NODES = 5;
const VICTIM = 'b';
const VALUE_BYTES = 100;
const SPAN_MS = 3_000;
const ROUNDS = 12;
const REFILLS = 3;
/** A refill that takes longer is reported as far as it has come. */
const REFILL_MS = 30_000;
const LOOK_MS = 100;
/** So that nothing is compared but what is called for. */
const NEVER_MS = 604_800_000;

const BESIDE = ['nothing', 'exchanges', 'rebuilding'] as const;
const WORKS = [...BESIDE, 'refill'] as const;
type Work = (typeof WORKS)[number];

/** Background work, and the quiet time beside it. */
interface Pair {
  readonly quiet: Span;
  readonly busy: Span;
}

export async function serving(keys: number, perSecond: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const store = await openWith(
    { path: directory, nodes: NODES, sync: 'none', exchangeIntervalMs: NEVER_MS },
    { entry: WATCHED_WORKER },
  );
  const loops = new WatchedLoops();
  try {
    const load = new EvenLoad(store.bucket('bench'), keys, VALUE_BYTES);
    const under: SpanOptions = { store, loops, load, perSecond, nodes: NODES };
    await load.fill();
    await store.admin.waitForExchange();
    for (const { name } of store.nodes()) await store.admin.rebuildTrees(name);
    await openLoop({ perSecond, durationMs: STEADY_AFTER_MS, begin: load.begin });
    for (const work of BESIDE) await busily(under, work);
    const pairs: Record<Work, Pair[]> = { nothing: [], exchanges: [], rebuilding: [], refill: [] };
    for (let round = 0; round < ROUNDS; round++) {
      console.error(`  round ${round + 1} of ${ROUNDS}`);
      for (const work of BESIDE) pairs[work].push(await pairOf(under, work, round));
    }
    const quietly = await refill(store, directory, keys, undefined);
    const underLoad: string[] = [];
    for (let round = 0; round < REFILLS; round++) {
      console.error(`  refill ${round + 1} of ${REFILLS}`);
      const quiet = await spanOf(under, pause(SPAN_MS));
      const refilled = await refill(store, directory, keys, async (until) => {
        pairs.refill.push({ quiet, busy: await spanOf(under, until) });
      });
      underLoad.push(refilled);
    }
    const spans = `${ROUNDS} pairs of spans of ${SPAN_MS / 1_000} s, ${REFILLS} refills`;
    console.log(`
${count(keys)} keys of ${VALUE_BYTES} B in ${NODES} nodes, N = 3, R = W = 2, ${count(perSecond / 2)} puts and as many gets a second; ${spans}; p99 in ms are medians, ratios medians (lowest to highest)

${clientTable(pairs)}

${loopTable(pairs, store)}

refill of a lost node, without any load: ${quietly}
${underLoad.map((one) => `refill of a lost node, under that load:  ${one}`).join('\n')}`);
  } finally {
    loops.close();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** A quiet span and one with background work, now the one and now the other before. */
async function pairOf(under: SpanOptions, work: Work, round: number): Promise<Pair> {
  if (round % 2 === 0) return { quiet: await spanOf(under, pause(SPAN_MS)), busy: await busily(under, work) };
  const busy = await busily(under, work);
  return { quiet: await spanOf(under, pause(SPAN_MS)), busy };
}

async function busily(under: SpanOptions, work: Work): Promise<Span> {
  const background = new Background(under.store, work);
  const span = await spanOf(under, pause(SPAN_MS));
  await background.stop();
  return span;
}

/** What goes on beside the load, over and over. */
class Background {
  private stopped = false;
  private readonly ended: Promise<void>;

  constructor(store: Store, work: Work) {
    this.ended = this.run(store, work);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.ended;
  }

  private async run(store: Store, work: Work): Promise<void> {
    while (!this.stopped) {
      if (work === 'nothing') await pause(LOOK_MS);
      else if (work === 'exchanges') await store.admin.waitForExchange();
      else await Promise.all(store.nodes().map(({ name }) => store.admin.rebuildTrees(name)));
    }
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
  const { left, seconds } = await watching;
  const { storedEntries } = (await store.stats()).nodes[VICTIM]!;
  const all = left === 0 ? 'whole' : `${left} partitions left`;
  const rate = (await exchangeBytes(store)) - moved;
  return `${all} after ${seconds.toFixed(1)} s, ${count(storedEntries!)} of about ${count((keys * 3) / NODES)} records; ${mib(rate / seconds)} MiB/s moved, its file had ${mib(bytes)} MiB`;
}

/** Resolves with the number of partitions that are left to refill, and how long it took. */
async function refilled(store: Store, from: number): Promise<{ left: number; seconds: number }> {
  for (;;) {
    const { nodes } = await store.stats();
    const left = nodes[VICTIM]?.partitionsToRefill ?? -1;
    const tookMs = performance.now() - from;
    if (left === 0 || tookMs > REFILL_MS) return { left, seconds: tookMs / 1_000 };
    await pause(LOOK_MS);
  }
}

async function exchangeBytes(store: Store): Promise<number> {
  const { nodes } = await store.stats();
  return Object.values(nodes).reduce((sum, node) => sum + (node.exchangeBytes ?? 0), 0);
}

function clientTable(pairs: Readonly<Record<Work, readonly Pair[]>>): string {
  const rows = WORKS.map((work) => {
    const all = pairs[work];
    const rate = (of: (span: Span) => number): string => {
      return (sum(all.map(({ busy }) => of(busy))) / sum(all.map(({ busy }) => busy.seconds))).toFixed(0);
    };
    return [
      work,
      ...columnsOf(all, ({ put }) => put.quantile(0.99)),
      ...columnsOf(all, ({ get }) => get.quantile(0.99)),
      String(sum(all.map(({ busy }) => busy.failed))),
      `${rate(({ exchanges }) => exchanges)} and ${rate(({ treesBuilt }) => treesBuilt)}`,
      ...(['applicationCores', 'nodeCores', 'otherCores'] as const).map((cores) => {
        const of = (span: Span): number => span[cores];
        return `${middle(all.map(({ quiet }) => of(quiet))).toFixed(2)} → ${middle(all.map(({ busy }) => of(busy))).toFixed(2)}`;
      }),
    ];
  });
  const of = (what: string): string[] => [`${what} p99 quiet`, 'then', 'ratio'];
  const rest = [
    'failed',
    'exchanges and trees a second',
    'cores busy: application',
    'nodes',
    'hashing pool and helpers',
  ];
  return markdown(['', ...of('put'), ...of('get'), ...rest], rows, 1);
}

function loopTable(pairs: Readonly<Record<Work, readonly Pair[]>>, store: Store): string {
  const rows = WORKS.flatMap((work) => {
    const columns = (node: number): string[] => columnsOf(pairs[work], (span) => lateness(span, node));
    const all = store
      .nodes()
      .flatMap((_, node) => pairs[work].map((pair) => ratioOf(pair, (span) => lateness(span, node))));
    return [
      ...store.nodes().map(({ name }, node) => [work, name, ...columns(node)]),
      [work, 'all', '', '', `${middle(all).toFixed(2)} ×`],
    ];
  });
  return markdown(['', 'node', 'loop p99 quiet', 'then', 'ratio'], rows, 2);
}

/** p99 of how late a node's event loop was. */
function lateness({ loops }: Span, node: number): number {
  return loops.get(node)!.late.quantile(0.99);
}

function ratioOf({ quiet, busy }: Pair, of: (span: Span) => number): number {
  return of(busy) / of(quiet);
}

/** Medians of both sides, and of the ratios, with their range. */
function columnsOf(pairs: readonly Pair[], of: (span: Span) => number): string[] {
  const ratios = pairs.map((pair) => ratioOf(pair, of));
  const range = `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`;
  return [
    ms(middle(pairs.map(({ quiet }) => of(quiet)))),
    ms(middle(pairs.map(({ busy }) => of(busy)))),
    `${middle(ratios).toFixed(2)} × (${range})`,
  ];
}

function pause(forMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, forMs));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
