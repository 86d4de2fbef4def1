/**
 * Preference lists: who keeps a partition, and who stands in.
 *
 * The list of a partition is found by walking the ring from it and collecting members not yet met, preferring zones
 * not yet met: first the first member of every zone, in the order of the walk, then the second of every zone, and so
 * on. The first N are the primaries, the rest are the fallbacks.
 *
 *     partition  0  1  2  3  4  5  6  7      zones: a and b in x, c in y, d in z; N = 3
 *     owner      a  b  c  d  a  b  c  d      list of 0: a c d │ b      list of 7: d a c │ b
 *
 * Because the walk skips, a list never has a member twice, whatever the owners are, and its primaries lie in N zones
 * wherever there are N: across the end of the ring, too (riak_core#908, #913).
 * Source: Dynamo (SOSP 2007), §4.3 (positions are skipped), §4.6 (replicas in several data centres).
 */

/** Indices into the ring's members, in the order in which they are asked. */
export interface PreferenceList {
  /** The N members that keep the partition. */
  readonly primaries: readonly number[];
  /** Every other member. */
  readonly fallbacks: readonly number[];
}

/**
 * Walks a ring until the first `limit` entries of a list are known. Owners may swap between walks.
 * Keeps its scratch space: a walk allocates nothing.
 */
export class RingWalk {
  /** The members found by the last walk, in order. */
  readonly found: Int32Array;

  private readonly owners: ArrayLike<number>;
  /** Members that own nothing. */
  private readonly idle: readonly number[];
  private readonly zoneOf: Int32Array;
  /** A member's rank is how many of its zone were met before it. All of lower ranks than this are on the list … */
  private readonly fullRounds: number;
  /** … which makes so many; the others are the first to be met of just this rank. */
  private readonly inFullRounds: number;
  private readonly metInZone: Int32Array;
  /** The members met, in order. */
  private readonly met: Int32Array;
  private readonly rankOf: Int32Array;
  /** Of every member, the number of the last walk that met it: no need to clear it for each. */
  private readonly lastMetBy: Int32Array;
  private walks = 0;

  constructor(zones: readonly string[], owners: ArrayLike<number>, limit: number) {
    const names = [...new Set(zones)];
    const sizes = names.map((name) => zones.filter((zone) => zone === name).length);
    const fullRounds = fullZoneRounds(sizes, limit);
    this.owners = owners;
    const owning = new Set(Array.from(owners));
    this.idle = zones.flatMap((_, member) => (owning.has(member) ? [] : [member]));
    this.zoneOf = Int32Array.from(zones, (zone) => names.indexOf(zone));
    this.fullRounds = fullRounds;
    this.inFullRounds = membersInRounds(sizes, fullRounds);
    this.found = new Int32Array(limit);
    this.metInZone = new Int32Array(names.length);
    this.met = new Int32Array(zones.length);
    this.rankOf = new Int32Array(zones.length);
    this.lastMetBy = new Int32Array(zones.length);
  }

  /** Fills `found` for `partition`; returns how many positions of the ring it looked at. */
  from(partition: number): number {
    const { owners, idle, zoneOf, metInZone, met, rankOf, lastMetBy, fullRounds, found } = this;
    const partitions = owners.length;
    const walk = ++this.walks;
    metInZone.fill(0);
    let metCount = 0;
    let missing = this.inFullRounds;
    let missingNext = found.length - missing;
    let step = 0;
    // Members that own nothing come after the ring, taking turns: else one of them would be everybody's stand-in.
    for (; step < partitions + idle.length && missing + missingNext > 0; step++) {
      const member =
        step < partitions
          ? owners[(partition + step) % partitions]!
          : idle[(partition + step - partitions) % idle.length]!;
      if (lastMetBy[member] === walk) continue;
      lastMetBy[member] = walk;
      const rank = metInZone[zoneOf[member]!]!++;
      rankOf[member] = rank;
      met[metCount++] = member;
      if (rank < fullRounds) missing--;
      else if (rank === fullRounds && missingNext > 0) missingNext--;
    }
    let count = 0;
    for (let rank = 0; count < found.length; rank++) {
      for (let i = 0; i < metCount && count < found.length; i++) {
        if (rankOf[met[i]!] === rank) found[count++] = met[i]!;
      }
    }
    return Math.min(step, partitions);
  }
}

/**
 * How many times a list of `limit` members can go through all zones of these sizes, taking one member of each that
 * has one left: every zone gives at least so many members to every list, and at most one more.
 */
export function fullZoneRounds(sizes: readonly number[], limit: number): number {
  let rounds = 0;
  while (membersInRounds(sizes, rounds) < limit && membersInRounds(sizes, rounds + 1) <= limit) rounds++;
  return rounds;
}

/** The members that so many rounds take from zones of these sizes. */
export function membersInRounds(sizes: readonly number[], rounds: number): number {
  return sizes.reduce((sum, size) => sum + Math.min(size, rounds), 0);
}

/** The preference list of every partition of a ring with these owners, of members in these zones. */
export function preferenceLists(zones: readonly string[], owners: readonly number[], n: number): PreferenceList[] {
  const walk = new RingWalk(zones, owners, zones.length);
  return owners.map((_, partition) => {
    walk.from(partition);
    const order = [...walk.found];
    return Object.freeze({ primaries: Object.freeze(order.slice(0, n)), fallbacks: Object.freeze(order.slice(n)) });
  });
}

/** The preference list of one partition, found when the ring was made: this only indexes. */
export function preferenceList(
  ring: { readonly preferenceLists: readonly PreferenceList[] },
  partition: number,
): PreferenceList {
  return ring.preferenceLists[partition]!;
}
