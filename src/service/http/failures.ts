/**
 * Failures of the store as HTTP replies. The body is Riak's text where Riak has one; `X-Quoral-Error` and
 * `X-Quoral-Definite` carry the code, and whether it is certain that nothing was stored. Pure.
 */
import {
  type ErrorCode,
  InvalidArgumentError,
  OverloadedError,
  QuoralError,
  type QuorumName,
  QuorumNotMetError,
  QuorumUnavailableError,
} from '../../base/errors.js';
import { type Reply, textReply } from './reply.js';

const STATUS: Readonly<Record<ErrorCode, number>> = {
  QUORUM_UNAVAILABLE: 503,
  QUORUM_NOT_MET: 503,
  TIMEOUT: 503,
  OVERLOADED: 503,
  CLOSED: 503,
  ABORTED: 503,
  LOCKED: 500,
  UNKNOWN_FORMAT: 500,
  OPTIONS_MISMATCH: 500,
  STORAGE_FULL: 507,
  STORAGE_FAILED: 500,
  PRECONDITION_FAILED: 412,
  STALE_READ: 503,
  INVALID_ARGUMENT: 400,
  KEY_TOO_LONG: 400,
  VALUE_TOO_LARGE: 413,
  TOO_MANY_SIBLINGS: 409,
  CONFLICT: 409,
  CORRUPT: 500,
};

/** The reply to a request that the store failed; undefined if `error` is none of the store's. */
export function failureReply(error: unknown): Reply | undefined {
  if (!(error instanceof QuoralError)) return undefined;
  const headers: Record<string, string> = {
    'X-Quoral-Error': error.code,
    'X-Quoral-Definite': String(error.definite),
  };
  if (error instanceof OverloadedError)
    headers['Retry-After'] = String(Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  if (error instanceof InvalidArgumentError && error.bucketType !== undefined) {
    return textReply(404, `Unknown bucket type: ${error.bucketType}\n`, headers);
  }
  return textReply(STATUS[error.code], textOf(error), headers);
}

/** What a stream of a list says of the error that ends it. */
export function listFailureText(error: QuoralError): string {
  return error.code === 'TIMEOUT' ? 'timeout' : textOf(error).trimEnd();
}

function textOf(error: QuoralError): string {
  if (error instanceof QuorumNotMetError || (error instanceof QuorumUnavailableError && isOfPrimaries(error.quorum))) {
    return `${error.quorum.toUpperCase()}-value unsatisfied: ${error.got}/${error.wanted}\n`;
  }
  return error.code === 'TIMEOUT' ? 'request timed out\n' : `${error.message}\n`;
}

/** Of these Riak says beforehand, too, how many there are; of the others it has but an internal term. */
function isOfPrimaries(quorum: QuorumName): boolean {
  return quorum === 'pr' || quorum === 'pw';
}
