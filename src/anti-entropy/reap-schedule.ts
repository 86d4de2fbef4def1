/**
 * When a node looks for tombstones that may go, in the partitions of which it is the first primary: each about four times
 * in a grace time, and when the next one is due that it has seen. A partition where a round was abandoned is left alone
 * for a second, then for two, and so on. What is due longest goes first. Pure.
 */
import { assert } from '../base/assert.js';

export interface ReapScheduleOptions {
  readonly partitions: readonly number[];
  /** How long deletions are kept at least, in milliseconds. */
  readonly graceMs: number;
  /** Of the caller's clock, now. */
  readonly nowMs: number;
}

interface Entry {
  readonly partition: number;
  dueMs: number;
  waitMs: number;
}

/** Between two looks at a partition, in milliseconds: at least, and at most. */
const MIN_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 6 * 3_600_000;
/** What is about to be due is waited for so long at least. */
const MIN_WAIT_MS = 20;
const FIRST_RETRY_MS = 1_000;

export class ReapSchedule {
  private readonly intervalMs: number;
  private readonly entries: Entry[];

  constructor({ partitions, graceMs, nowMs }: ReapScheduleOptions) {
    this.intervalMs = Math.min(MAX_INTERVAL_MS, Math.max(MIN_INTERVAL_MS, graceMs / 4));
    // Spread, so that a start does not look at everything at once.
    this.entries = partitions.map((partition, i) => {
      return { partition, dueMs: nowMs + (this.intervalMs * (i + 1)) / partitions.length, waitMs: 0 };
    });
  }

  /** The partition that is due longest; undefined if none is. */
  next(nowMs: number): number | undefined {
    let longest: Entry | undefined;
    for (const entry of this.entries) {
      if (entry.dueMs <= nowMs && (longest === undefined || entry.dueMs < longest.dueMs)) longest = entry;
    }
    return longest?.partition;
  }

  /** All of the partition was looked at. @param ripeInMs - when the next tombstone there may go; Infinity: there is none */
  looked(partition: number, nowMs: number, ripeInMs: number): void {
    const entry = this.entryOf(partition);
    entry.waitMs = 0;
    entry.dueMs = nowMs + Math.min(this.intervalMs, Math.max(MIN_WAIT_MS, ripeInMs));
  }

  /** What was found there cannot go now. */
  postponed(partition: number, nowMs: number): void {
    const entry = this.entryOf(partition);
    entry.waitMs = Math.min(MAX_INTERVAL_MS, entry.waitMs === 0 ? FIRST_RETRY_MS : 2 * entry.waitMs);
    entry.dueMs = nowMs + entry.waitMs;
  }

  /** Those that are wanted are due now: somebody waits for them. */
  hurry(nowMs: number, wanted: (partition: number) => boolean): void {
    for (const entry of this.entries) if (wanted(entry.partition)) entry.dueMs = Math.min(entry.dueMs, nowMs);
  }

  private entryOf(partition: number): Entry {
    const entry = this.entries.find((one) => one.partition === partition);
    assert(entry !== undefined, 'it is a partition of the schedule');
    return entry;
  }
}
