/**
 * What the two ends of a share say to each other over the ticket's port: the thread that opened the store, and the one
 * that attaches to it. Either end leaves by closing the port, or by dying, which closes it.
 *
 *     opener                                      attached thread
 *     share(): grant, waiting in the ticket ────▶ attach()
 *                                          ◀───── join
 *     joined: lanes, control, which nodes are up ▶ a store
 *     node, whenever one comes up or goes down ─▶
 *     closing ──────────────────────────────────▶ finishes what is under way
 *                                          ◀───── (closed)
 */
import type { MessagePort } from 'node:worker_threads';
import type { Ring } from '../ring/ring.js';
import type { ApplicationEnds } from '../runtime/threads/join-group.js';
import type { NodeActs } from './admin.js';
import type { NodeFigures } from './node-figures.js';
import type { CheckedOptions } from './options.js';

/** Tells a ticket from other ports, and from those of other versions. */
export const TICKET = 'quoral ticket 1';

/** What a ticket carries from the beginning. */
export interface Grant {
  readonly ticket: typeof TICKET;
  readonly ring: Ring;
  readonly options: CheckedOptions;
}

export interface Joined {
  readonly type: 'joined';
  readonly ends: ApplicationEnds;
  /** Serves `OpenerControl`. */
  readonly control: MessagePort;
  /** By node: whether it is up. */
  readonly up: readonly boolean[];
  /** By node: see `ApplicationParts`. */
  readonly gauges: readonly SharedArrayBuffer[];
}

export type OpenerSays =
  | Joined
  | { readonly type: 'node'; readonly node: number; readonly up: boolean }
  | { readonly type: 'closing' };

export type AttachedSays = { readonly type: 'join' };

/** What the opener does for attached threads: what only the thread with the nodes can do. */
export type OpenerControl = NodeActs & { nodeStats(): Promise<NodeFigures> };
