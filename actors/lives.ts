/**
 * The lives of the nodes: each start of a node begins one, with a number that is durably one higher, and a name drawn by
 * chance. Every node that has started tells the others; whoever remembers a life of it that was not before this one knows
 * that it was taken back to an older state (a restored copy), also if nothing was reaped since. Its writers' names must
 * not be used again: what they wrote since the copy was made may be anywhere.
 *
 *     lives of the node      1 ─ 2 ─ 3 ─ 4           the others remember 4, by its name
 *     of a copy, made at 2       └── 3'─ 4'─ 5'      5' names its lives since 2: its 4 is another one
 *
 * A copy may be started and stopped several times before it is heard. So a life names those before it, back to the last one
 * of which all other nodes were told.
 */
import { textOf } from '../src/base/bytes.js';
import type { Random } from '../src/base/random.js';
import {
  decodeLineage,
  encodeLineage,
  entryKey,
  LIFE_KEY,
  LIFE_PREFIX,
  type LifeName,
  type Lineage,
} from '../src/codec/system-entries.js';
import type { Storage } from '../src/storage/storage.js';
import { type OnUnreadable, readOwn } from './own-records.js';

/** Of so many lives at most somebody was not told: one that is down for long. */
export const MAX_LIVES = 64;

/**
 * Begins the next life of the node whose system storage this is; to be durable before it is told of.
 * @returns undefined if there were too many of which not all nodes were told: then the node is to be taken for an older
 *   copy, and to begin a lineage
 */
export function beginLife(system: Storage, random: Random, onUnreadable: OnUnreadable): Lineage | undefined {
  const { number, names } = read(system, LIFE_KEY, onUnreadable) ?? { number: 0, names: [] };
  if (names.length === MAX_LIVES) return undefined;
  const lineage = { number: number + 1, names: [...names, draw(random)] };
  write(system, LIFE_KEY, lineage);
  return lineage;
}

/** A life that comes after `number` and its own last one, and owns up to none before it. To be durable before it is told of. */
export function beginLineage(system: Storage, random: Random, number: number, onUnreadable: OnUnreadable): Lineage {
  const last = read(system, LIFE_KEY, onUnreadable)?.number ?? 0;
  const lineage = { number: Math.max(number, last) + 1, names: [draw(random)] };
  write(system, LIFE_KEY, lineage);
  return lineage;
}

/** All other nodes were told of the present life, and know of none that came after one that it names. */
export function settleLineage(system: Storage, { number, names }: Lineage): Lineage {
  const settled = { number, names: names.slice(-1) };
  write(system, LIFE_KEY, settled);
  return settled;
}

/**
 * Remembers that another node is in the last of these lives, with the turn's commit.
 * @returns 0, or the number of a life of it that is known, and is none of these nor before them
 */
export function laterLife(system: Storage, node: number, lineage: Lineage, onUnreadable: OnUnreadable): number {
  const key = entryKey(LIFE_PREFIX, node);
  const known = read(system, key, onUnreadable);
  // A first life is that of a node without a memory, which keeps no names: it is not older, but new.
  if (known !== undefined && lineage.number > 1 && !isWithinOrBefore(known, lineage)) return known.number;
  write(system, key, { number: lineage.number, names: lineage.names.slice(-1) });
  return 0;
}

function isWithinOrBefore({ number, names }: Lineage, lineage: Lineage): boolean {
  if (number > lineage.number) return false;
  const own = lineage.names[lineage.names.length - 1 - (lineage.number - number)];
  const known = names[names.length - 1]!;
  return own === undefined || (own.high === known.high && own.low === known.low);
}

function draw(random: Random): LifeName {
  return { high: random.uint32(), low: random.uint32() };
}

function read(system: Storage, key: Uint8Array, onUnreadable: OnUnreadable): Lineage | undefined {
  return readOwn(system, key, decodeLineage, () => {
    onUnreadable(`"${textOf(key)}"`, 'lives of the node are counted anew');
  });
}

function write(system: Storage, key: Uint8Array, lineage: Lineage): void {
  system.put(key, encodeLineage(lineage));
}
