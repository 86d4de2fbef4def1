/**
 * The fence of a vnode: what keeps a reaped tombstone's victims out. `tag` goes with every object that is read here;
 * what comes with a tag below `floor` is refused. Both only grow, and are in the fully synced storage before anybody
 * hears of them. They stay 0 until tombstones are reaped.
 * Source: the store's reaping protocol.
 */

import { utf8 } from '../src/base/bytes.js';
import { ByteReader } from '../src/codec/byte-reader.js';
import { ByteWriter } from '../src/codec/byte-writer.js';
import type { Storage } from '../src/storage/storage.js';

export interface Fence {
  readonly tag: number;
  readonly floor: number;
}

const OPEN: Fence = { tag: 0, floor: 0 };

/** The fence of a partition's vnode, from the node's system storage. */
export function readFence(system: Storage, partition: number): Fence {
  const bytes = system.get(fenceKey(partition));
  if (bytes === undefined) return OPEN;
  const reader = new ByteReader(bytes, 0);
  return { tag: reader.u48(), floor: reader.u48() };
}

/** Stored with the turn's commit. */
export function writeFence(system: Storage, partition: number, { tag, floor }: Fence): void {
  const writer = new ByteWriter(12);
  writer.u48(tag);
  writer.u48(floor);
  system.put(fenceKey(partition), writer.bytes);
}

function fenceKey(partition: number): Uint8Array {
  return utf8(`fence:${partition}`);
}
