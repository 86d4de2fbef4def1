/** `quoral import`: stores the lines of a file. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { Checkpoint, type Position } from './import/checkpoint.js';
import { type ImportCounts, Importer } from './import/importer.js';
import { linesOf } from './import/lines.js';
import { ProgressReport } from './import/progress.js';
import type { Format } from './import/record.js';
import { addJson, addStoreOptions, integer, type StoreFlags, storeOptions } from './options.js';
import { addTarget, type KeyValues, type TargetFlags, withBucket } from './target.js';
import { CommandError, print, type Terminal, UsageError } from './terminal.js';

interface Flags extends TargetFlags, StoreFlags {
  readonly bucket: string;
  readonly key?: string;
  readonly format: Format;
  readonly onError: 'stop' | 'skip';
  readonly concurrency: number;
  readonly restart?: boolean;
  readonly json?: boolean;
}

const START: Position = { offset: 0, line: 0 };
/** Lines longer than the largest value that any store takes are bad; what this store takes, it says itself. */
const MAX_LINE_BYTES = 64 * 2 ** 20;
const CHECKPOINT_EVERY_MS = 1_000;
/** Looking how far the import is costs a look at every line in hand: too much after each line. */
const LOOK_EVERY_MS = 50;
/** Bad lines that the JSON summary names; all are printed. */
const MAX_BAD_LINES_IN_SUMMARY = 1_000;

export function addImport(program: Command, terminal: Terminal): void {
  const command = program
    .command('import')
    .description(
      'store the lines of a file; run again, it goes on where it stopped (with --data), and leaves equal values alone',
    )
    .argument('<file>')
    .requiredOption('--bucket <bucket>', 'bucket to store into')
    .option('--key <field>', 'ndjson: the field that is the key, text or a whole number')
    .addOption(
      new Option('--format <format>', 'ndjson: a JSON object a line; lines: each line is key and value')
        .choices(['ndjson', 'lines'])
        .default('ndjson'),
    )
    .addOption(new Option('--on-error <action>', 'what to do at a bad line').choices(['stop', 'skip']).default('stop'))
    .option('--concurrency <count>', 'lines worked on at a time', integer(1, 1_024), 256)
    .option('--restart', 'begin at the first line, whatever an earlier run did');
  addJson(addStoreOptions(addTarget(command)))
    .addHelpText(
      'after',
      '\nExample:\n  $ quoral import cities.ndjson --bucket cities --key cityId --data ./data\n  $ quoral import words.txt --bucket words --format lines --on-error skip',
    )
    .action((file: string, flags: Flags) => importFile(terminal, file, flags));
}

async function importFile(terminal: Terminal, file: string, flags: Flags): Promise<void> {
  if (flags.format === 'ndjson' && flags.key === undefined) throw new UsageError('--format ndjson needs --key FIELD');
  if (flags.format === 'lines' && flags.key !== undefined) {
    throw new UsageError('--format lines takes no --key: the line is the key');
  }
  const { size, mtimeMs: modifiedMs } = await fileStatus(file);
  const { data, bucket, type, format } = flags;
  const identity = { file, size, modifiedMs, bucket, type, format, keyField: flags.key ?? '' };
  await withBucket(
    terminal,
    bucket,
    flags,
    async (values) => {
      const checkpoint = data === undefined ? undefined : new Checkpoint(data, identity);
      const from = (flags.restart ? undefined : await checkpoint?.load()) ?? START;
      if (from.line > 0) terminal.stderr.write(`resuming after line ${from.line} (--restart begins anew)\n`);
      await runImport(terminal, { file, size, from, flags, values, checkpoint });
    },
    storeOptions(flags),
  );
}

async function fileStatus(file: string) {
  try {
    const status = await stat(file);
    if (!status.isFile()) throw new UsageError(`${file} is not a file`);
    return status;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new UsageError(`There is no file ${file}`);
    throw error;
  }
}

interface Run {
  readonly file: string;
  readonly size: number;
  readonly from: Position;
  readonly flags: Flags;
  readonly values: KeyValues;
  readonly checkpoint: Checkpoint | undefined;
}

async function runImport(terminal: Terminal, { file, size, from, flags, values, checkpoint }: Run): Promise<void> {
  const started = terminal.now();
  const progress = new ProgressReport(terminal.stderr, size, from.offset, () => terminal.now());
  const badLines: { line: number; reason: string }[] = [];
  let savedMs = started;
  let nextLookMs = started;
  const importer = new Importer(
    values,
    {
      format: flags.format,
      keyField: flags.key ?? '',
      onError: flags.onError,
      concurrency: flags.concurrency,
      onBadLine: (line, reason) => {
        if (badLines.length < MAX_BAD_LINES_IN_SUMMARY) badLines.push({ line, reason });
        progress.beside(() => terminal.stderr.write(`${file}:${line}: ${reason}\n`));
      },
      onProgress: async ({ counts }) => {
        const now = terminal.now();
        if (now < nextLookMs) return;
        nextLookMs = now + LOOK_EVERY_MS;
        const position = importer.position();
        progress.update({ offset: position.offset, lines: total(counts) });
        if (checkpoint === undefined || now - savedMs < CHECKPOINT_EVERY_MS) return;
        savedMs = Number.POSITIVE_INFINITY; // One save at a time.
        await checkpoint.save(position);
        savedMs = terminal.now();
      },
      sleep: (ms) => terminal.sleep(ms),
    },
    from,
  );
  let asked = false;
  // A signal that came after the last line interrupted nothing.
  const interrupted = () => asked && importer.position().offset < size;
  const unsubscribe = terminal.onStopSignal(() => {
    asked = true;
    importer.stop();
  });
  try {
    await importer.run(linesOf(createReadStream(file, { start: from.offset }), from, MAX_LINE_BYTES));
    if (importer.stoppedAt === undefined && !interrupted()) await checkpoint?.remove();
  } finally {
    unsubscribe();
    progress.stop();
    const position = importer.position();
    if (position.offset > from.offset && position.offset < size) await checkpoint?.save(position);
    const seconds = (terminal.now() - started) / 1_000;
    await print(terminal.stdout, summary(importer, seconds, badLines, flags.json === true));
  }
  if (importer.stoppedAt !== undefined) {
    throw new CommandError(`stopped at line ${importer.stoppedAt}: mend it and run again, or pass --on-error skip`);
  }
  if (interrupted()) throw new CommandError(`interrupted after line ${importer.position().line}: run again to go on`);
}

function summary(importer: Importer, seconds: number, badLines: readonly object[], json: boolean): string {
  const { counts } = importer;
  const lines = total(counts);
  if (json) return `${JSON.stringify({ lines, ...counts, seconds, badLines })}\n`;
  const rate = Math.round(lines / Math.max(seconds, 1e-3));
  return `${lines} lines: ${counts.stored} stored, ${counts.unchanged} unchanged, ${counts.bad} bad, ${counts.blank} blank in ${seconds.toFixed(1)} s (${rate} lines/s)\n`;
}

function total({ stored, unchanged, bad, blank }: ImportCounts): number {
  return stored + unchanged + bad + blank;
}
