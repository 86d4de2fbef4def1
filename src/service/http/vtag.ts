/**
 * Vtags: short names by which HTTP clients tell siblings, and versions of an object, apart. Derived from what they
 * name, so that every replica and every read gives the same ones.
 */
import { utf8 } from '../../base/bytes.js';
import { hash64, hashLow } from '../../base/hash.js';
import type { Sibling } from '../../store/api/results.js';
import { base62 } from './base62.js';

type Content = Sibling<Uint8Array>;

/** The vtag of each of `siblings`, in their order. Equal siblings get distinct ones, by their place among the equal. */
export function vtagsOf(siblings: readonly Content[]): string[] {
  const repeats = new Map<string, number>();
  return siblings.map((sibling) => {
    const identity = identityOf(sibling);
    const repeat = repeats.get(identity) ?? 0;
    repeats.set(identity, repeat + 1);
    return tagOf(`${repeat} ${identity}`);
  });
}

/** A tag for any text: 64 bits of hash in base 62. */
export function tagOf(text: string): string {
  return base62(digest(utf8(text)));
}

function identityOf(sibling: Content): string {
  const value = Buffer.from(digest(sibling.value)).toString('hex');
  return JSON.stringify([sibling.timestampMs, sibling.contentType, sibling.value.length, value, sibling.metadata]);
}

function digest(bytes: Uint8Array): Uint8Array {
  const high = hash64(bytes);
  const out = new Uint8Array(8);
  const view = new DataView(out.buffer);
  view.setUint32(0, high);
  view.setUint32(4, hashLow);
  return out;
}
