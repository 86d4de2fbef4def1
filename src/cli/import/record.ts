/** What one line of an import file asks to be stored. Pure. */
import { textOf } from '../../base/bytes.js';

export type Format = 'ndjson' | 'lines';

export interface Record {
  readonly key: string;
  readonly value: Uint8Array;
  readonly contentType: string;
}

const BLANK = /^[ \t]*$/;
const MARK = '\ufeff';

/**
 * The record of a line; a text that says what is wrong with it; or undefined if the line is blank.
 * - `ndjson`: a JSON object, stored as it stands, under the text or whole number in its `keyField`.
 * - `lines`: the line is both key and value.
 * @param line - without its line end; the first line of a file may start with a byte order mark
 */
export function recordOf(line: Uint8Array, format: Format, keyField: string): Record | string | undefined {
  const text = textOf(line);
  if (text === undefined) return 'it is not UTF-8';
  const marked = text.startsWith(MARK);
  const body = marked ? text.slice(MARK.length) : text;
  if (BLANK.test(body)) return undefined;
  const value = marked ? line.subarray(3) : line;
  if (format === 'lines') return { key: body, value, contentType: 'text/plain; charset=utf-8' };
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch (error) {
    return `it is not JSON: ${(error as Error).message}`;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return 'it is not a JSON object';
  if (!Object.hasOwn(parsed, keyField)) return `it has no field "${keyField}"`;
  const field = (parsed as { [name: string]: unknown })[keyField];
  if (typeof field === 'number' && !Number.isSafeInteger(field)) {
    return `its key is a number that is not whole, or over 2^53: write it as text`;
  }
  if (typeof field !== 'string' && typeof field !== 'number')
    return `its field "${keyField}" is neither text nor a number`;
  if (field === '') return 'its key is empty';
  return { key: String(field), value, contentType: 'application/json' };
}
