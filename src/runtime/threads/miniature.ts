/**
 * Several threads in one: hosts that are linked to each other as those of a group are, all in the calling thread, whose
 * event loop takes their turns one after the other. What can be done with a group of threads can be rehearsed with them.
 */
import { assert } from '../../base/assert.js';
import type { ActorHost } from '../actor.js';
import type { HostEvents } from './host-events.js';
import { createLinkEnds } from './link.js';
import { ThreadHost } from './thread-host.js';

/** Of each lane: two for each pair. Enough for some hundred small messages. */
const LANE_BYTES = 32 * 2 ** 10;
/** Looked so often for answers before parking: a host that rests would keep the thread from those of the others. */
const POLLS = 1;

export class Miniature {
  private readonly hosts: (ThreadHost | undefined)[] = [];
  private readonly events: HostEvents;

  constructor(events: HostEvents) {
    this.events = events;
  }

  /** Starts thread `thread`, which is not there: `setup` spawns its actors, which are started before this returns. */
  start(thread: number, setup: (host: ActorHost) => void): void {
    assert(this.hosts[thread] === undefined, `thread ${thread} has been started`);
    const host = new ThreadHost({ thread, polls: POLLS, events: this.events });
    for (const other of this.hosts) {
      if (other === undefined) continue;
      const [here, there] = createLinkEnds(host, other, LANE_BYTES);
      host.connect(here);
      other.connect(there);
    }
    this.hosts[thread] = host;
    setup(host);
    host.startPulse();
    host.begin();
  }

  /** The thread dies, between two turns: nothing of it is stopped, and the others learn of it. */
  crash(thread: number): void {
    const host = this.hosts[thread];
    assert(host !== undefined, `thread ${thread} is there`);
    this.hosts[thread] = undefined;
    host.close();
    for (const other of this.hosts) other?.disconnect(thread);
  }

  /** Runs `work` as if within a turn of a thread. */
  outside(thread: number, work: () => void): void {
    this.hosts[thread]?.outside(work);
  }

  /** Ends all. Idempotent. */
  close(): void {
    for (const host of this.hosts.splice(0)) host?.close();
  }
}
