/** Stored values as the command line shows them. */
import { textOf, utf8 } from '../base/bytes.js';
import type { Key } from '../store/api/call-options.js';
import type { Sibling } from '../store/api/results.js';

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

type JsonObject = { readonly [name: string]: unknown };

/** The key that `jsonKey` wrote into an object; undefined if it is not there. */
export function keyOfJson({ key, keyEncoding }: JsonObject): Key | undefined {
  if (typeof key !== 'string') return undefined;
  if (keyEncoding === undefined) return key;
  return keyEncoding === 'base64' ? bytesOfBase64(key) : undefined;
}

/** The content that `jsonSibling` wrote; undefined if it is none. */
export function siblingOfJson(
  json: unknown,
): Pick<Sibling<Uint8Array>, 'value' | 'contentType' | 'metadata'> | undefined {
  if (typeof json !== 'object' || json === null) return undefined;
  const { value: text, encoding, contentType, metadata } = json as JsonObject;
  if (typeof text !== 'string' || typeof contentType !== 'string' || contentType === '') return undefined;
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return undefined;
  if (!Object.values(metadata).every((value) => typeof value === 'string')) return undefined;
  const value = encoding === 'utf8' ? utf8(text) : encoding === 'base64' ? bytesOfBase64(text) : undefined;
  return value === undefined ? undefined : { value, contentType, metadata: metadata as Record<string, string> };
}

function bytesOfBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
