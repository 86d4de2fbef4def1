/**
 * Slots and places, and sets of them as bit masks.
 *
 * A preference list has a *place* for every node: primaries first, then fallbacks. An operation has n *slots*, one per
 * primary. Slot i is filled by place i or, where that primary is out of reach, by a fallback: its holder. n and the
 * number of nodes are at most 32, so a set is one integer and counting it takes no allocation.
 */

/** The largest n, and the largest number of places. */
export const MAX_SLOTS = 32;

export type SlotSet = number;
/** A set of places of the preference list. */
export type PlaceSet = number;

export const NO_SLOTS: SlotSet = 0;

/** The slots, or places, from 0 to `count` − 1. */
export function firstSlots(count: number): SlotSet {
  return count >= 32 ? -1 : (1 << count) - 1;
}

export function hasSlot(set: SlotSet, slot: number): boolean {
  return ((set >>> slot) & 1) === 1;
}

export function withSlot(set: SlotSet, slot: number): SlotSet {
  return set | (1 << slot);
}

export function withoutSlot(set: SlotSet, slot: number): SlotSet {
  return set & ~(1 << slot);
}

/** How many slots are in `set`. */
export function countSlots(set: SlotSet): number {
  let bits = set - ((set >>> 1) & 0x5555_5555);
  bits = (bits & 0x3333_3333) + ((bits >>> 2) & 0x3333_3333);
  return (((bits + (bits >>> 4)) & 0x0f0f_0f0f) * 0x0101_0101) >>> 24;
}

/** The lowest slot in `set`, or −1 if it is empty. */
export function lowestSlot(set: SlotSet): number {
  return 31 - Math.clz32(set & -set);
}
