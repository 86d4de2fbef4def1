/**
 * Whom an operation may ask: the places of a preference list as failure detection sees them at its beginning. Health
 * comes from outside; here it only orders. Those that are up come before those that are suspected, and whoever is down
 * is not asked, unless without him the operation could not succeed at all: then he is given the chance to say so himself,
 * because the view may be out of date, and what cannot be reached fails at once.
 */
import { countSlots, firstSlots, NO_SLOTS, type PlaceSet } from './slots.js';

export interface Reach {
  /** How many primaries there are: places 0 … n − 1. */
  readonly n: number;
  /** How many places there are. */
  readonly places: number;
  readonly up: PlaceSet;
  readonly suspect: PlaceSet;
  /** Those that are read only after the other primaries: they stand still, have only just come back, or are being refilled. */
  readonly slow: PlaceSet;
}

/** Everybody is up. */
export function everyone(n: number, places = n): Reach {
  return { n, places, up: firstSlots(places), suspect: NO_SLOTS, slow: NO_SLOTS };
}

/** The places that are asked first; whoever is suspected and not among them comes after. */
export function firstChoice({ n, places, up, suspect }: Reach, wanted: number, wantedPrimaries: number): PlaceSet {
  const primaries = firstSlots(n);
  if (countSlots(up | suspect) < wanted) return firstSlots(places);
  // Stand-ins do not help where primaries are asked for.
  if (countSlots(up & primaries) >= wantedPrimaries) return up;
  return countSlots((up | suspect) & primaries) < wantedPrimaries ? firstSlots(places) : up | (suspect & primaries);
}
