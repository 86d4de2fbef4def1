/**
 * What trees cost a put: CPU time of the whole process, which is the nodes, the application's thread and the pool that
 * folds changes in. Two stores, one whose replicas have trees and one whose replicas have none, put by turns, as many
 * each, so that whatever else runs on the machine meets both alike. Target: at most 3 % more.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open, type Store } from '../../src/index.js';
import { middle } from '../report.js';
import { KeyValueLoad } from '../workloads/key-value-load.js';

const KEYS = 10_000;
const VALUE_BYTES = 100;
const ROUNDS = 15;
const PUTS = 20_000;
const IN_FLIGHT = 256;
/** So that no comparison makes trees where none are to be. */
const NEVER_MS = 604_800_000;

interface Side {
  readonly store: Store;
  readonly load: KeyValueLoad;
  /** Microseconds of CPU time a put, by round. */
  readonly micros: number[];
}

export async function putPath(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-bench-'));
  const without = await begin(join(directory, 'without'));
  const having = await begin(join(directory, 'with'));
  try {
    for (const { name } of having.store.nodes()) await having.store.admin.rebuildTrees(name);
    for (const side of [without, having, without, having]) await round(side);
    for (const side of [without, having]) side.micros.length = 0;
    for (let i = 0; i < ROUNDS; i++) {
      console.error(`  round ${i + 1} of ${ROUNDS}`);
      for (const side of i % 2 === 0 ? [without, having] : [having, without]) await round(side);
    }
    const built = await treesIn(without.store);
    const ratios = having.micros.map((micros, i) => micros / without.micros[i]!);
    console.log(`
puts of ${VALUE_BYTES} B, ${IN_FLIGHT} in flight, median of ${ROUNDS} rounds of ${PUTS}, CPU of the process
  without trees (${built} built)   ${middle(without.micros).toFixed(2)} µs a put
  with a tree for each replica    ${middle(having.micros).toFixed(2)} µs a put, ${percentOf(middle(ratios))} (median of the rounds' ratios; target: at most +3 %)`);
  } finally {
    await without.store.close();
    await having.store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function begin(path: string): Promise<Side> {
  const store = await open({ path, sync: 'none', exchangeIntervalMs: NEVER_MS });
  const load = new KeyValueLoad(store.bucket('bench'), { keys: KEYS, valueBytes: VALUE_BYTES });
  await load.fill();
  return { store, load, micros: [] };
}

async function round({ load, micros }: Side): Promise<void> {
  let left = PUTS;
  const lane = async (): Promise<void> => {
    while (left-- > 0) await load.put();
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const { user, system } = process.cpuUsage(before);
  micros.push((user + system) / PUTS);
}

async function treesIn(store: Store): Promise<number> {
  const { nodes } = await store.stats();
  return Object.values(nodes).reduce((sum, node) => sum + (node.treesBuilt ?? 0), 0);
}

function percentOf(ratio: number): string {
  return `${ratio >= 1 ? '+' : '−'}${Math.abs(100 * (ratio - 1)).toFixed(1)} %`;
}
