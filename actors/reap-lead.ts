/**
 * One look at a partition by the node that leads its reaping: walks through the records slice by slice, and has what may
 * go reaped, and contexts that have grown reduced, in rounds, each of so many candidates. What a round asks, and when it is abandoned, is decided in
 * `src/anti-entropy/reaping.ts`.
 *
 *     scan ──enough candidates, or the end──▶ round ──reaped──▶ scan on ──▶ … ──the end──▶ done
 *                                               └──abandoned──▶ done: it is tried again later
 */
import { FIRST_SLICE, nextSliceLimit } from '../src/admission/slice-limit.js';
import {
  candidateOf,
  type ReapAnswer,
  type ReapAsk,
  type ReapCandidate,
  type ReapLimits,
  type ReapOutcome,
  ReapRound,
  ripeInMs,
} from '../src/anti-entropy/reaping.js';
import { partitionRange } from '../src/codec/key.js';
import { isSoundRecord } from '../src/codec/record.js';
import type { Storage } from '../src/storage/storage.js';

export interface ReapLeadOptions {
  readonly node: number;
  readonly partition: number;
  readonly primaries: readonly number[];
  readonly members: readonly number[];
  readonly objects: Storage;
  readonly limits: ReapLimits;
  /** The record's `calls` as it begins. */
  readonly since: number;
  /** True if the replica is to be compared with the others before it is looked at: they may have what it lacks. */
  readonly comparesFirst: boolean;
}

/** How a lead speaks to others; outcomes come to `answered` and `failed`, and to `exchanged`. */
export interface ReapSpeaker {
  ask(lead: ReapLead, number: number, to: readonly number[], ask: ReapAsk): void;
  /** Has this node's replica compared with those of these nodes. */
  exchange(lead: ReapLead, others: readonly number[]): void;
}

export type ReapLeadStep =
  /** Call again with another slice of time. */
  | 'more'
  /** Nothing before somebody answers. */
  | 'awaiting'
  /** A round has come to its end, and what it has reaped is to be counted; call again. */
  | 'round-ended'
  | 'done';

/** Of a round. */
const MAX_CANDIDATES = 256;

export class ReapLead {
  readonly partition: number;
  readonly since: number;
  /** When the next tombstone that was seen may go, in milliseconds from when it was seen; Infinity: none was. */
  ripeInMs = Number.POSITIVE_INFINITY;
  /** True if something was found that may go altogether. */
  foundRipe = false;
  /** Of the last round. */
  outcome: ReapOutcome | undefined;
  private readonly options: ReapLeadOptions;
  private readonly speaker: ReapSpeaker;
  private from: Uint8Array | undefined;
  private scanned = false;
  /** Records of the next slice. */
  private limit = FIRST_SLICE;
  private keys: Uint8Array[] = [];
  private round: ReapRound | undefined;
  private exchanging = false;
  private isCompared: boolean;

  constructor(options: ReapLeadOptions, speaker: ReapSpeaker) {
    this.isCompared = !options.comparesFirst || options.primaries.length === 1;
    this.partition = options.partition;
    this.since = options.since;
    this.options = options;
    this.speaker = speaker;
  }

  /** Goes on by a slice. */
  step(wallMs: number): ReapLeadStep {
    if (this.round !== undefined) return this.lead(this.round, wallMs);
    if (this.outcome === 'abandoned') return 'done';
    if (this.exchanging) return 'awaiting';
    if (!this.isCompared) {
      this.isCompared = true;
      this.exchanging = true;
      this.speaker.exchange(
        this,
        this.options.primaries.filter((other) => other !== this.options.node),
      );
      return 'awaiting';
    }
    if (this.keys.length < MAX_CANDIDATES && !this.scanned) {
      this.scan(wallMs);
      return 'more';
    }
    if (this.keys.length === 0) return 'done';
    const { node, primaries, members } = this.options;
    this.round = new ReapRound({ self: node, primaries, members });
    return 'more';
  }

  answered(number: number, node: number, answer: ReapAnswer): void {
    this.round?.answered(number, node, answer);
  }

  failed(number: number, node: number): void {
    this.round?.failed(number, node);
  }

  /** What `exchange` was asked for has been done. */
  exchanged(complete: boolean): void {
    if (!this.exchanging) return;
    this.exchanging = false;
    this.round?.exchanged(complete);
  }

  get isExchanging(): boolean {
    return this.exchanging;
  }

  /** True while there is nothing to do before somebody answers. */
  get isAwaiting(): boolean {
    return this.exchanging || this.round?.isAwaiting === true;
  }

  /** It takes too long. */
  abandon(): void {
    this.round = undefined;
    this.exchanging = false;
    this.outcome = 'abandoned';
  }

  private lead(round: ReapRound, wallMs: number): ReapLeadStep {
    if (this.exchanging) return 'awaiting';
    const step = round.next();
    switch (step.type) {
      case 'ask':
        this.speaker.ask(this, step.number, step.to, step.ask);
        return 'awaiting';
      case 'exchange':
        if (step.with.length === 0) {
          round.exchanged(true);
          return 'more';
        }
        this.exchanging = true;
        this.speaker.exchange(this, step.with);
        return 'awaiting';
      case 'collect':
        round.collected(this.collect(wallMs));
        return 'more';
      case 'none':
        return 'awaiting';
      case 'done':
        this.round = undefined;
        this.keys = [];
        this.outcome = step.outcome;
        return 'round-ended';
    }
  }

  /** Looks through the next records. */
  private scan(wallMs: number): void {
    const { objects, partition, limits } = this.options;
    const { gte, lt } = partitionRange(partition);
    const { limit } = this;
    const found = objects.range(this.from === undefined ? { gte, lt, limit } : { gt: this.from, lt, limit });
    for (const { key, value } of found) {
      // What is unreadable is not known to be dead.
      if (!isSoundRecord(value)) continue;
      const candidate = candidateOf(key, value, wallMs, limits);
      if (candidate !== undefined) this.keys.push(key);
      if (candidate?.verb === 'remove') this.foundRipe = true;
      else this.ripeInMs = Math.min(this.ripeInMs, ripeInMs(value, wallMs, limits));
    }
    this.from = found[found.length - 1]?.key;
    this.scanned = found.length < limit;
    this.limit = nextSliceLimit(found);
  }

  /** The candidates as they are now. */
  private collect(wallMs: number): ReapCandidate[] {
    const { objects, limits } = this.options;
    const candidates: ReapCandidate[] = [];
    for (const key of this.keys) {
      const record = objects.get(key);
      if (record === undefined || !isSoundRecord(record)) continue;
      const candidate = candidateOf(key, record, wallMs, limits);
      if (candidate !== undefined) candidates.push(candidate);
    }
    return candidates;
  }
}
