/**
 * Minting: a put or delete at the coordinating vnode. It drops the siblings that the client has seen, adds the new one
 * under a fresh dot, and joins the contexts. Nothing but this and merging ever changes a replica.
 * Source: Preguiça et al., "Dotted Version Vectors" (2012), §5 (update); the store's semantics, §1.
 */
import { assert } from '../base/assert.js';
import {
  type CausalContext,
  covers,
  coversAttempt,
  EMPTY_CONTEXT,
  highestCounterOf,
  joinContexts,
  withAttempts,
  withDot,
  withDotAndAllBefore,
} from '../clocks/causal-context.js';
import { type Attempt, compareEventIds, type Dot, type EventId, sameEvent } from '../clocks/event-id.js';
import { laterOf, nextTimestamp, type Timestamp, ZERO_TIMESTAMP } from '../clocks/timestamp.js';
import { highestTimestamp } from './resolution.js';
import type { Sibling, StoredObject } from './stored-object.js';

/** One put or delete, as the coordinating vnode mints it. */
export interface Write {
  /** Fresh: the writer's next. The writer mints only on an object that holds or covers all its earlier dots of the key. */
  readonly dot: Dot;
  readonly attempt: Attempt;
  /** Earlier attempts of the same put: voided, minted or not. */
  readonly earlierAttempts: readonly Attempt[];
  /** What the client has seen; empty for a write without a token, which is concurrent to everything. */
  readonly token: CausalContext;
  /** The highest timestamp that the client has seen. */
  readonly tokenTimestamp: Timestamp;
  /** A tick of the vnode's clock. */
  readonly clock: Timestamp;
  /** True if the write is to beat every sibling of the local object, seen or not. */
  readonly lastWriteWins: boolean;
  readonly tombstone: boolean;
  /** Wall-clock milliseconds from which it acts as a tombstone; 0: never. */
  readonly expiresAtMs: number;
  /** Empty for a tombstone. */
  readonly body: Uint8Array;
}

export interface Minted {
  readonly object: StoredObject;
  /** The new one, within `object`. */
  readonly sibling: Sibling;
  /** Its dot. */
  readonly dot: MintedDot;
}

/** A dot as its minter tells it to the client. */
export interface MintedDot extends Dot {
  /** True if its sibling is the only one of the object that it was minted into. */
  readonly alone: boolean;
}

/**
 * Mints `write` on what the vnode keeps for the key, undefined if nothing.
 * Ask `outcomeOf` (attempt.ts) first: an attempt that the object holds or covers must not be minted again.
 */
export function mint(object: StoredObject | undefined, write: Write): Minted {
  const local = object === undefined ? EMPTY_CONTEXT : object.context;
  assertMintable(object, write);
  const seen = withAttempts(write.token, write.earlierAttempts);
  const sibling: Sibling = {
    dot: write.dot,
    attempt: write.attempt,
    timestamp: timestampOf(write, object === undefined ? ZERO_TIMESTAMP : highestTimestamp(object)),
    tombstone: write.tombstone,
    expiresAtMs: write.expiresAtMs,
    body: write.body,
  };
  const siblings: Sibling[] = [];
  let placed = false;
  if (object !== undefined && !write.lastWriteWins) {
    for (const old of object.siblings) {
      if (covers(seen, old.dot, old.attempt)) continue;
      if (!placed && compareEventIds(sibling.dot, old.dot) < 0) {
        siblings.push(sibling);
        placed = true;
      }
      siblings.push(old);
    }
  }
  if (!placed) siblings.push(sibling);
  const { high, low, counter } = write.dot;
  return {
    object: { context: withDotAndAllBefore(joinContexts(local, seen), write.dot), siblings },
    sibling,
    dot: { high, low, counter, alone: siblings.length === 1 },
  };
}

/**
 * What a put's client has seen by its receipt: what its token had, exactly the new dot, and the earlier attempts.
 * Not what else the coordinator's object covers: or the client's next put would erase siblings that it never saw.
 *
 * A dot that is alone stands for all of its writer's before it: that object held or covered every one of them, so each
 * was replaced by what the client saw, or by what that had replaced. Without it a client that goes from receipt to
 * receipt would carry every dot that it ever wrote, 14 characters of token for each.
 */
export function receiptContext(
  token: CausalContext,
  dot: MintedDot,
  earlierAttempts: readonly Attempt[],
): CausalContext {
  return withAttempts(dot.alone ? withDotAndAllBefore(token, dot) : withDot(token, dot), earlierAttempts);
}

/** Asserts that a record can hold what is to be written. */
export function assertWritable({ dot, attempt, expiresAtMs, tombstone, body }: Write): void {
  assert(isEventId(dot) && isEventId(attempt), 'A dot and an attempt need two unsigned halves and a counter from 1');
  assert(Number.isSafeInteger(expiresAtMs) && expiresAtMs >= 0, 'An expiry is a whole millisecond, or 0');
  assert(!tombstone || body.length === 0, 'A tombstone has no body');
}

function assertMintable(object: StoredObject | undefined, write: Write): void {
  const { dot, attempt, token } = write;
  assertWritable(write);
  // As much of the minting rule as an object can show: nothing here or in the token is of this writer and later.
  assert(highestCounterOf(token, dot) < dot.counter, 'The token names this writer beyond its counter');
  if (object === undefined) return;
  assert(highestCounterOf(object.context, dot) < dot.counter, 'The object names this writer beyond its counter');
  assert(!coversAttempt(object.context, attempt), 'A voided attempt is not minted');
  for (const sibling of object.siblings) assert(!sameEvent(sibling.attempt, attempt), 'An attempt is minted only once');
}

/** What a record can hold: anything else would be stored as a record that nobody can read. */
function isEventId({ high, low, counter }: EventId): boolean {
  return high >>> 0 === high && low >>> 0 === low && counter >= 1 && Number.isSafeInteger(counter);
}

/**
 * The new sibling's: under last-write-wins above the clock, every timestamp of the object, and every one that the client
 * has seen. @param highest - of the object's siblings
 */
export function timestampOf(write: Write, highest: Timestamp): Timestamp {
  if (!write.lastWriteWins) return write.clock;
  return nextTimestamp(laterOf(highest, laterOf(write.clock, write.tokenTimestamp)));
}
