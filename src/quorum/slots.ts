/**
 * Sets of preference-list slots as bit masks. A slot is one position of the preference list: a primary and, later,
 * whoever stands in for it. n is at most 32, so a set is one integer and counting it takes no allocation.
 */

/** The largest n. */
export const MAX_SLOTS = 32;

export type SlotSet = number;

export const NO_SLOTS: SlotSet = 0;

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

/** The lowest slot from 0 to `n` − 1 that is not in `set`, or −1. */
export function firstSlotOutside(set: SlotSet, n: number): number {
  for (let slot = 0; slot < n; slot++) if (!hasSlot(set, slot)) return slot;
  return -1;
}
