/** The command line of `npm run bench`: which benchmarks there are, and what may be said of each. Runs none by itself. */
import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError, Option } from 'commander';
import { integer } from '../src/cli/options.js';
import type { ProfileLoad } from './profile/profile.js';
import { SCENARIOS, type Scenario, type Selection, selected } from './scenarios.js';

const ANTI_ENTROPY_PARTS = ['trees', 'puts', 'serving'] as const;
export type AntiEntropyPart = (typeof ANTI_ENTROPY_PARTS)[number];

/** What the commands do. */
export interface Benchmarks {
  full(scenarios: readonly Scenario[], outcomes: string | undefined): Promise<void>;
  rehearsal(): Promise<void>;
  report(outcomes: string): Promise<void>;
  quick(): Promise<void>;
  mix(): Promise<void>;
  profile(load: ProfileLoad): Promise<void>;
  turns(): Promise<void>;
  failover(perSecond: number | undefined): Promise<void>;
  pause(perSecond: number | undefined): Promise<void>;
  antiEntropy(parts: readonly AntiEntropyPart[], keys: number, perSecond: number): Promise<void>;
}

const MOST_PER_SECOND = 1_000_000;
const SERVING_PER_SECOND = 4_000;
const TREE_KEYS = 1_000_000;

/** @throws CommanderError after it has told what is wrong, or has shown the help */
export function createProgram(benchmarks: Benchmarks): Command {
  const program = new Command('npm run bench --')
    .description(
      'Measures the store beside the floor of bare LMDB. Tables on the output, progress on the error stream.',
    )
    .exitOverride()
    .addHelpText('after', '\nExit codes: 0 measured, 1 it failed, 2 wrong use.');
  addFull(program, benchmarks);
  program
    .command('report <file>')
    .description('the tables of what `full --outcomes <file>` has measured so far')
    .action((file: string, _options: unknown, command: Command) => {
      if (!existsSync(file)) command.error(`error: there is no file '${file}'`);
      return benchmarks.report(file);
    });
  program
    .command('rehearsal')
    .description('the same as `full` in two minutes: shows that it works, its figures mean nothing')
    .action(() => benchmarks.rehearsal());
  program
    .command('quick')
    .description('under a minute: quorum puts and gets beside the floor, lanes, idleness')
    .action(() => benchmarks.quick());
  program
    .command('mix')
    .description('under a minute: 95/5 and 50/50, beside what was measured of others')
    .action(() => benchmarks.mix());
  program
    .command('profile')
    .description('a minute, Linux: where the time of an operation goes, by thread and by step')
    .addArgument(program.createArgument('[operation]').choices(['put', 'get']).default('put'))
    .addOption(new Option('--sync <mode>', 'how writes are flushed').choices(['none', 'full']).default('none'))
    .action((operation: ProfileLoad['operation'], { sync }: Pick<ProfileLoad, 'sync'>) =>
      benchmarks.profile({ operation, sync }),
    );
  program
    .command('turns')
    .description(
      'half a minute: how long the turns of nodes are under a mixed load, and how much of them is the commit',
    )
    .action(() => benchmarks.turns());
  const crash = program.command('failover').description('a minute: a node crashes and comes back, under constant load');
  addRate(crash).action(({ rate }: Partial<Rate>) => benchmarks.failover(rate));
  const pause = program.command('pause').description('a minute: nodes stand still, under constant load');
  addRate(pause).action(({ rate }: Partial<Rate>) => benchmarks.pause(rate));
  addAntiEntropy(program, benchmarks);
  return program;
}

function addFull(program: Command, benchmarks: Benchmarks): void {
  program
    .command('full', { isDefault: true })
    .description(
      'under 20 minutes: sizes of values, numbers of keys, ways to flush, in flight, threads; or a part of it',
    )
    .option('--keys <list>', `of ${listOf('keys')}`, choices('keys'))
    .option('--bytes <list>', `sizes of values, of ${listOf('valueBytes')}`, choices('valueBytes'))
    .addOption(new Option('--sync <mode>', 'only this way to flush').choices(['none', 'full']))
    .option('--outcomes <file>', 'adds what it measures to that file, and leaves out what is there')
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nExample: in two parts\n  $ npm run bench -- --sync none --outcomes parts.ndjson\n  $ npm run bench -- --sync full --outcomes parts.ndjson\n  $ npm run bench -- report parts.ndjson',
    )
    .action((flags: FullFlags, command: Command) => {
      const [unknown] = command.args;
      // It is run without a name, too, and is given any name that is none of the others.
      if (unknown !== undefined) {
        const names = program.commands.map((each) => each.name()).join(', ');
        command.error(`error: there is no benchmark '${unknown}'; there are: ${names}`);
      }
      const scenarios = selected({ keys: flags.keys, valueBytes: flags.bytes, sync: flags.sync });
      if (scenarios.length === 0) command.error('error: so many values of that size are not measured');
      return benchmarks.full(scenarios, flags.outcomes);
    });
}

interface FullFlags {
  readonly keys?: readonly number[];
  readonly bytes?: readonly number[];
  readonly sync?: 'none' | 'full';
  readonly outcomes?: string;
}

function addAntiEntropy(program: Command, benchmarks: Benchmarks): void {
  const command = program
    .command('anti-entropy')
    .description('about eight minutes: trees, comparing replicas, what clients feel of it, refilling a lost node')
    .addArgument(program.createArgument('[part]', 'only this part of it').choices(ANTI_ENTROPY_PARTS))
    .option('--keys <count>', 'of a replica; a fifth of it is in the stores', integer(1_000, 10_000_000), TREE_KEYS);
  addRate(command, SERVING_PER_SECOND).action(
    (part: AntiEntropyPart | undefined, { keys, rate }: Rate & { readonly keys: number }) =>
      benchmarks.antiEntropy(part === undefined ? ANTI_ENTROPY_PARTS : [part], keys, rate),
  );
}

interface Rate {
  readonly rate: number;
}

/** @param perSecond - unless it is said; half of what the store can do without it */
function addRate(command: Command, perSecond?: number): Command {
  const what = `operations a second${perSecond === undefined ? ' (default: half of what the store can do)' : ''}`;
  return command.option('--rate <count>', what, integer(2, MOST_PER_SECOND), perSecond);
}

type Listed = Exclude<keyof Selection, 'sync'>;

function valuesOf(which: Listed): number[] {
  return [...new Set(SCENARIOS.map((scenario) => scenario[which]))].sort((a, b) => a - b);
}

function listOf(which: Listed): string {
  return valuesOf(which).join(',');
}

/** Numbers of those that are measured, with commas between them. */
function choices(which: Listed): (text: string) => number[] {
  return (text) =>
    text.split(',').map((one) => {
      const value = valuesOf(which).find((known) => String(known) === one);
      if (value === undefined) throw new InvalidArgumentError(`'${one}' is none of ${listOf(which)}.`);
      return value;
    });
}
