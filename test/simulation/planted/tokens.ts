/** Mistakes in what a token or a retry covers. */

import { joinContexts, withDotAndAllBefore } from '../../../src/clocks/causal-context.js';
import { laterOf } from '../../../src/clocks/timestamp.js';
import { encodeToken } from '../../../src/codec/token.js';
import type { CoordinatorRequest } from '../../../src/messages/coordinator-messages.js';
import type { ActorRef } from '../../../src/runtime/actor.js';
import { TappedContext } from '../../../src/simulation/tapped-host.js';
import type { PlantedBug } from './plant.js';

/** Sends retries as if nothing had been tried before. */
class ForgetsEarlierAttempts extends TappedContext {
  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    const request = message as CoordinatorRequest;
    if (request.type !== 'put') super.request(to, message, correlation);
    else super.request(to, { ...request, put: { ...request.put, earlier: [] } } as Request, correlation);
  }
}

export const TOKEN_BUGS: readonly PlantedBug[] = [
  {
    name: "the receipt covers the coordinator's whole object",
    receiptToken: ({ key, given, outcome }, history) =>
      encodeToken(
        key,
        joinContexts(given.context, history.contextAt(outcome.dot) ?? given.context),
        laterOf(given.highestTimestamp, outcome.timestamp),
      ),
    sync: 'full',
    kinds: ['delay', 'pause'],
    noticed: /^(lost|not read)/,
    seeds: 5,
  },
  {
    name: "the receipt's dot is folded into the version vector",
    receiptToken: ({ key, given, outcome }) =>
      encodeToken(
        key,
        withDotAndAllBefore(given.context, outcome.dot),
        laterOf(given.highestTimestamp, outcome.timestamp),
      ),
    sync: 'full',
    kinds: ['delay', 'pause'],
    noticed: /^(lost|not read)/,
    seeds: 5,
  },
  {
    name: 'a retry that does not cover its earlier attempt',
    client: (inner) => new ForgetsEarlierAttempts(inner),
    sync: 'full',
    kinds: ['crash of an actor', 'crash of a node', 'slow disk'],
    noticed: /^false conflict.* twice/,
    seeds: 10,
  },
];
