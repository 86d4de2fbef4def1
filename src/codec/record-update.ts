/**
 * The two changes that a replica knows, from record to record: merging and minting. The hot path of every write:
 * what need not be encoded again is not.
 */
import type { Dot } from '../clocks/event-id.js';
import { type AttemptOutcome, outcomeOf } from '../objects/attempt.js';
import { merge } from '../objects/merge.js';
import { type MintedDot, mint, type Write } from '../objects/mint.js';
import type { Sibling, StoredObject } from '../objects/stored-object.js';
import { checkRecord, decodeRecord, digestHigh, digestLow, encodeRecord } from './record.js';

/**
 * The merge of two records of one key. Returns `local` or `incoming` itself if the result equals it: the caller then
 * knows by `===` that there is nothing to write, or nothing to encode.
 * @throws {CorruptRecordError} Either is corrupt; read `local` by itself first where it matters which.
 */
export function mergeRecords(local: Uint8Array | undefined, incoming: Uint8Array): Uint8Array {
  if (local !== undefined && haveEqualDigests(local, incoming)) {
    // The usual case where replicas are read or compared. Digests are only worth what the bytes behind them are.
    checkRecord(local);
    checkRecord(incoming);
    return local;
  }
  const theirs = decodeRecord(incoming);
  if (local === undefined) return incoming;
  const ours = decodeRecord(local);
  const merged = merge(ours, theirs);
  if (merged === ours) return local;
  return merged === theirs ? incoming : encodeRecord(merged);
}

function haveEqualDigests(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && digestLow(a) === digestLow(b) && digestHigh(a) === digestHigh(b);
}

/** A put that was minted: `record` is to be stored and sent. */
export interface MintedRecord {
  readonly outcome: 'minted';
  readonly record: Uint8Array;
  readonly object: StoredObject;
  /** The new one, within `object`. */
  readonly sibling: Sibling;
  readonly dot: MintedDot;
}

/** An attempt that the record already knows: nothing is to be stored. */
export interface KnownAttempt {
  readonly outcome: Exclude<AttemptOutcome, 'unknown'>;
}

/**
 * Mints `write` on `local`, the vnode's record of the key, undefined if it has none.
 * @param earlierDot - the dot under which this vnode minted the very same attempt before, if it remembers one
 * @throws {CorruptRecordError} `local` is corrupt: never mint on it, nor without it under the same writerId.
 */
export function mintRecord(local: Uint8Array | undefined, write: Write, earlierDot?: Dot): MintedRecord | KnownAttempt {
  const object = local === undefined ? undefined : decodeRecord(local);
  const outcome = outcomeOf(object, write.attempt, earlierDot);
  if (outcome !== 'unknown') return { outcome };
  const minted = mint(object, write);
  return { outcome: 'minted', record: encodeRecord(minted.object), ...minted };
}
