/** Stored values as the command line shows them. */
import { textOf } from '../base/bytes.js';
import type { Key, Sibling } from '../store/api.js';

/** Bytes for JSON: as text where they are UTF-8, in base64 otherwise. */
export function jsonBytes(bytes: Uint8Array): { value: string; encoding: 'utf8' | 'base64' } {
  const text = textOf(bytes);
  if (text !== undefined) return { value: text, encoding: 'utf8' };
  return { value: Buffer.from(bytes).toString('base64'), encoding: 'base64' };
}

export function jsonKey(key: Key): { key: string; keyEncoding?: 'base64' } {
  return typeof key === 'string' ? { key } : { key: Buffer.from(key).toString('base64'), keyEncoding: 'base64' };
}

export function jsonSibling(sibling: Sibling<Uint8Array>) {
  const { contentType, metadata, timestampMs } = sibling;
  return { ...jsonBytes(sibling.value), contentType, metadata, timestampMs };
}

/** Text on one line: control characters and backslashes escaped, bytes that are not UTF-8 in hexadecimal. */
export function oneLine(content: string | Uint8Array): string {
  const text = typeof content === 'string' ? content : textOf(content);
  if (text === undefined) return `0x${Buffer.from(content as Uint8Array).toString('hex')}`;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is replaced.
  return text.replace(/[\x00-\x1f\x7f\\]/g, (char) => JSON.stringify(char).slice(1, -1).replace('\x7f', '\\u007f'));
}
