/** `quoral get`: prints the value of a key. */

import Table from 'cli-table3';
import type { Command } from 'commander';
import type { Quorum, ReadResult } from '../store/api.js';
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
    await print(stdout, siblingsTable(result));
  } else if (result.found) {
    await print(stdout, result.siblings[0]!.value);
    if (stdout.isTTY) await print(stdout, '\n');
  }
  if (!result.found) throw new CommandError(`not found: ${oneLine(bucket)}/${oneLine(key)}`);
  if (result.siblings.length > 1) {
    throw new CommandError(`${result.siblings.length} siblings: resolve them with quoral put --replace`);
  }
}

const PREVIEW_CHARS = 60;

function siblingsTable({ siblings }: ReadResult<Uint8Array>): string {
  const table = new Table({ head: ['written', 'content type', 'value'], style: { head: [], border: [] } });
  for (const { timestampMs, contentType, value } of siblings) {
    const text = oneLine(value.subarray(0, 4 * PREVIEW_CHARS));
    const preview = text.length > PREVIEW_CHARS ? `${text.slice(0, PREVIEW_CHARS)}…` : text;
    table.push([new Date(timestampMs).toISOString(), oneLine(contentType), preview]);
  }
  return `${table}\n`;
}
