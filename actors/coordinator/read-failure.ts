/** What a get or a page that has failed is answered. */
import type { CoordinatorAnswer, OperationFailure } from '../../src/messages/coordinator-messages.js';
import type { GetQuorum } from '../../src/quorum/get-quorum.js';
import { countSlots } from '../../src/quorum/slots.js';

/**
 * @param n - how many primaries there are
 * @param refusals - how many replicas refused for lack of room
 * @param late - the deadline has passed
 * @param stale - enough was read, and did not cover the session
 */
export function readFailure(
  quorum: GetQuorum,
  n: number,
  refusals: number,
  late: boolean,
  stale = false,
): CoordinatorAnswer {
  const { got, wanted } = quorum;
  const why = stale ? 'stale-read' : whyFailed(quorum, n, refusals, late);
  return { type: 'failed', failure: { why, got, wanted, definite: true } };
}

function whyFailed(quorum: GetQuorum, n: number, refusals: number, late: boolean): OperationFailure['why'] {
  const { got } = quorum;
  // 'corrupt' says that nobody has a readable record; while one has not been asked, that is not known.
  if (countSlots(quorum.corrupt) === n) return 'corrupt';
  if (late) return got === 0 ? 'timeout' : 'not-met';
  if (refusals > 0) return 'overloaded';
  return got === 0 && !quorum.healsWhenFailed ? 'unavailable' : 'not-met';
}
