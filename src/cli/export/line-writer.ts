/** An entry of a scan as a line of an export, in one of the forms that `quoral import` reads. Pure. */
import { textOf } from '../../base/bytes.js';
import type { ValuedEntry } from '../../store/api/results.js';
import { csvLine } from '../csv.js';
import { CommandError } from '../terminal.js';
import { jsonKey, jsonSibling, oneLine } from '../value.js';

export type ExportFormat = 'export' | 'ndjson' | 'csv';
export const EXPORT_FORMATS: readonly ExportFormat[] = ['export', 'ndjson', 'csv'];

/**
 * The text of the next entry, with its line end; for the first one, of what goes before it, too.
 * @throws {CommandError} The format has no form for it.
 */
export type LineWriter = (entry: ValuedEntry<Uint8Array>) => string;

/**
 * Writes lines of one format, each for the importer's of that name.
 * - `export`: a key with all its siblings, content types and metadata.
 * - `ndjson`: the value, which is a JSON object.
 * - `csv`: the value, which is a JSON object of texts, numbers and truths; the first one's names are the header.
 * @param separator - of `csv`
 */
export function lineWriter(format: ExportFormat, separator = ','): LineWriter {
  if (format === 'export') {
    return ({ key, siblings }) => `${JSON.stringify({ ...jsonKey(key), siblings: siblings.map(jsonSibling) })}\n`;
  }
  if (format === 'ndjson') return (entry) => `${JSON.stringify(objectOf(entry, format))}\n`;
  let header: readonly string[] | undefined;
  return (entry) => {
    const object = objectOf(entry, format);
    const names = Object.keys(object);
    const before = header === undefined ? csvLine(names, separator) : '';
    header ??= names;
    if (names.length !== header.length || !header.every((name) => Object.hasOwn(object, name))) {
      throw unfit(entry, format, `its fields are ${names.join(', ')}, the header's ${header.join(', ')}`);
    }
    return (
      before +
      csvLine(
        header.map((name) => fieldOf(object[name], name, entry)),
        separator,
      )
    );
  };
}

type JsonObject = { readonly [name: string]: unknown };

function objectOf(entry: ValuedEntry<Uint8Array>, format: ExportFormat): JsonObject {
  const { siblings } = entry;
  if (siblings.length !== 1) throw unfit(entry, format, `it has ${siblings.length} siblings`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(textOf(siblings[0]!.value) ?? '');
  } catch {
    throw unfit(entry, format, 'its value is not JSON');
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as JsonObject;
  throw unfit(entry, format, 'its value is no JSON object');
}

function fieldOf(value: unknown, name: string, entry: ValuedEntry<Uint8Array>): string {
  if (value === null) return '';
  if (typeof value !== 'object') return String(value);
  throw unfit(entry, 'csv', `its field "${name}" is a list or an object`);
}

function unfit({ key }: ValuedEntry<Uint8Array>, format: ExportFormat, why: string): CommandError {
  return new CommandError(`${oneLine(key)} cannot be exported as ${format}: ${why}; leave --format out to export all`);
}
