/** Mistakes in what a token or a retry covers, and in what a merge keeps. */
import { EMPTY, equalBytes } from '../../../src/base/bytes.js';
import { joinContexts, withDotAndAllBefore } from '../../../src/clocks/causal-context.js';
import { laterOf } from '../../../src/clocks/timestamp.js';
import { partitionOf } from '../../../src/codec/key.js';
import { decodeRecord, encodeRecord } from '../../../src/codec/record.js';
import { encodeToken } from '../../../src/codec/token.js';
import {
  type CoordinatorAnswer,
  type CoordinatorRequest,
  coordinatorConversation,
} from '../../../src/messages/coordinator-messages.js';
import { type VnodeAnswer, type VnodeRequest, vnodeConversation } from '../../../src/messages/vnode-messages.js';
import { lastWrite } from '../../../src/objects/resolution.js';
import type { ActorContext, ActorRef, Incoming } from '../../../src/runtime/actor.js';
import { TappedActor, TappedContext } from '../../../src/simulation/tapped-host.js';
import { ticketOf } from '../../../src/store/pending-request.js';
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

/** Knows of each request which sending of it was the last. */
class LastSendings extends TappedContext {
  readonly last = new Map<number, number>();

  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    this.last.set(ticketOf(correlation), correlation);
    super.request(to, message, correlation);
  }
}

/** Takes an answer to an earlier attempt for one to the last. */
class CountsVoidedAttempts extends TappedActor<never, never, CoordinatorAnswer> {
  override answered(correlation: number, answer: CoordinatorAnswer, interim: boolean, context: ActorContext): void {
    const { last } = this.context as LastSendings;
    const counted = answer.type === 'put-done' ? (last.get(ticketOf(correlation)) ?? correlation) : correlation;
    super.answered(counted, answer, interim, context);
  }
}

/**
 * Takes for what a put has seen of its key what another put has seen of another one, as would happen to an application that mixes its
 * tokens up where these were not bound to their keys. Keys of a partition are written under the same names.
 */
class TakesAnyToken extends TappedContext {
  /** By partition, the last context that came with a put, and the key that it was of. */
  private readonly last = new Map<number, { readonly key: Uint8Array; readonly causalContext: Uint8Array }>();

  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    const request = message as CoordinatorRequest;
    if (request.type !== 'put') {
      super.request(to, message, correlation);
      return;
    }
    const { put } = request;
    const { key, causalContext } = put;
    const other = this.last.get(partitionOf(key));
    if (causalContext.length > 0) this.last.set(partitionOf(key), { key, causalContext });
    const isAnother = other !== undefined && !equalBytes(other.key, key);
    const given = isAnother && causalContext.length > 0 ? other.causalContext : causalContext;
    super.request(to, { ...request, put: { ...put, causalContext: given } } as Request, correlation);
  }
}

/** Answers a get with whatever was read, as if it had no session. */
class IgnoresSessions extends TappedActor<CoordinatorRequest, CoordinatorAnswer, unknown> {
  override receive(message: CoordinatorRequest, incoming: Incoming<CoordinatorAnswer>, context: ActorContext): void {
    super.receive(message.type === 'get' ? { ...message, session: EMPTY } : message, incoming, context);
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
    name: 'a late acknowledgement of a voided attempt counted',
    client: (inner) => new LastSendings(inner),
    clientActor: (inner, context) => new CountsVoidedAttempts(inner, context),
    sync: 'full',
    kinds: ['pause', 'slow disk', 'delay'],
    noticed: /^(dot|false conflict)/,
    seeds: 20,
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
    name: 'a token of another key accepted',
    client: (inner) => new TakesAnyToken(inner),
    sync: 'full',
    kinds: ['delay', 'pause'],
    noticed: /^(lost|not read)/,
    seeds: 15,
  },
  {
    name: 'last-write-wins inside merge',
    nodes: () => tapOf(vnodeConversation.name, { actor: (inner, context) => new ResolvesInMerge(inner, context) }),
    sync: 'full',
    kinds: ['delay', 'pause'],
    noticed: /^(lost|not read)/,
    seeds: 5,
  },
  {
    name: 'a coordinator that ignores sessions',
    nodes: () =>
      tapOf(coordinatorConversation.name, { actor: (inner, context) => new IgnoresSessions(inner, context) }),
    sync: 'full',
    kinds: ['crash of a node'],
    noticed: /^not in session/,
    seeds: 10,
  },
];
