/**
 * Comma-separated values: where a record ends, what its fields are, and records of fields. Pure.
 *
 * As RFC 4180 has it: fields between quotes may hold separators, line ends and doubled quotes; a quote within a field
 * that does not begin with one is an error of that record, and does not swallow what follows. Records may end with
 * `\n` or `\r\n`. The separator may be another ASCII character.
 */
import { textOf } from '../base/bytes.js';

const QUOTE = 0x22;
const NEWLINE = 0x0a;

/**
 * Finds record ends for `linesOf`: remembers, from call to call, whether it stands within quotes. For one file only.
 * @param separator - one ASCII character
 */
export function csvEnds(separator: string): (chunk: Uint8Array, at: number) => number {
  const comma = separator.charCodeAt(0);
  let quoted = false;
  let fieldBegins = true;
  return (chunk, at) => {
    for (let i = at; i < chunk.length; i++) {
      const byte = chunk[i];
      if (quoted) {
        // A doubled quote closes, and opens again.
        const close = byte === QUOTE ? i : chunk.indexOf(QUOTE, i);
        if (close < 0) return -1;
        i = close;
        quoted = false;
        // What comes directly behind is a quote that opens again, or the end of the field.
        fieldBegins = true;
      } else if (byte === NEWLINE) {
        fieldBegins = true;
        return i;
      } else if (byte === QUOTE && fieldBegins) quoted = true;
      else fieldBegins = byte === comma;
    }
    return -1;
  };
}

/** The fields of a record without its line end; a text that says what is wrong with it. */
export function fieldsOf(record: string, separator: string): string[] | string {
  const fields: string[] = [];
  for (let at = 0; ; ) {
    if (record[at] !== '"') {
      const next = record.indexOf(separator, at);
      const field = record.slice(at, next < 0 ? undefined : next);
      if (field.includes('"')) return `field ${fields.length + 1} has a quote but does not begin with one`;
      fields.push(field);
      if (next < 0) return fields;
      at = next + 1;
      continue;
    }
    let field = '';
    for (let from = at + 1; ; ) {
      const quote = record.indexOf('"', from);
      if (quote < 0) return `the quotes of field ${fields.length + 1} are not closed`;
      field += record.slice(from, quote);
      at = quote + 1;
      if (record[at] !== '"') break;
      field += '"';
      from = at + 1;
    }
    fields.push(field);
    if (at === record.length) return fields;
    if (record[at] !== separator) return `field ${fields.length} goes on behind its closing quote`;
    at++;
  }
}

/** A record of these fields, with its line end. */
export function csvLine(fields: readonly string[], separator: string): string {
  // A record that is one empty field would be a blank line; a byte order mark at its beginning would be passed over.
  const needQuotes = (field: string) =>
    field.includes('"') || field.includes(separator) || /[\r\n]|^\ufeff/.test(field) || fields.join('').trim() === '';
  return `${fields.map((field) => (needQuotes(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(separator)}\n`;
}

/** The names in a file's first record; a text that says what is wrong with them. */
export function csvHeader(record: Uint8Array, separator: string): string[] | string {
  const text = textOf(record);
  if (text === undefined) return 'the header is not UTF-8';
  const names = fieldsOf(text.replace(/^\ufeff/, ''), separator);
  if (typeof names === 'string') return `the header is malformed: ${names}`;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? names : `the header names "${twice}" twice`;
}
