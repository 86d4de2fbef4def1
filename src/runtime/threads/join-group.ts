/** The other end of `ThreadGroup.attach`: how another of the application's threads joins a group of threads. */
import type { MessagePort } from 'node:worker_threads';
import { followLinkOrder, type LinkOrder } from './group-order.js';
import type { LinkEnds } from './link.js';
import { ThreadHost, type ThreadHostOptions } from './thread-host.js';

/** Polls before parking: +38 % at 64 in flight when measured, for no cost when idle. */
export const APPLICATION_POLLS = 50;

/** What another application thread needs to join: to be posted to it with its ports transferred. */
export interface ApplicationEnds {
  readonly thread: number;
  readonly doorbell: SharedArrayBuffer;
  readonly links: readonly LinkEnds[];
  readonly orders: MessagePort;
}

export interface JoinOptions extends Pick<ThreadHostOptions, 'events' | 'polls'> {
  /**
   * Called when the group has ended, or has cut this thread off; not when its host was closed. Every request that is
   * outstanding fails next.
   */
  readonly onCut?: () => void;
}

/** Called by another application thread: makes its host, linked to the group's workers. Close the host to leave. */
export function joinGroup(ends: ApplicationEnds, options: JoinOptions = {}): ThreadHost {
  const { thread, doorbell, orders } = ends;
  const { onCut, ...ofHost } = options;
  /** Workers that this thread is linked to. */
  const peers = new Set<number>();
  let left = false;
  const host = new ThreadHost({
    polls: APPLICATION_POLLS,
    ...ofHost,
    thread,
    doorbell,
    onClose: () => {
      left = true;
      orders.close();
    },
  });
  const follow = (order: LinkOrder): void => {
    if (order.type === 'connect') peers.add(order.ends.peer);
    followLinkOrder(host, order);
  };
  for (const link of ends.links) follow({ type: 'connect', ends: link });
  orders.on('message', follow);
  orders.on('close', () => {
    if (left) return;
    onCut?.();
    for (const peer of peers) host.disconnect(peer, true);
  });
  orders.unref();
  host.startPulse();
  return host;
}
