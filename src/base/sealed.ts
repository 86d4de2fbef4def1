/** Small records under a checksum: what a node keeps for itself is believed only if it is what was written. */
import { equalBytes } from './bytes.js';
import { hash64, hashLow } from './hash.js';

const SEAL_BYTES = 8;

/** The record, and behind it its checksum of 8 bytes. */
export function sealed(record: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(record.length + SEAL_BYTES);
  bytes.set(record);
  bytes.set(sealOf(record), record.length);
  return bytes;
}

/** The record in what was stored, a view; undefined if that is rotten, or was never sealed. */
export function unsealed(stored: Uint8Array): Uint8Array | undefined {
  const length = stored.length - SEAL_BYTES;
  if (length < 0) return undefined;
  const record = stored.subarray(0, length);
  return equalBytes(stored.subarray(length), sealOf(record)) ? record : undefined;
}

function sealOf(record: Uint8Array): Uint8Array {
  const seal = new Uint8Array(SEAL_BYTES);
  const view = new DataView(seal.buffer);
  view.setUint32(0, hash64(record));
  view.setUint32(4, hashLow);
  return seal;
}
