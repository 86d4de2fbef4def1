/** `quoral import`: stores the lines of a file. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { csvEnds, csvHeader } from './csv.js';
import { Checkpoint, type Position } from './import/checkpoint.js';
import { type ImportCounts, Importer } from './import/importer.js';
import { type Line, linesOf } from './import/lines.js';
import { ProgressReport } from './import/progress.js';
import { FORMATS, type Format, type LineForm, recordReader } from './import/record.js';
import { addJson, addStoreOptions, integer, type StoreFlags, separator, storeOptions } from './options.js';
import { addTarget, type KeyValues, type TargetFlags, withBucket } from './target.js';
import { CommandError, print, type Terminal, UsageError } from './terminal.js';

interface Flags extends TargetFlags, StoreFlags {
  readonly bucket: string;
  readonly key?: string;
  readonly format: Format;
  readonly separator?: string;
  readonly onError: 'stop' | 'skip';
  readonly concurrency: number;
  readonly restart?: boolean;
  readonly json?: boolean;
}

const START: Position = { offset: 0, line: 0 };
/** Lines longer than the largest value that any store takes are bad; what this store takes, it says itself. */
const MAX_LINE_BYTES = 64 * 2 ** 20;
/** The largest value in base64, or escaped text, with siblings. */
const MAX_EXPORT_LINE_BYTES = 256 * 2 ** 20;
const MAX_HEADER_BYTES = 2 ** 20;
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
    .option('--key <field>', 'ndjson, csv: the field that is the key, text or a whole number')
    .addOption(
      new Option(
        '--format <format>',
        'ndjson: a JSON object a line; csv: a header, then records; lines: each line is key and value; export: what quoral export wrote',
      )
        .choices(FORMATS)
        .default('ndjson'),
    )
    .option('--separator <character>', 'csv: what stands between fields (default: a comma)', separator)
    .addOption(new Option('--on-error <action>', 'what to do at a bad line').choices(['stop', 'skip']).default('stop'))
    .option('--concurrency <count>', 'lines worked on at a time', integer(1, 1_024), 256)
    .option('--restart', 'begin at the first line, whatever an earlier run did');
  addJson(addStoreOptions(addTarget(command)))
    .addHelpText(
      'after',
      '\nRun again after it was stopped, it goes on where it was with --data, whose directory keeps how far it came. With --url\nnothing is kept, since the service may be another store by then: it begins at the first line, reads each key, and\nstores only what is not there yet.\n\nExample:\n  $ quoral import cities.ndjson --bucket cities --key cityId --data ./data\n  $ quoral import words.txt --bucket words --format lines --on-error skip\n  $ quoral import people.csv --bucket people --format csv --key email\n  $ quoral import carts.ndjson --bucket carts --format export',
    )
    .action((file: string, flags: Flags) => importFile(terminal, file, flags));
}

async function importFile(terminal: Terminal, file: string, flags: Flags): Promise<void> {
  const keyed = flags.format === 'ndjson' || flags.format === 'csv';
  if (keyed && flags.key === undefined) throw new UsageError(`--format ${flags.format} needs --key FIELD`);
  if (!keyed && flags.key !== undefined) throw new UsageError(`--format ${flags.format} takes no --key`);
  if (flags.format !== 'csv' && flags.separator !== undefined) throw new UsageError('--separator is for --format csv');
  const { size, mtimeMs: modifiedMs } = await fileStatus(file);
  const { data, bucket, type } = flags;
  const source = await openSource(file, flags);
  const { format, keyField, separator: between = ',' } = source.form;
  const identity = { file, size, modifiedMs, bucket, type, format: `${format}${between}`, keyField };
  await withBucket(
    terminal,
    bucket,
    flags,
    async (values) => {
      const checkpoint = data === undefined ? undefined : new Checkpoint(data, identity);
      const from = (flags.restart ? undefined : await checkpoint?.load()) ?? source.start;
      if (from.offset > source.start.offset)
        terminal.stderr.write(`resuming after line ${from.line} (--restart begins anew)\n`);
      await runImport(terminal, { file, size, from, flags, values, checkpoint, form: source.form });
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

/** A file whose form is known, and where its first record is. */
interface Source {
  readonly form: LineForm;
  readonly start: Position;
}

/** @throws {UsageError} It should begin with a header and does not, or the header lacks the key's field. */
async function openSource(
  file: string,
  { format, key: keyField = '', separator: between = ',' }: Flags,
): Promise<Source> {
  if (format !== 'csv') return { form: { format, keyField }, start: START };
  let first: Line | undefined;
  for await (const line of linesOf(createReadStream(file), START, MAX_HEADER_BYTES, csvEnds(between))) {
    first = line;
    break;
  }
  // An export of no key, which did not say which fields it would have had.
  if (first === undefined) return { form: { format, keyField, separator: between }, start: START };
  const header = first.bytes === undefined ? 'the header is too long' : csvHeader(first.bytes, between);
  if (typeof header === 'string') throw new UsageError(`${file}: ${header}`);
  if (!header.includes(keyField)) {
    throw new UsageError(`${file}: the header has no field "${keyField}"; it has ${header.join(', ')}`);
  }
  return {
    form: { format, keyField, header, separator: between },
    start: { offset: first.end, line: first.lastNumber },
  };
}

interface Run {
  readonly file: string;
  readonly size: number;
  readonly from: Position;
  readonly flags: Flags;
  readonly values: KeyValues;
  readonly checkpoint: Checkpoint | undefined;
  readonly form: LineForm;
}

async function runImport(
  terminal: Terminal,
  { file, size, from, flags, values, checkpoint, form }: Run,
): Promise<void> {
  const started = terminal.now();
  const progress = new ProgressReport(terminal.stderr, size, from.offset, () => terminal.now());
  const badLines: { line: number; reason: string }[] = [];
  let savedMs = started;
  let nextLookMs = started;
  const importer = new Importer(
    values,
    {
      recordOf: recordReader(form),
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
    const maxBytes = form.format === 'export' ? MAX_EXPORT_LINE_BYTES : MAX_LINE_BYTES;
    const endOf = form.format === 'csv' ? csvEnds(form.separator ?? ',') : undefined;
    await importer.run(linesOf(createReadStream(file, { start: from.offset }), from, maxBytes, endOf));
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
