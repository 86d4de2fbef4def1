/** An entry of a scan: a key, and with it what a get of it would give, if that is wanted. */
import { textOf } from '../base/bytes.js';
import { decodeLocatedKey, keyHash } from '../codec/key.js';
import type { ListedEntry } from '../messages/entries.js';
import type { Key } from './api/call-options.js';
import type { ScanEntry, ValuedEntry } from './api/results.js';
import { ObjectRead, type Reading } from './read-result.js';

/** How a scan shows what it has read. */
export interface Showing<V> {
  readonly reading: Reading<V>;
  readonly values: boolean;
  /** Milliseconds since 1970: what has expired then is not there. */
  readonly wallMs: number;
  /** As of a `ReadResult`. */
  readonly mayMissHints: boolean;
}

/** @returns null if a read of the key would find nothing */
export function scanEntryOf<V>(
  { key: located, record }: ListedEntry,
  { reading, values, wallMs, mayMissHints }: Showing<V>,
): ScanEntry | ValuedEntry<V> | null {
  const read = new ObjectRead(record, keyHash(located), reading, wallMs, mayMissHints);
  if (!read.found) return null;
  const { key: bytes } = decodeLocatedKey(located);
  const key = textOf(bytes) ?? new Uint8Array(bytes);
  const cursor = Buffer.from(bytes).toString('base64url');
  return values ? new EntryRead(key, cursor, read) : { key, cursor };
}

/** An entry with every field of a read, each decoded when it is looked at. */
class EntryRead<V> implements ValuedEntry<V> {
  readonly key: Key;
  readonly cursor: string;
  readonly #read: ObjectRead<V>;

  constructor(key: Key, cursor: string, read: ObjectRead<V>) {
    this.key = key;
    this.cursor = cursor;
    this.#read = read;
  }

  get found(): boolean {
    return this.#read.found;
  }

  get value(): V | undefined {
    return this.#read.value;
  }

  get siblings(): ObjectRead<V>['siblings'] {
    return this.#read.siblings;
  }

  get causalContext(): string | undefined {
    return this.#read.causalContext;
  }

  get mayMissHints(): boolean {
    return this.#read.mayMissHints;
  }

  /** Prints as what it is, in a console and as JSON. */
  toJSON(): object {
    return { key: this.key, cursor: this.cursor, ...this.#read.toJSON() };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON();
  }
}
