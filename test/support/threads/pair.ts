/** Hosts of several threads, all in this one: everything but the threads themselves, in an order that a test controls. */
import type { SupervisionPolicy } from '../../../src/runtime/actor.js';
import type { HostEvents } from '../../../src/runtime/threads/host-events.js';
import { createLinkEnds } from '../../../src/runtime/threads/link.js';
import { ThreadHost } from '../../../src/runtime/threads/thread-host.js';

export interface PairOptions {
  readonly laneBytes?: number;
  readonly supervision?: SupervisionPolicy;
  readonly events?: HostEvents;
}

/** Makes two hosts, 0 and 1, linked to each other, which are closed when `t` ends. */
export function hostPair(t: { teardown(end: () => void): void }, options: PairOptions = {}): [ThreadHost, ThreadHost] {
  const { supervision, events } = options;
  const shared = { ...(supervision === undefined ? {} : { supervision }), ...(events === undefined ? {} : { events }) };
  const a = new ThreadHost({ thread: 0, ...shared });
  const b = new ThreadHost({ thread: 1, ...shared });
  link(a, b, options.laneBytes);
  // An idle host lets its process end, also while an actor waits for its timer or its restart.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => {
    clearInterval(alive);
    a.close();
    b.close();
  });
  return [a, b];
}

export function link(a: ThreadHost, b: ThreadHost, laneBytes = 64 * 2 ** 10): void {
  const [ofA, ofB] = createLinkEnds(a, b, laneBytes);
  a.connect(ofA);
  b.connect(ofB);
}
