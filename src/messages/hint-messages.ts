/**
 * What a hint keeper can be asked by coordinators: to stand in for a primary that is out of reach, its `owner`. It mints
 * and stores as the owner's vnode would, under the hint record's own name, and answers in a vnode's words; what it keeps
 * is handed to the owner when that is back.
 * Source: Dynamo (SOSP 2007), §4.6 (hinted handoff).
 */
import { type Conversation, FrameError, type MessageCodec } from '../runtime/actor.js';
import { type ObjectPut, objectPutSize, readObjectPut, writeObjectPut } from './object-request.js';
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

const MINT = 1;
const KEEP = 2;
const READ = 3;
/** Flags of KEEP. */
const DURABLE = 1;
const MAY_WAIT = 2;

const request: MessageCodec<HintRequest> = {
  size(message) {
    switch (message.type) {
      case 'mint':
        return 6 + objectPutSize(message.put);
      case 'keep':
        return 22 + message.key.length + message.record.length;
      case 'read':
        return 6 + message.key.length;
    }
  },
  write(message, out) {
    switch (message.type) {
      case 'mint':
        out.u8(MINT);
        out.u32(message.owner);
        out.u8(message.durable ? 1 : 0);
        writeObjectPut(message.put, out);
        return;
      case 'keep':
        out.u8(KEEP);
        out.u32(message.owner);
        out.u8((message.durable ? DURABLE : 0) | (message.mayWait ? MAY_WAIT : 0));
        out.bytes(message.key);
        out.bytes(message.record);
        out.f64(message.tag);
        return;
      case 'read':
        out.u8(READ);
        out.u8(message.digestOnly ? 1 : 0);
        out.bytes(message.key);
        return;
    }
  },
  read(from) {
    const type = from.u8();
    switch (type) {
      case MINT: {
        const owner = from.u32();
        const durable = from.u8() === 1;
        return { type: 'mint', owner, put: readObjectPut(from), durable };
      }
      case KEEP: {
        const owner = from.u32();
        const flags = from.u8();
        const durable = (flags & DURABLE) !== 0;
        const mayWait = (flags & MAY_WAIT) !== 0;
        return { type: 'keep', owner, key: from.bytes(), record: from.bytes(), durable, mayWait, tag: from.f64() };
      }
      case READ: {
        const digestOnly = from.u8() === 1;
        return { type: 'read', key: from.bytes(), digestOnly };
      }
      default:
        throw new FrameError(`no request of a hint keeper has type ${type}`);
    }
  },
};

export const hintConversation: Conversation<HintRequest, VnodeAnswer> = {
  name: 'hints',
  request,
  answer: vnodeConversation.answer,
};
