/**
 * What a node keeps for one owner, in three numbers, so that its hints need not be counted at each start.
 *
 *     6 count · 6 bytes · 6 since when · 4 low half of their xxHash64
 */
import { hash64, hashLow } from '../base/hash.js';
import { ByteReader, uint32At, viewOf } from '../codec/byte-reader.js';
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
  const writer = new ByteWriter(LEDGER_BYTES + 4);
  writer.u48(count);
  writer.u48(bytes);
  writer.u48(Math.floor(sinceMs));
  hash64(viewOf(writer.bytes, 0, LEDGER_BYTES));
  writer.u32(hashLow);
  return writer.bytes;
}

/** Undefined if it is unreadable. */
export function decodeLedger(value: Uint8Array): Ledger | undefined {
  if (value.length !== LEDGER_BYTES + 4) return undefined;
  hash64(viewOf(value, 0, LEDGER_BYTES));
  if (uint32At(value, LEDGER_BYTES) !== hashLow) return undefined;
  const reader = new ByteReader(value, 0);
  return { count: reader.u48(), bytes: reader.u48(), sinceMs: reader.u48() };
}
