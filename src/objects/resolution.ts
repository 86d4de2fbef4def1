/**
 * What a reader is shown of an object: all values that no later write has replaced, or under last-write-wins the one
 * that won. A sibling that has expired acts as a tombstone.
 */
import { compareEventIds } from '../clocks/event-id.js';
import { compareTimestamps, laterOf, type Timestamp, ZERO_TIMESTAMP } from '../clocks/timestamp.js';
import type { Sibling, StoredObject } from './stored-object.js';

/** True if the sibling stands for the absence of a value at `wallMs`, milliseconds since 1970. */
export function isAbsent(sibling: Sibling, wallMs: number): boolean {
  return sibling.tombstone || (sibling.expiresAtMs !== 0 && wallMs >= sibling.expiresAtMs);
}

/** From when on nothing of the object is alive, in wall-clock milliseconds; Infinity if something is for good. */
export function deadFromMs(object: StoredObject): number {
  let fromMs = 0;
  for (const { tombstone, timestamp, expiresAtMs } of object.siblings) {
    fromMs = Math.max(fromMs, siblingDeadFromMs(tombstone, timestamp.ms, expiresAtMs));
  }
  return fromMs;
}

/** As `deadFromMs`, of one sibling that was written at `ms`. */
export function siblingDeadFromMs(tombstone: boolean, ms: number, expiresAtMs: number): number {
  if (tombstone) return ms;
  return expiresAtMs === 0 ? Number.POSITIVE_INFINITY : Math.max(expiresAtMs, ms);
}

/** The values at `wallMs`, oldest first; those of one timestamp by dot. */
export function visibleSiblings(object: StoredObject, wallMs: number): Sibling[] {
  const visible: Sibling[] = [];
  for (const sibling of object.siblings) if (!isAbsent(sibling, wallMs)) visible.push(sibling);
  return visible.length < 2 ? visible : visible.sort(byAge);
}

/**
 * The sibling that wins under last-write-wins: by timestamp, then a value over an absence, then by dot.
 * It may itself be an absence: the key is then not found. Undefined for an object without siblings.
 */
export function lastWrite(object: StoredObject, wallMs: number): Sibling | undefined {
  let winner: Sibling | undefined;
  for (const sibling of object.siblings) {
    if (winner === undefined || compareForWin(sibling, winner, wallMs) > 0) winner = sibling;
  }
  return winner;
}

/** The highest timestamp among the siblings, tombstones included: what a token carries. */
export function highestTimestamp(object: StoredObject): Timestamp {
  let highest = ZERO_TIMESTAMP;
  for (const sibling of object.siblings) highest = laterOf(highest, sibling.timestamp);
  return highest;
}

function byAge(a: Sibling, b: Sibling): number {
  return compareTimestamps(a.timestamp, b.timestamp) || compareEventIds(a.dot, b.dot);
}

function compareForWin(a: Sibling, b: Sibling, wallMs: number): number {
  return (
    compareTimestamps(a.timestamp, b.timestamp) ||
    Number(isAbsent(b, wallMs)) - Number(isAbsent(a, wallMs)) ||
    compareEventIds(a.dot, b.dot)
  );
}
