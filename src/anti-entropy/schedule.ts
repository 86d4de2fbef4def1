/**
 * When which two replicas are compared: every pair of every partition within `intervalMs`, never two pairs of one
 * partition at once, only inside the time window, unless somebody waits for it. One that is under way when the window
 * ends stops, and goes on where it was in the next.
 *
 * A partition's exchanges are led by its first primary that is up, for all pairs, whether or not it is of the pair: so one
 * place knows what is under way. Should two nodes both believe that they lead (one thinks the other down), a replica
 * takes part for one leader at a time (`exchange-lease.ts`).
 *
 *     partition 3: primaries b, d, e       b leads: b–d, b–e, d–e, one after another, each due once an interval
 *
 * First due times are spread over the interval, so that a start does not compare everything at once; a pair is due again
 * after seven eighths of the interval, which leaves the rest for its turn to come. A pair that could not be
 * compared is tried again after `retryMs`, doubled each time up to the interval; soon, if somebody waits for it. What is due
 * longest goes first.
 */
import { assert } from '../base/assert.js';

/** Minutes of the day between which exchanges run that nobody waits for; `from` above `to`: over midnight. */
export interface ExchangeWindow {
  readonly from: number;
  readonly to: number;
}

/** @param minute - of the day; `window` - undefined: always */
export function isWithin(window: ExchangeWindow | undefined, minute: number): boolean {
  if (window === undefined) return true;
  const { from, to } = window;
  return from <= to ? minute >= from && minute < to : minute >= from || minute < to;
}

export interface ScheduleOptions {
  readonly self: number;
  /** The nodes that are primaries, by partition: in the order of the preference list. */
  readonly primaries: readonly (readonly number[])[];
  readonly intervalMs: number;
  /** Exchanges that this node leads at once (default 1). */
  readonly concurrency?: number;
  /** How long to leave a pair alone that could not be compared, in milliseconds (default a thirtieth of the interval). */
  readonly retryMs?: number;
  /** Default: always. */
  readonly window?: ExchangeWindow | undefined;
  /** Of the caller's clock, now. */
  readonly nowMs: number;
}

/** Two replicas of a partition. */
export interface Pair {
  readonly partition: number;
  readonly first: number;
  readonly second: number;
}

/** How soon at the latest a pair is tried again that somebody waits for, in milliseconds. */
const URGENT_RETRY_MS = 200;

interface Entry extends Pair {
  dueMs: number;
  waitMs: number;
  /** Somebody waits for it: the window does not matter. */
  urgent: boolean;
}

export class ExchangeSchedule {
  private readonly options: ScheduleOptions & { readonly concurrency: number; readonly retryMs: number };
  private readonly entries: Entry[] = [];
  /** Partitions with an exchange under way, which this node leads. */
  private readonly busy = new Set<number>();

  constructor(options: ScheduleOptions) {
    const { self, primaries, intervalMs, nowMs } = options;
    assert(intervalMs > 0, 'an interval has a length');
    this.options = {
      ...options,
      concurrency: options.concurrency ?? 1,
      retryMs: options.retryMs ?? intervalMs / 30,
    };
    for (const [partition, nodes] of primaries.entries()) {
      if (!nodes.includes(self)) continue;
      for (const [i, first] of nodes.entries()) {
        for (const second of nodes.slice(i + 1)) {
          this.entries.push({ partition, first, second, dueMs: 0, waitMs: 0, urgent: false });
        }
      }
    }
    for (const [i, entry] of this.entries.entries()) entry.dueMs = nowMs + (intervalMs * i) / this.entries.length;
  }

  /**
   * The pair to be compared now, which is under way from then on; undefined if none is due, or may be.
   * @param minute - of the day, for the window
   */
  next(nowMs: number, minute: number, isUp: (node: number) => boolean): Pair | undefined {
    const longest = this.longestDue(nowMs, minute, isUp);
    if (longest === undefined) return undefined;
    this.busy.add(longest.partition);
    const { partition, first, second } = longest;
    return { partition, first, second };
  }

  /** When the next pair is due that somebody waits for, and that can be compared as things are; undefined: there is none. */
  urgentMs(isUp: (node: number) => boolean): number | undefined {
    let soonest: number | undefined;
    for (const entry of this.entries) {
      if (!entry.urgent || (soonest !== undefined && entry.dueMs >= soonest)) continue;
      if (this.isPossible(entry, isUp)) soonest = entry.dueMs;
    }
    return soonest;
  }

  /** True if `next` would give a pair. */
  isDue(nowMs: number, minute: number, isUp: (node: number) => boolean): boolean {
    return this.longestDue(nowMs, minute, isUp) !== undefined;
  }

  private longestDue(nowMs: number, minute: number, isUp: (node: number) => boolean): Entry | undefined {
    if (this.busy.size >= this.options.concurrency) return undefined;
    const isInWindow = isWithin(this.options.window, minute);
    let longest: Entry | undefined;
    for (const entry of this.entries) {
      if (!isInWindow && !entry.urgent) continue;
      if (entry.dueMs > nowMs || (longest !== undefined && entry.dueMs >= longest.dueMs)) continue;
      if (this.isPossible(entry, isUp)) longest = entry;
    }
    return longest;
  }

  /** True if an exchange of the pair that is under way at that minute of the day may go on. */
  mayGoOn(pair: Pair, minute: number): boolean {
    return isWithin(this.options.window, minute) || this.entryOf(pair).urgent;
  }

  /** The exchange of a pair that `next` gave has ended; `isEqual`: nothing differed, so that it may rest. */
  ended(pair: Pair, nowMs: number, isEqual: boolean): void {
    assert(this.busy.delete(pair.partition), 'only what is under way ends');
    const entry = this.entryOf(pair);
    const { intervalMs, retryMs } = this.options;
    if (isEqual) {
      entry.waitMs = 0;
      entry.urgent = false;
      entry.dueMs = nowMs + (intervalMs * 7) / 8;
    } else {
      entry.waitMs = Math.min(intervalMs, entry.waitMs === 0 ? retryMs : 2 * entry.waitMs);
      entry.dueMs = nowMs + (entry.urgent ? Math.min(entry.waitMs, URGENT_RETRY_MS) : entry.waitMs);
    }
  }

  /** It was stopped, since its window has ended: it is due as soon as the next one begins. */
  stopped(pair: Pair, nowMs: number): void {
    assert(this.busy.delete(pair.partition), 'only what is under way is stopped');
    this.entryOf(pair).dueMs = nowMs;
  }

  /**
   * Everything, or what is `wanted`, is due now, whatever the time of the day: for whoever waits until all replicas have
   * been compared, and for a replica that was lost.
   */
  hurry(nowMs: number, wanted: (pair: Pair) => boolean = () => true): void {
    for (const entry of this.entries) {
      if (!wanted(entry)) continue;
      entry.dueMs = Math.min(entry.dueMs, nowMs);
      entry.urgent = true;
    }
  }

  private entryOf({ partition, first, second }: Pair): Entry {
    const entry = this.entries.find((one) => {
      return one.partition === partition && one.first === first && one.second === second;
    });
    assert(entry !== undefined, 'it is a pair of the schedule');
    return entry;
  }

  private isPossible(entry: Entry, isUp: (node: number) => boolean): boolean {
    return !this.busy.has(entry.partition) && this.leads(entry.partition, isUp) && bothUp(entry, isUp);
  }

  private leads(partition: number, isUp: (node: number) => boolean): boolean {
    for (const node of this.options.primaries[partition]!) {
      if (node === this.options.self) return true;
      if (isUp(node)) return false;
    }
    return false;
  }
}

function bothUp({ first, second }: Pair, isUp: (node: number) => boolean): boolean {
  return isUp(first) && isUp(second);
}
