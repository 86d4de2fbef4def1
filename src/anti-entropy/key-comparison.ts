/**
 * Compares the keys of two replicas under some nodes of their trees, page by page: which keys differ, and whether the
 * pages add up to what the trees say. A page of one replica may reach further than the other's: what lies beyond the
 * nearer end is left for the next pages.
 */
import { compareBytes, EMPTY } from '../base/bytes.js';
import type { ExchangeAnswer } from './exchange-asks.js';
import { KeyLeafReader } from './key-leaves.js';

/** A leaf, or that there is none: then all are 0. */
export interface Leaf {
  readonly there: number;
  readonly low: number;
  readonly high: number;
}

/** A key whose leaves differ. */
export interface DifferentKey {
  readonly key: Uint8Array;
  readonly first: Leaf;
  readonly second: Leaf;
}

type KeysAnswer = ExchangeAnswer & { type: 'keys' };

const NONE: Leaf = { there: 0, low: 0, high: 0 };

export class KeyComparison {
  /** Where the next pages begin. */
  from: Uint8Array = EMPTY;
  /** True once both replicas have shown all their keys. */
  ended = false;
  /** How many leaves were looked at. */
  compared = 0;
  /** For each segment: the sums of the leaves that the first and the second replica showed, and 1 if any differed. */
  private readonly sums: Uint32Array;

  /** @param segments - how many the replicas are asked for: they are named by their places among these */
  constructor(segments: number) {
    this.sums = new Uint32Array(STRIDE * segments);
  }

  /** The keys that differ on these pages; copies. */
  pages(first: KeysAnswer, second: KeysAnswer): DifferentKey[] {
    const end = nearerEnd(first.next, second.next);
    const a = new KeyLeafReader(first.leaves);
    const b = new KeyLeafReader(second.leaves);
    const different: DifferentKey[] = [];
    for (;;) {
      const inA = isBefore(a, end);
      const inB = isBefore(b, end);
      if (!inA && !inB) break;
      const order = !inA ? 1 : !inB ? -1 : compareBytes(a.key, b.key);
      const both = order === 0;
      const reader = order <= 0 ? a : b;
      const same = both && a.leafLow === b.leafLow && a.leafHigh === b.leafHigh;
      if (!same) {
        const key = new Uint8Array(reader.key);
        different.push({ key, first: order <= 0 ? leafAt(a) : NONE, second: order >= 0 ? leafAt(b) : NONE });
      }
      this.take(order <= 0 ? a : undefined, order >= 0 ? b : undefined, same);
      if (order <= 0) a.advance();
      if (order >= 0) b.advance();
    }
    this.ended = end.length === 0;
    this.from = end;
    return different;
  }

  /** True if the replicas agree on the keys of the segment at that place. */
  agree(place: number): boolean {
    return this.sums[STRIDE * place + DIFFERS] === 0;
  }

  /** True if the leaves that a replica (0 or 1) showed for the segment at that place add up to `low` and `high`. */
  addsUp(replica: number, place: number, low: number, high: number): boolean {
    const at = STRIDE * place + 2 * replica;
    return this.sums[at] === low && this.sums[at + 1] === high;
  }

  private take(a: KeyLeafReader | undefined, b: KeyLeafReader | undefined, same: boolean): void {
    const at = STRIDE * (a ?? b)!.place;
    const { sums } = this;
    // A key of another segment was not asked for.
    if (at >= sums.length) return;
    if (!same) sums[at + DIFFERS] = 1;
    if (a !== undefined) addTo(sums, at, a);
    if (b !== undefined) addTo(sums, at + 2, b);
    this.compared += (a === undefined ? 0 : 1) + (b === undefined ? 0 : 1);
  }
}

const DIFFERS = 4;
const STRIDE = 5;

function leafAt(reader: KeyLeafReader): Leaf {
  return { there: 1, low: reader.leafLow, high: reader.leafHigh };
}

function addTo(sums: Uint32Array, at: number, reader: KeyLeafReader): void {
  const sum = sums[at]! + reader.leafLow;
  sums[at] = sum;
  sums[at + 1] = sums[at + 1]! + reader.leafHigh + (sum > 0xffff_ffff ? 1 : 0);
}

/** Empty means: no end. */
function nearerEnd(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  if (b.length === 0) return a;
  return compareBytes(a, b) <= 0 ? a : b;
}

function isBefore(reader: KeyLeafReader, end: Uint8Array): boolean {
  return !reader.atEnd && (end.length === 0 || compareBytes(reader.key, end) < 0);
}
