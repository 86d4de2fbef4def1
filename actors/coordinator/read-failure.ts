/** What a get or a page that has failed is answered. */
import type { CoordinatorAnswer, OperationFailure } from '../../src/messages/coordinator-messages.js';
import type { GetQuorum } from '../../src/quorum/get-quorum.js';
import { countSlots } from '../../src/quorum/slots.js';

/**
 * @param slots - how many replicas there are to ask
 * @param refusals - how many of them refused for lack of room
 * @param late - the deadline has passed
 */
export function readFailure(quorum: GetQuorum, slots: number, refusals: number, late: boolean): CoordinatorAnswer {
  const { got, wanted } = quorum;
  return { type: 'failed', failure: { why: whyFailed(quorum, slots, refusals, late), got, wanted, definite: true } };
}

function whyFailed(quorum: GetQuorum, slots: number, refusals: number, late: boolean): OperationFailure['why'] {
  const { got } = quorum;
  // 'corrupt' says that nobody has a readable record; while one has not been asked, that is not known.
  if (countSlots(quorum.corruptSlots) === slots) return 'corrupt';
  if (late) return got === 0 ? 'timeout' : 'not-met';
  if (refusals > 0) return 'overloaded';
  return got === 0 && !quorum.healsWhenFailed ? 'unavailable' : 'not-met';
}
