/**
 * Every error that the store lets out. Each has a `code`, a message that says what to do, and `definite`:
 * true only where it is certain that nothing was stored (for reads, which change nothing, always true).
 * Source: the table of errors in the store's semantics; "definite" as Maelstrom and Jepsen use the word.
 */

/** What an error is, for programs: `error.code`. Each has a class of its own, named after it. */
export type ErrorCode =
  | 'QUORUM_UNAVAILABLE'
  | 'QUORUM_NOT_MET'
  | 'TIMEOUT'
  | 'OVERLOADED'
  | 'CLOSED'
  | 'ABORTED'
  | 'LOCKED'
  | 'UNKNOWN_FORMAT'
  | 'OPTIONS_MISMATCH'
  | 'STORAGE_FULL'
  | 'STORAGE_FAILED'
  | 'PRECONDITION_FAILED'
  | 'STALE_READ'
  | 'INVALID_ARGUMENT'
  | 'KEY_TOO_LONG'
  | 'VALUE_TOO_LARGE'
  | 'TOO_MANY_SIBLINGS'
  | 'CONFLICT'
  | 'CORRUPT';

/** A quorum by the name of its option: replicas that answer a read or store a write; primaries among them; flushed to disk. */
export type QuorumName = 'r' | 'pr' | 'w' | 'pw' | 'dw';

/** Of which quorum there were too few, and how many. */
export interface QuorumDetails {
  /** The option that was not met. */
  readonly quorum: QuorumName;
  /** Replicas that did what was asked, or can be reached; of `pr` and `pw`, primaries. */
  readonly got: number;
  /** Replicas that were asked for. */
  readonly wanted: number;
}

/** What the makers of errors say beside the message. */
export interface ErrorDetails {
  /** True only if it is certain that nothing was stored. */
  readonly definite: boolean;
  /** Of a scan: the partitions that could not be read. */
  readonly partitions?: readonly number[];
  /** What it was caused by: an error of the file system, the reason of a signal. */
  readonly cause?: unknown;
}

/** The base of every error of this package; `instanceof QuoralError` tells them from others. */
export abstract class QuoralError extends Error {
  /** What it is, for programs. */
  abstract readonly code: ErrorCode;
  /** True only if it is certain that nothing was stored; a read's error is always definite. */
  readonly definite: boolean;
  /** Of a scan that could not read all of its partitions: these. */
  readonly partitions?: readonly number[];

  constructor(message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.definite = details.definite;
    if (details.partitions !== undefined) this.partitions = details.partitions;
    this.name = new.target.name;
  }
}

const DEFINITE: ErrorDetails = { definite: true };
const INDEFINITE: ErrorDetails = { definite: false };

/** Fewer replicas than asked for can be reached; known before anything was sent. Definite. */
export class QuorumUnavailableError extends QuoralError {
  readonly code = 'QUORUM_UNAVAILABLE';
  /** The option that asks for too many. */
  readonly quorum: QuorumName;
  /** Replicas (of `pr` and `pw`: primaries) that can be reached. */
  readonly got: number;
  /** Replicas that were asked for. */
  readonly wanted: number;
  constructor(message: string, details: Pick<ErrorDetails, 'partitions'> & QuorumDetails) {
    super(message, { ...details, ...DEFINITE });
    this.quorum = details.quorum;
    this.got = details.got;
    this.wanted = details.wanted;
  }
}

/** Replies did not suffice in time. Indefinite for a write: it may be, or become, visible. */
export class QuorumNotMetError extends QuoralError {
  readonly code = 'QUORUM_NOT_MET';
  /** The option that was not met. */
  readonly quorum: QuorumName;
  /** Replicas (of `pr` and `pw`: primaries) that did what was asked: answered, stored, or flushed (`dw`). */
  readonly got: number;
  /** Replicas that were asked for. */
  readonly wanted: number;
  constructor(message: string, details: ErrorDetails & QuorumDetails) {
    super(message, details);
    this.quorum = details.quorum;
    this.got = details.got;
    this.wanted = details.wanted;
  }
}

/** No answer in time. Indefinite for a write. */
export class TimeoutError extends QuoralError {
  readonly code = 'TIMEOUT';
  constructor(message: string, details: ErrorDetails = INDEFINITE) {
    super(message, details);
  }
}

/** Refused at once because a queue is full. Definite unless a replica had been sent the write. */
export class OverloadedError extends QuoralError {
  readonly code = 'OVERLOADED';
  /**
   * When to try again, in milliseconds, 1 to 1,000: about how long what this thread has in flight takes, by the rate at which
   * its calls end. 100 before that is known.
   */
  readonly retryAfterMs: number;
  constructor(message: string, details: ErrorDetails & { retryAfterMs: number }) {
    super(message, details);
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** The store is closed or closing. Definite unless a replica had been sent the write. */
export class ClosedError extends QuoralError {
  readonly code = 'CLOSED';
  constructor(message: string, details: ErrorDetails = DEFINITE) {
    super(message, details);
  }
}

/** The caller's signal fired. Indefinite for a write once it was sent. */
export class AbortedError extends QuoralError {
  readonly code = 'ABORTED';
  constructor(message: string, details: ErrorDetails) {
    super(message, details);
  }
}

/** Another process, or another store of this process, has the data directory open. Definite. */
export class LockedError extends QuoralError {
  readonly code = 'LOCKED';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** The data directory, or a record in it, is of a format this version does not know. Definite. */
export class UnknownFormatError extends QuoralError {
  readonly code = 'UNKNOWN_FORMAT';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** The data directory was created with other fixed options (nodes, n, partitions). Definite. */
export class OptionsMismatchError extends QuoralError {
  readonly code = 'OPTIONS_MISMATCH';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** The disk is full. Of a put, definite if no replica had stored it; of an opening, always. */
export class StorageFullError extends QuoralError {
  readonly code = 'STORAGE_FULL';
  constructor(message: string, details: ErrorDetails = INDEFINITE) {
    super(message, details);
  }
}

/** The disk is read-only or failing. Of a put, definite if no replica had stored it; of an opening, always. */
export class StorageFailedError extends QuoralError {
  readonly code = 'STORAGE_FAILED';
  constructor(message: string, details: ErrorDetails = INDEFINITE) {
    super(message, details);
  }
}

/** A condition of a put did not hold. Definite unless an earlier attempt of the same put was not. */
export class PreconditionFailedError extends QuoralError {
  readonly code = 'PRECONDITION_FAILED';
  constructor(message: string, details: ErrorDetails = DEFINITE) {
    super(message, details);
  }
}

/** A session token could not be satisfied. Of a read. */
export class StaleReadError extends QuoralError {
  readonly code = 'STALE_READ';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** An argument or option is of the wrong kind or out of its range. Definite. */
export class InvalidArgumentError extends QuoralError {
  readonly code = 'INVALID_ARGUMENT';
  /** Where a bucket type that does not exist is what is wrong: its name. */
  readonly bucketType?: string;
  constructor(message: string, details: { readonly bucketType?: string } = {}) {
    super(message, DEFINITE);
    if (details.bucketType !== undefined) this.bucketType = details.bucketType;
  }
}

/** Type, bucket and key together are over 1,900 bytes. Definite. */
export class KeyTooLongError extends QuoralError {
  readonly code = 'KEY_TOO_LONG';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** The value is above `maxValueBytes`. Definite. */
export class ValueTooLargeError extends QuoralError {
  readonly code = 'VALUE_TOO_LARGE';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** The key has as many siblings as a put may leave; resolve them first. Definite. */
export class TooManySiblingsError extends QuoralError {
  readonly code = 'TOO_MANY_SIBLINGS';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** One value was asked for where there are siblings. Of a read. */
export class ConflictError extends QuoralError {
  readonly code = 'CONFLICT';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}

/** No replica has a readable record of the key. Of a read. */
export class CorruptError extends QuoralError {
  readonly code = 'CORRUPT';
  constructor(message: string) {
    super(message, DEFINITE);
  }
}
