/** What settles the promise of one operation: turns its outcome into the caller's result or error, and times it. */
import { AbortedError, type ClosedError } from '../base/errors.js';
import type { SeenContext } from '../codec/context.js';
import type { KeyHash } from '../codec/key.js';
import type { OperationFailure } from '../messages/coordinator-messages.js';
import type { Histogram } from '../metrics/histogram.js';
import type { ReadResult, Receipt } from './api/results.js';
import type { StoreHome } from './bucket-home.js';
import type { Call } from './calls.js';
import type { GetOutcome, PutOutcome, Settle } from './client-outcomes.js';
import { ObjectRead, type Reading } from './read-result.js';
import { PutReceipt } from './receipt.js';

/** Records below this length are copied out of the memory that they share with others. */
const SHARES_MEMORY_BELOW = 16_384;

/** Settles the promise of one operation. */
abstract class Caller<Outcome> implements Settle<Outcome>, Call {
  onSettled: (() => void) | null = null;
  protected readonly home: StoreHome;
  protected readonly reject: (error: unknown) => void;
  private readonly startedAt: number;
  private readonly latencies: Histogram | null;
  protected abstract readonly operation: 'get' | 'put';

  /**
   * @param startedAt - by the home's clock
   * @param latencies - where its own goes, if it succeeds; null: nowhere
   */
  constructor(home: StoreHome, reject: (error: unknown) => void, startedAt: number, latencies: Histogram | null) {
    this.home = home;
    this.reject = reject;
    this.startedAt = startedAt;
    this.latencies = latencies;
  }

  abstract settle(outcome: Outcome): void;

  fail(failure: OperationFailure): void {
    this.onSettled?.();
    this.reject(this.home.errorOf(this.operation, failure));
  }

  refuse(error: ClosedError): void {
    this.reject(error);
  }

  /** @param unsent - true if the signal had fired before anything was sent */
  abort(reason: unknown, unsent: boolean): void {
    const definite = unsent || this.operation === 'get';
    const end = definite ? '' : '; the write was sent and may be stored all the same';
    this.reject(new AbortedError(`the ${this.operation} was aborted by its signal${end}`, { definite, cause: reason }));
  }

  protected finished(): void {
    this.latencies?.record(this.home.now() - this.startedAt);
    this.onSettled?.();
  }
}

export class GetCaller<V> extends Caller<GetOutcome> {
  protected readonly operation = 'get';
  private readonly key: KeyHash;
  private readonly reading: Reading<V>;
  private readonly resolve: (result: ReadResult<V>) => void;

  constructor(
    home: StoreHome,
    key: KeyHash,
    reading: Reading<V>,
    resolve: (result: ReadResult<V>) => void,
    reject: (error: unknown) => void,
    startedAt: number,
    latencies: Histogram | null = home.gets,
  ) {
    super(home, reject, startedAt, latencies);
    this.key = key;
    this.reading = reading;
    this.resolve = resolve;
  }

  settle(outcome: GetOutcome): void {
    if (!outcome.ok) {
      this.fail(outcome.failure);
      return;
    }
    this.finished();
    const { record, mayMissHints } = outcome;
    this.resolve(new ObjectRead(kept(record), this.key, this.reading, this.home.wallClock(), mayMissHints));
  }
}

export class PutCaller extends Caller<PutOutcome> {
  protected readonly operation = 'put';
  private readonly key: KeyHash;
  private readonly given: SeenContext;
  private readonly resolve: (receipt: Receipt) => void;

  constructor(
    home: StoreHome,
    key: KeyHash,
    given: SeenContext,
    resolve: (receipt: Receipt) => void,
    reject: (error: unknown) => void,
    startedAt: number,
    latencies: Histogram | null = home.puts,
  ) {
    super(home, reject, startedAt, latencies);
    this.key = key;
    this.given = given;
    this.resolve = resolve;
  }

  settle(outcome: PutOutcome): void {
    if (!outcome.ok) {
      this.fail(outcome.failure);
      return;
    }
    this.finished();
    this.resolve(new PutReceipt({ key: this.key, given: this.given, outcome, nodeNames: this.home.nodeNames }));
  }
}

/** A small record lies among many in one stretch of memory; a copy lets a result that is kept not keep all of them. */
function kept(record: Uint8Array): Uint8Array {
  if (record.length === 0 || record.length >= SHARES_MEMORY_BELOW) return record;
  const copy = Buffer.allocUnsafe(record.length);
  copy.set(record);
  return copy;
}
