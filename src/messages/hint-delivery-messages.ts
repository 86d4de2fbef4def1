/**
 * What hint deliverers say to each other. The hints themselves go to vnodes (`vnode-messages.ts`, 'hand-off').
 */
import type { Holding } from '../hinted-handoff/inquiry.js';
import type { Conversation } from '../runtime/actor.js';
import { f64, struct, u32, variants } from './layout.js';

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

export const hintDeliveryConversation: Conversation<HoldingRequest, HoldingAnswer> = {
  name: 'hint-delivery',
  request: variants('request of a hint deliverer', { 'what-for-me': { from: u32, holds: f64 } }),
  answer: variants('answer of a hint deliverer', {
    holding: { count: f64, session: struct({ high: u32, low: u32 }), begun: f64, clean: f64 },
  }),
};
