/**
 * One seed from beginning to end: a cluster, clients, faults; then healing, a strict read of every key, and the
 * checkers. What a seed does is a function of the seed and of the actors alone.
 */
import { pick, SeededRandom } from '../base/random.js';
import type { NodeCounters } from '../metrics/node-counters.js';
import type { Planted, SpawnNode } from './cluster-options.js';
import { type FaultKind, FaultScript } from './faults.js';
import type { History } from './history.js';
import { judge } from './judge.js';
import { SimulatedCluster } from './simulated-cluster.js';
import { drawShape } from './swarm-shape.js';
import { Workload } from './workload.js';

/** So many intervals, so that what has rotted unread is found, too. */
const TREE_AGE_INTERVALS = 2;
/** Longer than a put of the workload is tried. */
const TOMBSTONE_GRACE_MS = 600;
/** Few enough for the crashes of a run to take contexts past it. */
const MAX_CONTEXT_ENTRIES = 3;

export interface SeedOptions {
  readonly seed: number;
  readonly spawn: SpawnNode;
  readonly planted?: Planted;
  /** Which faults may strike (default: drawn). */
  readonly kinds?: readonly FaultKind[];
  readonly sync?: 'full' | 'none';
  /** How long clients work and faults strike, in virtual milliseconds (default 1,500). */
  readonly durationMs?: number;
  readonly say?: (time: number, what: string) => void;
}

/** What a run in the simulator came to. */
export interface RunReport {
  /** Empty if every promise was kept. */
  readonly violations: readonly string[];
  readonly puts: number;
  readonly acknowledged: number;
  readonly gets: number;
  /** What struck, and how often. */
  readonly faults: ReadonlyMap<string, number>;
  /** Equal for two runs of one seed. */
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
  readonly history: History;
  /** What was checked, in words, with what was looked at. */
  readonly checked: readonly string[];
  /** What the nodes did beside what clients asked of them, all together; only what was done at all. */
  readonly background: Readonly<Record<string, number>>;
}

export interface SeedReport extends RunReport {
  readonly seed: number;
}

export function runSeed(options: SeedOptions): SeedReport {
  const { seed, spawn, planted, durationMs = 1_500 } = options;
  // Draws of the scenario are apart from those of the simulation.
  const random = new SeededRandom((BigInt(seed) << 32n) | 0x5eedn);
  const shape = drawShape(random);
  const { nodes, zones, n, partitions, exchangeIntervalMs, reaps, expires } = shape;
  const { sync = shape.sync } = options;
  const quorum = Math.floor(n / 2) + 1;
  const cluster = new SimulatedCluster({
    seed,
    spawn,
    sync,
    nodes,
    zones,
    n,
    r: quorum,
    w: quorum,
    partitions,
    clients: 3,
    exchangeIntervalMs,
    maxTreeAgeMs: TREE_AGE_INTERVALS * exchangeIntervalMs,
    ...(reaps ? { tombstoneGraceMs: TOMBSTONE_GRACE_MS, maxContextEntries: MAX_CONTEXT_ENTRIES } : {}),
    ...(planted === undefined ? {} : { planted }),
    ...(options.say === undefined ? {} : { say: options.say }),
  });
  const reaping = reaps ? 'reaping' : 'no reaping';
  cluster.say(
    `${nodes} nodes in zones ${zones.join(', ')}, n ${n}, r and w ${quorum}, ${partitions} partitions, ` +
      `sync '${sync}', compared every ${exchangeIntervalMs} ms, ${reaping}, ${expires ? 'some' : 'no'} values expire`,
  );
  const workload = new Workload(cluster, {
    random: random.fork(),
    durationMs,
    sharedKeys: pick(random, [1, 3]),
    thinkMs: pick(random, [4, 12]),
    expiring: expires,
  });
  const faults = new FaultScript(cluster, {
    random: random.fork(),
    durationMs,
    everyMs: pick(random, [40, 120, 300]),
    keys: workload.keys,
    ...(options.kinds === undefined ? {} : { kinds: options.kinds }),
  });
  const { violations, checked } = judge(cluster, workload.keys, durationMs);
  if (faults.total === 0) violations.push('no fault struck: this run shows nothing');
  return { seed, ...reportOf(cluster, { violations, checked }, faults.struck) };
}

/** What is to be told of a run that was judged. */
export function reportOf(
  cluster: SimulatedCluster,
  { violations, checked }: Pick<RunReport, 'violations' | 'checked'>,
  faults: ReadonlyMap<string, number>,
): RunReport {
  const { history, simulator } = cluster;
  return {
    violations,
    checked,
    background: backgroundOf(cluster),
    faults,
    puts: history.puts.length,
    acknowledged: [...history.acknowledged()].length,
    gets: history.gets.length,
    traceHash: simulator.trace.hash,
    events: simulator.happened,
    virtualMs: cluster.time,
    history,
  };
}

/** What is told of the nodes' own work. */
const BACKGROUND = [
  'hintsKept',
  'hintsDelivered',
  'readRepairs',
  'exchanges',
  'exchangesEqual',
  'exchangeKeysFound',
  'exchangeKeysRepaired',
  'exchangeBytes',
  'treesBuilt',
  'corruptRecords',
  'rotHealed',
  'reapRounds',
  'reapRoundsAbandoned',
  'tombstonesReaped',
  'contextsReduced',
  'staleRefused',
  'replicasDiscarded',
  'newIdentities',
] as const satisfies readonly (keyof NodeCounters)[];

function backgroundOf({ counters }: SimulatedCluster): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const which of BACKGROUND) {
    const sum = counters.reduce((all, one) => all + one[which], 0);
    if (sum > 0) sums[which] = sum;
  }
  return sums;
}
