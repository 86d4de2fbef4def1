/** `quoral delete`: deletes a key. */
import type { Command } from 'commander';
import type { Quorum } from '../store/api/call-options.js';
import type { Receipt } from '../store/api/results.js';
import { addJson, addTimeout, quorum } from './options.js';
import { addTarget, type KeyValues, type TargetFlags, withBucket } from './target.js';
import { CommandError, print, type Terminal } from './terminal.js';
import { oneLine } from './value.js';

interface Flags extends TargetFlags {
  readonly json?: boolean;
  readonly w?: Quorum;
  readonly timeout?: number;
  readonly context?: string;
}

export function addDelete(program: Command, terminal: Terminal): void {
  const command = program
    .command('delete')
    .description('delete a key, with all siblings it has now')
    .argument('<bucket>')
    .argument('<key>')
    .option('--context <token>', 'delete only what the read that gave this token saw')
    .option('--w <quorum>', 'replicas that must have stored the deletion', quorum);
  addJson(addTimeout(addTarget(command)))
    .addHelpText('after', '\nExample:\n  $ quoral delete carts alice')
    .action((bucket: string, key: string, flags: Flags) => deleteKey(terminal, bucket, key, flags));
}

async function deleteKey(terminal: Terminal, bucket: string, key: string, flags: Flags): Promise<void> {
  const receipt = await withBucket(terminal, bucket, flags, (values) => readAndDelete(values, key, flags));
  if (receipt === undefined) throw new CommandError(`not found: ${oneLine(bucket)}/${oneLine(key)}`);
  await print(
    terminal.stdout,
    flags.json ? `${JSON.stringify(receipt)}\n` : `deleted ${oneLine(bucket)}/${oneLine(key)}\n`,
  );
}

async function readAndDelete(values: KeyValues, key: string, flags: Flags): Promise<Receipt | undefined> {
  const timeout = flags.timeout === undefined ? {} : { timeoutMs: flags.timeout };
  let causalContext = flags.context;
  if (causalContext === undefined) {
    const result = await values.get(key, timeout);
    if (!result.found) return undefined;
    causalContext = result.causalContext;
  }
  return await values.delete(key, { ...timeout, causalContext, ...(flags.w !== undefined && { w: flags.w }) });
}
