/** Byte strings: order, equality, text. */

const encoder = new TextEncoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const EMPTY = new Uint8Array(0);

/** Byte order, as LMDB and every ordered storage keep keys: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

export function utf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** False for a text with half of a surrogate pair: UTF-8 has no form for it, and `utf8` writes U+FFFD instead. */
export function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** Any bytes as text that stands for them, as the key of a Map does: one char a byte. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.prototype.latin1Slice.call(bytes, 0, bytes.length);
}

/** The text of `bytes`, or undefined if they are not UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    // Not UTF-8: an expected answer, which the caller shows as bytes.
    return undefined;
  }
}
