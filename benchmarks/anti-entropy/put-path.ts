/**
 * What trees cost a put, by who bears it:
 *
 * - **the put's own way**: the application's thread and the nodes' threads, which note what changes and add up what comes
 *   of it. Target: at most 3 % more;
 * - **the hashing pool**, which folds changes in, and V8's helpers, which collect garbage: off every put's way.
 *
 * Two stores of one process put by turns, as many each, so that whatever else runs on the machine meets both alike. First
 * neither has trees: what one is dearer then is no matter of trees, and is taken off. CPU time of each thread as Linux tells it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type Store } from '../../src/index.js';
import { middle } from '../report.js';
import { threadTimes } from '../thread-times.js';
import { KeyValueLoad } from '../workloads/key-value-load.js';

const KEYS = 10_000;
const VALUE_BYTES = 100;
const ROUNDS = 20;
const WARM_UP_ROUNDS = 6;
const PUTS = 10_000;
const IN_FLIGHT = 256;
/** So that no comparison makes trees where none are to be. */
const NEVER_MS = 604_800_000;

/** CPU time of a round, microseconds a put. */
interface Cost {
  readonly way: number;
  readonly pool: number;
  readonly helpers: number;
  readonly process: number;
}

interface Side {
  readonly store: Store;
  readonly load: KeyValueLoad;
  /** The threads that came with it. */
  readonly threads: ReadonlySet<number>;
  costs: Cost[];
}

export async function putPath(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const helpers = new Set(threadTimes().keys());
  const without = await begin(join(directory, 'without'));
  const having = await begin(join(directory, 'with'));
  const rounds = new Rounds(without, having, helpers);
  try {
    await rounds.run(WARM_UP_ROUNDS);
    const before = await rounds.run(ROUNDS);
    for (const { name } of having.store.nodes()) await having.store.admin.rebuildTrees(name);
    await rounds.run(2);
    const after = await rounds.run(ROUNDS);
    const built = await treesIn(without.store);
    const [plain, trees] = after;
    const dearer = (of: (cost: Cost) => number): string => percentOf(ratio(after, of) / ratio(before, of));
    const columns = (costs: readonly Cost[]): string =>
      (['way', 'pool', 'helpers', 'process'] as const)
        .map((name) =>
          mean(costs.map((cost) => cost[name]))
            .toFixed(2)
            .padStart(10),
        )
        .join('');
    console.log(`
puts of ${VALUE_BYTES} B, ${IN_FLIGHT} in flight, ${ROUNDS} rounds of ${PUTS} each: mean CPU, µs a put
                                   its way      pool   helpers   process
  without trees (${built} built)      ${columns(plain)}
  a tree for each replica      ${columns(trees)}
trees make the way of a put ${dearer(({ way }) => way)} dearer (medians of the rounds' ratios, less those before there were trees; target: at most +3 %), the process ${dearer(({ process }) => process)}`);
  } finally {
    await without.store.close();
    await having.store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function begin(path: string): Promise<Side> {
  const before = threadTimes();
  const store = await open({ path, sync: 'none', exchangeIntervalMs: NEVER_MS });
  const threads = new Set([...threadTimes().keys()].filter((thread) => !before.has(thread)));
  const load = new KeyValueLoad(store.bucket('bench'), { keys: KEYS, valueBytes: VALUE_BYTES });
  await load.fill();
  return { store, load, threads, costs: [] };
}

class Rounds {
  private readonly sides: readonly [Side, Side];
  private readonly helpers: ReadonlySet<number>;

  constructor(first: Side, second: Side, helpers: ReadonlySet<number>) {
    this.sides = [first, second];
    this.helpers = helpers;
  }

  /** Both sides by turns, so many rounds each. */
  async run(count: number): Promise<readonly [readonly Cost[], readonly Cost[]]> {
    const [first, second] = this.sides;
    for (const side of this.sides) side.costs = [];
    for (let i = 0; i < count; i++) {
      console.error(`  round ${i + 1} of ${count}`);
      for (const side of i % 2 === 0 ? [first, second] : [second, first]) side.costs.push(await this.round(side));
    }
    return [first.costs, second.costs];
  }

  private async round({ load, threads }: Side): Promise<Cost> {
    const before = threadTimes();
    const usage = process.cpuUsage();
    let left = PUTS;
    const lane = async (): Promise<void> => {
      while (left-- > 0) await load.put();
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
    const { user, system } = process.cpuUsage(usage);
    const cost = { way: 0, pool: 0, helpers: 0, process: (user + system) / PUTS };
    for (const [thread, ns] of threadTimes()) {
      const who = this.whose(thread, threads);
      if (who !== undefined) cost[who] += (ns - (before.get(thread) ?? 0)) / 1_000 / PUTS;
    }
    return cost;
  }

  /** Undefined: the other store's, which has nothing to do meanwhile. */
  private whose(thread: number, threads: ReadonlySet<number>): 'way' | 'pool' | 'helpers' | undefined {
    if (thread === process.pid || threads.has(thread)) return 'way';
    if (this.helpers.has(thread)) return 'helpers';
    return this.sides.some((side) => side.threads.has(thread)) ? undefined : 'pool';
  }
}

/** How much more the second side's rounds cost than the first's. */
function ratio([first, second]: readonly [readonly Cost[], readonly Cost[]], of: (cost: Cost) => number): number {
  return middle(second.map((cost, i) => of(cost) / of(first[i]!)));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function treesIn(store: Store): Promise<number> {
  const { nodes } = await store.stats();
  return Object.values(nodes).reduce((sum, node) => sum + (node.treesBuilt ?? 0), 0);
}

function percentOf(ratio: number): string {
  return `${ratio >= 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`;
}
