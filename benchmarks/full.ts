/**
 * `npm run bench`: what quorums cost over sizes of values, numbers of keys, ways to flush, operations in flight and
 * threads of the application, beside the floor of each; as tables in Markdown for `benchmarks/README.md`. Under a quarter
 * of an hour. Progress goes to the error stream. Rounds of floor and store are interleaved, so that a machine that slows
 * down slows both.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FloorFigure } from './floor.js';
import { measureIdle } from './quick.js';
import { count, judged, machine, markdown, mib, ms, percent, targetOf } from './report.js';
import type { Outcome } from './scenario.js';
import { N, NODES, ROUNDS, SCENARIOS, type Scenario, SLICE_MS, slicesOf, WARM_UP_MS } from './scenarios.js';

export interface FullOptions {
  /** The length of slices and the number of keys of the largest scenarios, as a share of the real ones. Default 1. */
  readonly scale?: number;
}

export async function full({ scale = 1 }: FullOptions = {}): Promise<void> {
  const slice = SLICE_MS * scale;
  console.log(`${machine()}; ${NODES} nodes, N = ${N}, R = W = 2; medians of ${ROUNDS} rounds of ${slice} ms a row\n`);
  const scenarios = SCENARIOS.map(({ keys, ...rest }) => ({ ...rest, keys: keys > 10_000 ? keys * scale : keys }));
  const outcomes: Outcome[] = [];
  const start = performance.now();
  const total = scenarios.reduce((sum, scenario) => sum + weightOf(scenario, scale), 0);
  let done = 0;
  for (const [at, scenario] of scenarios.entries()) {
    const spent = (performance.now() - start) / 1_000;
    // The first estimate is that of the weights, which are about seconds.
    const left = done === 0 ? total : (spent / done) * (total - done);
    console.error(`${at + 1} of ${scenarios.length}: ${nameOf(scenario)}; about ${Math.ceil(left / 60)} min to go`);
    const outcome = await measureApart(scenario, scale);
    outcomes.push(outcome);
    done += weightOf(scenario, scale);
    reportOutcome(outcome);
  }
  reportThreads(outcomes);
  reportGrowth(outcomes);
  console.log(`Idle: ${(100 * (await measureIdle())).toFixed(2)} % of one core (target: ≤ 1 %)`);
}

/** About how many seconds it takes. */
function weightOf({ keys, sync }: Scenario, scale: number): number {
  const slices = (slicesOf(sync).length + 2) * ROUNDS * (SLICE_MS / 1_000) + (2 * WARM_UP_MS) / 1_000;
  return slices * scale + keys / (sync === 'full' ? 8_000 : 15_000) + 2;
}

function nameOf({ keys, valueBytes, sync }: Scenario): string {
  return `${count(keys)} keys of ${count(valueBytes)} B, sync: '${sync}'`;
}

function measureApart(scenario: Scenario, scale: number): Promise<Outcome> {
  const entry = fileURLToPath(new URL('./scenario.js', import.meta.url));
  const child = fork(entry, [JSON.stringify({ scenario, scale })]);
  return new Promise((resolve, reject) => {
    let outcome: Outcome | undefined;
    child.once('message', (message) => {
      outcome = message as Outcome;
    });
    child.once('error', reject);
    child.once('exit', (code) => {
      if (outcome !== undefined && code === 0) resolve(outcome);
      else reject(new Error(`the process that measured ${nameOf(scenario)} ended with ${code}`));
    });
  });
}

function reportOutcome({ scenario, rows }: Outcome): void {
  const head = ['operation', 'in flight', 'threads', 'per second', 'of floor', 'p50 ms', 'p99', 'p99.9', 'µs CPU'];
  const floors = new Map<string, FloorFigure>();
  const cells = rows.map(({ operation, inFlight, threads, figure, floor }) => {
    if (floor !== undefined) floors.set(operation, floor);
    const { perSecond, p50Ms, p99Ms, p999Ms, cpuMicros } = figure;
    const shares =
      floor === undefined ? ['', ''] : [percent(perSecond / floor.perSecond), percent(floor.cpuMicros / cpuMicros)];
    const times = [ms(p50Ms), ms(p99Ms), ms(p999Ms)];
    const target = isOfTargets(scenario) && threads === 1 ? targetOf(operation, scenario.sync, inFlight) : undefined;
    const verdict = target === undefined || floor === undefined ? '' : judged(target, figure, floor);
    return [
      operation,
      String(inFlight),
      String(threads),
      count(perSecond),
      shares[0]!,
      ...times,
      cpuMicros.toFixed(1),
      shares[1]!,
      verdict,
    ];
  });
  for (const [operation, { perSecond, cpuMicros }] of floors) {
    cells.push([`floor of ${operation}s`, '', '', count(perSecond), '', '', '', '', cpuMicros.toFixed(1), '', '']);
  }
  console.log(`### ${nameOf(scenario)}\n\n${markdown([...head, 'of floor', ''], cells, 1)}\n`);
}

function isOfTargets({ keys, valueBytes }: Scenario): boolean {
  return keys === 10_000 && valueBytes === 100;
}

function reportThreads(outcomes: readonly Outcome[]): void {
  const rows = outcomes.flatMap(({ scenario, rows: measured }) =>
    (['put', 'get', '95/5'] as const).flatMap((operation) => {
      const of = (threads: number) =>
        measured.find((row) => row.operation === operation && row.inFlight === 256 && row.threads === threads)?.figure;
      const [one, two] = [of(1), of(2)];
      if (one === undefined || two === undefined) return [];
      const gain = (two.perSecond / one.perSecond).toFixed(2);
      const cells = [count(one.perSecond), count(two.perSecond), gain, one.cpuMicros.toFixed(1)];
      return [[nameOf(scenario), operation, ...cells, two.cpuMicros.toFixed(1)]];
    }),
  );
  const head = ['', 'operation', '1 thread', '2 threads', 'gain', 'µs CPU, 1', 'µs CPU, 2'];
  console.log(`### Two threads of the application beside one, 256 in flight in all\n\n${markdown(head, rows, 2)}\n`);
}

/** Cost grows linearly: what an operation costs among many keys, beyond what LMDB itself costs more then; and memory. */
function reportGrowth(outcomes: readonly Outcome[]): void {
  const small = outcomes.filter(({ scenario }) => isOfTargets(scenario));
  const rows: string[][] = [];
  for (const few of small) {
    const many = outcomes.find(
      ({ scenario }) => scenario.keys > 10_000 && scenario.sync === few.scenario.sync && scenario.valueBytes === 100,
    );
    if (many === undefined) continue;
    for (const operation of ['put', 'get'] as const) {
      const of = ({ rows: measured }: Outcome) =>
        measured.find((row) => row.operation === operation && row.inFlight === 256 && row.threads === 1);
      const [before, after] = [of(few), of(many)];
      if (before?.floor === undefined || after?.floor === undefined) continue;
      const growth = after.figure.cpuMicros / before.figure.cpuMicros;
      const floorGrowth = after.floor.cpuMicros / before.floor.cpuMicros;
      rows.push([
        `${operation}, sync: '${few.scenario.sync}'`,
        before.figure.cpuMicros.toFixed(1),
        after.figure.cpuMicros.toFixed(1),
        `× ${growth.toFixed(2)}`,
        `× ${floorGrowth.toFixed(2)}`,
        `× ${(growth / floorGrowth).toFixed(2)}`,
      ]);
    }
  }
  const largest = Math.max(...outcomes.map(({ scenario }) => scenario.keys));
  const head = ['', 'µs CPU, 10,000 keys', `${count(largest)} keys`, 'growth', "the floor's", 'beyond it (≤ 1.5)'];
  console.log(`### Growth with the number of keys, 256 in flight\n\n${markdown(head, rows, 1)}\n`);
  const memory = outcomes.map(({ scenario, heap, external, stored, resident: { own, files } }) => [
    nameOf(scenario),
    mib(heap),
    mib(external),
    mib(stored),
    mib(own),
    mib(files),
  ]);
  const memoryHead = ['', "a node's heap", 'and beside it', 'in files, all nodes', 'process', 'pages of files'];
  console.log(`### Memory, at the end of each table\n\n${markdown(memoryHead, memory, 1)}\n`);
}
