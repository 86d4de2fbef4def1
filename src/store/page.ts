/** One page of a scan or a list, as a promise. */
import { AbortedError, type ClosedError } from '../base/errors.js';
import type { OperationFailure } from '../messages/coordinator-messages.js';
import type { StoreHome } from './bucket-home.js';
import { begin, type Call } from './calls.js';
import type { PageOutcome, Settle } from './client-outcomes.js';

/** What a page takes about: 64 partitions hold some 16 MiB at the most. */
const PAGE_BYTES = 256 * 2 ** 10;
/** Of records that a replica looks at for a page of keys alone: that takes it some milliseconds, whatever is sent. */
const LOOKED_AT_BYTES = 4 * 2 ** 20;

/** How pages are read. */
export interface PageOptions {
  readonly r: number;
  /** Whether entries come with their values; without, records have no bodies. */
  readonly values: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A part of one partition's range, at most `limit` entries of it. */
export interface PageRequest extends PageOptions {
  readonly partition: number;
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
  readonly limit: number;
}

export function askForPage(home: StoreHome, { signal, ...page }: PageRequest): Promise<PageOutcome & { ok: true }> {
  return new Promise((resolve, reject) => {
    const caller = new PageCaller(home, resolve, reject);
    const limitBytes = page.values ? PAGE_BYTES : LOOKED_AT_BYTES;
    begin(home, signal, caller, (client) => client.page({ type: 'page', limitBytes, ...page }, caller));
  });
}

/** Settles the promise of one page. */
class PageCaller implements Settle<PageOutcome>, Call {
  onSettled: (() => void) | null = null;
  private readonly home: StoreHome;
  private readonly resolve: (outcome: PageOutcome & { ok: true }) => void;
  private readonly reject: (error: unknown) => void;

  constructor(
    home: StoreHome,
    resolve: (outcome: PageOutcome & { ok: true }) => void,
    reject: (error: unknown) => void,
  ) {
    this.home = home;
    this.resolve = resolve;
    this.reject = reject;
  }

  settle(outcome: PageOutcome): void {
    this.onSettled?.();
    if (outcome.ok) this.resolve(outcome);
    else this.fail(outcome.failure);
  }

  fail(failure: OperationFailure): void {
    this.reject(this.home.errorOf('scan', failure));
  }

  refuse(error: ClosedError): void {
    this.reject(error);
  }

  abort(reason: unknown): void {
    this.reject(aborted(reason));
  }
}

/** What a scan fails with when its signal has fired. */
export function aborted(reason: unknown): AbortedError {
  return new AbortedError('the scan was aborted by its signal', { definite: true, cause: reason });
}

/** The least key above `key`. */
export function justAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1);
  after.set(key);
  return after;
}
