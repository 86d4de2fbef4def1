/**
 * Remembers which attempts a vnode or a coordinator was asked for, so that a message that arrives twice mints once.
 *
 * A client numbers its attempts 1, 2, 3, …; each actor sees some of them, roughly in order. Per client it is known which
 * of the last 65,536 numbers were seen (`counter-window.ts`): a number before that window is too old to be told from a
 * repeated one, and refused. Clients are forgotten in the order of their last use beyond a bound, which is above the number of
 * threads that can be attached to a store at a time: a copy of a message outlives its client's last use by seconds.
 * Source: the anti-replay window of IPsec (RFC 4303 §3.4.3, RFC 6479), used for puts.
 */
import type { Attempt } from '../clocks/event-id.js';
import { CounterWindow } from './counter-window.js';

interface ClientWindow {
  readonly high: number;
  readonly low: number;
  readonly counters: CounterWindow;
}

export class AttemptWindow {
  private readonly maxClients: number;
  /** The most recently used last. */
  private readonly clients: ClientWindow[] = [];
  /** Forgotten clients' numbers cannot be told from new ones; this counts how often that happened. */
  forgotten = 0;

  constructor(maxClients = 64) {
    this.maxClients = maxClients;
  }

  /** 'new' (and from now on seen), 'seen', or 'late' if its number lies before the window. */
  see(attempt: Attempt): 'new' | 'seen' | 'late' {
    return this.countersOf(attempt).see(attempt.counter);
  }

  /** What the numbers take, in bytes: at most 8 KiB a client, and of a client that is rarely heard much less. */
  get bytes(): number {
    return this.clients.reduce((sum, { counters }) => sum + counters.bytes, 0);
  }

  private countersOf(attempt: Attempt): CounterWindow {
    const last = this.clients.length - 1;
    for (let i = last; i >= 0; i--) {
      const client = this.clients[i]!;
      if (client.low !== attempt.low || client.high !== attempt.high) continue;
      if (i !== last) {
        this.clients.splice(i, 1);
        this.clients.push(client);
      }
      return client.counters;
    }
    if (this.clients.length >= this.maxClients) {
      this.clients.shift();
      this.forgotten++;
    }
    const counters = new CounterWindow();
    this.clients.push({ high: attempt.high, low: attempt.low, counters });
    return counters;
  }
}
