/** Claim. */
import { UNOWNED } from './preference-list.js';

export interface Claimant {
  readonly name: string;
  readonly zone: string;
  readonly weight: number;
}

/** Quotas: whole shares, largest remainder. */
export function quotas(members: readonly Claimant[], partitions: number, held: readonly number[]): number[] {
  const total = members.reduce((sum, { weight }) => sum + weight, 0);
  const fair = members.map(({ weight }) => (partitions * weight) / total);
  const counts = fair.map(Math.floor);
  const keeps = (i: number) => (held[i]! > counts[i]! ? 1 : 0);
  const byClaim = members
    .map((_, i) => i)
    .filter((i) => fair[i]! > counts[i]!)
    .sort((i, j) => keeps(j) - keeps(i) || fair[j]! - counts[j]! - (fair[i]! - counts[i]!) || i - j);
  let left = partitions - counts.reduce((sum, count) => sum + count, 0);
  for (const i of byClaim) {
    if (left-- <= 0) break;
    counts[i]!++;
  }
  return counts;
}

/** A circular word in which item i occurs `counts[i]` times, as evenly spread as its share allows. */
function evenWord(counts: readonly number[]): number[] {
  const present = counts.flatMap((count, item) => (count > 0 ? [item] : []));
  return present
    .flatMap((item, order) =>
      Array.from({ length: counts[item]! }, (_, k) => ({ item, at: (k + order / present.length) / counts[item]! })),
    )
    .sort((a, b) => a.at - b.at || a.item - b.item)
    .map(({ item }) => item);
}

export function claim(members: readonly Claimant[], partitions: number, _n: number): number[] {
  const counts = quotas(
    members,
    partitions,
    members.map(() => 0),
  );
  const zones = [...new Set(members.map(({ zone }) => zone))];
  const inZone = zones.map((zone) => members.flatMap((member, i) => (member.zone === zone ? [i] : [])));
  const words = inZone.map((zone) => evenWord(zone.map((i) => counts[i]!)));
  const next = zones.map(() => 0);
  return evenWord(words.map((word) => word.length)).map((zone) => {
    const item = words[zone]![next[zone]!++];
    return item === undefined ? UNOWNED : inZone[zone]![item]!;
  });
}
