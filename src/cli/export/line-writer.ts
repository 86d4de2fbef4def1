/** An entry of a scan as a line of an export, in one of the forms that `quoral import` reads. Pure. */
import { isWellFormed, textOf } from '../../base/bytes.js';
import type { ValuedEntry } from '../../store/api/results.js';
import { csvLine } from '../csv.js';
import { jsonKey, jsonSibling } from '../value.js';
import { membersOf, onOneLine } from './json-text.js';

export type ExportFormat = 'export' | 'ndjson' | 'csv';
export const EXPORT_FORMATS: readonly ExportFormat[] = ['export', 'ndjson', 'csv'];

/** Why an entry has no line in a format. */
export interface Unfit {
  readonly why: string;
}

export interface LineWriter {
  /** The text of the next entry, with its line end; for the first one, of what goes before it, too. */
  lineOf(entry: ValuedEntry<Uint8Array>): string | Unfit;
  /** Of CSV: the names of the header, once they are known. */
  readonly header: readonly string[] | undefined;
}

/** How `csv` is written. */
export interface CsvForm {
  /** What stands between fields; default: a comma. */
  readonly separator?: string | undefined;
  /** Names of the header that was written already; default: the first entry's. */
  readonly fields?: readonly string[] | undefined;
}

/**
 * Writes lines of one format, each for the importer's of that name.
 * - `export`: a key with all its siblings, content types and metadata.
 * - `ndjson`: the value, which is a JSON object, as it stands; white space outside strings goes if it has line ends.
 * - `csv`: the value, which is a JSON object of texts, numbers, truths and nulls; the header's names are the first one's, unless
 *   they are given.
 *   Numbers and truths as they stand, null as nothing: in CSV all are texts.
 */
export function lineWriter(format: ExportFormat, csv: CsvForm = {}): LineWriter {
  return format === 'csv'
    ? new CsvWriter(csv)
    : { lineOf: format === 'export' ? exportLine : jsonLine, header: undefined };
}

function exportLine({ key, siblings }: ValuedEntry<Uint8Array>): string {
  return `${JSON.stringify({ ...jsonKey(key), siblings: siblings.map(jsonSibling) })}\n`;
}

function jsonLine(entry: ValuedEntry<Uint8Array>): string | Unfit {
  const text = jsonOf(entry);
  return typeof text === 'string' ? `${onOneLine(text)}\n` : text;
}

class CsvWriter implements LineWriter {
  header: readonly string[] | undefined;
  private readonly separator: string;

  constructor({ separator = ',', fields }: CsvForm) {
    this.header = fields;
    this.separator = separator;
  }

  lineOf(entry: ValuedEntry<Uint8Array>): string | Unfit {
    const text = jsonOf(entry);
    if (typeof text !== 'string') return text;
    const values = fieldsOf(text);
    if (typeof values === 'string') return { why: values };
    const names = [...values.keys()];
    const { header, separator } = this;
    const wanted = header ?? names;
    if (names.length !== wanted.length || !wanted.every((name) => values.has(name))) {
      return { why: `its fields are ${names.join(', ')}, the header's ${wanted.join(', ')}` };
    }
    if (names.length === 0) return { why: 'it has no fields' };
    this.header = wanted;
    const line = csvLine(
      wanted.map((name) => values.get(name)!),
      separator,
    );
    return header === undefined ? csvLine(wanted, separator) + line : line;
  }
}

/** The text of the one value, which is a JSON object. */
function jsonOf({ siblings }: ValuedEntry<Uint8Array>): string | Unfit {
  if (siblings.length !== 1) return { why: `it has ${siblings.length} siblings` };
  const text = textOf(siblings[0]!.value);
  if (text === undefined) return { why: 'its value is not UTF-8' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { why: 'its value is not JSON' };
  }
  const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed);
  return isObject ? text : { why: 'its value is no JSON object' };
}

/** Fields by name; a text that says why CSV has no form for them. */
function fieldsOf(text: string): ReadonlyMap<string, string> | string {
  const fields = new Map<string, string>();
  for (const [name, value] of membersOf(text)) {
    if (fields.has(name)) return `it has two fields "${name}"`;
    if (value[0] === '{' || value[0] === '[') return `its field "${name}" is a list or an object`;
    const field: string = value === 'null' ? '' : value[0] === '"' ? JSON.parse(value) : value;
    if (!isWellFormed(name) || !isWellFormed(field)) return `its field "${name}" has no form in UTF-8`;
    fields.set(name, field);
  }
  return fields;
}
