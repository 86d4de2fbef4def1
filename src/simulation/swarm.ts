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
import type { GetOperation, History, ReadSibling } from './history.js';
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
  readonly history: History;
  /** What was checked, in words, with what was looked at. */
  readonly checked: readonly string[];
}

/** Longer than a connection takes to time out twice over, so that nothing old is still under way. */
const SETTLING_MS = 1_200;
const REPAIR_MS = 100;
const STOPPING_MS = 5_000;
const FINAL_READ_ATTEMPTS = 3;

export function runSeed(options: SeedOptions): SeedReport {
  const { seed, spawn, planted, durationMs = 1_500 } = options;
  // Draws of the scenario are apart from those of the simulation.
  const random = new SeededRandom((BigInt(seed) << 32n) | 0x5eedn);
  const sync = options.sync ?? pick(random, ['full', 'none'] as const);
  const nodes = pick(random, [3, 4, 5, 5, 7]);
  const n = Math.min(nodes, pick(random, [2, 3, 3, 3, 3, 5]));
  const quorum = Math.floor(n / 2) + 1;
  const cluster = new SimulatedCluster({
    seed,
    spawn,
    sync,
    nodes,
    n,
    r: quorum,
    w: quorum,
    partitions: pick(random, [8, 16]),
    clients: 3,
    ...(planted === undefined ? {} : { planted }),
    ...(options.say === undefined ? {} : { say: options.say }),
  });
  cluster.say(`${nodes} nodes, n ${n}, r and w ${quorum}, ${cluster.ring.partitions} partitions, sync '${sync}'`);
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
  const verdict = new Verdict();
  judge(verdict, cluster, workload, durationMs);
  const { violations, checked } = verdict;
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
    history: cluster.history,
    checked,
  };
}

/** What the checkers found. */
class Verdict {
  readonly violations: string[] = [];
  readonly checked: string[] = [];

  /** `promise` was checked, and this was found against it. */
  hears(promise: string, found: readonly string[]): void {
    this.checked.push(`${promise}: ${found.length === 0 ? 'kept' : `broken ${found.length} times`}`);
    // Not spread: there may be more than a call may have arguments.
    for (const violation of found) this.violations.push(violation);
  }
}

/** Runs, heals, reads everything strictly, checks, stops. An invariant that breaks outside an actor is a violation. */
function judge(verdict: Verdict, cluster: SimulatedCluster, workload: Workload, durationMs: number): void {
  const { history } = cluster;
  const { keys } = workload;
  try {
    cluster.runFor(durationMs);
    cluster.healEverything();
    cluster.runFor(SETTLING_MS);
    const unread: string[] = [];
    const final = readAll(cluster, keys, unread);
    verdict.hears('after healing, every key can be read from all replicas', unread);
    // Repairs follow the reply.
    cluster.runFor(REPAIR_MS);
    verdict.hears(`the ${cluster.n} replicas of each of ${keys.size} keys are identical`, divergences(cluster, keys));
    verdict.hears('no acknowledged write is lost', lostWrites(history, final));
    verdict.hears('no write stands beside one that replaced it', falseConflicts(history, final));
    verdict.hears(
      'strict reads show what was acknowledged, and nothing replaced',
      strictReadViolations(history, cluster.n),
    );
    verdict.hears('nothing that was replaced comes back', resurrections(history, final));
    verdict.hears('what failed for certain was never stored', definiteFailuresStored(cluster, keys));
    for (const name of cluster.names) cluster.stopNode(name);
    cluster.runFor(STOPPING_MS);
    const up = cluster.names.filter((name) => cluster.isUp(name));
    verdict.hears(
      'every node stops cleanly',
      up.map((name) => `${name} does not stop`),
    );
  } catch (error) {
    if (!(error instanceof InvariantError)) throw error;
    verdict.hears('no invariant broke', [`an invariant of the simulation broke: ${error.stack ?? error.message}`]);
  }
  verdict.hears('every request was answered once, in time', answersAmiss(history));
  verdict.hears('no dot names two attempts', history.contradictions);
  verdict.hears('no actor failed by itself', cluster.failures);
}

/** Reads every key from all of its replicas. A read that meets an unreadable one fails, heals it, and is made again. */
function readAll(
  cluster: SimulatedCluster,
  keys: ReadonlySet<string>,
  unread: string[],
): ReadonlyMap<string, readonly ReadSibling[]> {
  const final = new Map<string, readonly ReadSibling[]>();
  for (const key of keys) {
    let get: GetOperation | undefined;
    for (let attempt = 0; attempt < FINAL_READ_ATTEMPTS && get?.end?.type !== 'got'; attempt++) {
      get = cluster.settle(cluster.get(key, { r: cluster.n, timeoutMs: 500 }));
      if (get.end?.type !== 'got') cluster.runFor(REPAIR_MS);
    }
    if (get?.end?.type === 'got') final.set(key, get.end.siblings);
    else unread.push(`after healing, ${key} cannot be read from all replicas: ${JSON.stringify(get?.end)}`);
  }
  return final;
}
