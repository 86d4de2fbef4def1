/**
 * A scenario: a cluster and what happens to it, written down in a JSON file instead of drawn from a seed.
 *
 *     {
 *       "nodes": 5, "n": 3, "r": 2, "w": 2, "seed": 7, "durationMs": 3000,
 *       "steps": [
 *         { "at": 500, "do": "crash", "node": "b" },
 *         { "at": 900, "do": "split", "nodes": ["c", "d"] },
 *         { "at": 1400, "do": "heal" },
 *         { "at": 1500, "do": "start", "node": "b" }
 *       ]
 *     }
 *
 * With `"exchangeIntervalMs"` replicas are compared, and with `"tombstoneGraceMs"`, too, deletions are reaped and contexts of
 * over `"maxContextEntries"` reduced. What a step may do is in `scenario-steps.ts`; examples are in `examples/scenarios`.
 * Clients work all the while as in the swarm (`workload.ts`), unless `"clients": 0`; the steps may put and get, too. At
 * the end everything heals and every promise is checked. A scenario is a function of the file and of the actors alone.
 */
import { InvalidArgumentError } from '../base/errors.js';
import { SeededRandom } from '../base/random.js';
import type { SimulatedClusterOptions, SpawnNode } from './cluster-options.js';
import { FieldReader } from './field-reader.js';
import { judge } from './judge.js';
import { type Action, MAX_MS, type StepPlace } from './scenario-step.js';
import { STEPS } from './scenario-steps.js';
import { type NodeCopy, SimulatedCluster } from './simulated-cluster.js';
import { type RunReport, reportOf } from './swarm.js';
import { Workload } from './workload.js';

export interface Scenario {
  readonly cluster: Omit<SimulatedClusterOptions, 'spawn' | 'say' | 'planted'>;
  readonly durationMs: number;
  readonly working: boolean;
  /** In the order of their times. */
  readonly steps: readonly Step[];
}

export interface Step {
  /** When, in virtual milliseconds from the beginning. */
  readonly at: number;
  /** What strikes or is done, by its name in the file. */
  readonly kind: string;
  readonly act: Action;
}

const STEP_KINDS: readonly string[] = Object.keys(STEPS);

/**
 * The scenario that a parsed JSON file holds.
 * @throws {InvalidArgumentError} naming the field that is wrong, and what it may be.
 */
export function readScenario(json: unknown): Scenario {
  const fields = new FieldReader('the scenario', json);
  const nodes = fields.integer('nodes', 1, 26, 5);
  const n = fields.integer('n', 1, nodes, Math.min(3, nodes));
  const zones = fields.take('zones');
  const clients = fields.integer('clients', 0, 16, 3);
  const exchangeIntervalMs = optional(fields, 'exchangeIntervalMs', 50, MAX_MS);
  const tombstoneGraceMs = optional(fields, 'tombstoneGraceMs', 100, MAX_MS);
  const maxContextEntries = optional(fields, 'maxContextEntries', 1, 1_000);
  // A round of reaping begins with exchanges.
  if (exchangeIntervalMs === undefined) refuseWithout('exchangeIntervalMs', { tombstoneGraceMs });
  if (tombstoneGraceMs === undefined) refuseWithout('tombstoneGraceMs', { maxContextEntries });
  const cluster = {
    seed: fields.integer('seed', 0, 2 ** 31, 1),
    nodes,
    n,
    r: fields.integer('r', 1, n, Math.min(2, n)),
    w: fields.integer('w', 1, n, Math.min(2, n)),
    partitions: fields.integer('partitions', 8, 1_024, 16),
    // Steps may put and get even where nobody else works.
    clients: Math.max(1, clients),
    sync: fields.oneOf('sync', ['full', 'none'], 'full'),
    timeoutMs: fields.number('timeoutMs', 1, MAX_MS, 500),
    ...(zones === undefined ? {} : { zones: zonesOf(fields, nodes) }),
    ...(exchangeIntervalMs === undefined ? {} : { exchangeIntervalMs }),
    ...(tombstoneGraceMs === undefined ? {} : { tombstoneGraceMs }),
    ...(maxContextEntries === undefined ? {} : { maxContextEntries }),
  };
  const durationMs = fields.number('durationMs', 1, MAX_MS, 1_500);
  const steps = stepsOf(fields.take('steps'), cluster, durationMs);
  fields.end();
  return { cluster, durationMs, working: clients > 0, steps };
}

function zonesOf(fields: FieldReader, nodes: number): readonly string[] {
  const zones = fields.texts('zones');
  if (zones.length !== nodes) throw fields.wrong('zones', `a list of ${nodes} texts, one for each node`, zones);
  return zones;
}

/** Undefined if the field is not there. */
function optional(fields: FieldReader, name: string, least: number, most: number): number | undefined {
  return fields.take(name) === undefined ? undefined : fields.number(name, least, most);
}

function refuseWithout(needed: string, values: Readonly<Record<string, number | undefined>>): void {
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) throw new InvalidArgumentError(`the scenario: "${name}" needs "${needed}"`);
  }
}

function stepsOf(list: unknown, cluster: Scenario['cluster'], durationMs: number): Step[] {
  if (!Array.isArray(list)) throw new InvalidArgumentError('the scenario: "steps" must be a list of { at, do, … }');
  const known = Array.from({ length: cluster.nodes! }, (_, node) => String.fromCharCode(97 + node));
  const place = {
    one: (of: FieldReader) => of.oneOf('node', known),
    many: (of: FieldReader, field: string) => {
      const names = of.texts(field);
      const stranger = names.find((name) => !known.includes(name));
      if (stranger === undefined) return names;
      throw of.wrong(field, `a list of ${known.join(', ')}`, names);
    },
    copied: list.filter((json) => json?.do === 'copy'),
    flushes: cluster.sync === 'full',
    exchanges: cluster.exchangeIntervalMs !== undefined,
    reaps: cluster.tombstoneGraceMs !== undefined,
  };
  const steps = list.map((json: unknown, index) => stepOf(json, index, place, durationMs));
  return steps.sort((a, b) => a.at - b.at);
}

function stepOf(json: unknown, index: number, place: Omit<StepPlace, 'at'>, durationMs: number): Step {
  const fields = new FieldReader(`step ${index + 1}`, json);
  const at = fields.number('at', 0, durationMs);
  const kind = fields.oneOf('do', STEP_KINDS);
  const act = STEPS[kind]!.read(fields, { ...place, at });
  fields.end();
  return { at, kind, act };
}

/** Runs a scenario: its clients and steps, the healing, and every check. */
export function runScenario(
  scenario: Scenario,
  options: { readonly spawn: SpawnNode; readonly say?: SimulatedClusterOptions['say'] },
): RunReport {
  const { spawn, say } = options;
  const cluster = new SimulatedCluster({ ...scenario.cluster, spawn, ...(say === undefined ? {} : { say }) });
  const struck = new Map<string, number>();
  const keys = scenario.working ? work(cluster, scenario) : new Set<string>();
  const state = { keys, copies: new Map<string, NodeCopy>() };
  for (const { at, kind, act } of scenario.steps) {
    cluster.simulator.at(at, () => {
      struck.set(kind, (struck.get(kind) ?? 0) + 1);
      act(cluster, state);
    });
  }
  const verdict = judge(cluster, keys, scenario.durationMs);
  return reportOf(cluster, verdict, struck);
}

/** Sets the clients to work. @returns the keys that they touch, as they do */
function work(cluster: SimulatedCluster, { cluster: { seed }, durationMs }: Scenario): Set<string> {
  return new Workload(cluster, { random: new SeededRandom(BigInt(seed)), durationMs, sharedKeys: 3, thinkMs: 8 }).keys;
}
