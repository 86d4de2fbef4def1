/** What a thread group tells its threads, and what they tell it. */
import type { ErrorData } from './control-plane.js';
import type { LinkEnds } from './link.js';
import type { ThreadHost } from './thread-host.js';

/** About the links of a thread: to every member of the group. */
export type LinkOrder =
  | { readonly type: 'connect'; readonly ends: LinkEnds }
  | { readonly type: 'disconnect'; readonly peer: number }
  /** A split: see `ThreadHost.cutOff`. */
  | { readonly type: 'cut-off'; readonly peers: readonly number[]; readonly timeoutMs: number }
  | { readonly type: 'abandon'; readonly peer: number };

/** From the group to a worker. */
export type GroupOrder =
  | LinkOrder
  /** Clean: finish what is in hand for up to `graceMs`, then stop, commit, flush, exit. */
  | { readonly type: 'stop'; readonly graceMs: number }
  /** At once, between turns: no flush, no `stop`. */
  | { readonly type: 'crash' }
  /** Report 'paused', then stand still. */
  | { readonly type: 'pause'; readonly ms: number }
  /** Report 'followed' once nothing is in hand or under way, at the latest after `graceMs`. */
  | { readonly type: 'settle'; readonly order: number; readonly graceMs: number }
  /** Report 'followed': all orders before this one are carried out. */
  | { readonly type: 'follow'; readonly order: number };

/** From a worker to the group. */
export type ThreadReport =
  | { readonly type: 'ready' }
  | { readonly type: 'start-failed'; readonly error: ErrorData }
  | { readonly type: 'paused' }
  | { readonly type: 'followed'; readonly order: number }
  /** It has much to do. */
  | { readonly type: 'in-use' }
  | ThreadNews;

/** What the group's owner may have to know. */
export type ThreadNews =
  | { readonly type: 'crashed'; readonly slot: number; readonly incarnation: number; readonly error: ErrorData }
  | { readonly type: 'escalated'; readonly slot: number; readonly error: ErrorData }
  | { readonly type: 'trouble'; readonly what: string; readonly error: ErrorData };

/** Carries out an order about links. False if it is about something else. */
export function followLinkOrder(host: ThreadHost, order: GroupOrder): boolean {
  switch (order.type) {
    case 'connect':
      host.connect(order.ends);
      return true;
    case 'disconnect':
      host.disconnect(order.peer);
      return true;
    case 'cut-off':
      for (const peer of order.peers) host.cutOff(peer, order.timeoutMs);
      return true;
    case 'abandon':
      host.abandon(order.peer);
      return true;
    default:
      return false;
  }
}
