/**
 * The mesh: who is linked to whom. Every member of a group is linked to every other, but for those that a split keeps
 * apart; each link is made anew for each incarnation of either, and when a split is healed.
 */
import type { MessagePort } from 'node:worker_threads';
import type { LinkOrder } from './group-order.js';
import { laneBytesFor } from './lane.js';
import { createLinkEnds, type LinkEnds, type LinkSide } from './link.js';

/** The application's host, a worker that runs, another application thread. Applications ask workers, never one another. */
export interface Member extends LinkSide {
  order(order: LinkOrder, transfer: MessagePort[]): void;
}

/** When what a split has cut counts as broken, in milliseconds; as in the simulator. */
const CONNECTION_TIMEOUT_MS = 500;

export class Mesh {
  private readonly workers: number;
  private readonly laneBytes: number;
  /** Of the lanes of the application threads that are attached. */
  private readonly attachedLaneBytes: number;
  private readonly members = new Map<number, Member>();
  /** Pairs that splits keep apart, whether they are members now or not. */
  private readonly cuts = new Map<string, readonly [number, number]>();

  /** @param workers - the threads 0 … workers − 1; `applications` threads of the application follow */
  constructor(workers: number, applications: number) {
    this.workers = workers;
    this.laneBytes = laneBytesFor(workers * (workers + 1));
    this.attachedLaneBytes = laneBytesFor(2 * workers * (applications - 1));
  }

  has(thread: number): boolean {
    return this.members.has(thread);
  }

  /** Links a new member to all others: gives them their ends, and returns the new one's. */
  linksFor(side: LinkSide): LinkEnds[] {
    const links: LinkEnds[] = [];
    for (const member of this.members.values()) {
      if (!this.mayMeet(side.thread, member.thread)) continue;
      const [here, there] = this.endsOf(side, member);
      links.push(here);
      member.order({ type: 'connect', ends: there }, [there.port]);
    }
    return links;
  }

  /** From now on a member hears of the others. */
  enroll(member: Member): void {
    this.members.set(member.thread, member);
  }

  /** Tells every other member that one is gone. */
  leave(thread: number): void {
    if (!this.members.delete(thread)) return;
    for (const member of this.members.values()) member.order({ type: 'disconnect', peer: thread }, []);
  }

  /** Nothing more is to be had of a member that cannot be ended: what it was asked fails with 'died'. */
  abandon(thread: number): void {
    for (const member of this.members.values()) {
      if (member.thread !== thread) member.order({ type: 'abandon', peer: thread }, []);
    }
  }

  /** Cuts every thread of `side` off from every one of `rest`. */
  split(side: readonly number[], rest: readonly number[]): void {
    for (const a of side) for (const b of rest) this.cuts.set(keyOf(a, b), [a, b]);
    for (const [threads, peers] of [
      [side, rest],
      [rest, side],
    ] as const) {
      for (const thread of threads) {
        this.members.get(thread)?.order({ type: 'cut-off', peers, timeoutMs: CONNECTION_TIMEOUT_MS }, []);
      }
    }
  }

  /** Ends all splits: links anew what they kept apart. @returns the threads concerned */
  heal(): Set<number> {
    const pairs = [...this.cuts.values()];
    this.cuts.clear();
    for (const [a, b] of pairs) {
      const one = this.members.get(a);
      const other = this.members.get(b);
      // Whoever is down now is linked at its start.
      if (one === undefined || other === undefined || !this.mayMeet(a, b)) continue;
      const [here, there] = this.endsOf(one, other);
      one.order({ type: 'connect', ends: here }, [here.port]);
      other.order({ type: 'connect', ends: there }, [there.port]);
    }
    return new Set(pairs.flat());
  }

  private mayMeet(a: number, b: number): boolean {
    return Math.min(a, b) < this.workers && !this.cuts.has(keyOf(a, b));
  }

  private endsOf(one: LinkSide, other: LinkSide): [LinkEnds, LinkEnds] {
    const attached = Math.max(one.thread, other.thread) > this.workers;
    return createLinkEnds(one, other, attached ? this.attachedLaneBytes : this.laneBytes);
  }
}

function keyOf(a: number, b: number): string {
  return `${Math.min(a, b)} ${Math.max(a, b)}`;
}
