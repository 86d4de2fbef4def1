/** `quoral export`: writes a bucket to a file that `quoral import` reads. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { csvLine } from './csv.js';
import { CountReport } from './export/count-report.js';
import { ExportFile, type ExportSink, standardOutput } from './export/export-file.js';
import { EXPORT_FORMATS, type ExportFormat, lineWriter } from './export/line-writer.js';
import { addJson, fieldNames, separator } from './options.js';
import { addTarget, DEFAULT_URL, type KeyValues, type TargetFlags, withBucket } from './target.js';
import { CommandError, print, type Terminal, UsageError } from './terminal.js';
import { oneLine } from './value.js';

interface Flags extends TargetFlags {
  readonly bucket: string;
  readonly format: ExportFormat;
  readonly separator?: string;
  readonly fields?: readonly string[];
  readonly onError: 'stop' | 'skip';
  readonly resume?: boolean;
  readonly json?: boolean;
}

/** Keys, by what became of them. */
interface Counts {
  exported: number;
  /** The format has no form for them. */
  unfit: number;
}

/** Keys without a form that are named, with why; all are counted. */
const MAX_UNFIT_NAMED = 1_000;

export function addExport(program: Command, terminal: Terminal): void {
  const command = program
    .command('export')
    .description(
      "write a bucket to a file, a line a key, in the keys' order; the file is replaced only when all is written. A time to live is not kept",
    )
    .argument('<file>', 'the file, or - for standard output')
    .requiredOption('--bucket <bucket>', 'bucket to export')
    .addOption(
      new Option(
        '--format <format>',
        'export: a key with all its siblings, content types and metadata; ndjson: the value, a JSON object, as it stands; csv: the value, a JSON object of plain fields',
      )
        .choices(EXPORT_FORMATS)
        .default('export'),
    )
    .option('--separator <character>', 'csv: what stands between fields (default: a comma)', separator)
    .option(
      '--fields <names>',
      "csv: the header, as name,name,…: written even if there is no key (default: the first value's names)",
      fieldNames,
    )
    .addOption(
      new Option('--on-error <action>', 'ndjson, csv: what to do at a key that has no such form')
        .choices(['stop', 'skip'])
        .default('stop'),
    )
    .option('--resume', 'go on behind the last key of an export of the same to the same file that was stopped');
  addJson(addTarget(command))
    .addHelpText(
      'after',
      '\nThe file is replaced only once all is written: what was stopped leaves the old one as it was, and beside it FILE.part,\nfrom which --resume goes on: with the keys behind, so that what was changed before them since is not met again.\n\nExample:\n  $ quoral export carts.ndjson --bucket carts\n  $ quoral import carts.ndjson --bucket carts --format export --data ./other\n  $ quoral export - --bucket carts --data ./data | gzip > carts.ndjson.gz\n  $ quoral export people.csv --bucket people --format csv --fields email,name\n  $ quoral export carts.ndjson --bucket carts --resume',
    )
    .action((file: string, flags: Flags) => exportFile(terminal, file, flags));
}

async function exportFile(terminal: Terminal, file: string, flags: Flags): Promise<void> {
  if (flags.format !== 'csv') {
    if (flags.separator !== undefined) throw new UsageError('--separator is for --format csv');
    if (flags.fields !== undefined) throw new UsageError('--fields is for --format csv');
  }
  if (file === '-' && flags.json) throw new UsageError('--json prints a summary: give a file');
  if (file === '-' && flags.resume) throw new UsageError('--resume needs a file: standard output keeps nothing');
  const started = terminal.now();
  const counts = await withBucket(terminal, flags.bucket, flags, (values) => write(terminal, file, values, flags));
  const { exported: keys, unfit } = counts;
  const seconds = (terminal.now() - started) / 1_000;
  if (flags.json) await print(terminal.stdout, `${JSON.stringify({ file, keys, unfit, seconds })}\n`);
  else {
    const rate = Math.round(keys / Math.max(seconds, 1e-3));
    const left = unfit === 0 ? '' : `, ${unfit} unfit for ${flags.format} left out,`;
    const summary = `${keys} keys exported${left} in ${seconds.toFixed(1)} s (${rate} keys/s)\n`;
    if (file !== '-') await print(terminal.stdout, summary);
    else if (unfit > 0) terminal.stderr.write(summary);
  }
}

async function write(terminal: Terminal, file: string, values: KeyValues, flags: Flags): Promise<Counts> {
  const { fields, separator: between = ',' } = flags;
  const sink = file === '-' ? standardOutput(terminal) : await openFile(terminal, file, flags);
  const { from } = sink;
  const lines = lineWriter(flags.format, { separator: between, fields: from?.header ?? fields });
  const report = new CountReport(terminal.stderr, 'exporting', () => terminal.now());
  let interrupted = false;
  const unsubscribe = terminal.onStopSignal(() => {
    interrupted = true;
  });
  const counts = { exported: from?.exported ?? 0, unfit: from?.unfit ?? 0 };
  let cursor = from?.cursor;
  const reached = () => (cursor === undefined ? undefined : { ...counts, cursor, header: lines.header });
  try {
    if (fields !== undefined && from === undefined) await sink.write(csvLine(fields, between));
    for await (const entry of values.scan({ values: true, ...(cursor === undefined ? {} : { after: cursor }) })) {
      if (interrupted) throw new CommandError(`interrupted after ${counts.exported + counts.unfit} keys`);
      const line = lines.lineOf(entry);
      if (typeof line === 'string') {
        await sink.write(line);
        counts.exported++;
      } else {
        const refusal = `${oneLine(entry.key)} cannot be exported as ${flags.format}: ${line.why}`;
        if (flags.onError === 'stop') {
          throw new CommandError(`${refusal}; pass --on-error skip, or leave --format out to export all`);
        }
        if (++counts.unfit <= MAX_UNFIT_NAMED) report.beside(`${refusal}\n`);
      }
      cursor = entry.cursor;
      report.update(counts.exported + counts.unfit);
      await sink.passed(reached);
    }
    await sink.finish();
  } catch (error) {
    // Should this fail as well, then mostly of the same cause, and what was remembered before still holds.
    const isKept = await sink.stop(reached()).catch(() => false);
    if (isKept) report.beside('what was written is kept: run again with --resume to go on\n');
    throw error;
  } finally {
    unsubscribe();
    report.stop();
  }
  return counts;
}

function openFile(terminal: Terminal, file: string, flags: Flags): Promise<ExportSink> {
  const { data, url = DEFAULT_URL, bucket, type, format, separator: between = ',', fields } = flags;
  const from = data === undefined ? url : resolve(data);
  const identity = { from, bucket, type, format, separator: between, fields };
  return ExportFile.open(terminal, file, identity, flags.resume === true);
}
