/**
 * The tag below which hints of a partition are refused, as it is kept: 6 bytes under a checksum. A bit of it that turns
 * could name a tag that no replica ever reaches; to all of them it would say that they are older than what was reaped.
 */
import { sealed, unsealed } from '../base/sealed.js';
import { ByteReader } from '../codec/byte-reader.js';
import { ByteWriter } from '../codec/byte-writer.js';

const TAG_BYTES = 6;

export function encodeHintFence(tag: number): Uint8Array {
  const writer = new ByteWriter(TAG_BYTES);
  writer.u48(tag);
  return sealed(writer.bytes);
}

/** Undefined if it is unreadable. */
export function decodeHintFence(stored: Uint8Array): number | undefined {
  const value = unsealed(stored);
  return value?.length === TAG_BYTES ? new ByteReader(value, 0).u48() : undefined;
}
