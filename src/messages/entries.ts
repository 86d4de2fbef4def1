/** Records with their keys, as listings, hand-offs and pages of scans carry them. */
import type { MessageCodec } from '../runtime/actor.js';
import { bytes, f64, list, struct } from './layout.js';

export interface ListedEntry {
  readonly key: Uint8Array;
  readonly record: Uint8Array;
}

export interface TaggedEntry extends ListedEntry {
  readonly tag: number;
}

/** Written out by hand: a scan lives by it. */
export const listedEntries: MessageCodec<readonly ListedEntry[]> = {
  size(entries) {
    let size = 4;
    for (const entry of entries) size += 8 + entry.key.length + entry.record.length;
    return size;
  },
  write(entries, out) {
    out.u32(entries.length);
    for (const entry of entries) {
      out.bytes(entry.key);
      out.bytes(entry.record);
    }
  },
  read(from) {
    const count = from.u32();
    const entries: ListedEntry[] = [];
    // A malformed count ends at the frame's end, where the reader throws.
    for (let i = 0; i < count; i++) entries.push({ key: from.bytes(), record: from.bytes() });
    return entries;
  },
};

export const taggedEntries: MessageCodec<readonly TaggedEntry[]> = list(
  struct<TaggedEntry>({ key: bytes, record: bytes, tag: f64 }),
);
