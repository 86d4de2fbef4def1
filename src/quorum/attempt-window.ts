/**
 * Remembers which attempts a vnode or a coordinator was asked for, so that a message that arrives twice mints once.
 *
 * A client numbers its attempts 1, 2, 3, …; each actor sees some of them, roughly in order. Per client the window keeps
 * one bit for each of the last 65,536 numbers: a number before the window is too old to be told from a repeated one,
 * and refused. The bits cost 8 KiB a client; clients are forgotten in the order of their last use beyond a bound.
 * Source: the anti-replay window of IPsec (RFC 4303 §3.4.3, RFC 6479), used for puts.
 */
import type { Attempt } from '../clocks/event-id.js';

const WINDOW = 65_536;

interface ClientWindow {
  readonly high: number;
  readonly low: number;
  /** The highest number seen. */
  highest: number;
  /** Bit `counter % WINDOW`: seen. Meaningful for the numbers from `highest` − WINDOW + 1 on. */
  readonly bits: Uint32Array;
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
    const client = this.clientOf(attempt);
    const { counter } = attempt;
    if (counter > client.highest) {
      this.advance(client, counter);
    } else if (counter <= client.highest - WINDOW) {
      return 'late';
    }
    const bit = counter % WINDOW;
    const word = bit >>> 5;
    const mask = 1 << (bit & 31);
    if ((client.bits[word]! & mask) !== 0) return 'seen';
    client.bits[word]! |= mask;
    return 'new';
  }

  private advance(client: ClientWindow, counter: number): void {
    if (counter - client.highest >= WINDOW) client.bits.fill(0);
    else {
      // A vnode sees few of a client's numbers: clear the ones in between a word at a time.
      let passed = client.highest + 1;
      while (passed <= counter) {
        const bit = passed % WINDOW;
        const run = Math.min(32 - (bit & 31), counter - passed + 1);
        const cleared = run === 32 ? -1 : ((1 << run) - 1) << (bit & 31);
        client.bits[bit >>> 5]! &= ~cleared;
        passed += run;
      }
    }
    client.highest = counter;
  }

  private clientOf(attempt: Attempt): ClientWindow {
    const last = this.clients.length - 1;
    for (let i = last; i >= 0; i--) {
      const client = this.clients[i]!;
      if (client.low !== attempt.low || client.high !== attempt.high) continue;
      if (i !== last) {
        this.clients.splice(i, 1);
        this.clients.push(client);
      }
      return client;
    }
    if (this.clients.length >= this.maxClients) {
      this.clients.shift();
      this.forgotten++;
    }
    const client = { high: attempt.high, low: attempt.low, highest: 0, bits: new Uint32Array(WINDOW / 32) };
    this.clients.push(client);
    return client;
  }
}
