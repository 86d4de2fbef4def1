/** Turns what a client reports of a failed operation into the error that its caller gets. */
import {
  CorruptError,
  OverloadedError,
  PreconditionFailedError,
  type QuoralError,
  type QuorumName,
  QuorumNotMetError,
  QuorumUnavailableError,
  StaleReadError,
  StorageFailedError,
  StorageFullError,
  TimeoutError,
  TooManySiblingsError,
  ValueTooLargeError,
} from '../base/errors.js';
import type { OperationFailure } from '../messages/coordinator-messages.js';

/** What is refused by errors that are always definite. */
const REFUSALS: { readonly [Why in OperationFailure['why']]?: string } = {
  corrupt: 'no replica has a readable record of this key',
  'object-too-large': 'the siblings of this key would be too large together',
  'too-many-siblings': 'the key has as many siblings as a put may leave',
};

/** By quorum, whom it counts, and for what. */
const WHO: Readonly<Record<QuorumName, string>> = {
  ...{ r: 'replicas', pr: 'primaries', w: 'replicas', pw: 'primaries', dw: 'replicas' },
};
const DID: Readonly<Record<QuorumName, string>> = {
  ...{ r: 'answered', pr: 'answered', w: 'stored the write', pw: 'stored the write', dw: 'flushed the write to disk' },
};

/** @param retryAfterMs - when an operation that was refused for want of room may be tried again, in milliseconds */
export function errorOf(
  operation: 'get' | 'put' | 'scan',
  failure: OperationFailure,
  retryAfterMs: number,
): QuoralError {
  const { why, quorum, got, wanted } = failure;
  // A read changes nothing: its error is always definite.
  const definite = failure.definite || operation !== 'put';
  const outcome = definite
    ? 'nothing was stored'
    : 'the write may be stored all the same: read the key before you write it again';
  const end = operation === 'put' ? `; ${outcome}` : '';
  // Where an earlier try of the put may be stored, it has not simply been refused, whatever the last one met.
  const refusal = definite ? undefined : REFUSALS[why];
  if (refusal !== undefined) {
    return new QuorumNotMetError(`its last try was refused: ${refusal}${end}`, { definite, quorum, got, wanted });
  }
  switch (why) {
    case 'died':
      return new QuorumNotMetError(`who was to store it died with it in hand${end}`, {
        ...{ definite, quorum, got, wanted },
      });
    case 'unavailable':
      if (definite) {
        return new QuorumUnavailableError(
          `${quorum}: ${got} of the ${wanted} ${WHO[quorum]} asked for can be reached${end}; start the nodes that are down, or ask ` +
            'for fewer. Nodes that have just lost their data take writes again once others have told them what was reaped',
          { quorum, got, wanted },
        );
      }
      return new QuorumNotMetError(`no further replica could be reached${end}`, { definite, quorum, got, wanted });
    case 'not-met': {
      const count = `${quorum}: ${got} of ${wanted} ${WHO[quorum]} ${DID[quorum]}`;
      return new QuorumNotMetError(`${count}${end}`, { definite, quorum, got, wanted });
    }
    case 'voided':
      return new QuorumNotMetError(`a later attempt of this put has taken its place${end}`, {
        ...{ definite, quorum, got, wanted },
      });
    case 'timeout':
      return new TimeoutError(`no replica answered in time${end}; try again, or raise timeoutMs`, { definite });
    case 'overloaded':
      return new OverloadedError(
        `too many operations are under way${end}; wait ${retryAfterMs} ms, or keep fewer in flight`,
        { definite, retryAfterMs },
      );
    case 'corrupt':
      return new CorruptError('no replica has a readable record of this key: restore it from a backup');
    case 'storage':
      return new StorageFailedError(
        `too few replicas could store the write: ${got} of ${wanted}${end}; look at the disks of the nodes`,
        { definite },
      );
    case 'object-too-large':
      return new ValueTooLargeError(
        'the siblings of this key would be too large together; read it, resolve them, and put with the causalContext of that read',
      );
    case 'precondition-failed':
      return new PreconditionFailedError(
        `the key is not as the put's condition wants it${end}; read it again, and decide anew`,
        { definite },
      );
    case 'storage-full':
      return new StorageFullError(
        `too few replicas have room for the write: ${got} of ${wanted}${end}; free space on the disks of the nodes`,
        { definite },
      );
    case 'stale-read':
      return new StaleReadError(
        'no replica that can be reached has all that the session saw; try again, or start the nodes that are down',
      );
    case 'too-many-siblings':
      return new TooManySiblingsError(
        'the key has as many siblings as a put may leave; read it, resolve them, and put with the causalContext of that read',
      );
  }
}
