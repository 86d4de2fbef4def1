/**
 * The causal context token: what clients hand back, as opaque text (standard base64; the same as X-Riak-Vclock).
 * It carries the context and the highest timestamp seen, and names the key it belongs to by its hash, so that a token
 * of another key is refused: its context would cover writes of this one that the client never saw.
 *
 *     1 version · 8 hash of type, bucket and key · context and timestamp (context.ts) · 8 xxHash64 of all before
 */
import { InvalidArgumentError } from '../base/errors.js';
import { hash64, hashLow } from '../base/hash.js';
import type { CausalContext } from '../clocks/causal-context.js';
import type { Timestamp } from '../clocks/timestamp.js';
import { ByteReader, viewOf } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { contextSize, readContext, readTimestamp, type SeenContext, writeContext, writeTimestamp } from './context.js';
import { CorruptRecordError } from './errors.js';
import type { KeyHash } from './key.js';

const VERSION = 1;
const CHECKSUM_BYTES = 8;
const FIXED_BYTES = 1 + 8 + 8 + CHECKSUM_BYTES;

/** The token text of what was seen of the key that has this hash. */
export function encodeToken(key: KeyHash, context: CausalContext, highestTimestamp: Timestamp): string {
  const size = FIXED_BYTES + contextSize(context);
  const writer = new ByteWriter(size);
  writer.u8(VERSION);
  writer.u32(key.low);
  writer.u32(key.high);
  writeTimestamp(writer, highestTimestamp);
  writeContext(writer, context);
  const high = hash64(viewOf(writer.bytes, 0, size - CHECKSUM_BYTES));
  writer.u32(hashLow);
  writer.u32(high);
  return writer.bytes.toString('base64');
}

/** @throws {InvalidArgumentError} The token is damaged, of another key, or of an unknown version. */
export function decodeToken(token: string, key: KeyHash): SeenContext {
  if (typeof token !== 'string') throw damaged();
  const bytes = Buffer.from(token, 'base64');
  // Decoding base64 skips what is not base64; a whole token gives the very same text again.
  if (bytes.length < FIXED_BYTES || bytes.toString('base64') !== token) throw damaged();
  const end = bytes.length - CHECKSUM_BYTES;
  const checksum = new ByteReader(bytes, end);
  const low = checksum.u32();
  const high = checksum.u32();
  const signed = viewOf(bytes, 0, end);
  if (hash64(signed) !== high || hashLow !== low) throw damaged();
  return readToken(new ByteReader(signed, 0), key);
}

function readToken(reader: ByteReader, key: KeyHash): SeenContext {
  const version = reader.u8();
  if (version !== VERSION) {
    throw new InvalidArgumentError(
      `the causal context is of version ${version}, which this version of the store does not know: read the key again and pass the context of that read`,
    );
  }
  const low = reader.u32();
  const high = reader.u32();
  if (low !== key.low || high !== key.high) {
    throw new InvalidArgumentError(
      'the causal context belongs to another key: pass the one that a read or receipt of this very key gave',
    );
  }
  try {
    const highestTimestamp = readTimestamp(reader);
    const context = readContext(reader);
    reader.end();
    return { context, highestTimestamp };
  } catch (error) {
    if (error instanceof CorruptRecordError) throw damaged();
    throw error;
  }
}

function damaged(): InvalidArgumentError {
  return new InvalidArgumentError(
    'the causal context is damaged: pass it exactly as a read or receipt gave it, or read the key again',
  );
}
