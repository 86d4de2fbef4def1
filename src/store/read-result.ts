/** What a get resolves with. Everything is decoded when it is looked at, and once: a caller pays for what it uses. */
import { ConflictError, InvalidArgumentError } from '../base/errors.js';
import { decodeBody } from '../codec/body.js';
import type { KeyHash } from '../codec/key.js';
import { decodeSoundRecord } from '../codec/record.js';
import { encodeToken } from '../codec/token.js';
import { highestTimestamp, isAbsent, lastWrite, visibleSiblings } from '../objects/resolution.js';
import type { StoredObject, Sibling as StoredSibling } from '../objects/stored-object.js';
import type { Codec, MergeFunction } from './api/bucket.js';
import type { ReadResult, Sibling } from './api/results.js';

/** How a bucket handle makes results of records. */
export interface Reading<V> {
  readonly codec: Codec<V>;
  readonly lastWriteWins: boolean;
  /** Makes one value of siblings; undefined where they are left to the application. */
  readonly merge: MergeFunction<V> | undefined;
}

export class ObjectRead<V> implements ReadResult<V> {
  readonly mayMissHints: boolean;
  readonly #record: Uint8Array;
  readonly #key: KeyHash;
  readonly #reading: Reading<V>;
  readonly #wallMs: number;
  #object: StoredObject | undefined;
  #visible: readonly StoredSibling[] | undefined;
  #siblings: readonly Sibling<V>[] | undefined;
  #merged: { readonly value: V } | undefined;

  /**
   * @param record - the merged record, empty if no replica has one
   * @param wallMs - the moment of the read, milliseconds since 1970: what has expired then is not seen
   */
  constructor(record: Uint8Array, key: KeyHash, reading: Reading<V>, wallMs: number, mayMissHints = false) {
    this.mayMissHints = mayMissHints;
    this.#record = record;
    this.#key = key;
    this.#reading = reading;
    this.#wallMs = wallMs;
  }

  get found(): boolean {
    return this.#seen().length > 0;
  }

  get value(): V | undefined {
    const visible = this.#seen();
    if (visible.length === 0) return undefined;
    if (visible.length > 1 && this.#reading.merge !== undefined) {
      this.#merged ??= { value: checkMerged(this.#reading.merge(this.siblings)) };
      return this.#merged.value;
    }
    if (visible.length > 1) {
      throw new ConflictError(
        `the key has ${visible.length} siblings; read \`siblings\`, resolve them, and put the result with this read's causalContext`,
      );
    }
    return this.#siblings === undefined ? decodedValue(visible[0]!, this.#reading.codec) : this.#siblings[0]!.value;
  }

  get siblings(): readonly Sibling<V>[] {
    this.#siblings ??= this.#seen().map((sibling) => decoded(sibling, this.#reading.codec));
    return this.#siblings;
  }

  /** Encoded when asked for: a token costs more than the rest of a read. */
  get causalContext(): string | undefined {
    if (this.#record.length === 0) return undefined;
    const object = this.#stored();
    return encodeToken(this.#key, object.context, highestTimestamp(object));
  }

  /** Prints as what it is, in a console and as JSON. */
  toJSON(): object {
    const { found, siblings, causalContext } = this;
    const also = { causalContext, ...(this.mayMissHints && { mayMissHints: true }) };
    if (siblings.length < 2) return { found, value: siblings[0]?.value, ...also };
    if (this.#reading.merge === undefined) return { found, siblings, ...also };
    return { found, value: this.value, siblings, ...also };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): object {
    return this.toJSON();
  }

  #stored(): StoredObject {
    this.#object ??= decodeSoundRecord(this.#record);
    return this.#object;
  }

  #seen(): readonly StoredSibling[] {
    this.#visible ??= this.#record.length === 0 ? [] : this.#resolved(this.#stored());
    return this.#visible;
  }

  #resolved(object: StoredObject): readonly StoredSibling[] {
    if (!this.#reading.lastWriteWins) return visibleSiblings(object, this.#wallMs);
    const winner = lastWrite(object, this.#wallMs);
    return winner === undefined || isAbsent(winner, this.#wallMs) ? [] : [winner];
  }
}

function decodedValue<V>(sibling: StoredSibling, codec: Codec<V>): V {
  return codec.decode(decodeBody(sibling.body).value);
}

function decoded<V>(sibling: StoredSibling, codec: Codec<V>): Sibling<V> {
  const { contentType, metadata, value } = decodeBody(sibling.body);
  return { value: codec.decode(value), contentType, metadata, timestampMs: sibling.timestamp.ms };
}

/** @throws {InvalidArgumentError} The merge function is asynchronous: what it gave is a promise, which an update would store. */
function checkMerged<V>(value: V): V {
  if (typeof (value as { then?: unknown } | undefined | null)?.then !== 'function') return value;
  throw new InvalidArgumentError('a merge function must give the value itself, not a promise of it');
}
