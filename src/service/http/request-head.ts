/** A request's head as it came, and what is answered by looking at it alone. Pure. */
import type { RequestHeaders } from './headers.js';
import { type Reply, textReply } from './reply.js';

export interface RequestHead {
  readonly method: string;
  /** The request target as it was sent. */
  readonly url: string;
  /** By lower-case name. */
  readonly headers: RequestHeaders;
}

/** A request that is answered without asking the store: mostly, but not only, because something is wrong with it. */
export interface Refusal {
  readonly kind: 'refused';
  readonly reply: Reply;
}

/** Refuses the method. @param allow - those that are allowed */
export function notAllowed(allow: string): Refusal {
  return { kind: 'refused', reply: textReply(405, `Allowed here: ${allow}\n`, { Allow: allow }) };
}

/** Refuses with this status and text. */
export function refused(status: number, text: string): Refusal {
  return { kind: 'refused', reply: textReply(status, text) };
}
