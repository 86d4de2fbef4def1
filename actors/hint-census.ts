/**
 * A node's censuses, one for each round of reaping that asks for one: it waits until none of a partition's hints is as old as
 * what is to be reaped, has such hints refused from then on, and says so. A part of the reaper.
 *
 *      ┌───────── more ◀─┐
 *      ▼                 │
 *     looks, a slice ────┼──▶ none is left: they are refused from now on ──▶ clear
 *      ▲                 └──▶ one is found: it is to be delivered ──too late──▶ not-clear
 *      └──────────── a while ─────────┘
 *
 * Hints of higher tags may be many, so they are looked through in slices, with turns of clients in between. What was looked
 * at stays so, but for two things, after which a census begins anew: a hint that is written meanwhile, and one that was
 * gone, and is there again since the commit of its deletion failed.
 * Source: the store's reaping protocol, message 4.
 */
import type { ReaperAnswer } from '../src/messages/reap-messages.js';
import type { ActorContext, Incoming, Release } from '../src/runtime/actor.js';
import type { HintStore, HintWatcher } from './hint-store.js';

/** A slice. */
const MOST_ENTRIES = 128;
const MOST_BYTES = 256 * 1_024;
const BETWEEN_SLICES_MS = 1;
/** How soon it looks again whether a hint that was found has been delivered; and how long after the question it waits for that. */
const LOOK_AGAIN_MS = 20;
const DELIVERED_WITHIN_MS = 1_000;
/** How long after the question it goes on looking: the round is given up soon after. */
const LOOKED_WITHIN_MS = 4_000;

/** Looks for hints of a partition with tags up to `g`. */
class HintScan {
  readonly partition: number;
  readonly g: number;
  private readonly hints: HintStore;
  private owners: readonly number[] = [];
  /** How far it has come: the owner, and the last of its hints that was looked at. */
  private place = 0;
  private after: Uint8Array | undefined;
  private beginsAnew = true;

  constructor(hints: HintStore, partition: number, g: number) {
    this.hints = hints;
    this.partition = partition;
    this.g = g;
  }

  beginAnew(): void {
    this.beginsAnew = true;
  }

  /**
   * Looks at the next slice. One that was found is the first to be looked at again. A hint of a newer format counts as
   * found, whatever its tag.
   */
  next(): 'found' | 'more' | 'none' {
    const { hints, partition } = this;
    if (this.beginsAnew) {
      this.beginsAnew = false;
      // Hints for others come later, if they do.
      this.owners = [...hints.owners.keys()];
      this.place = 0;
      this.after = undefined;
    }
    let entries = 0;
    let bytes = 0;
    while (this.place < this.owners.length) {
      if (entries >= MOST_ENTRIES || bytes >= MOST_BYTES) return 'more';
      const owner = this.owners[this.place]!;
      const page = hints.pageOf(owner, partition, this.after, MOST_ENTRIES - entries, MOST_BYTES - bytes);
      if (page.length === 0) {
        this.place++;
        this.after = undefined;
      }
      for (const { key, value } of page) {
        const hint = hints.read(key, value);
        if (hint === 'newer' || (hint !== undefined && hint.tag <= this.g)) return 'found';
        this.after = key;
        entries++;
        bytes += value.length;
      }
    }
    return 'none';
  }
}

interface Census {
  readonly incoming: Incoming<ReaperAnswer>;
  readonly scan: HintScan;
  readonly askedAtMs: number;
  /** When it goes on. */
  atMs: number;
}

export class HintCensus implements HintWatcher {
  private readonly hints: HintStore;
  private readonly lasting: Release;
  private censuses: Census[] = [];

  /** @param lasting - when what it says may leave: where something can be durable, once it is */
  constructor(hints: HintStore, lasting: Release) {
    this.hints = hints;
    this.lasting = lasting;
    // In the stead of one that went with an earlier incarnation.
    hints.watch(this);
  }

  /** A round asks for hints of `partition` with tags up to `g`; it is answered now or later. */
  begin(partition: number, g: number, incoming: Incoming<ReaperAnswer>, context: ActorContext): void {
    const now = context.now();
    this.look({ incoming, scan: new HintScan(this.hints, partition, g), askedAtMs: now, atMs: now }, context);
  }

  /** When `goOn` is to be called at the latest, in monotonic milliseconds; Infinity: nobody waits. */
  get nextMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { atMs } of this.censuses) nextMs = Math.min(nextMs, atMs);
    return nextMs;
  }

  /** Takes a slice for the first census that is due. May be called too early. */
  goOn(context: ActorContext): void {
    const due = this.censuses.findIndex(({ atMs }) => atMs <= context.now());
    if (due < 0) return;
    const [census] = this.censuses.splice(due, 1);
    this.look(census!, context);
  }

  hintKept(partition: number, tag: number): void {
    for (const { scan } of this.censuses) if (scan.partition === partition && tag <= scan.g) scan.beginAnew();
  }

  commitFailed(): void {
    for (const { scan } of this.censuses) scan.beginAnew();
  }

  private look(census: Census, context: ActorContext): void {
    const { hints } = this;
    const { incoming, scan, askedAtMs } = census;
    const now = context.now();
    const found = hints.gate.open ? scan.next() : 'unknown';
    if (found === 'none') {
      hints.fences.counted(scan.partition, scan.g + 1);
      context.reply(incoming, { type: 'clear' }, this.lasting);
      return;
    }
    const withinMs = found === 'found' ? DELIVERED_WITHIN_MS : LOOKED_WITHIN_MS;
    if (found === 'unknown' || now >= askedAtMs + withinMs) {
      context.reply(incoming, { type: 'not-clear' });
      return;
    }
    census.atMs = now + (found === 'found' ? LOOK_AGAIN_MS : BETWEEN_SLICES_MS);
    // Behind the others.
    this.censuses.push(census);
  }
}
