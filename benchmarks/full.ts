/**
 * `npm run bench`: what quorums cost over sizes of values, numbers of keys, ways to flush, operations in flight and
 * threads of the application, beside the floor of each; as tables in Markdown for `benchmarks/README.md`. Progress goes to
 * the error stream. Rounds of floor and store are interleaved, so that a machine that slows down slows both.
 *
 * It can be run in parts: each adds what it measured to a file, from which all tables are printed in the end.
 */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { UsageError } from '../src/cli/terminal.js';
import { measuredApart } from './apart.js';
import { measureIdle } from './quick.js';
import { machine } from './report.js';
import type { Outcome } from './scenario.js';
import {
  LEAST_KEYS,
  N,
  NODES,
  nameOf,
  REHEARSAL,
  ROUNDS,
  type Scenario,
  SLICE_MS,
  slicesOf,
  WARM_UP_MS,
} from './scenarios.js';
import { growthTable, memoryTable, outcomeTable, threadsTable } from './tables.js';

export interface FullOptions {
  readonly scenarios: readonly Scenario[];
  /** Its slices are too short, and its keys too few, to mean anything. */
  readonly rehearsal?: boolean;
  /** Where the outcomes are added, a line of JSON each. What is there already is not measured again. */
  readonly outcomes?: string | undefined;
}

export async function full({ scenarios, rehearsal = false, outcomes }: FullOptions): Promise<void> {
  const scale = rehearsal ? REHEARSAL : 1;
  const before = outcomes !== undefined && existsSync(outcomes) ? readOutcomes(outcomes) : [];
  const known = new Set(before.map(({ scenario }) => nameOf(scenario)));
  const unmeasured = scenarios
    .map(({ keys, ...rest }) => ({ ...rest, keys: Math.max(keys * scale, LEAST_KEYS) }))
    .filter((scenario) => !known.has(nameOf(scenario)));
  const measured: Outcome[] = [];
  const start = performance.now();
  const total = unmeasured.reduce((sum, scenario) => sum + weightOf(scenario, scale), 0);
  let done = 0;
  console.error(`${unmeasured.length} of ${scenarios.length} scenarios to measure, about ${inWords(total)}`);
  console.log(`${heading(SLICE_MS * scale)}\n`);
  for (const [at, scenario] of unmeasured.entries()) {
    const spent = (performance.now() - start) / 1_000;
    // The first estimate is that of the weights, which are about seconds.
    const left = done === 0 ? total : (spent / done) * (total - done);
    console.error(`${at + 1} of ${unmeasured.length}: ${nameOf(scenario)}; about ${inWords(left)} to go`);
    const outcome = await measureApart(scenario, scale);
    measured.push(outcome);
    done += weightOf(scenario, scale);
    console.log(`${outcomeTable(outcome)}\n`);
    if (outcomes !== undefined) appendFileSync(outcomes, `${JSON.stringify(outcome)}\n`);
  }
  summary([...before, ...measured]);
  const idle = await measureIdle();
  console.log(`Idle: ${(100 * idle).toFixed(2)} % of one core (target: ≤ 1 %)`);
  console.error(`measured in ${inWords((performance.now() - start) / 1_000)}`);
}

/** `npm run bench -- report FILE`: the tables of what was measured in parts. */
export function report(outcomes: readonly Outcome[]): void {
  console.log(`${heading(SLICE_MS)}\n`);
  for (const outcome of outcomes) console.log(`${outcomeTable(outcome)}\n`);
  summary(outcomes);
}

/** @throws UsageError naming the line that is not one of ours */
export function readOutcomes(path: string): Outcome[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.flatMap((line, at) => (line === '' ? [] : [outcomeOf(line, `${path}, line ${at + 1}`)]));
}

function outcomeOf(line: string, where: string): Outcome {
  let outcome: Partial<Outcome> | null;
  try {
    outcome = JSON.parse(line) as Partial<Outcome> | null;
  } catch (error) {
    throw new UsageError(`${where}: ${(error as Error).message}`);
  }
  if (outcome?.scenario !== undefined && outcome.rows !== undefined) return outcome as Outcome;
  throw new UsageError(`${where}: not what a benchmark measured`);
}

function summary(outcomes: readonly Outcome[]): void {
  for (const table of [threadsTable, growthTable, memoryTable]) {
    const text = table(outcomes);
    if (text !== '') console.log(`${text}\n`);
  }
}

function heading(sliceMs: number): string {
  return `${machine()}; ${NODES} nodes, N = ${N}, R = W = 2; medians of ${ROUNDS} rounds of ${sliceMs} ms a row`;
}

function inWords(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** About how many seconds it takes. */
function weightOf(scenario: Scenario, scale: number): number {
  const { keys, valueBytes, sync } = scenario;
  const slices = (slicesOf(scenario).length + 2) * ROUNDS * (SLICE_MS / 1_000) + (2 * WARM_UP_MS) / 1_000;
  const bytes = keys * (valueBytes + 1_000);
  return slices * scale + bytes / (sync === 'full' ? 9e6 : 18e6) + 4;
}

function measureApart(scenario: Scenario, scale: number): Promise<Outcome> {
  const entry = new URL('./scenario.js', import.meta.url);
  return measuredApart(entry, { scenario, scale }, `the process that measured ${nameOf(scenario)}`);
}
