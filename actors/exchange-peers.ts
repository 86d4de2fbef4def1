/**
 * What an exchanger asks of others, and who hears of the outcome; and what it thinks of whether they are up.
 */
import { InFlight } from '../src/base/in-flight.js';
import { FailureDetector } from '../src/membership/failure-detector.js';
import { exchangerRef, vnodeRef } from '../src/messages/addresses.js';
import type { ExchangeReply, ExchangeRequest } from '../src/messages/exchange-messages.js';
import type { VnodeAnswer, VnodeRequest } from '../src/messages/vnode-messages.js';
import { type ActorContext, type ActorRef, type Failure, wasLost } from '../src/runtime/actor.js';

/** What exchangers and vnodes answer. */
export type PeerAnswer = ExchangeReply | VnodeAnswer;

/** Hears of the one outcome of a request; `failed`, perhaps before the request returns, if there is no room for it. */
export interface Hearer {
  answered(answer: PeerAnswer, context: ActorContext): void;
  failed(context: ActorContext): void;
}

/** Nothing depends on the answer. */
export const NOBODY: Hearer = { answered: () => undefined, failed: () => undefined };

interface Asked {
  readonly node: number;
  readonly hearer: Hearer;
}

/** Requests under way: two questions, or two for each repair; and those of exchanges that were given up. */
const MAX_REQUESTS = 4_096;

export class ExchangePeers {
  private readonly self: number;
  private readonly nodes: number;
  private readonly detector: FailureDetector;
  private readonly asked = new InFlight<Asked>(MAX_REQUESTS);

  /** @param self - this node, of so many */
  constructor(self: number, nodes: number) {
    this.self = self;
    this.nodes = nodes;
    this.detector = new FailureDetector(nodes);
  }

  isUp(node: number, nowMs: number): boolean {
    return node === this.self || this.detector.state(node, nowMs) === 'up';
  }

  /** Looks at the pulses of the others, which wakes their threads. */
  observe(context: ActorContext): void {
    for (let node = 0; node < this.nodes; node++) {
      if (node !== this.self) this.detector.observe(node, context.pulse(node), context.now());
    }
  }

  askExchanger(node: number, message: ExchangeRequest, hearer: Hearer, context: ActorContext): void {
    this.request(exchangerRef(node), node, message, hearer, context);
  }

  askVnode(node: number, partition: number, message: VnodeRequest, hearer: Hearer, context: ActorContext): void {
    this.request(vnodeRef(node, partition), node, message, hearer, context);
  }

  answered(correlation: number, answer: PeerAnswer, context: ActorContext): void {
    const asked = this.take(correlation);
    if (asked === undefined) return;
    if (asked.node !== this.self) this.detector.answered(asked.node);
    asked.hearer.answered(answer, context);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    const asked = this.take(correlation);
    if (asked === undefined) return;
    if (asked.node !== this.self) {
      if (wasLost(failure)) this.detector.unanswered(asked.node, context.now());
      else if (failure === 'unreachable') this.detector.unreachable(asked.node, context.now());
    }
    asked.hearer.failed(context);
  }

  private request<Request>(
    to: ActorRef<Request, PeerAnswer>,
    node: number,
    message: Request,
    hearer: Hearer,
    context: ActorContext,
  ): void {
    const ticket = this.asked.add({ node, hearer });
    if (ticket >= 0) context.request(to, message, ticket);
    else hearer.failed(context);
  }

  private take(ticket: number): Asked | undefined {
    const asked = this.asked.get(ticket);
    this.asked.remove(ticket);
    return asked;
  }
}
