/** Learns which dots were minted for which attempts, whether or not anything comes of them. */
import { sameEvent } from '../clocks/event-id.js';
import { decodeRecord } from '../codec/record.js';
import { hintConversation } from '../messages/hint-messages.js';
import { type VnodeAnswer, vnodeConversation } from '../messages/vnode-messages.js';
import type { ActorContext, Conversation, Incoming } from '../runtime/actor.js';
import type { History } from './history.js';
import { type Tap, TappedContext } from './tapped-host.js';

/** Vnodes, and those who stand in for them. */
const MINTERS: ReadonlySet<string> = new Set([vnodeConversation.name, hintConversation.name]);

export class MintTap implements Tap {
  private readonly history: History;

  constructor(history: History) {
    this.history = history;
  }

  context(conversation: Conversation<unknown, unknown>, _slot: number, inner: ActorContext): ActorContext {
    return MINTERS.has(conversation.name) ? new MintContext(inner, this.history) : inner;
  }
}

class MintContext extends TappedContext {
  private readonly history: History;

  constructor(inner: ActorContext, history: History) {
    super(inner);
    this.history = history;
  }

  override notice<Answer>(incoming: Incoming<Answer>, answer: Answer): void {
    const minted = answer as VnodeAnswer;
    if (minted.type === 'minted') {
      const { context, siblings } = decodeRecord(minted.record);
      for (const { dot, attempt } of siblings) {
        if (sameEvent(dot, minted.dot)) this.history.noteMinted(dot, attempt, context);
      }
    }
    super.notice(incoming, answer);
  }
}
