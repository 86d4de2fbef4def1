/**
 * xxHash64, from WebAssembly, instantiated once per thread. A digest is two unsigned 32-bit halves: a BigInt per
 * hash would cost more than the hash.
 */
import createXxhash from 'xxhash-wasm';

const xxhash = await createXxhash();
const wide = new BigUint64Array(1);
const halves = new Uint32Array(wide.buffer);

/** The low 32 bits of the last digest taken by `hash64`; valid until the next call. */
export let hashLow = 0;

/**
 * Hashes `bytes`; returns the high 32 bits, and leaves the low 32 in `hashLow`.
 * The two-part result keeps the hot path free of allocation.
 */
export function hash64(bytes: Uint8Array): number {
  wide[0] = xxhash.h64Raw(bytes);
  hashLow = halves[0]!;
  return halves[1]!;
}
