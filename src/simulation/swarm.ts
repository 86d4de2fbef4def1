/**
 * One seed from beginning to end: a cluster, clients, faults; then healing, a strict read of every key, and the
 * checkers. What a seed does is a function of the seed and of the actors alone.
 */
import { InvariantError } from '../base/assert.js';
import { pick, SeededRandom } from '../base/random.js';
import { answersAmiss, definiteFailuresStored } from './checkers/answered-once.js';
import { divergences } from './checkers/convergence.js';
import { falseConflicts } from './checkers/false-conflicts.js';
import { lostWrites } from './checkers/lost-writes.js';
import { resurrections } from './checkers/resurrections.js';
import { strictReadViolations } from './checkers/strict-reads.js';
import { type FaultKind, FaultScript } from './faults.js';
import type { GetOperation, ReadSibling } from './history.js';
import { type Planted, SimulatedCluster, type SpawnNode } from './simulated-cluster.js';
import { Workload } from './workload.js';

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

export interface SeedReport {
  readonly seed: number;
  /** Empty if every promise was kept. */
  readonly violations: readonly string[];
  readonly puts: number;
  readonly acknowledged: number;
  readonly gets: number;
  readonly faults: ReadonlyMap<FaultKind, number>;
  /** Equal for two runs of one seed. */
  readonly traceHash: string;
  readonly events: number;
  readonly virtualMs: number;
}

const SETTLING_MS = 1_200;
const FINAL_READ_ATTEMPTS = 5;

export function runSeed(options: SeedOptions): SeedReport {
  const { seed, spawn, planted, durationMs = 1_500 } = options;
  // Draws of the scenario are apart from those of the simulation.
  const random = new SeededRandom((BigInt(seed) << 32n) | 0x5eedn);
  const sync = options.sync ?? pick(random, ['full', 'none'] as const);
  const cluster = new SimulatedCluster({
    seed,
    spawn,
    sync,
    nodes: pick(random, [3, 4, 5, 5, 7]),
    partitions: pick(random, [8, 16]),
    clients: 3,
    ...(planted === undefined ? {} : { planted }),
    ...(options.say === undefined ? {} : { say: options.say }),
  });
  cluster.say(`${cluster.names.length} nodes, ${cluster.ring.partitions} partitions, sync '${sync}'`);
  const workload = new Workload(cluster, {
    random: random.fork(),
    durationMs,
    sharedKeys: pick(random, [1, 3]),
    thinkMs: pick(random, [4, 12]),
  });
  const faults = new FaultScript(cluster, {
    random: random.fork(),
    durationMs,
    everyMs: pick(random, [40, 120, 300]),
    keys: workload.keys,
    ...(options.kinds === undefined ? {} : { kinds: options.kinds }),
  });
  const violations = checkedRun(cluster, workload, faults, durationMs);
  const acknowledged = [...cluster.history.acknowledged()].length;
  if (acknowledged === 0) violations.push('nothing was acknowledged: this run shows nothing');
  if (faults.total === 0) violations.push('no fault struck: this run shows nothing');
  return {
    seed,
    violations,
    puts: cluster.history.puts.length,
    acknowledged,
    gets: cluster.history.gets.length,
    faults: faults.struck,
    traceHash: cluster.simulator.trace.hash,
    events: cluster.simulator.happened,
    virtualMs: cluster.time,
  };
}

/** Runs, heals, reads everything strictly, checks, stops. An invariant that breaks outside an actor is a violation. */
function checkedRun(cluster: SimulatedCluster, workload: Workload, faults: FaultScript, durationMs: number): string[] {
  const violations: string[] = [];
  try {
    cluster.runFor(durationMs);
    cluster.healEverything();
    cluster.runFor(SETTLING_MS);
    if (faults.struck.has('rot')) healRot(cluster, workload.keys);
    // Repairs follow the reply: the second read finds what the first has left to be done.
    const final = readAll(cluster, workload.keys, violations);
    cluster.runFor(100);
    violations.push(...divergences(cluster, workload.keys));
    readAll(cluster, workload.keys, violations);
    const { history } = cluster;
    // Each may have more to say than a call may have arguments.
    for (const found of [
      lostWrites(history, final),
      falseConflicts(history, final),
      strictReadViolations(history, cluster.n),
      resurrections(history, final),
      definiteFailuresStored(cluster, workload.keys),
    ]) {
      for (const violation of found) violations.push(violation);
    }
    for (const name of cluster.names) cluster.stopNode(name);
    cluster.runFor(5_000);
    for (const name of cluster.names) if (cluster.isUp(name)) violations.push(`${name} does not stop`);
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    violations.push(`an invariant of the simulation broke: ${error.stack ?? error.message}`);
  }
  violations.push(...answersAmiss(cluster.history), ...cluster.history.contradictions, ...cluster.failures);
  return violations;
}

/** An unreadable replica is healed by a read that asks it: each coordinator asks its own node's first. */
function healRot(cluster: SimulatedCluster, keys: ReadonlySet<string>): void {
  for (const key of keys) {
    for (const name of cluster.primariesOf(key)) cluster.getVia(name, key, { r: 1, timeoutMs: 500 });
  }
  cluster.runFor(100);
}

/** Reads every key from all of its replicas. */
function readAll(
  cluster: SimulatedCluster,
  keys: ReadonlySet<string>,
  violations: string[],
): ReadonlyMap<string, readonly ReadSibling[]> {
  const final = new Map<string, readonly ReadSibling[]>();
  for (const key of keys) {
    let get: GetOperation | undefined;
    for (let attempt = 0; attempt < FINAL_READ_ATTEMPTS && get?.end?.type !== 'got'; attempt++) {
      get = cluster.settle(cluster.get(key, { r: cluster.n, timeoutMs: 500 }));
    }
    if (get?.end?.type === 'got') final.set(key, get.end.siblings);
    else violations.push(`after healing, ${key} cannot be read from all replicas: ${JSON.stringify(get?.end)}`);
  }
  return final;
}
