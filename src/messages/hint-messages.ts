/**
 * What a hint keeper can be asked by coordinators: to stand in for a primary that is out of reach, its `owner`. It mints
 * and stores as the owner's vnode would, under the hint record's own name, and answers in a vnode's words; what it keeps
 * is handed to the owner when that is back.
 * Source: Dynamo (SOSP 2007), §4.6 (hinted handoff).
 */
import type { Conversation } from '../runtime/actor.js';
import { bytes, f64, flag, u32, variants } from './layout.js';
import { type ObjectPut, objectPut } from './object-request.js';
import { type VnodeAnswer, vnodeConversation } from './vnode-messages.js';

export type HintRequest =
  /** As to a vnode: mint this put, for `owner`. Answered as a vnode does. */
  | { readonly type: 'mint'; readonly owner: number; readonly put: ObjectPut; readonly durable: boolean }
  /**
   * Keep this object for `owner`, merged with what is kept already. Answered as a vnode answers a write; with `mayWait`
   * some milliseconds later, together with others.
   */
  | {
      readonly type: 'keep';
      readonly owner: number;
      readonly key: Uint8Array;
      readonly record: Uint8Array;
      readonly durable: boolean;
      readonly mayWait: boolean;
      readonly tag: number;
    }
  /** The merge of all that is kept for `key`, whoever owns it. Answered as a vnode answers a read; never `behind`. */
  | { readonly type: 'read'; readonly key: Uint8Array; readonly digestOnly: boolean };

export const hintConversation: Conversation<HintRequest, VnodeAnswer> = {
  name: 'hints',
  request: variants('request of a hint keeper', {
    mint: { owner: u32, put: objectPut, durable: flag },
    keep: { owner: u32, key: bytes, record: bytes, durable: flag, mayWait: flag, tag: f64 },
    read: { key: bytes, digestOnly: flag },
  }),
  answer: vnodeConversation.answer,
};
