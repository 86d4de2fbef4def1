/** `quoral export`: writes a bucket's keys, with all siblings, to a file that `quoral import --format export` reads. */
import type { Command } from 'commander';
import type { ScanEntry } from '../store/api/results.js';
import { CountReport } from './export/count-report.js';
import { WholeFile } from './export/whole-file.js';
import { addJson } from './options.js';
import { addTarget, type KeyValues, type TargetFlags, withBucket } from './target.js';
import { CommandError, print, type Terminal, UsageError } from './terminal.js';
import { jsonKey, jsonSibling } from './value.js';

interface Flags extends TargetFlags {
  readonly bucket: string;
  readonly json?: boolean;
}

/** What is written to: a file, or standard output. */
type Sink = Pick<WholeFile, 'write' | 'finish' | 'abandon'>;

export function addExport(program: Command, terminal: Terminal): void {
  const command = program
    .command('export')
    .description(
      "write a bucket to a file, a JSON object a key, in the keys' order; the file is replaced only when all is written. A time to live is not kept",
    )
    .argument('<file>', 'the file, or - for standard output')
    .requiredOption('--bucket <bucket>', 'bucket to export');
  addJson(addTarget(command))
    .addHelpText(
      'after',
      '\nExample:\n  $ quoral export carts.ndjson --bucket carts\n  $ quoral import carts.ndjson --bucket carts --format export --data ./other\n  $ quoral export - --bucket carts --data ./data | gzip > carts.ndjson.gz',
    )
    .action((file: string, flags: Flags) => exportFile(terminal, file, flags));
}

async function exportFile(terminal: Terminal, file: string, flags: Flags): Promise<void> {
  if (file === '-' && flags.json) throw new UsageError('--json prints a summary: give a file');
  const started = terminal.now();
  const keys = await withBucket(terminal, flags.bucket, flags, (values) => write(terminal, file, values));
  const seconds = (terminal.now() - started) / 1_000;
  if (flags.json) await print(terminal.stdout, `${JSON.stringify({ file, keys, seconds })}\n`);
  else if (file !== '-') {
    const rate = Math.round(keys / Math.max(seconds, 1e-3));
    await print(terminal.stdout, `${keys} keys exported in ${seconds.toFixed(1)} s (${rate} keys/s)\n`);
  }
}

/** @returns the number of keys */
async function write(terminal: Terminal, file: string, values: KeyValues): Promise<number> {
  const report = new CountReport(terminal.stderr, 'exporting', () => terminal.now());
  let interrupted = false;
  const unsubscribe = terminal.onStopSignal(() => {
    interrupted = true;
  });
  const sink = file === '-' ? standardOutput(terminal) : await create(file);
  let keys = 0;
  let finished = false;
  try {
    for await (const entry of values.scan({ values: true })) {
      if (interrupted) throw new CommandError('interrupted: nothing was exported');
      await sink.write(lineOf(entry));
      report.update(++keys);
    }
    await sink.finish();
    finished = true;
  } finally {
    unsubscribe();
    report.stop();
    if (!finished) await sink.abandon();
  }
  return keys;
}

function lineOf({ key, siblings = [] }: ScanEntry<Uint8Array>): string {
  return `${JSON.stringify({ ...jsonKey(key), siblings: siblings.map(jsonSibling) })}\n`;
}

async function create(file: string): Promise<Sink> {
  try {
    return await WholeFile.create(file);
  } catch (error) {
    throw new CommandError(`Cannot write ${file}: ${(error as Error).message}`);
  }
}

function standardOutput({ stdout }: Terminal): Sink {
  return { write: (text) => print(stdout, text), finish: async () => {}, abandon: async () => {} };
}
