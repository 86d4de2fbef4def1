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
 * Clients work all the while as in the swarm (`workload.ts`), unless `"clients": 0`; the steps may put and get, too. At
 * the end everything heals and every promise is checked. A scenario is a function of the file and of the actors alone.
 */
import { InvalidArgumentError } from '../base/errors.js';
import { SeededRandom } from '../base/random.js';
import type { SimulatedClusterOptions, SpawnNode } from './cluster-options.js';
import { judge } from './judge.js';
import { SimulatedCluster } from './simulated-cluster.js';
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
  act(cluster: SimulatedCluster, keys: Set<string>): void;
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads one field after the other, and knows at the end which nobody asked for. */
class FieldReader {
  private readonly where: string;
  private readonly fields: Fields;
  private readonly asked = new Set<string>();

  constructor(where: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidArgumentError(`${where} must be an object, not ${JSON.stringify(value)}`);
    }
    this.where = where;
    this.fields = value as Fields;
  }

  /** A number from `least` to `most`; without a default it must be there. */
  number(name: string, least: number, most: number, otherwise?: number): number {
    const value = this.take(name) ?? otherwise;
    if (typeof value !== 'number' || !(value >= least && value <= most)) {
      throw this.wrong(name, `a number from ${least} to ${most}`, value);
    }
    return value;
  }

  integer(name: string, least: number, most: number, otherwise?: number): number {
    const value = this.number(name, least, most, otherwise);
    if (!Number.isInteger(value)) throw this.wrong(name, `an integer from ${least} to ${most}`, value);
    return value;
  }

  text(name: string, otherwise?: string): string {
    const value = this.take(name) ?? otherwise;
    if (typeof value !== 'string' || value === '') throw this.wrong(name, 'a text', value);
    return value;
  }

  oneOf<Value extends string>(name: string, values: readonly Value[], otherwise?: Value): Value {
    const value = this.take(name) ?? otherwise;
    if (!values.includes(value as Value)) throw this.wrong(name, `one of ${values.join(', ')}`, value);
    return value as Value;
  }

  texts(name: string, otherwise?: readonly string[]): readonly string[] {
    const value = this.take(name) ?? otherwise;
    if (!Array.isArray(value) || value.length === 0 || !value.every((one) => typeof one === 'string')) {
      throw this.wrong(name, 'a list of texts', value);
    }
    return value;
  }

  /** The field as it is, undefined if it is not there. */
  take(name: string): unknown {
    this.asked.add(name);
    return this.fields[name];
  }

  end(): void {
    for (const name of Object.keys(this.fields)) {
      if (this.asked.has(name)) continue;
      throw new InvalidArgumentError(`${this.where} has no field "${name}"; it has ${[...this.asked].join(', ')}`);
    }
  }

  wrong(name: string, wanted: string, value: unknown): InvalidArgumentError {
    const is = value === undefined ? 'it is missing' : `it is ${JSON.stringify(value)}`;
    return new InvalidArgumentError(`${this.where}: "${name}" must be ${wanted}; ${is}`);
  }
}

type Action = Step['act'];

/** Names of nodes, checked against the cluster that the scenario has. */
interface Names {
  one(fields: FieldReader): string;
  many(fields: FieldReader): readonly string[];
}

const MAX_MS = 3_600_000;
const NETWORK = ['loss', 'duplication', 'reordering'] as const;

/** What a step may do: reads its fields, and gives the action. */
const STEPS: Readonly<Record<string, (fields: FieldReader, names: Names) => Action>> = {
  crash: (fields, names) => {
    const node = names.one(fields);
    const point = fields.oneOf('point', ['now', 'mid-turn', 'before-commit', 'after-commit'], 'now');
    return (cluster) => cluster.crashNode(node, point);
  },
  stop: (fields, names) => {
    const node = names.one(fields);
    return (cluster) => cluster.stopNode(node);
  },
  start: (fields, names) => {
    const node = names.one(fields);
    return (cluster) => cluster.startNode(node);
  },
  pause: (fields, names) => {
    const node = names.one(fields);
    const ms = fields.number('ms', 1, MAX_MS);
    return (cluster) => cluster.pause(node, ms);
  },
  split: (fields, names) => {
    const nodes = names.many(fields);
    return (cluster) => cluster.split(nodes);
  },
  heal: () => (cluster) => cluster.heal(),
  'power-loss': (fields, names) => {
    const all = fields.take('nodes') === 'all';
    const nodes = all ? 'all' : names.many(fields);
    return (cluster) => cluster.powerFail(nodes);
  },
  'crash-process': () => (cluster) => cluster.crashProcess(),
  'start-process': () => (cluster) => cluster.startProcess(),
  'crash-coordinator': (fields, names) => {
    const node = names.one(fields);
    return (cluster) => cluster.crashCoordinator(node);
  },
  network: (fields) => {
    const change: Record<string, number> = {};
    for (const name of NETWORK) {
      if (fields.take(name) !== undefined) change[name] = fields.number(name, 0, 1);
    }
    if (fields.take('extraDelayMs') !== undefined) {
      change.meanExtraDelayMs = fields.number('extraDelayMs', 0, MAX_MS);
    }
    return (cluster) => cluster.network(change);
  },
  'clock-jump': (fields, names) => {
    const node = names.one(fields);
    const ms = fields.number('ms', -10 * MAX_MS, 10 * MAX_MS);
    return (cluster) => cluster.jumpClock(node, ms);
  },
  'slow-disk': (fields, names) => {
    const node = names.one(fields);
    const minMs = fields.number('ms', 0, MAX_MS);
    return (cluster) => cluster.slowDisk(node, { minMs, meanExtraMs: 0 });
  },
  'full-disk': (fields, names) => {
    const node = names.one(fields);
    return (cluster) => cluster.fullDisk(node);
  },
  'failing-disk': (fields, names) => {
    const node = names.one(fields);
    const chance = fields.number('chance', 0, 1, 1);
    return (cluster) => cluster.failCommits(node, chance);
  },
  'healthy-disk': (fields, names) => {
    const node = names.one(fields);
    return (cluster) => cluster.healthyDisk(node);
  },
  rot: (fields, names) => {
    const node = names.one(fields);
    const key = fields.text('key');
    return (cluster) => {
      cluster.rot(node, key);
    };
  },
  put: (fields) => {
    const key = fields.text('key');
    const value = fields.text('value');
    return (cluster, keys) => {
      keys.add(key);
      cluster.put(key, value);
    };
  },
  delete: (fields) => {
    const key = fields.text('key');
    return (cluster, keys) => {
      keys.add(key);
      cluster.delete(key);
    };
  },
  get: (fields) => {
    const key = fields.text('key');
    return (cluster, keys) => {
      keys.add(key);
      cluster.get(key);
    };
  },
};

/** The names of all steps, for whoever explains them. */
export const STEP_KINDS: readonly string[] = Object.keys(STEPS);

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
  };
  const durationMs = fields.number('durationMs', 1, MAX_MS, 1_500);
  const steps = stepsOf(fields.take('steps'), nodes, durationMs);
  fields.end();
  return { cluster, durationMs, working: clients > 0, steps };
}

function zonesOf(fields: FieldReader, nodes: number): readonly string[] {
  const zones = fields.texts('zones');
  if (zones.length !== nodes) throw fields.wrong('zones', `a list of ${nodes} texts, one for each node`, zones);
  return zones;
}

function stepsOf(list: unknown, nodes: number, durationMs: number): Step[] {
  if (!Array.isArray(list)) throw new InvalidArgumentError('the scenario: "steps" must be a list of { at, do, … }');
  const known = Array.from({ length: nodes }, (_, node) => String.fromCharCode(97 + node));
  const steps = list.map((json: unknown, index) => stepOf(json, index, known, durationMs));
  return steps.sort((a, b) => a.at - b.at);
}

function stepOf(json: unknown, index: number, known: readonly string[], durationMs: number): Step {
  const fields = new FieldReader(`step ${index + 1}`, json);
  const at = fields.number('at', 0, durationMs);
  const kind = fields.oneOf('do', STEP_KINDS);
  const act = STEPS[kind]!(fields, {
    one: (of) => of.oneOf('node', known),
    many: (of) => {
      const names = of.texts('nodes');
      const stranger = names.find((name) => !known.includes(name));
      if (stranger === undefined) return names;
      throw of.wrong('nodes', `a list of ${known.join(', ')}`, names);
    },
  });
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
  for (const { at, kind, act } of scenario.steps) {
    cluster.simulator.at(at, () => {
      struck.set(kind, (struck.get(kind) ?? 0) + 1);
      act(cluster, keys);
    });
  }
  const verdict = judge(cluster, keys, scenario.durationMs);
  return reportOf(cluster, verdict, struck);
}

/** Sets the clients to work. @returns the keys that they touch, as they do */
function work(cluster: SimulatedCluster, { cluster: { seed }, durationMs }: Scenario): Set<string> {
  return new Workload(cluster, { random: new SeededRandom(BigInt(seed)), durationMs, sharedKeys: 3, thinkMs: 8 }).keys;
}
