/**
 * Puts that are stored, but that a store is not made for: large values, which every replica moves and rewrites as a whole,
 * and keys that gather siblings, most likely because their writers hand back no context. All are counted; the operator is
 * told of each bucket once, until the node starts again.
 */
import { textOf } from '../src/base/bytes.js';
import { decodeLocatedKey } from '../src/codec/key.js';
import type { ObjectPut } from '../src/messages/object-request.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';

/** A value with its content type and metadata, in bytes. */
export const LARGE_VALUE_BYTES = 2 ** 20;
export const MANY_SIBLINGS = 25;
/** So many buckets are told of, by kind of warning; further ones are only counted. */
const MOST_TOLD = 100;

export interface PutWarningsOptions {
  readonly counters: NodeCounters;
  readonly report: (what: string, error: Error) => void;
}

export class PutWarnings {
  private readonly options: PutWarningsOptions;
  private readonly largeIn = new Set<string>();
  private readonly manyIn = new Set<string>();

  constructor(options: PutWarningsOptions) {
    this.options = options;
  }

  /** A put was minted, and left so many siblings. */
  minted(put: ObjectPut, siblings: number): void {
    if (put.body.length >= LARGE_VALUE_BYTES) {
      this.options.counters.largeValues++;
      const about = `was given a value of ${put.body.length} bytes`;
      this.tellOnce(
        this.largeIn,
        put,
        about,
        'values of 1 MiB and more are slow, and hold up others: store them in parts',
      );
    }
    if (siblings >= MANY_SIBLINGS) {
      this.options.counters.manySiblings++;
      const about = `has a key with ${siblings} siblings`;
      this.tellOnce(this.manyIn, put, about, 'put with the causalContext of a read, which replaces what that saw');
    }
  }

  private tellOnce(told: Set<string>, { key }: ObjectPut, about: string, advice: string): void {
    const located = decodeLocatedKey(key);
    const name = `bucket ${nameOf(located.bucket)} of type ${nameOf(located.type)}`;
    if (told.size >= MOST_TOLD || told.has(name)) return;
    told.add(name);
    this.options.report('put', new Error(`${name} ${about}: ${advice}`));
  }
}

function nameOf(bytes: Uint8Array): string {
  return JSON.stringify(textOf(bytes) ?? 'not UTF-8');
}
