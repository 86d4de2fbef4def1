/** The tables of `npm run bench`, in Markdown: one of each scenario, and those that put scenarios beside each other. */
import type { FloorFigure } from './floor.js';
import { count, judged, markdown, mib, ms, percent, targetOf } from './report.js';
import type { Outcome, Row } from './scenario.js';
import { nameOf, type Scenario } from './scenarios.js';
import { coresOf, type LoopFigure } from './workloads/closed-loop.js';
import type { Operation } from './workloads/key-value-load.js';

/** What scenarios are compared at. */
const IN_FLIGHT = 256;
/** Of the floor that targets are given by. */
const FEW_KEYS = 10_000;

const OUTCOME_HEAD = [
  'operation',
  'in flight',
  'threads',
  'per second',
  'of floor',
  'p50 ms',
  'p99',
  'p99.9',
  'µs CPU',
  'of floor',
  'own µs',
  'cores',
  '',
];

export function outcomeTable({ scenario, rows, workMicros }: Outcome): string {
  const floors = new Map<string, FloorFigure>();
  const cells = rows.map((row) => {
    if (row.floor !== undefined) floors.set(row.operation, row.floor);
    return outcomeCells(scenario, row);
  });
  for (const [operation, { perSecond, cpuMicros }] of floors) {
    const blank = Array.from({ length: 4 }, () => '');
    cells.push([`floor of ${operation}s`, '', '', count(perSecond), ...blank, micros(cpuMicros), ...blank]);
  }
  const works = rows.some(({ operation }) => operation === 'get + work');
  const work = works ? `\n\nThe work on a value takes ${micros(workMicros)} µs by itself.` : '';
  return `### ${nameOf(scenario)}\n\n${markdown(OUTCOME_HEAD, cells, 1)}${work}`;
}

function outcomeCells(scenario: Scenario, { operation, inFlight, threads, figure, floor }: Row): string[] {
  const { perSecond, p50Ms, p99Ms, p999Ms, cpuMicros, ownMicros } = figure;
  const target = isOfTargets(scenario) && threads === 1 ? targetOf(operation, scenario.sync, inFlight) : undefined;
  return [
    operation,
    String(inFlight),
    String(threads),
    count(perSecond),
    floor === undefined ? '' : percent(perSecond / floor.perSecond),
    ms(p50Ms),
    ms(p99Ms),
    ms(p999Ms),
    micros(cpuMicros),
    floor === undefined ? '' : percent(floor.cpuMicros / cpuMicros),
    micros(ownMicros),
    coresOf(figure).toFixed(2),
    target === undefined || floor === undefined ? '' : judged(target, figure, floor),
  ];
}

function isOfTargets({ keys, valueBytes }: Scenario): boolean {
  return keys === FEW_KEYS && valueBytes === 100;
}

/** Two threads of the application beside one, and whether there was a core left for the second. */
export function threadsTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap((outcome) => {
    const operations = [...new Set(outcome.rows.map(({ operation }) => operation))];
    return operations.flatMap((operation) => {
      const [one, two] = [figureOf(outcome, operation, 1), figureOf(outcome, operation, 2)];
      if (one === undefined || two === undefined) return [];
      return [[nameOf(outcome.scenario), operation, ...gainCells(one, two)]];
    });
  });
  if (rows.length === 0) return '';
  return `### Two threads of the application beside one, ${IN_FLIGHT} in flight in all\n\n${markdown(['', 'operation', ...GAIN_HEAD], rows, 2)}`;
}

const GAIN_HEAD = [
  '1 thread',
  '2 threads',
  'gain',
  'µs CPU, 1',
  'µs CPU, 2',
  'own µs, 1',
  'own core, 1',
  'cores, 1',
  'cores, 2',
];

function gainCells(one: LoopFigure, two: LoopFigure): string[] {
  return [
    count(one.perSecond),
    count(two.perSecond),
    (two.perSecond / one.perSecond).toFixed(2),
    micros(one.cpuMicros),
    micros(two.cpuMicros),
    micros(one.ownMicros),
    one.ownMicros === undefined ? '' : percent((one.perSecond * one.ownMicros) / 1e6),
    coresOf(one).toFixed(2),
    coresOf(two).toFixed(2),
  ];
}

/** Cost grows linearly: what an operation costs among many keys, beyond what LMDB itself costs more then. */
export function growthTable(outcomes: readonly Outcome[]): string {
  const rows = outcomes.flatMap((many) => {
    const { keys, valueBytes, sync } = many.scenario;
    const few = outcomes.find(
      ({ scenario }) => scenario.keys < keys && scenario.valueBytes === valueBytes && scenario.sync === sync,
    );
    if (few === undefined) return [];
    return (['put', 'get'] as const).flatMap((operation) => growthRow(operation, few, many));
  });
  if (rows.length === 0) return '';
  const head = ['', 'µs CPU, few keys', 'many keys', 'growth', "the floor's", 'beyond it (≤ 1.5)'];
  return `### Growth with the number of keys, ${IN_FLIGHT} in flight\n\n${markdown(head, rows, 1)}`;
}

function growthRow(operation: 'put' | 'get', few: Outcome, many: Outcome): string[][] {
  const [before, after] = [rowOf(few, operation, 1), rowOf(many, operation, 1)];
  if (before?.floor === undefined || after?.floor === undefined) return [];
  const growth = after.figure.cpuMicros / before.figure.cpuMicros;
  const floorGrowth = after.floor.cpuMicros / before.floor.cpuMicros;
  const { valueBytes, sync } = many.scenario;
  const name = `${operation}, ${count(valueBytes)} B, sync: '${sync}', ${count(few.scenario.keys)} → ${count(many.scenario.keys)} keys`;
  return [
    [
      name,
      micros(before.figure.cpuMicros),
      micros(after.figure.cpuMicros),
      `× ${growth.toFixed(2)}`,
      `× ${floorGrowth.toFixed(2)}`,
      `× ${(growth / floorGrowth).toFixed(2)}`,
    ],
  ];
}

export function memoryTable(outcomes: readonly Outcome[]): string {
  if (outcomes.length === 0) return '';
  const rows = outcomes.map(({ scenario, heap, external, stored, resident: { own, files } }) => [
    nameOf(scenario),
    mib(heap),
    mib(external),
    mib(stored),
    mib(own),
    mib(files),
  ]);
  const head = ['', "a node's heap", 'and beside it', 'in files, all nodes', 'process', 'pages of files'];
  return `### Memory, at the end of each table\n\n${markdown(head, rows, 1)}`;
}

function rowOf({ rows }: Outcome, operation: Operation, threads: number): Row | undefined {
  return rows.find((row) => row.operation === operation && row.inFlight === IN_FLIGHT && row.threads === threads);
}

function figureOf(outcome: Outcome, operation: Operation, threads: number): LoopFigure | undefined {
  return rowOf(outcome, operation, threads)?.figure;
}

function micros(value: number | undefined): string {
  return value === undefined ? '' : value.toFixed(1);
}
