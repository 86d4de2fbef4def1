/** What one line of an import file asks to be stored. Pure. */
import { textOf, utf8 } from '../../base/bytes.js';
import type { Key } from '../../store/api/call-options.js';
import { fieldsOf } from '../csv.js';
import { keyOfJson, siblingOfJson } from '../value.js';

/** What a line is; see `recordReader`. */
export type Format = 'ndjson' | 'lines' | 'csv' | 'export';
export const FORMATS: readonly Format[] = ['ndjson', 'lines', 'csv', 'export'];

export interface Content {
  readonly value: Uint8Array;
  readonly contentType: string;
  /** Undefined if the line has no say in it. */
  readonly metadata?: { readonly [name: string]: string };
}

export interface Record {
  readonly key: Key;
  /** At least one; several only if that many siblings are to be there. */
  readonly siblings: readonly Content[];
}

/** The record of a line; a text that says what is wrong with it; or undefined if the line is blank. */
export type RecordReader = (line: Uint8Array) => Record | string | undefined;

export interface LineForm {
  readonly format: Format;
  /** Of `ndjson` and `csv`: the field whose text, or whole number, is the key. */
  readonly keyField: string;
  /** Of `csv`: the names of the fields. */
  readonly header?: readonly string[];
  /** Of `csv`. */
  readonly separator?: string;
}

type Bad = string;

const BLANK = /^[ \t]*$/;
const MARK = '\ufeff';

/**
 * Reads lines of one format, each without its line end; the first line of a file may start with a byte order mark.
 * - `ndjson`: a JSON object, stored as it stands.
 * - `lines`: the line is both key and value.
 * - `csv`: a record, stored as a JSON object of texts by the header's names.
 * - `export`: what `quoral export` wrote: a key with its siblings, stored as they were.
 */
export function recordReader(form: LineForm): RecordReader {
  const read = READERS[form.format];
  return (line) => {
    const text = textOf(line);
    if (text === undefined) return 'it is not UTF-8';
    const marked = text.startsWith(MARK);
    const body = marked ? text.slice(MARK.length) : text;
    if (BLANK.test(body)) return undefined;
    return read(body, marked ? line.subarray(3) : line, form);
  };
}

const READERS: { readonly [F in Format]: (text: string, bytes: Uint8Array, form: LineForm) => Record | Bad } = {
  lines: (text, value) => one(text, { value, contentType: 'text/plain; charset=utf-8' }),
  ndjson: (text, value, { keyField }) => {
    const parsed = jsonObject(text);
    if (typeof parsed === 'string') return parsed;
    const key = keyOf(parsed, keyField);
    return 'bad' in key ? key.bad : one(key.text, { value, contentType: 'application/json' });
  },
  csv: (text, _bytes, { keyField, header = [], separator = ',' }) => {
    const fields = fieldsOf(text, separator);
    if (typeof fields === 'string') return `it is not CSV: ${fields}`;
    if (fields.length !== header.length) return `it has ${fields.length} fields, the header ${header.length}`;
    const object = Object.fromEntries(header.map((name, index) => [name, fields[index]]));
    const key = keyOf(object, keyField);
    return 'bad' in key
      ? key.bad
      : one(key.text, { value: utf8(JSON.stringify(object)), contentType: 'application/json' });
  },
  export: (text) => {
    const parsed = jsonObject(text);
    if (typeof parsed === 'string') return parsed;
    const key = keyOfJson(parsed);
    if (key === undefined) return 'it is not a line of quoral export: its key is missing or damaged';
    if (key.length === 0) return 'its key is empty';
    const siblings = Array.isArray(parsed.siblings) ? parsed.siblings.map(siblingOfJson) : [];
    if (siblings.length === 0 || siblings.includes(undefined)) {
      return 'it is not a line of quoral export: its siblings are missing or damaged';
    }
    return { key, siblings: siblings as Content[] };
  },
};

function one(key: string, content: Content): Record {
  return { key, siblings: [content] };
}

function jsonObject(text: string): { readonly [name: string]: unknown } | Bad {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    return `it is not JSON: ${(error as Error).message}`;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return 'it is not a JSON object';
  return parsed as { [name: string]: unknown };
}

function keyOf(object: { readonly [name: string]: unknown }, keyField: string): { text: string } | { bad: Bad } {
  if (!Object.hasOwn(object, keyField)) return { bad: `it has no field "${keyField}"` };
  const field = object[keyField];
  if (typeof field === 'number' && !Number.isSafeInteger(field)) {
    return { bad: `its key is a number that is not whole, or over 2^53: write it as text` };
  }
  if (typeof field !== 'string' && typeof field !== 'number') {
    return { bad: `its field "${keyField}" is neither text nor a number` };
  }
  return field === '' ? { bad: 'its key is empty' } : { text: String(field) };
}
