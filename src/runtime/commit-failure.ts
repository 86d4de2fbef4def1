/** Why a turn's commit failed, as the requesters that waited for it are told. */
import type { ErrorCode } from '../base/errors.js';
import type { Failure } from './actor.js';

const FULL: ErrorCode = 'STORAGE_FULL';

export function commitFailureOf(error: unknown): Failure {
  return error instanceof Error && 'code' in error && error.code === FULL ? 'commit-full' : 'commit-failed';
}
