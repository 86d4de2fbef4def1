/**
 * The keys of fuzzed buckets. The model knows each by its bytes as Latin-1 text, whose order and prefixes are those of the
 * bytes; the store is given text or bytes, and gives text wherever the bytes are UTF-8.
 */
import { below, type Random } from '../../src/base/random.js';
import type { Key } from '../../src/index.js';

const TEXTS = ['a', 'b', 'ba', 'bü', 'c', 'k\u0000', 'z'.repeat(200)];
/** No UTF-8: what begins like `bü`, its first half, what sorts last, and as much as a key may have. */
const BINARIES = [[0x62, 0xc3], [0x62, 0xff, 0x00], [0xff], Array.from({ length: 1_500 }, (_, i) => 255 - (i % 256))];

const BY_NAME = new Map<string, Key>([
  ...TEXTS.map((text): [string, Key] => [nameOf(text), text]),
  ...BINARIES.map((bytes): [string, Key] => [nameOf(Uint8Array.from(bytes)), Uint8Array.from(bytes)]),
]);

export const KEY_NAMES: readonly string[] = [...BY_NAME.keys()];
/** Bounds that no key has, and that end within a character. */
export const PREFIXES: readonly string[] = ['b', 'z', nameOf(Uint8Array.of(0x62, 0xc3)), nameOf(Uint8Array.of(0xff))];

/** By which the model knows a key. */
export function nameOf(key: Key): string {
  return Buffer.from(key as Uint8Array).toString('latin1');
}

/** As the store gives it. */
export function keyOf(name: string): Key {
  return BY_NAME.get(name) ?? bytesOf(name);
}

export function bytesOf(name: string): Uint8Array {
  return new Uint8Array(Buffer.from(name, 'latin1'));
}

/** As it may be given to the store: text as its bytes, now and then. */
export function spelt(name: string, random: Random): Key {
  return below(random, 4) === 0 ? bytesOf(name) : keyOf(name);
}
