/** What the handles of a store share, and reach the client through. */
import { ClosedError, type QuoralError } from '../base/errors.js';
import type { OperationFailure } from '../messages/coordinator-messages.js';
import type { Histogram } from '../metrics/histogram.js';
import type { Quorum } from './api/call-options.js';
import type { Client } from './client.js';
import type { Quorums } from './options.js';
import type { PropertyCache } from './property-cache.js';

/** What every call on a store's data needs. */
export interface StoreHome {
  readonly partitions: number;
  readonly n: number;
  readonly nodeNames: readonly string[];
  readonly quorums: Partial<Record<keyof Quorums, Quorum>>;
  readonly timeoutMs: number;
  readonly maxValueBytes: number;
  /** Operations that the client has under way at a time; more are refused. */
  readonly maxInFlight: number;
  /** False where nothing can be made durable: then dw must be 0. */
  readonly canBeDurable: boolean;
  readonly gets: Histogram;
  readonly puts: Histogram;
  /** Monotonic milliseconds; while outcomes are told, and within `run`, of the moment when that began. */
  now(): number;
  /** Milliseconds since 1970, likewise. */
  wallClock(): number;
  /** The client; what sends something is to be called within `run`. */
  client(): Client;
  /**
   * Runs `act` where the client's context may be used, and sees that what it sends leaves.
   * @param ofCompound - a further step of a compound call: allowed also while the store is closing
   * @throws {ClosedError}
   */
  run<T>(act: (client: Client) => T, ofCompound: boolean): T;
  /**
   * Does a call that consists of several operations: the store does not close in between.
   * @param ofCompound - as of `run`. Default false
   * @throws {ClosedError}
   */
  compound<T>(work: () => Promise<T>, ofCompound?: boolean): Promise<T>;
  /** What the failure of an operation is to its caller. */
  errorOf(operation: 'get' | 'put' | 'scan', failure: OperationFailure): QuoralError;
}

/** What every handle of a store shares. */
export interface BucketHome extends StoreHome {
  readonly properties: PropertyCache;
}

/** What a closed store answers. */
export function closed(): ClosedError {
  return new ClosedError('the store is closed: open it again');
}
