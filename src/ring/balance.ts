/**
 * How evenly a ring lies on its members: what they own and keep, beside what their weights ask for, and which zones
 * stand in the way. What a plan of a membership shows before it is committed.
 * Source: Dynamo (SOSP 2007), §6.2 (load balancing efficiency).
 */
import { fullZoneRounds, membersInRounds } from './preference-list.js';
import type { Ring } from './ring.js';

export interface MemberShare {
  readonly name: string;
  /** Partitions that it owns; within one of `fairOwned`. */
  readonly owned: number;
  /** Its share of the partitions by weight: not rounded. */
  readonly fairOwned: number;
  /** Partitions of which it is a primary. */
  readonly replicas: number;
  /** Its share of all replicas by weight: not rounded, and out of reach where a zone is forced. */
  readonly fairReplicas: number;
}

export interface RingBalance {
  /** In the ring's order. */
  readonly members: readonly MemberShare[];
  /**
   * Zones that keep more, or fewer, replicas than their weight asks for, because every partition must lie in as many
   * zones as it can. Empty: every member can keep what its weight asks for.
   */
  readonly forcedZones: readonly string[];
  /** In how many distinct zones the primaries of every partition lie. */
  readonly zonesPerPartition: number;
  /** Mean over maximum of the replicas per unit of weight: 1 is perfect. */
  readonly efficiency: number;
}

export function ringBalance({ members, partitions, n, owners, preferenceLists }: Ring): RingBalance {
  const weight = members.reduce((sum, member) => sum + member.weight, 0);
  const owned = members.map(() => 0);
  const replicas = members.map(() => 0);
  for (const owner of owners) owned[owner]!++;
  for (const { primaries } of preferenceLists) for (const member of primaries) replicas[member]!++;

  const shares = members.map((member, i) => ({
    name: member.name,
    owned: owned[i]!,
    fairOwned: partitions * (member.weight / weight),
    replicas: replicas[i]!,
    fairReplicas: partitions * n * (member.weight / weight),
  }));
  const zones = [...new Set(members.map(({ zone }) => zone))];
  const sizes = zones.map((zone) => members.filter((member) => member.zone === zone).length);
  const rounds = fullZoneRounds(sizes, n);
  const started = membersInRounds(sizes, rounds) < n ? rounds + 1 : rounds;
  const forcedZones = zones.filter((zone, z) => {
    const fair = shares.reduce((sum, share, i) => (members[i]!.zone === zone ? sum + share.fairReplicas : sum), 0);
    const least = partitions * Math.min(sizes[z]!, rounds);
    const most = partitions * Math.min(sizes[z]!, started);
    return fair < least || fair > most;
  });
  const heaviest = Math.max(...members.map((member, i) => replicas[i]! / member.weight));
  return {
    members: shares,
    forcedZones,
    zonesPerPartition: Math.min(n, zones.length),
    efficiency: (partitions * n) / weight / heaviest,
  };
}
