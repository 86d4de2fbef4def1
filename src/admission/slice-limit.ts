/** How many entries to take from a storage at a time, for whoever walks through all of a range: entries are copied. */

/** Of a walk's first slice, which does not know how large entries are. */
export const FIRST_SLICE = 16;
const MAX_SLICE = 256;
/** About so much in a slice. */
const SLICE_BYTES = 2 ** 18;

/** The entries of the next slice, if they are as large as the largest of this one. */
export function nextSliceLimit(found: readonly { readonly value: Uint8Array }[]): number {
  let largest = 1;
  for (const { value } of found) largest = Math.max(largest, value.length);
  return Math.max(1, Math.min(MAX_SLICE, Math.floor(SLICE_BYTES / largest)));
}
