/**
 * What hint deliverers say to each other. The hints themselves go to vnodes (`vnode-messages.ts`, 'hand-off').
 */
import type { Holding } from '../hinted-handoff/inquiry.js';
import { type Conversation, FrameError, type MessageCodec } from '../runtime/actor.js';

/**
 * Sent by a node that has started: what do you hold for me? It is there to take it. And `holds` says how many hints it
 * has for the one who is asked.
 */
export interface HoldingRequest {
  readonly type: 'what-for-me';
  readonly from: number;
  readonly holds: number;
}

export interface HoldingAnswer extends Holding {
  readonly type: 'holding';
}

const WHAT_FOR_ME = 1;
const HOLDING = 1;

const request: MessageCodec<HoldingRequest> = {
  size: () => 13,
  write(message, out) {
    out.u8(WHAT_FOR_ME);
    out.u32(message.from);
    out.f64(message.holds);
  },
  read(from) {
    const type = from.u8();
    if (type !== WHAT_FOR_ME) throw new FrameError(`no request of a hint deliverer has type ${type}`);
    return { type: 'what-for-me', from: from.u32(), holds: from.f64() };
  },
};

const answer: MessageCodec<HoldingAnswer> = {
  size: () => 33,
  write(message, out) {
    out.u8(HOLDING);
    out.f64(message.count);
    out.u32(message.session.high);
    out.u32(message.session.low);
    out.f64(message.begun);
    out.f64(message.clean);
  },
  read(from) {
    const type = from.u8();
    if (type !== HOLDING) throw new FrameError(`no answer of a hint deliverer has type ${type}`);
    return {
      type: 'holding',
      count: from.f64(),
      session: { high: from.u32(), low: from.u32() },
      begun: from.f64(),
      clean: from.f64(),
    };
  },
};

export const hintDeliveryConversation: Conversation<HoldingRequest, HoldingAnswer> = {
  name: 'hint-delivery',
  request,
  answer,
};
