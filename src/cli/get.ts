/** `quoral get`: prints the value of a key. */
import Table from 'cli-table3';
import type { Command } from 'commander';
import type { Quorum } from '../store/api/call-options.js';
import type { ReadResult } from '../store/api/results.js';
import { addJson, addTimeout, quorum } from './options.js';
import { addTarget, type TargetFlags, withBucket } from './target.js';
import { CommandError, print, type Terminal } from './terminal.js';
import { jsonSibling, oneLine } from './value.js';

interface Flags extends TargetFlags {
  readonly json?: boolean;
  readonly r?: Quorum;
  readonly timeout?: number;
}

export function addGet(program: Command, terminal: Terminal): void {
  const command = program
    .command('get')
    .description('print the value of a key; siblings as a table, and exit code 1')
    .argument('<bucket>')
    .argument('<key>')
    .option('--r <quorum>', 'replicas to read', quorum);
  addJson(addTimeout(addTarget(command)))
    .addHelpText('after', '\nExample:\n  $ quoral get carts alice\n  $ quoral get carts alice --data ./data --json')
    .action((bucket: string, key: string, flags: Flags) => get(terminal, bucket, key, flags));
}

async function get(terminal: Terminal, bucket: string, key: string, flags: Flags): Promise<void> {
  const options = {
    ...(flags.r !== undefined && { r: flags.r }),
    ...(flags.timeout !== undefined && { timeoutMs: flags.timeout }),
  };
  const result = await withBucket(terminal, bucket, flags, (values) => values.get(key, options));
  const { stdout } = terminal;
  if (flags.json) {
    const { found, causalContext } = result;
    await print(stdout, `${JSON.stringify({ found, siblings: result.siblings.map(jsonSibling), causalContext })}\n`);
  } else if (result.siblings.length > 1) {
    await print(stdout, siblingsTable(result, stdout.columns ?? 80));
  } else if (result.found) {
    await print(stdout, result.siblings[0]!.value);
    if (stdout.isTTY) await print(stdout, '\n');
  }
  if (!result.found) throw new CommandError(`not found: ${oneLine(bucket)}/${oneLine(key)}`);
  if (result.siblings.length > 1) {
    throw new CommandError(`${result.siblings.length} siblings: resolve them with quoral put --replace`);
  }
}

/** Of the columns before the value: a date, and most media types; with the borders. */
const WRITTEN_COLUMNS = 26;
const TYPE_COLUMNS = 20;
const BORDERS = 4;

/** @param columns - how wide it may be; what is longer is cut, and ends with `…` */
function siblingsTable({ siblings }: ReadResult<Uint8Array>, columns: number): string {
  const valueColumns = Math.max(20, columns - WRITTEN_COLUMNS - TYPE_COLUMNS - BORDERS);
  const table = new Table({
    head: ['written', 'content type', 'value'],
    colWidths: [WRITTEN_COLUMNS, TYPE_COLUMNS, valueColumns],
    style: { head: [], border: [] },
  });
  for (const { timestampMs, contentType, value } of siblings) {
    // No more than is shown: a value may be 64 MiB, and a character takes at most 4 bytes.
    const preview = oneLine(firstChars(value, valueColumns));
    table.push([new Date(timestampMs).toISOString(), oneLine(contentType), preview]);
  }
  return `${table}\n`;
}

/** A beginning of `value` that does not end within a character of UTF-8. */
function firstChars(value: Uint8Array, chars: number): Uint8Array {
  if (value.length <= 4 * chars) return value;
  let end = 4 * chars;
  while (end > 4 * chars - 4 && (value[end]! & 0xc0) === 0x80) end--;
  return value.subarray(0, end);
}
