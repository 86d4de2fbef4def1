/**
 * A bounded table of things under way, each found by a ticket. A ticket is used once: when its entry was taken out, a
 * late answer that carries it finds nothing, even though the place has been given to another.
 * Why not a Map: putting, finding and removing here costs a third of it, and the bound comes with it.
 */
const PLACES = 65_536;
/** At a million uses a second of a single place, half an hour: a late answer does not live that long. */
const MOST_GENERATIONS = 0x8000_0000;

export class InFlight<T> {
  /** How many entries there are. */
  size = 0;
  private readonly capacity: number;
  private readonly mostGenerations: number;
  private readonly entries: (T | undefined)[] = [];
  private readonly generations: number[] = [];
  private readonly free: number[] = [];

  /**
   * @param capacity - at most 65,536
   * @param mostGenerations - how often a place is used before its tickets come again: tickets are below 65,536 times this
   */
  constructor(capacity: number, mostGenerations = MOST_GENERATIONS) {
    this.capacity = Math.min(capacity, PLACES);
    this.mostGenerations = mostGenerations;
  }

  /** Adds `entry`; returns its ticket (below 2^47, unless told otherwise), or −1 if the table is full. */
  add(entry: T): number {
    let place = this.free.pop();
    if (place === undefined) {
      if (this.entries.length >= this.capacity) return -1;
      place = this.entries.length;
      this.entries.push(undefined);
      this.generations.push(0);
    }
    this.entries[place] = entry;
    this.size++;
    return this.generations[place]! * PLACES + place;
  }

  /** The entry of `ticket`, or undefined if it was taken out. */
  get(ticket: number): T | undefined {
    const generation = generationOf(ticket);
    const place = ticket - generation * PLACES;
    return this.generations[place] === generation ? this.entries[place] : undefined;
  }

  /** Takes the entry of `ticket` out; does nothing if it was out. */
  remove(ticket: number): void {
    const generation = generationOf(ticket);
    const place = ticket - generation * PLACES;
    if (this.generations[place] !== generation || this.entries[place] === undefined) return;
    this.entries[place] = undefined;
    this.generations[place] = (this.generations[place]! + 1) % this.mostGenerations;
    this.free.push(place);
    this.size--;
  }

  /** Calls `visit` with every entry and its ticket. `visit` may remove the entry it is given. */
  forEach(visit: (entry: T, ticket: number) => void): void {
    for (let place = 0; place < this.entries.length; place++) {
      const entry = this.entries[place];
      if (entry !== undefined) visit(entry, this.generations[place]! * PLACES + place);
    }
  }
}

/** Not by `%`: above 2^31 that is a call to the C library, twice the price. */
function generationOf(ticket: number): number {
  return Math.floor(ticket / PLACES);
}
