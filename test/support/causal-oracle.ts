/**
 * The naive truth that versions are checked against: every write event with the explicit set of events that it
 * supersedes. No vectors, no dots, no compression: sets, and membership in them.
 *
 * A replica's *history* is the set of events that have reached it. What it must show is each of them that no other of
 * them supersedes.
 */

/** What somebody has seen: events, and attempts that are void whenever they may be minted. */
export interface Seen {
  readonly events: ReadonlySet<number>;
  readonly attempts: ReadonlySet<string>;
}

export type History = ReadonlySet<number>;

export const NOTHING_SEEN: Seen = { events: new Set(), attempts: new Set() };

interface WriteEvent {
  readonly dot: string;
  readonly attempt: string;
  readonly supersedes: Seen;
}

/** What the store promises is broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

export class CausalOracle {
  private readonly events: WriteEvent[] = [];
  private readonly eventOfDot = new Map<string, number>();
  private readonly eventsOfAttempt = new Map<string, number>();

  /** Notes a new event; a dot names one for ever, and an attempt is minted at most once. */
  add(event: WriteEvent): number {
    const number = this.events.length;
    if (this.eventOfDot.has(event.dot)) throw new Violation(`The dot ${event.dot} is used a second time`);
    if (this.eventsOfAttempt.has(event.attempt)) throw new Violation(`Attempt ${event.attempt} is minted twice`);
    this.events.push(event);
    this.eventOfDot.set(event.dot, number);
    this.eventsOfAttempt.set(event.attempt, number);
    return number;
  }

  /** The dots, sorted, of the events that no other event of the history supersedes. */
  visible(history: History): string[] {
    const dots: string[] = [];
    for (const number of this.visibleEvents(history)) dots.push(this.events[number]!.dot);
    return dots.sort();
  }

  visibleEvents(history: History): number[] {
    return [...history].filter(
      (number) => ![...history].some((other) => other !== number && this.beats(other, number)),
    );
  }

  /** Those of the history whose dots are of one writer, by what all its dots begin with. */
  eventsBy(history: History, writer: string): ReadonlySet<number> {
    return new Set([...history].filter((number) => this.events[number]!.dot.startsWith(writer)));
  }

  /** What a reader of this history has seen: its events, and all that they supersede. */
  seenBy(history: History): Seen {
    let seen: Seen = { events: history, attempts: new Set() };
    for (const number of history) seen = union(seen, this.events[number]!.supersedes);
    return seen;
  }

  private beats(winner: number, loser: number): boolean {
    const { supersedes } = this.events[winner]!;
    return supersedes.events.has(loser) || supersedes.attempts.has(this.events[loser]!.attempt);
  }
}

export function union(a: Seen, b: Seen): Seen {
  return { events: new Set([...a.events, ...b.events]), attempts: new Set([...a.attempts, ...b.attempts]) };
}
