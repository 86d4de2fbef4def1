/** What the tables of `npm run bench` say of what was measured. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readOutcomes } from '../../../benchmarks/full.js';
import type { Outcome, Row } from '../../../benchmarks/scenario.js';
import type { Scenario } from '../../../benchmarks/scenarios.js';
import { growthTable, memoryTable, outcomeTable, threadsTable } from '../../../benchmarks/tables.js';
import { coresOf, type LoopRun, measureLoops } from '../../../benchmarks/workloads/closed-loop.js';
import type { Operation } from '../../../benchmarks/workloads/key-value-load.js';
import { UsageError } from '../../../src/cli/terminal.js';
import { Histogram } from '../../../src/metrics/histogram.js';
import { test } from '../../support/test.js';

const FEW: Scenario = { keys: 10_000, valueBytes: 100, sync: 'none' };
const MANY: Scenario = { ...FEW, keys: 1_000_000 };

function row(operation: Operation, threads: number, perSecond: number, cpuMicros: number, floorMicros?: number): Row {
  return {
    operation,
    inFlight: 256,
    threads,
    figure: { perSecond, cpuMicros, ownMicros: cpuMicros / 4, p50Ms: 1, p99Ms: 2, p999Ms: 3 },
    floor: floorMicros === undefined ? undefined : { perSecond: 100_000, cpuMicros: floorMicros },
  };
}

function outcome(scenario: Scenario, rows: readonly Row[]): Outcome {
  return { scenario, rows, heap: 0, external: 0, stored: 0, resident: { own: 0, files: 0 }, workMicros: 12.5 };
}

/** The cells of a table, without its title, head and rule. */
function cells(table: string): string[][] {
  const lines = table.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

test('a scenario: shares of the floor, cores in use, what the application took itself, and verdicts', () => {
  const table = outcomeTable(
    outcome(FEW, [row('get', 1, 50_000, 40, 20), row('put', 1, 10_000, 100, 10), row('get + work', 2, 1_000, 80)]),
  );
  const [get, put, work, ofGets, ofPuts] = cells(table);
  assert.deepEqual(get, [
    ...['get', '256', '1', '50,000', '50 %', '1.00', '2.00', '3.00', '40.0', '50 %', '10.0', '2.00'],
    'target met',
  ]);
  assert.equal(put!.at(-1), 'target: ≥ 65 %, p99 ≤ 6 ms');
  assert.deepEqual([work![4], work![9], work![11]], ['', '', '0.08']);
  assert.deepEqual([ofGets![0], ofPuts![0]], ['floor of gets', 'floor of puts']);
  assert.match(table, /takes 12\.5 µs by itself/);
  assert.doesNotMatch(outcomeTable(outcome(FEW, [row('put', 1, 1, 1)])), /by itself/);
});

test('two threads are put beside one, and many keys beside few of the same size', () => {
  const few = outcome(FEW, [
    row('get', 1, 50_000, 40, 20),
    row('get', 2, 75_000, 20, 20),
    row('put', 1, 1_000, 50, 10),
  ]);
  const many = outcome(MANY, [row('get', 1, 20_000, 60, 40), row('put', 1, 500, 150, 15)]);
  assert.deepEqual(cells(threadsTable([few, many])), [
    [
      "10,000 keys of 100 B, sync: 'none'",
      'get',
      '50,000',
      '75,000',
      '1.50',
      '40.0',
      '20.0',
      '10.0',
      '50 %',
      '2.00',
      '1.50',
    ],
  ]);
  assert.deepEqual(cells(growthTable([few, many])), [
    ["put, 100 B, sync: 'none', 10,000 → 1,000,000 keys", '50.0', '150.0', '× 3.00', '× 1.50', '× 2.00'],
    ["get, 100 B, sync: 'none', 10,000 → 1,000,000 keys", '40.0', '60.0', '× 1.50', '× 2.00', '× 0.75'],
  ]);
  const other = outcome({ ...MANY, sync: 'full' }, many.rows);
  assert.equal(growthTable([few, other]), '');
  assert.equal(threadsTable([many]), '');
  assert.equal(cells(memoryTable([few, other])).length, 2);
});

test('the outcomes of parts are read again, and a line that is none is named', () => {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-test-'));
  const file = join(directory, 'outcomes.ndjson');
  try {
    const parts = [outcome(FEW, [row('put', 1, 1, 1)]), outcome(MANY, [])];
    const text = parts.map((part) => `${JSON.stringify(part)}\n`).join('');
    writeFileSync(file, text);
    assert.equal(outcomeTable(readOutcomes(file)[0]!), outcomeTable(parts[0]!));
    assert.equal(readOutcomes(file).length, 2);
    for (const line of ['{"scenario":', '7', 'null', '{"rows":[]}']) {
      writeFileSync(file, text + line);
      assert.throws(
        () => readOutcomes(file),
        (error: Error) => error instanceof UsageError && /line 3/.test(error.message),
      );
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('loops of several threads are summed; their own time is told only where all tell it', async () => {
  const latencies = new Histogram();
  for (let i = 0; i < 10; i++) latencies.record(1);
  const run = (cpuMs: number | undefined) => (): Promise<LoopRun> =>
    Promise.resolve({ latencies: latencies.data(), elapsedMs: 100, cpuMs });
  const figure = await measureLoops([run(1), run(3)]);
  assert.equal(figure.perSecond, 200);
  assert.equal(figure.ownMicros, 4_000 / 20);
  assert.equal(coresOf({ ...figure, cpuMicros: 5_000 }), 1);
  assert.equal((await measureLoops([run(1), run(undefined)])).ownMicros, undefined);
});
