/**
 * Claim: who owns which partition.
 *
 *     quotas     how many partitions each member owns: its share by weight, rounded
 *     handing    departed members, and those above their quota, give to those below it, and nobody else moves
 *     mending    pairs of partitions swap owners while that evens out what the members keep as replicas,
 *                and moves no more partitions than before
 *
 * Soundness is not this file's worry: a preference list skips members and prefers new zones, whatever the owners are.
 * What owners decide is balance. Where every N neighbours have distinct owners in distinct zones, a member keeps
 * exactly N times what it owns; neighbours that repeat a member or a zone push replicas on to others. So a new ring
 * starts from an even spread, first of zones, then of members within each, and mending sees to the rest: irregular
 * zones, the end of the ring, the traces of a change. What zones force upon a member (one that is alone in its zone
 * must keep more than its share) stays, and `ringBalance` tells it.
 *
 * No chance is involved: equal input gives equal owners.
 * Source: Dynamo (SOSP 2007), §6.2, strategy 3. Mending by swaps, as opposed to a search over whole rings, is our own.
 */
import { RingWalk } from './preference-list.js';

/** The owner of a partition that has none yet. */
export const UNOWNED = -1;

/** Of a member, what the claim looks at. */
export interface Claimant {
  readonly zone: string;
  /** Its share of the partitions, relative to the others'. */
  readonly weight: number;
}

/** How many walks of the ring mending may take: some 30 ms at most. It ends by itself long before on common rings. */
const MENDING_WALKS = 100_000;

/**
 * The owners of a ring: for every partition an index into `members`.
 * `previous` has an owner per partition, `UNOWNED` where the owner is no longer a member; a new ring has none yet.
 */
export function claim(members: readonly Claimant[], previous: readonly number[], n: number): number[] {
  const held = countOwned(members.length, previous);
  const counts = quotas(
    members.map(({ weight }) => weight),
    previous.length,
    held,
  );
  const owners = handOver(members, previous, counts);
  mend(owners, previous, members, n);
  return owners;
}

/**
 * How many partitions each member owns: its exact share, rounded up or down. Roundings go up first where a member
 * then keeps a partition that it `held`, next where the remainder is largest.
 */
function quotas(weights: readonly number[], partitions: number, held: readonly number[]): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = weights.map((weight) => partitions * (weight / total));
  const counts = shares.map(Math.floor);
  const remainder = (i: number) => shares[i]! - counts[i]!;
  const keepsOne = (i: number) => Number(held[i]! > counts[i]!);
  const missing = partitions - counts.reduce((sum, count) => sum + count, 0);
  weights
    .map((_, i) => i)
    .sort((i, j) => keepsOne(j) - keepsOne(i) || remainder(j) - remainder(i) || i - j)
    .filter((i) => remainder(i) > 0)
    .slice(0, missing)
    .forEach((i) => {
      counts[i]!++;
    });
  return counts;
}

/** Lets members above their count give evenly spread partitions away, and spreads what is free over those below. */
function handOver(members: readonly Claimant[], previous: readonly number[], counts: readonly number[]): number[] {
  const owners = [...previous];
  const missing = [...counts];
  members.forEach((_, member) => {
    const held = previous.flatMap((owner, partition) => (owner === member ? [partition] : []));
    const surplus = Math.max(0, held.length - counts[member]!);
    for (let given = 0; given < surplus; given++) {
      const place = Math.floor(((given + member / members.length) * held.length) / surplus);
      owners[held[place]!] = UNOWNED;
    }
    missing[member] = counts[member]! - (held.length - surplus);
  });
  const takers = spreadByZone(members, missing);
  let next = 0;
  return owners.map((owner) => (owner === UNOWNED ? takers[next++]! : owner));
}

/** Every member as often as `counts` says, zones evenly spread, and within each its members. */
function spreadByZone(members: readonly Claimant[], counts: readonly number[]): number[] {
  const zones = [...new Set(members.map(({ zone }) => zone))].map((zone) =>
    members.flatMap((member, i) => (member.zone === zone ? [i] : [])),
  );
  const words = zones.map((zone) => spread(zone.map((i) => counts[i]!)).map((item) => zone[item]!));
  const next = zones.map(() => 0);
  return spread(words.map((word) => word.length)).map((zone) => words[zone]![next[zone]!++]!);
}

/**
 * A circle of items in which item i occurs `counts[i]` times, evenly: its occurrences lie equally far apart on the
 * unit circle, where items start one after another. Read off in order, that is a round-robin for equal counts.
 */
function spread(counts: readonly number[]): number[] {
  const present = counts.flatMap((count, item) => (count > 0 ? [item] : []));
  return present
    .flatMap((item, order) =>
      Array.from({ length: counts[item]! }, (_, k) => ({ item, at: (k + order / present.length) / counts[item]! })),
    )
    .sort((a, b) => a.at - b.at || a.item - b.item)
    .map(({ item }) => item);
}

/**
 * Swaps owners while that makes the replicas lie more evenly by weight. The measure is Σ replicas² / weight: of all
 * ways to keep as many replicas, the least is the one in proportion to the weights, as far as zones leave a choice.
 */
function mend(owners: number[], previous: readonly number[], members: readonly Claimant[], n: number): void {
  const load = new ReplicaLoad(owners, members, n);
  const partitions = owners.length;
  const moved = (partition: number, owner: number) => Number(owner !== previous[partition]);
  let improved = true;
  while (improved && load.walks < MENDING_WALKS) {
    improved = false;
    // Neighbours first: most of what is uneven is so because of them.
    for (let distance = 1; distance <= partitions / 2 && load.walks < MENDING_WALKS; distance++) {
      for (let a = 0; a < partitions; a++) {
        const b = (a + distance) % partitions;
        const ownerA = owners[a]!;
        const ownerB = owners[b]!;
        if (ownerA === ownerB) continue;
        if (moved(a, ownerB) + moved(b, ownerA) > moved(a, ownerA) + moved(b, ownerB)) continue;
        if (load.swapIfBetter(a, b)) improved = true;
      }
    }
  }
}

/** How many replicas each member keeps, under owners that are being changed. */
class ReplicaLoad {
  /** How many preference lists were found so far. */
  walks = 0;

  private readonly owners: number[];
  private readonly n: number;
  private readonly weights: readonly number[];
  private readonly walk: RingWalk;
  private readonly replicas: Int32Array;
  /** Of every partition, its n primaries, and how many positions decided them. */
  private readonly primaries: Int32Array;
  private readonly reach: Int32Array;
  private longestReach = 0;
  /** Scratch: the partitions whose primaries a swap may change. */
  private readonly affected: number[] = [];

  constructor(owners: number[], members: readonly Claimant[], n: number) {
    this.owners = owners;
    this.n = n;
    this.weights = members.map(({ weight }) => weight);
    this.walk = new RingWalk(
      members.map(({ zone }) => zone),
      owners,
      n,
    );
    this.replicas = new Int32Array(members.length);
    this.primaries = new Int32Array(owners.length * n);
    this.reach = new Int32Array(owners.length);
    owners.forEach((_, partition) => {
      this.enter(partition);
    });
  }

  /** Swaps the owners of two partitions if that leaves the replicas more even; tells whether it did. */
  swapIfBetter(a: number, b: number): boolean {
    this.affected.length = 0;
    this.collectReaching(a);
    this.collectReaching(b);
    // Clearly below zero: rounding alone must not swap back and forth for ever.
    if (this.swap(a, b) < -1e-9) return true;
    this.swap(a, b);
    return false;
  }

  /** Swaps; returns by how much the measure grew. */
  private swap(a: number, b: number): number {
    const { owners, affected } = this;
    let change = 0;
    for (const partition of affected) change += this.leave(partition);
    const owner = owners[a]!;
    owners[a] = owners[b]!;
    owners[b] = owner;
    for (const partition of affected) change += this.enter(partition);
    return change;
  }

  private collectReaching(position: number): void {
    const { reach, affected } = this;
    const partitions = reach.length;
    for (let back = 0; back < this.longestReach; back++) {
      const partition = (position - back + partitions) % partitions;
      if (back < reach[partition]! && !affected.includes(partition)) affected.push(partition);
    }
  }

  private enter(partition: number): number {
    const { n, primaries, replicas, weights, walk } = this;
    this.walks++;
    const reach = walk.from(partition);
    this.reach[partition] = reach;
    if (reach > this.longestReach) this.longestReach = reach;
    let change = 0;
    for (let i = 0; i < n; i++) {
      const member = walk.found[i]!;
      primaries[partition * n + i] = member;
      change += (2 * replicas[member]!++ + 1) / weights[member]!;
    }
    return change;
  }

  private leave(partition: number): number {
    const { n, primaries, replicas, weights } = this;
    let change = 0;
    for (let i = 0; i < n; i++) {
      const member = primaries[partition * n + i]!;
      change -= (2 * replicas[member]!-- - 1) / weights[member]!;
    }
    return change;
  }
}

function countOwned(members: number, owners: readonly number[]): number[] {
  const counts = new Array<number>(members).fill(0);
  for (const owner of owners) if (owner !== UNOWNED) counts[owner]!++;
  return counts;
}
