/** The conversation of the lanes benchmark: a number and a byte string, there and back. */
import type { Conversation, MessageCodec } from '../../src/runtime/actor.js';

export interface Telling {
  readonly number: number;
  readonly body: Uint8Array;
}

const codec: MessageCodec<Telling> = {
  size: (telling) => 12 + telling.body.length,
  write(telling, out) {
    out.f64(telling.number);
    out.bytes(telling.body);
  },
  read: (from) => ({ number: from.f64(), body: from.bytes() }),
};

export const ECHO: Conversation<Telling, Telling> = { name: 'benchmark echo', request: codec, answer: codec };
export const ECHO_SLOT = 3;
