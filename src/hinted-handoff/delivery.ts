/**
 * Delivery of the hints of one owner, as a walk over them in byte order, batch after batch, pass after pass. Pure:
 * `actors/hint-deliverer.ts` reads the hints, sends the batches, and deletes what was taken.
 *
 *      ┌────────── no hint left: the pass ends ◀──────────┐
 *      ▼                                                  │
 *    resting ──hints, and not backing off──▶ read ──▶ batch ──all took it──▶ a pause, and on behind it
 *      ▲                                                  │
 *      └───────────── back-off, doubled up to 1 s ◀─failed┘        (kick: the owner is back, forget the back-off)
 *
 * At most one batch is under way, and after it the owner has as long for others as it took: one that has just returned,
 * with several holders at its door, would do nothing else. Owners do not wait for each other. A batch is
 * of one partition, bounded in entries and bytes. What an owner refuses stays where it is, and is met again in the next
 * pass. An owner that dies upon a batch gets it again in halves: one hint that kills is found, and left out for a pass.
 * Source: Dynamo (SOSP 2007), §4.6 (hinted handoff).
 */
import { assert } from '../base/assert.js';

/**
 * Few at a time, so that neither side is busy with them for long: the owner has as many of each holder to merge in a turn. More
 * where batches come too seldom to be done in time.
 */
export const MIN_BATCH_ENTRIES = 32;
export const MAX_BATCH_ENTRIES = 128;
export const MAX_BATCH_BYTES = 256 * 1_024;
/**
 * Within how many seconds of its return an owner is to have its hints, if batches were full; they are not. As fast as can be, they
 * took the cores from clients.
 */
const DELIVERED_WITHIN_S = 1;
/** How far a batch moves what is held for the size of one. */
const LEARNING = 0.2;
const FIRST_BACKOFF_MS = 20;
/** The longest pause after a batch that was taken, in milliseconds. */
const MAX_PAUSE_MS = 15;
const MAX_BACKOFF_MS = 1_000;
/** So often a hint that is alone in its batch may have the owner's vnode die. */
const MAX_DEATHS = 3;

/** How many batches a second deliver so many hints in time. @param perBatch - how many each has */
export function batchesPerSecond(hints: number, perBatch: number): number {
  return hints / (perBatch * DELIVERED_WITHIN_S);
}

/** How many of so many hints are due in a batch that goes off so long after the one before. */
function dueSince(backlog: number, ms: number): number {
  if (backlog === Number.POSITIVE_INFINITY) return MAX_BATCH_ENTRIES;
  return Math.max(MIN_BATCH_ENTRIES, Math.ceil((backlog * ms) / (1_000 * DELIVERED_WITHIN_S)));
}

/** A hint as it was read. */
export interface HeldHint {
  /** In the hint storage. */
  readonly key: Uint8Array;
  readonly located: Uint8Array;
  readonly partition: number;
  /** The object's record. */
  readonly record: Uint8Array;
  readonly tag: number;
}

export interface Batch {
  readonly partition: number;
  readonly entries: readonly HeldHint[];
}

/** Passes over an owner's hints, counted from 1. */
export interface Passes {
  /** The one that was begun last. */
  begun: number;
  /** The last one after which all hints that were there at its beginning had been delivered. */
  clean: number;
}

export class Delivery {
  private readonly passes: Passes;
  /** In a pass: the last key that was dealt with. */
  private cursor: Uint8Array | undefined;
  private inPass = false;
  private isClean = true;
  /** False if hints were yet to be written when it began. */
  private isWhole = true;
  private batch: Batch | undefined;
  /** Answers that the batch waits for, and whether one was a failure. */
  private awaited = 0;
  private failure: 'died' | 'other' | undefined;
  /** By place in the batch: refused by someone. */
  private readonly refused = new Set<number>();
  /** Entries of a batch at most, after deaths; and of the one that was asked for last. */
  private most = MAX_BATCH_ENTRIES;
  private limit = MAX_BATCH_ENTRIES;
  private failures = 0;
  private deaths = 0;
  private restsUntilMs = Number.NEGATIVE_INFINITY;
  private sentAtMs = 0;
  /** See `perBatch`. */
  private usualEntries = MIN_BATCH_ENTRIES;

  /** @param passes - kept up to date; numbers go on from what it says */
  constructor(passes: Passes) {
    this.passes = passes;
  }

  /** About how many hints a small batch has: it is of one partition, and where there are many partitions each has few. */
  get perBatch(): number {
    return this.usualEntries;
  }

  /** True if hints may be read now. */
  isReady(nowMs: number): boolean {
    return this.batch === undefined && nowMs >= this.restsUntilMs;
  }

  /** When hints may be read again; Infinity while a batch is under way. */
  get readyAtMs(): number {
    return this.batch === undefined ? this.restsUntilMs : Number.POSITIVE_INFINITY;
  }

  /** The owner is back. */
  kick(): void {
    this.restsUntilMs = Number.NEGATIVE_INFINITY;
    this.failures = 0;
  }

  /** Not before `atMs`: what else is to be done goes first. */
  rest(atMs: number): void {
    this.restsUntilMs = Math.max(this.restsUntilMs, atMs);
  }

  /**
   * What is to be read: hints after this key, at most so many. Begins a pass if none is under way.
   * @param gathering - there are hints that are yet to be written: a pass that begins now may miss them
   * @param backlog - how many there were, at most; Infinity if they are to be delivered as fast as can be
   */
  next(
    gathering: boolean,
    backlog: number,
    nowMs: number,
  ): { readonly after: Uint8Array | undefined; readonly limit: number } {
    assert(this.batch === undefined, 'One batch is under way at a time');
    if (!this.inPass) {
      this.inPass = true;
      this.isClean = true;
      this.isWhole = !gathering;
      this.cursor = undefined;
      this.sentAtMs = nowMs;
      this.passes.begun++;
    }
    this.limit = Math.min(this.most, dueSince(backlog, nowMs - this.sentAtMs));
    return { after: this.cursor, limit: this.limit };
  }

  /**
   * Hints were read, as `next` asked.
   * @param found - those that can be sent, in order
   * @param end - the key of the last one that was read; undefined if there was none: the pass ends
   * @param skipped - some of those read cannot be sent
   * @returns the batch that is to be sent, if there is one
   */
  read(found: readonly HeldHint[], end: Uint8Array | undefined, skipped: boolean, nowMs: number): Batch | undefined {
    if (skipped) this.isClean = false;
    if (end === undefined) this.endPass(nowMs);
    if (found.length === 0) {
      this.cursor = end;
      return undefined;
    }
    const { partition } = found[0]!;
    const entries: HeldHint[] = [];
    let bytes = 0;
    for (const hint of found) {
      if (hint.partition !== partition || entries.length === this.limit) break;
      bytes += hint.located.length + hint.record.length;
      if (entries.length > 0 && bytes > MAX_BATCH_BYTES) break;
      entries.push(hint);
    }
    this.usualEntries += LEARNING * (Math.min(MIN_BATCH_ENTRIES, entries.length) - this.usualEntries);
    this.batch = { partition, entries };
    return this.batch;
  }

  /** The batch goes to so many, each of whom must take it. */
  sent(recipients: number, nowMs: number): void {
    assert(this.batch !== undefined && recipients > 0, 'What is sent is a batch, to somebody');
    this.awaited = recipients;
    this.sentAtMs = nowMs;
    this.failure = undefined;
    this.refused.clear();
  }

  /**
   * A recipient has stored the batch, but for the hints in the places `refused`.
   * @returns the hints that all of them have taken, once all have answered: delete those that are as they were
   */
  onTook(refused: readonly number[], nowMs: number): readonly HeldHint[] {
    for (const place of refused) this.refused.add(place);
    return this.onAnswer(nowMs);
  }

  /** A recipient has not answered; `died`: it had the batch in hand when it died. */
  onFailed(died: boolean, nowMs: number): readonly HeldHint[] {
    if (this.failure !== 'died') this.failure = died ? 'died' : 'other';
    return this.onAnswer(nowMs);
  }

  private onAnswer(nowMs: number): readonly HeldHint[] {
    const { batch } = this;
    assert(batch !== undefined && this.awaited > 0, 'An answer is one that was awaited');
    if (--this.awaited > 0) return [];
    this.batch = undefined;
    if (this.failure !== undefined) {
      this.backOff(batch, this.failure === 'died', nowMs);
      return [];
    }
    this.failures = 0;
    this.deaths = 0;
    this.rest(nowMs + Math.min(MAX_PAUSE_MS, nowMs - this.sentAtMs));
    this.most = Math.min(MAX_BATCH_ENTRIES, this.most * 2);
    this.cursor = batch.entries[batch.entries.length - 1]!.key;
    if (this.refused.size === 0) return batch.entries;
    this.isClean = false;
    return batch.entries.filter((_, place) => !this.refused.has(place));
  }

  private backOff(batch: Batch, died: boolean, nowMs: number): void {
    this.restsUntilMs = nowMs + Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** this.failures);
    this.failures = Math.min(this.failures + 1, 16);
    if (!died) return;
    this.most = Math.max(1, batch.entries.length >>> 1);
    if (batch.entries.length > 1) return;
    this.deaths++;
    if (this.deaths < MAX_DEATHS) return;
    this.deaths = 0;
    this.isClean = false;
    this.cursor = batch.entries[0]!.key;
  }

  private endPass(nowMs: number): void {
    this.inPass = false;
    // What was left out is tried again, without haste.
    if (!this.isClean) this.rest(nowMs + MAX_BACKOFF_MS);
    else if (this.isWhole) this.passes.clean = this.passes.begun;
  }
}
