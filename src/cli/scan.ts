/** `quoral scan`: prints a bucket's keys in byte order. */
import type { Command } from 'commander';
import type { Quorum } from '../store/api/call-options.js';
import type { ScanEntry, ValuedEntry } from '../store/api/results.js';
import { addJson, addTimeout, integer, quorum } from './options.js';
import type { ScanRange } from './remote-store.js';
import { addTarget, type TargetFlags, withBucket } from './target.js';
import { print, type Terminal } from './terminal.js';
import { jsonKey, jsonSibling, oneLine } from './value.js';

interface Flags extends TargetFlags {
  readonly json?: boolean;
  readonly prefix?: string;
  readonly gte?: string;
  readonly gt?: string;
  readonly lt?: string;
  readonly lte?: string;
  readonly after?: string;
  readonly limit?: number;
  readonly r?: Quorum;
  readonly timeout?: number;
  readonly values?: boolean;
}

export function addScan(program: Command, terminal: Terminal): void {
  const command = program
    .command('scan')
    .description("print a bucket's keys in byte order, one a line")
    .argument('<bucket>')
    .option('--prefix <text>', 'only keys that start with it')
    .option('--gte <key>', 'only keys from this one on')
    .option('--gt <key>', 'only keys behind this one')
    .option('--lt <key>', 'only keys before this one')
    .option('--lte <key>', 'only keys up to this one')
    .option('--after <cursor>', 'only keys behind the entry that --json gave this cursor with')
    .option('--limit <count>', 'at most so many', integer(1, 999_999_999_999))
    .option('--values', 'with their values, after a tab');
  command.option('--r <quorum>', 'replicas to read', quorum);
  addJson(addTimeout(addTarget(command)))
    .addHelpText(
      'after',
      '\nExample:\n  $ quoral scan cities --prefix 26 --limit 10 --values\n  $ quoral scan cities --gte 26 --lt 27 --data ./data\n  $ quoral scan cities --json --limit 100 --after MjY0',
    )
    .action((bucket: string, flags: Flags) => scan(terminal, bucket, flags));
}

async function scan(terminal: Terminal, bucket: string, flags: Flags): Promise<void> {
  await withBucket(terminal, bucket, flags, async (source) => {
    for await (const entry of source.scan(rangeOf(flags))) {
      await print(terminal.stdout, flags.json ? jsonLine(entry) : textLines(entry));
    }
  });
}

/** Only what is there: an option that is left out is not the same as one that is undefined. */
function rangeOf({ prefix, gte, gt, lt, lte, after, limit, r, timeout, values = false }: Flags): ScanRange {
  const given = Object.entries({ prefix, gte, gt, lt, lte, after, limit, r, timeoutMs: timeout });
  return { values, ...Object.fromEntries(given.filter(([, option]) => option !== undefined)) };
}

type Entry = ScanEntry | ValuedEntry<Uint8Array>;

function jsonLine(entry: Entry): string {
  const { key, cursor } = entry;
  const read =
    'siblings' in entry ? { siblings: entry.siblings.map(jsonSibling), causalContext: entry.causalContext } : undefined;
  return `${JSON.stringify({ ...jsonKey(key), ...read, cursor })}\n`;
}

/** A line per sibling with values, or else one. */
function textLines(entry: Entry): string {
  const name = oneLine(entry.key);
  if (!('siblings' in entry)) return `${name}\n`;
  return entry.siblings.map(({ value }) => `${name}\t${oneLine(value)}\n`).join('');
}
