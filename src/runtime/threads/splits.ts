/**
 * The links of one thread that a split has cut, until the split is healed or the peer is gone.
 *
 *     cut ─▶ silent: requests are outstanding, nothing comes ─ timeout ─▶ broken: they have failed, further ones do at once
 *
 * As a connection behaves whose packets are lost: nobody can tell a silent peer from a slow one until a time has run out.
 * The simulator's splits behave alike.
 */
import type { Link } from './link.js';

interface Cut {
  readonly link: Link;
  /** What was last seen of the peer. */
  readonly pulse: number;
  /** Undefined once the connection counts as broken. */
  timeout: NodeJS.Timeout | undefined;
}

const NO_PULSE = -1;

export class Splits {
  private readonly cuts = new Map<number, Cut>();

  /** Cuts a link. @param broken - called after `timeoutMs`, unless the cut has ended before */
  begin(link: Link, timeoutMs: number, broken: () => void): void {
    const { pulse } = link;
    link.sever();
    const cut: Cut = { link, pulse, timeout: undefined };
    // Whoever waits for an answer holds the process meanwhile.
    cut.timeout = setTimeout(() => {
      cut.timeout = undefined;
      broken();
    }, timeoutMs).unref();
    this.cuts.set(link.peer, cut);
  }

  /** The link to a peer of which nobody can know yet that it is cut off. */
  silent(peer: number): Link | undefined {
    const cut = this.cuts.get(peer);
    return cut?.timeout === undefined ? undefined : cut.link;
  }

  /** What was last seen of a peer that is cut off; −1 of one that is not. */
  pulse(peer: number): number {
    return this.cuts.get(peer)?.pulse ?? NO_PULSE;
  }

  /** Ends a cut. @returns the link, if what is outstanding on it has still to fail */
  end(peer: number): Link | undefined {
    const link = this.silent(peer);
    clearTimeout(this.cuts.get(peer)?.timeout);
    this.cuts.delete(peer);
    return link;
  }

  close(): void {
    for (const { timeout } of this.cuts.values()) clearTimeout(timeout);
    this.cuts.clear();
  }
}
