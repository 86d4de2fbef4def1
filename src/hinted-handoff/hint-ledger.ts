/**
 * What a node keeps for one owner, in three numbers, so that its hints need not be counted at each start.
 *
 *     6 count · 6 bytes · 6 since when · under a checksum
 */
import { sealed, unsealed } from '../base/sealed.js';
import { ByteReader } from '../codec/byte-reader.js';
import { ByteWriter } from '../codec/byte-writer.js';

export interface Ledger {
  /** Of hints. */
  count: number;
  /** Of their keys and records. */
  bytes: number;
  /** Wall-clock milliseconds: since when there have been hints for it without a pause. */
  sinceMs: number;
}

const LEDGER_BYTES = 18;

export function encodeLedger({ count, bytes, sinceMs }: Ledger): Uint8Array {
  const writer = new ByteWriter(LEDGER_BYTES);
  writer.u48(count);
  writer.u48(bytes);
  writer.u48(Math.floor(sinceMs));
  return sealed(writer.bytes);
}

/** Undefined if it is unreadable. */
export function decodeLedger(stored: Uint8Array): Ledger | undefined {
  const value = unsealed(stored);
  if (value?.length !== LEDGER_BYTES) return undefined;
  const reader = new ByteReader(value, 0);
  return { count: reader.u48(), bytes: reader.u48(), sinceMs: reader.u48() };
}
