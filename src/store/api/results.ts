/** What calls on a bucket give. */
import type { Key } from './call-options.js';

/** One of the values of a key: what one put has stored, and no later one has replaced. */
export interface Sibling<V> {
  /** Decoded by the handle's codec. */
  readonly value: V;
  /** Of the put, or of the codec that it was put with. */
  readonly contentType: string;
  /** As it was put. */
  readonly metadata: Readonly<Record<string, string>>;
  /** When it was written, in milliseconds since 1970. */
  readonly timestampMs: number;
}

/** What a get resolves with. Everything is decoded when it is looked at. */
export interface ReadResult<V> {
  /** True if there is at least one value. */
  readonly found: boolean;
  /**
   * The one value, or undefined if there is none. Of several, what the handle's merge function makes of them.
   * @throws {ConflictError} There are several, and the handle has no merge function: see `siblings`.
   */
  readonly value: V | undefined;
  /** Every value that no later write has replaced, oldest first; no tombstones. */
  readonly siblings: readonly Sibling<V>[];
  /** Hand it to the put that answers this read. Absent only if the key was never seen. */
  readonly causalContext?: string | undefined;
  /**
   * True if a replica that was read has just come back and may not have been given yet all that others kept for it: an
   * acknowledged write may be missing here. Read again, with a higher r, or with a `session`.
   */
  readonly mayMissHints: boolean;
}

/** What a put resolves with, as of the moment of the reply. */
export interface Receipt {
  /** Covers what the put was given and this write: pass it to this client's next put of the key. */
  readonly causalContext: string;
  /** The replicas that had stored the write. */
  readonly acks: readonly Acknowledgement[];
  /** Replicas for which a stand-in keeps the write. */
  readonly hints: readonly HintNotice[];
}

/** Says that a node has stored a write. */
export interface Acknowledgement {
  /** The node's name. */
  readonly node: string;
  /** Whether it keeps the key itself, or stands in for a node that does. */
  readonly role: 'primary' | 'fallback';
  /** True if the write is flushed to its disk: it survives a loss of power. */
  readonly durable: boolean;
}

/** Says that a node keeps a write for another one, and hands it over when that is back. */
export interface HintNotice {
  /** The node that is to have it. */
  readonly owner: string;
  /** The node that has it. */
  readonly holder: string;
}

/** The entries of a scan, in byte order of their keys. Pages are fetched as entries are taken. */
export interface Scan<Entry extends ScanEntry> extends AsyncIterableIterator<Entry> {
  /** With `partial`: the partitions of which keys may be missing so far, ascending. All are known once it has ended. */
  readonly unreachable: readonly number[];
  /** True once replicas were read of which all have just come back, and may lack what others kept for them: keys, too. */
  readonly mayMissHints: boolean;
}

/** A key of a bucket. */
export interface ScanEntry {
  /** Text, or bytes if the key is not UTF-8. */
  readonly key: Key;
  /** Pass it as `after` to go on behind this entry. */
  readonly cursor: string;
}

/** A key of a bucket, and what a get of it would give. */
export interface ValuedEntry<V> extends ScanEntry, ReadResult<V> {}
