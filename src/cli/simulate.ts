/**
 * `quoral simulate`: a whole cluster in virtual time, with faults; says what was promised and what was seen. One seed or
 * one scenario is told as a story; many seeds are counted.
 */
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { type Command, InvalidArgumentError } from 'commander';
import type { SpawnNode } from '../simulation/cluster-options.js';
import { readScenario, runScenario } from '../simulation/scenario.js';
import { STEPS } from '../simulation/scenario-steps.js';
import { tell } from '../simulation/story.js';
import { type RunReport, runSeed } from '../simulation/swarm.js';
import { addJson, integer } from './options.js';
import { runSeeds } from './simulate/seed-runs.js';
import type { SeedCount } from './simulate/seed-worker.js';
import { CommandError, print, type Terminal, UsageError } from './terminal.js';

interface Flags {
  readonly seed?: number;
  readonly seeds?: number;
  readonly hours?: number;
  readonly threads?: number;
  readonly json?: boolean;
}

const HOUR_MS = 3_600_000;
const PROGRESS_MS = 5_000;
const MAX_SEED = 2 ** 31;
const MAX_THREADS = 256;
const ACTORS = new URL('../../actors/simulated-node.js', import.meta.url);

export function addSimulate(program: Command, terminal: Terminal): void {
  const command = program
    .command('simulate')
    .description('run a whole cluster in virtual time, let faults strike, and check every promise')
    .argument('[scenario]', 'a JSON file with a cluster and what happens to it')
    .option(
      '--seed <n>',
      'the seed that all is drawn from; with --seeds or --hours the first one',
      integer(0, MAX_SEED),
    )
    .option('--seeds <count>', 'so many seeds', integer(1, MAX_SEED))
    .option('--hours <h>', 'as many seeds as are done in so many hours', hours)
    .option(
      '--threads <n>',
      'with --seeds or --hours: how many seeds are run at a time (default: one a core)',
      integer(1, MAX_THREADS),
    );
  addJson(command)
    .addHelpText(
      'after',
      `
A scenario:
  { "nodes": 5, "n": 3, "durationMs": 2000, "steps": [
    { "at": 300, "do": "crash", "node": "b" },
    { "at": 800, "do": "split", "nodes": ["c", "d"] },
    { "at": 1400, "do": "heal" } ] }
Also: r, w, zones, partitions, clients, sync, timeoutMs, seed; exchangeIntervalMs (else replicas are not compared),
with it tombstoneGraceMs (else deletions stay), with that maxContextEntries.
A step may do:
${stepsHelp()}

Examples:
  $ quoral simulate --seed 7
  $ quoral simulate --seeds 300
  $ quoral simulate scenario.json --json`,
    )
    .action((file: string | undefined, flags: Flags) => simulate(terminal, file, flags));
}

async function simulate(terminal: Terminal, file: string | undefined, flags: Flags): Promise<void> {
  const isSwarm = file === undefined && (flags.seeds ?? flags.hours) !== undefined;
  if (flags.threads !== undefined && !isSwarm) throw new UsageError('--threads is for --seeds and --hours');
  const { spawn } = (await import(ACTORS.href)) as { spawn: SpawnNode };
  if (file !== undefined) {
    if ((flags.seed ?? flags.seeds ?? flags.hours) !== undefined) {
      throw new UsageError('a scenario names its own seed: leave out --seed, --seeds and --hours');
    }
    await tellScenario(terminal, file, spawn, flags);
  } else if (isSwarm) await countSeeds(terminal, flags);
  else if (flags.seed !== undefined) await tellSeed(terminal, flags.seed, spawn, flags);
  else throw new UsageError('say what to simulate: --seed 7, --seeds 300, or a scenario file');
}

async function tellSeed(terminal: Terminal, seed: number, spawn: SpawnNode, flags: Flags): Promise<void> {
  await tellRun(
    terminal,
    tell(`seed ${seed}`, (say) => runSeed({ seed, spawn, say })),
    flags,
  );
}

async function tellScenario(terminal: Terminal, file: string, spawn: SpawnNode, flags: Flags): Promise<void> {
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new CommandError(`cannot read the scenario ${file}: ${(error as Error).message}`);
  }
  const scenario = readScenario(json);
  await tellRun(
    terminal,
    tell(file, (say) => runScenario(scenario, { spawn, say })),
    flags,
  );
}

async function tellRun(
  terminal: Terminal,
  { report, lines }: { readonly report: RunReport; readonly lines: readonly string[] },
  flags: Flags,
): Promise<void> {
  await print(terminal.stdout, flags.json ? `${JSON.stringify(plain(report))}\n` : `${lines.join('\n')}\n`);
  if (report.violations.length > 0) throw new CommandError(`${report.violations.length} promises were broken`);
}

/** Counts what many seeds come to. The last line of the output is `N passed, N failed`. */
async function countSeeds(terminal: Terminal, flags: Flags): Promise<void> {
  const first = flags.seed ?? 1;
  const count = flags.seeds ?? MAX_SEED;
  const until = flags.hours === undefined ? Number.POSITIVE_INFINITY : terminal.now() + flags.hours * HOUR_MS;
  function* seeds(): Generator<number> {
    for (let seed = first; seed < first + count && terminal.now() < until; seed++) yield seed;
  }
  const sum = new Sum();
  let progressDue = terminal.now() + PROGRESS_MS;
  const threads = flags.threads ?? availableParallelism();
  for await (const run of runSeeds({ seeds: seeds(), threads: Math.min(threads, count), actors: ACTORS })) {
    sum.add(run);
    if (run.violations.length > 0 && !flags.json) await print(terminal.stdout, failureOf(run));
    if (terminal.now() < progressDue) continue;
    progressDue = terminal.now() + PROGRESS_MS;
    await print(terminal.stderr, `${sum.seeds} seeds${count === MAX_SEED ? '' : ` of ${count}`}, ${sum}\n`);
  }
  await print(terminal.stdout, flags.json ? `${JSON.stringify(sum.plain())}\n` : sum.closing());
  if (sum.failed.length > 0) throw new CommandError(`${sum.failed.length} of ${sum.seeds} seeds broke a promise`);
}

function failureOf({ seed, violations }: SeedCount): string {
  const more = violations.length > 1 ? `\n  and ${violations.length - 1} more` : '';
  return `seed ${seed} failed: ${violations[0]}${more}\n  again: quoral simulate --seed ${seed}\n`;
}

/** What many seeds came to. */
class Sum {
  seeds = 0;
  readonly failed: number[] = [];
  private events = 0;
  private acknowledged = 0;
  private readonly struck = new Map<string, number>();

  add(report: SeedCount): void {
    this.seeds++;
    this.events += report.events;
    this.acknowledged += report.acknowledged;
    if (report.violations.length > 0) this.failed.push(report.seed);
    for (const [kind, count] of report.faults) this.struck.set(kind, (this.struck.get(kind) ?? 0) + count);
  }

  toString(): string {
    return `${this.events} events, ${this.acknowledged} writes acknowledged, ${this.failed.length} failed`;
  }

  closing(): string {
    const struck = [...this.struck].sort().map(([kind, count]) => `${count} × ${kind}`);
    const passed = this.seeds - this.failed.length;
    return `${this.seeds} seeds, ${this}\n${struck.join(', ')}\n${passed} passed, ${this.failed.length} failed\n`;
  }

  plain(): object {
    const { seeds, events, acknowledged, failed } = this;
    return { seeds, events, acknowledged, failed, faults: Object.fromEntries(this.struck) };
  }
}

/** A report as JSON tells it. */
function plain(report: RunReport & { readonly seed?: number }): object {
  const { history: _, faults, ...rest } = report;
  return { ...rest, faults: Object.fromEntries(faults) };
}

/** An option's parser: hours, parts of them too. */
function hours(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 10_000))
    throw new InvalidArgumentError('It must be a number above 0, and at most 10,000.');
  return value;
}

/** A line for each step: its name, its fields, what it does. */
function stepsHelp(): string {
  const lines = Object.entries(STEPS).map(([kind, { fields, what }]) => {
    return `  ${kind.padEnd(18)}${what}${fields === '' ? '' : ` (${fields})`}`;
  });
  return lines.join('\n');
}
