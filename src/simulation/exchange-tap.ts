/** Learns which pairs of replicas were compared and found equal: of which their exchange has told one of the two. */
import { type ExchangeRequest, exchangeConversation } from '../messages/exchange-messages.js';
import { type ActorContext, type ActorRef, type Conversation, threadOf } from '../runtime/actor.js';
import { type Tap, TappedContext } from './tapped-host.js';

export class ExchangeTap implements Tap {
  private readonly hear: (pair: string) => void;

  constructor(hear: (pair: string) => void) {
    this.hear = hear;
  }

  context(conversation: Conversation<unknown, unknown>, _slot: number, inner: ActorContext): ActorContext {
    return conversation.name === exchangeConversation.name ? new Hearing(inner, this.hear) : inner;
  }
}

class Hearing extends TappedContext {
  private readonly hear: (pair: string) => void;

  constructor(inner: ActorContext, hear: (pair: string) => void) {
    super(inner);
    this.hear = hear;
  }

  override request<Request, Answer>(to: ActorRef<Request, Answer>, message: Request, correlation: number): void {
    const request = message as ExchangeRequest;
    if (request.type === 'equal') this.hear(pairName(request.partition, threadOf(to.place), request.other));
    super.request(to, message, correlation);
  }
}

/** Names the replicas of a partition on two nodes, in whatever order. */
export function pairName(partition: number, one: number, other: number): string {
  return `partition ${partition} on nodes ${Math.min(one, other)} and ${Math.max(one, other)}`;
}
