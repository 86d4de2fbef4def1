/**
 * What trees cost a put, by who bears it:
 *
 * - **the put's own way**: the application's thread and the nodes' threads, which note what changes and add up what comes
 *   of it. Target: at most 3 % more;
 * - **others**: the hashing pool, which folds changes in, and V8's helpers, which collect garbage: off every put's way.
 *
 * One store, all of whose replicas have trees. Noting is switched off and on by turns (`noting-worker.ts`), so that whatever
 * else runs on the machine, and whatever way the store's memory lies, meets both alike: two stores differ by more than is to be
 * measured. A pair is one round with and one without; what it says is their ratio. CPU time of each thread as Linux tells it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BroadcastChannel } from 'node:worker_threads';
import { openWith } from '../../src/store/open.js';
import { middle } from '../report.js';
import { KeyValueLoad } from '../workloads/key-value-load.js';
import { STEADY_AFTER_MS } from '../workloads/steady.js';
import { threadCpuMs } from '../workloads/thread-cpu.js';
import { NOTING_CHANNEL, NOTING_WORKER, WatchedLoops } from './watched-loops.js';

const NODES = 5;
const KEYS = 10_000;
const VALUE_BYTES = 100;
const PAIRS = 40;
const PUTS = 8_000;
const IN_FLIGHT = 256;
/** So that no comparison takes part. */
const NEVER_MS = 604_800_000;

/** CPU time of a round, microseconds a put. */
interface Cost {
  readonly way: number;
  readonly others: number;
  readonly process: number;
}

interface Pair {
  readonly without: Cost;
  readonly noting: Cost;
}

export async function putPath(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const options = { path: directory, nodes: NODES, sync: 'none', exchangeIntervalMs: NEVER_MS } as const;
  const store = await openWith(options, { entry: NOTING_WORKER });
  const rounds = new Rounds(new KeyValueLoad(store.bucket('bench'), { keys: KEYS, valueBytes: VALUE_BYTES }));
  try {
    await rounds.load.fill();
    for (const { name } of store.nodes()) await store.admin.rebuildTrees(name);
    const from = performance.now();
    while (performance.now() - from < STEADY_AFTER_MS) await rounds.run(2);
    const pairs = await rounds.run(PAIRS);
    const { counters } = (await store.stats()).total;
    const line = (name: string, of: (pair: Pair) => Cost): string => {
      const costs = (['way', 'others', 'process'] as const).map((who) => mean(pairs.map((pair) => of(pair)[who])));
      return `  ${name.padEnd(26)}${costs.map((cost) => cost.toFixed(2).padStart(10)).join('')}`;
    };
    console.log(`
puts of ${VALUE_BYTES} B, ${IN_FLIGHT} in flight, ${PAIRS} pairs of rounds of ${PUTS} each, ${counters.treesBuilt} trees built: mean CPU, µs a put
  ${''.padEnd(26)}   its way    others   process
${line('nothing noted', ({ without }) => without)}
${line('a tree for each replica', ({ noting }) => noting)}
trees make the way of a put ${spreadOf(pairs, 'way')} dearer (target: at most +3 %), the process ${spreadOf(pairs, 'process')}: median of the pairs' ratios, quartiles`);
  } finally {
    rounds.close();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

class Rounds {
  readonly load: KeyValueLoad;
  private readonly loops = new WatchedLoops();
  private readonly channel = new BroadcastChannel(NOTING_CHANNEL);

  constructor(load: KeyValueLoad) {
    this.load = load;
  }

  close(): void {
    this.loops.close();
    this.channel.close();
  }

  /** So many pairs, now the one and now the other round first. */
  async run(count: number): Promise<Pair[]> {
    const pairs: Pair[] = [];
    for (let i = 0; i < count; i++) {
      if (i % 10 === 0) console.error(`  pair ${i + 1} of ${count}`);
      const first = await this.round(i % 2 === 0);
      const second = await this.round(i % 2 !== 0);
      pairs.push(i % 2 === 0 ? { noting: first, without: second } : { noting: second, without: first });
    }
    return pairs;
  }

  private async round(notes: boolean): Promise<Cost> {
    this.channel.postMessage(notes);
    // They hear it about when they answer: a few writes more or less do not matter.
    const nodesBefore = await this.nodesMs();
    const ownBefore = threadCpuMs() ?? 0;
    const usage = process.cpuUsage();
    let left = PUTS;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await this.load.put();
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    const { user, system } = process.cpuUsage(usage);
    const own = (threadCpuMs() ?? 0) - ownBefore;
    const way = ((own + (await this.nodesMs()) - nodesBefore) * 1_000) / PUTS;
    const all = (user + system) / PUTS;
    return { way, others: all - way, process: all };
  }

  /** CPU time of all nodes' threads so far. */
  private async nodesMs(): Promise<number> {
    return [...(await this.loops.take(NODES)).values()].reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  }
}

/** How much more `who` takes where writes are noted: the median of the pairs, and the quartiles. */
function spreadOf(pairs: readonly Pair[], who: keyof Cost): string {
  const ratios = pairs.map(({ noting, without }) => noting[who] / without[who]).sort((a, b) => a - b);
  const at = (share: number): string => percentOf(ratios[Math.floor(share * (ratios.length - 1))]!);
  return `${percentOf(middle(ratios))} (${at(0.25)} to ${at(0.75)})`;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percentOf(ratio: number): string {
  return `${ratio >= 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`;
}
