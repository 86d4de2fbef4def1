/** `quoral scan`: prints a bucket's keys in byte order. */
import type { Command } from 'commander';
import type { ScanEntry } from '../store/api.js';
import { addJson, integer } from './options.js';
import { addTarget, type TargetFlags, withBucket } from './target.js';
import { print, type Terminal } from './terminal.js';
import { jsonKey, jsonSibling, oneLine } from './value.js';

interface Flags extends TargetFlags {
  readonly json?: boolean;
  readonly prefix?: string;
  readonly limit?: number;
  readonly values?: boolean;
}

export function addScan(program: Command, terminal: Terminal): void {
  const command = program
    .command('scan')
    .description("print a bucket's keys in byte order, one a line")
    .argument('<bucket>')
    .option('--prefix <text>', 'only keys that start with it')
    .option('--limit <count>', 'at most so many', integer(1, 999_999_999_999))
    .option('--values', 'with their values, after a tab');
  addJson(addTarget(command))
    .addHelpText(
      'after',
      '\nExample:\n  $ quoral scan cities --prefix 26 --limit 10 --values\n  $ quoral scan cities --data ./data --json',
    )
    .action((bucket: string, flags: Flags) => scan(terminal, bucket, flags));
}

async function scan(terminal: Terminal, bucket: string, flags: Flags): Promise<void> {
  const { prefix, limit, values = false } = flags;
  const options = { values, ...(prefix !== undefined && { prefix }), ...(limit !== undefined && { limit }) };
  await withBucket(terminal, bucket, flags, async (source) => {
    for await (const entry of source.scan(options)) {
      await print(terminal.stdout, flags.json ? jsonLine(entry) : textLines(entry, values));
    }
  });
}

function jsonLine(entry: ScanEntry<Uint8Array>): string {
  const { siblings, causalContext, cursor } = entry;
  return `${JSON.stringify({ ...jsonKey(entry.key), siblings: siblings?.map(jsonSibling), causalContext, cursor })}\n`;
}

/** A line per sibling with values, or else one. */
function textLines({ key, siblings = [] }: ScanEntry<Uint8Array>, values: boolean): string {
  const name = oneLine(key);
  return values ? siblings.map(({ value }) => `${name}\t${oneLine(value)}\n`).join('') : `${name}\n`;
}
