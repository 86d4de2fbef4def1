/** A context for one actor that is called directly, without a host: its clocks stand where they are put, and what it sends is kept. */
import assert from 'node:assert/strict';
import { SeededRandom } from '../../src/base/random.js';
import type { ActorContext, Release } from '../../src/runtime/actor.js';

export class LoneContext implements ActorContext {
  nowMs = 1_000;
  wallMs = 1_700_000_000_000;
  readonly random = new SeededRandom(1);
  readonly incarnation = 1;
  readonly notices: unknown[] = [];
  readonly replies: unknown[] = [];
  /** By reply, what it waits for. */
  readonly releases: Release[] = [];
  /** Correlations of the requests made. */
  readonly requests: number[] = [];
  /** What was asked, of whom, under which correlation. */
  readonly sent: { readonly place: number; readonly message: unknown; readonly correlation: number }[] = [];

  /** Of the timers set, in milliseconds. */
  readonly delays: number[] = [];

  now(): number {
    return this.nowMs;
  }

  wallClock(): number {
    return this.wallMs;
  }

  request(to: { readonly place: number }, message: unknown, correlation: number): void {
    this.requests.push(correlation);
    this.sent.push({ place: to.place, message, correlation });
  }

  notice(_incoming: unknown, answer: unknown): void {
    this.notices.push(answer);
  }

  reply(_incoming: unknown, answer: unknown, release: Release = 'now'): void {
    this.replies.push(answer);
    this.releases.push(release);
  }

  after(delayMs: number): number {
    this.delays.push(delayMs);
    return 0;
  }

  cancel(): void {}

  /** Every thread runs. */
  pulse(_thread?: number): number {
    return this.nowMs;
  }

  /** And none is within a commit. */
  committing(): boolean {
    return false;
  }
}

/** Keeps the timers that are set, by their ids: when they are due. */
export class Timers extends LoneContext {
  readonly due = new Map<number, number>();
  private ids = 0;

  override after(delayMs: number): number {
    this.due.set(++this.ids, this.nowMs + delayMs);
    return this.ids;
  }

  override cancel(timer?: number): void {
    assert(this.due.delete(timer!), 'it was set, and has not come');
  }

  /** The next timer comes. */
  next(): void {
    const [[id, dueMs]] = [...this.due].sort(([, a], [, b]) => a - b) as [[number, number]];
    this.due.delete(id);
    this.nowMs = dueMs;
  }
}
