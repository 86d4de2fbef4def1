/**
 * The two changes that a replica knows, from record to record: merging and minting. The hot path of every write: the
 * usual case is decided, and written, on the bytes; every other one by `src/objects`. `test/property/record-update`
 * holds the two against each other.
 */
import { assert } from '../base/assert.js';
import {
  type CausalContext,
  coversDot,
  DOT,
  EXTRA_STRIDE,
  highestCounterOf,
  VV_STRIDE,
} from '../clocks/causal-context.js';
import type { Attempt, Dot, WriterId } from '../clocks/event-id.js';
import type { Timestamp } from '../clocks/timestamp.js';
import { type AttemptOutcome, outcomeOf } from '../objects/attempt.js';
import { merge, replaces } from '../objects/merge.js';
import { assertWritable, type MintedDot, mint, timestampOf, type Write } from '../objects/mint.js';
import { entriesOf, namesAttempts, reduce } from '../objects/reduction.js';
import { deadFromMs, highestTimestamp, siblingDeadFromMs } from '../objects/resolution.js';
import type { Sibling } from '../objects/stored-object.js';
import { ByteWriter, varintSize } from './byte-writer.js';
import {
  CHECKSUM_BYTES,
  checkRecord,
  decodeRecord,
  decodeSoundContext,
  decodeSoundRecord,
  encodeRecord,
  HEADER_BYTES,
  RECORD_VERSION,
  sameDigest,
  seal,
  siblingSize,
  writeSibling,
} from './record.js';
import { RecordView } from './record-view.js';

const here = new RecordView();
const incomingView = new RecordView();

/**
 * The merge of two records of one key. Returns `local` or `incoming` itself if the result equals it: the caller then
 * knows by `===` that there is nothing to write, or nothing to encode.
 * @throws {CorruptRecordError} Either is corrupt; read `local` by itself first where it matters which.
 */
export function mergeRecords(local: Uint8Array | undefined, incoming: Uint8Array): Uint8Array {
  if (local !== undefined && local.length === incoming.length && sameDigest(local, incoming)) {
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

/**
 * True only if `incoming`, merged with `local`, gives `incoming`: the usual case of a write that a replica has not yet.
 * Both are of one key, and their checksums were checked before.
 */
export function replacesRecord(incoming: Uint8Array, local: Uint8Array): boolean {
  if (!here.readContext(local) || !incomingView.read(incoming)) {
    return replaces(decodeSoundRecord(incoming), decodeSoundContext(local));
  }
  const { dotHigh, dotLow, dotCounter } = incomingView;
  return here.counterOf(dotHigh, dotLow) < dotCounter && incomingView.covers(here);
}

/**
 * The highest counter of the writer that the record's context names; 0 if it does not name it.
 * @param record - its checksum was checked before
 */
export function highestCounterIn(record: Uint8Array, writer: WriterId): number {
  if (here.readContext(record)) return here.counterOf(writer.high, writer.low);
  return highestCounterOf(decodeSoundContext(record), writer);
}

/** The timestamps of the record's siblings. @param record - its checksum was checked before */
export function timestampsIn(record: Uint8Array): Timestamp[] {
  if (here.read(record)) return [{ ms: here.ms, logical: here.logical }];
  return decodeSoundRecord(record).siblings.map(({ timestamp }) => timestamp);
}

/** As `deadFromMs` of the object. @param record - its checksum was checked before */
export function deadFromMsIn(record: Uint8Array): number {
  if (here.read(record)) return siblingDeadFromMs(here.isTombstone, here.ms, here.expiresAtMs);
  return deadFromMs(decodeSoundRecord(record));
}

/** When the youngest sibling was written, in wall-clock milliseconds. @param record - its checksum was checked before */
export function newestMsIn(record: Uint8Array): number {
  return here.read(record) ? here.ms : highestTimestamp(decodeSoundRecord(record)).ms;
}

/** True if the object's context names attempts that were given up for a later one. @param record - its checksum was checked before */
export function voidsAttempts(record: Uint8Array): boolean {
  return !here.readContext(record) && namesAttempts(decodeSoundContext(record));
}

/** As `entriesOf` the object's context. @param record - its checksum was checked before */
export function contextEntriesIn(record: Uint8Array): number {
  return here.readContext(record) ? here.writers : entriesOf(decodeSoundContext(record));
}

/** As `reduce` of the object: `record` itself if nothing can go, else memory of its own. @param record - its checksum was checked before */
export function reducedRecord(record: Uint8Array, keepsAttempts: boolean): Uint8Array {
  const object = decodeSoundRecord(record);
  const reduced = reduce(object, keepsAttempts);
  return reduced === object ? record : encodeRecord(reduced);
}

/**
 * What has become of an attempt, by a vnode's record of its key: as `outcomeOf` of the object.
 * @param record - undefined if there is none; its checksum was checked before
 */
export function outcomeIn(record: Uint8Array | undefined, attempt: Attempt, dot: Dot | undefined): AttemptOutcome {
  if (record === undefined) return outcomeOf(undefined, attempt, dot);
  if (!here.read(record)) return outcomeOf(decodeSoundRecord(record), attempt, dot);
  if (here.isOf(attempt)) return 'stored';
  return dot === undefined ? 'unknown' : 'superseded';
}

/** A put that was minted: `record` is to be stored and sent. */
export interface MintedRecord {
  readonly record: Uint8Array;
  readonly dot: MintedDot;
  readonly timestamp: Timestamp;
  /** How many siblings `record` has, the new one among them. */
  readonly siblings: number;
}

/**
 * Mints `write` on `local`, the vnode's record of the key, undefined if it has none. Its checksum was checked before:
 * never mint on one that is corrupt, nor without it under the same writerId. Ask `outcomeIn` first.
 */
export function mintRecord(local: Uint8Array | undefined, write: Write): MintedRecord {
  const usual = mintUsual(local, write);
  if (usual !== undefined) return usual;
  const { object, sibling, dot } = mint(local === undefined ? undefined : decodeSoundRecord(local), write);
  return { record: encodeRecord(object), dot, timestamp: sibling.timestamp, siblings: object.siblings.length };
}

/**
 * The usual put replaces the one sibling that there is, and its client has seen nothing that the record has not. Of the
 * context only the writer's own counter changes then: the rest is copied. Undefined if this put is another.
 */
function mintUsual(local: Uint8Array | undefined, write: Write): MintedRecord | undefined {
  if (local === undefined || write.earlierAttempts.length > 0 || !here.read(local)) return undefined;
  const { token, dot, attempt } = write;
  if (!isWithin(token, here)) return undefined;
  const there = { high: here.dotHigh, low: here.dotLow, counter: here.dotCounter };
  if (!write.lastWriteWins && !coversDot(token, there)) return undefined;
  assertWritable(write);
  assert(here.counterOf(dot.high, dot.low) < dot.counter, 'The object names this writer beyond its counter');
  assert(!here.isOf(attempt), 'An attempt is minted only once');
  const timestamp = timestampOf(write, { ms: here.ms, logical: here.logical });
  const { tombstone, expiresAtMs, body } = write;
  const record = withNewSibling(local, { dot, attempt, timestamp, tombstone, expiresAtMs, body });
  return { record, dot: { high: dot.high, low: dot.low, counter: dot.counter, alone: true }, timestamp, siblings: 1 };
}

/** True if the view's vector has all that the context has. */
function isWithin({ vv, extra }: CausalContext, view: RecordView): boolean {
  for (let i = 0; i < vv.length; i += VV_STRIDE) {
    if (view.counterOf(vv[i]!, vv[i + 1]!) < vv[i + 2]!) return false;
  }
  for (let i = 0; i < extra.length; i += EXTRA_STRIDE) {
    if (extra[i] !== DOT || view.counterOf(extra[i + 1]!, extra[i + 2]!) < extra[i + 3]!) return false;
  }
  return true;
}

/** The record that `here` shows, with the new sibling in the old one's place, and its dot at the end of its vector. */
function withNewSibling(local: Uint8Array, sibling: Sibling): Uint8Array {
  const { vectorStart, vectorEnd } = here;
  const { dot } = sibling;
  const place = here.placeOf(dot);
  const isNamed = here.counterOf(dot.high, dot.low) > 0;
  const rest = isNamed ? here.entryEnd(place) : place;
  const writers = isNamed ? here.writers : here.writers + 1;
  const kept = place - vectorStart + vectorEnd - rest;
  const entry = 8 + varintSize(dot.counter);
  // The counts: of writers, of what is beyond the vector, of siblings.
  const writer = new ByteWriter(HEADER_BYTES + varintSize(writers) + kept + entry + 2 + siblingSize(sibling));
  writer.at = CHECKSUM_BYTES;
  writer.u8(RECORD_VERSION);
  writer.varint(writers);
  writer.copyPart(local, vectorStart, place);
  writer.event(dot);
  writer.copyPart(local, rest, vectorEnd);
  writer.u8(0);
  writer.u8(1);
  writeSibling(writer, sibling);
  return seal(writer);
}
