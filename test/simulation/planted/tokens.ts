/** Mistakes in what a token or a retry covers, and in what a merge keeps. */

import { joinContexts, withDotAndAllBefore } from '../../../src/clocks/causal-context.js';
import { laterOf } from '../../../src/clocks/timestamp.js';
import { decodeRecord, encodeRecord } from '../../../src/codec/record.js';
import { encodeToken } from '../../../src/codec/token.js';
import type { CoordinatorRequest } from '../../../src/messages/coordinator-messages.js';
import { type VnodeAnswer, type VnodeRequest, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import { lastWrite } from '../../../src/objects/resolution.js';
import type { ActorContext, ActorRef, Incoming } from '../../../src/runtime/actor.js';
import { TappedActor, TappedContext } from '../../../src/simulation/tapped-host.js';
import { type PlantedBug, tapOf } from './plant.js';

/** Sends retries as if nothing had been tried before. */
class ForgetsEarlierAttempts extends TappedContext {
  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    const request = message as CoordinatorRequest;
    if (request.type !== 'put') super.request(to, message, correlation);
    else super.request(to, { ...request, put: { ...request.put, earlier: [] } } as Request, correlation);
  }
}

/** Keeps of every object that it is sent only the newest sibling, under the context of all. */
class ResolvesInMerge extends TappedActor<VnodeRequest, VnodeAnswer, never> {
  override receive(message: VnodeRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    super.receive(
      message.type === 'write' ? { ...message, record: newestOf(message.record) } : message,
      incoming,
      context,
    );
  }
}

function newestOf(record: Uint8Array): Uint8Array {
  const object = decodeRecord(record);
  const newest = lastWrite(object, 0);
  return encodeRecord({ context: object.context, siblings: newest === undefined ? [] : [newest] });
}

/** Puts a condition on what the client takes for a put without one, which it tries again as it sees fit. */
class RetriesConditionalPuts extends TappedContext {
  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    const request = message as CoordinatorRequest;
    if (request.type !== 'put' || request.put.causalContext.length > 0) super.request(to, message, correlation);
    else {
      const put = { ...request.put, condition: 'if-none-match' as const };
      super.request(to, { ...request, put } as Request, correlation);
    }
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
  {
    name: 'a conditional put retried by itself',
    client: (inner) => new RetriesConditionalPuts(inner),
    sync: 'full',
    kinds: ['crash of an actor', 'crash of a node', 'slow disk'],
    noticed: /^tried again by itself/,
    seeds: 10,
  },
  {
    name: 'last-write-wins inside merge',
    nodes: () => tapOf(vnodeConversation.name, { actor: (inner, context) => new ResolvesInMerge(inner, context) }),
    sync: 'full',
    kinds: ['delay', 'pause'],
    noticed: /^(lost|not read)/,
    seeds: 5,
  },
];
