/**
 * The keys of what a node keeps for itself in its objects storage, behind the records of all partitions: it is stored with
 * them in one commit, and so tells of the very state that they are in. No partition has the number 0xffff.
 *
 *     0xff 0xff 'f'                         the last stop in order                      `actors/node-identity.ts`
 *     0xff 0xff 'm' · 2 partition           head of a saved Merkle tree                 `anti-entropy/tree-form.ts`
 *     0xff 0xff 'm' · 2 partition · 2 block a block of its segments
 *     0xff 0xff 'p'                         what is written to learn whether it can be  `actors/vnode.ts`
 *     0xff 0xff 't' · 2 partition           how many writes a snapshot has              `anti-entropy/build-mark.ts`
 */

/** Keys from here on are no records. */
export const BEHIND_RECORDS = Uint8Array.of(0xff, 0xff);
export const STOP_KEY = Uint8Array.of(0xff, 0xff, 0x66);
export const PROBE_KEY = Uint8Array.of(0xff, 0xff, 0x70);

export function treeHeadKey(partition: number): Uint8Array {
  return Uint8Array.of(0xff, 0xff, 0x6d, partition >>> 8, partition);
}

export function treeBlockKey(partition: number, block: number): Uint8Array {
  return Uint8Array.of(0xff, 0xff, 0x6d, partition >>> 8, partition, block >>> 8, block);
}

export function buildMarkKey(partition: number): Uint8Array {
  return Uint8Array.of(0xff, 0xff, 0x74, partition >>> 8, partition);
}
