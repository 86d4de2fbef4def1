/**
 * The ledgers of a hint store: for each owner how many hints there are, how large, since when. Kept in memory, and written
 * with the commits that change them, once in each, however many hints it is of: so that a start need not read all hints.
 * A part of `HintStore`.
 *
 * Where those in the file do not tell of the hints beside them (it may have gone back to an older state) or cannot be read,
 * hints are counted: once, for what was counted goes with every commit there is until one of them is stored.
 */
import { assert } from '../src/base/assert.js';
import {
  COUNTED,
  LEDGER,
  MAX_OWNERS,
  numberOf,
  ownerOf,
  ownerRange,
  ownKey,
  ownRange,
} from '../src/hinted-handoff/hint-key.js';
import { decodeLedger, encodeLedger, type Ledger } from '../src/hinted-handoff/hint-ledger.js';
import type { Storage } from '../src/storage/storage.js';
import { readPage } from './hint-page.js';
import type { OnUnreadable } from './own-records.js';

export interface HintLedgersOptions {
  readonly storage: Storage;
  readonly onUnreadable: OnUnreadable;
  /** Index 0 is kept at the number of hints, for whoever looks at this node from another thread. */
  readonly gauge?: Int32Array | undefined;
}

const PRESENT = Uint8Array.of(1);
const COUNTED_AT_ONCE = 32;
const COUNTED_AT_ONCE_BYTES = 2 ** 20;

/** Written into a file whose ledgers may be of another state than its hints. */
export function distrustLedgers(storage: Storage): void {
  storage.remove(ownKey(COUNTED, 0));
}

export class HintLedgers {
  private readonly storage: Storage;
  private readonly onUnreadable: OnUnreadable;
  private readonly gauge: Int32Array;
  private ledgers = new Map<number, Ledger>();
  private bytes = 0;
  private count = 0;
  /** False after a failed commit: what was written with it may be there or not. */
  private isKnown = false;
  /** Owners whose ledgers are others than in the file. */
  private readonly unsaved = new Set<number>();
  /** What was counted, until it is known to be stored; of owners that have a ledger and no hint, too. */
  private recounted: ReadonlyMap<number, Readonly<Ledger>> | undefined;
  /** True if that is in the commit that is under way. */
  private savesRecounted = false;

  constructor(options: HintLedgersOptions) {
    this.storage = options.storage;
    this.onUnreadable = options.onUnreadable;
    this.gauge = options.gauge ?? new Int32Array(1);
    this.load();
  }

  /** By owner; only owners that have hints. Not to be kept. */
  get byOwner(): ReadonlyMap<number, Readonly<Ledger>> {
    this.load();
    return this.ledgers;
  }

  /** How many hints there are. */
  get hints(): number {
    this.load();
    return this.count;
  }

  /** Of all of them, keys and records. */
  get hintBytes(): number {
    this.load();
    return this.bytes;
  }

  /** Learns what the ledgers are, if it is not certain: before a hint is written. */
  load(): void {
    if (this.isKnown) return;
    this.isKnown = true;
    let ledgers = this.stored();
    // Of commits that failed all is there, or nothing: then the hints are those that were counted.
    if (ledgers === undefined) ledgers = this.recounted ??= this.counted();
    else this.recounted = undefined;
    this.ledgers = new Map();
    this.bytes = 0;
    this.count = 0;
    for (const [owner, ledger] of ledgers) {
      if (this.recounted !== undefined) this.unsaved.add(owner);
      if (ledger.count === 0) continue;
      this.ledgers.set(owner, { ...ledger });
      this.bytes += ledger.bytes;
      this.count += ledger.count;
    }
    Atomics.store(this.gauge, 0, this.count);
  }

  /** So many hints, of so many bytes, came or went. `load` was called before they did. */
  enter(owner: number, count: number, bytes: number, nowMs: number): void {
    assert(this.isKnown, 'Ledgers are loaded before hints are written');
    let ledger = this.ledgers.get(owner);
    if (ledger === undefined) {
      ledger = { count: 0, bytes: 0, sinceMs: nowMs };
      this.ledgers.set(owner, ledger);
    }
    ledger.count += count;
    ledger.bytes += bytes;
    this.count += count;
    this.bytes += bytes;
    if (ledger.count === 0) this.ledgers.delete(owner);
    this.unsaved.add(owner);
    Atomics.store(this.gauge, 0, this.count);
  }

  /** Called at the beginning of each commit of the storage: writes what has changed since the last one. */
  save(): void {
    // After a failed commit nothing has changed before it was looked at what is there.
    if (!this.isKnown) return;
    const { storage } = this;
    for (const owner of this.unsaved) {
      const ledger = this.ledgers.get(owner);
      if (ledger === undefined) storage.remove(ownKey(LEDGER, owner));
      else storage.put(ownKey(LEDGER, owner), encodeLedger(ledger));
    }
    this.unsaved.clear();
    if (this.recounted === undefined) return;
    storage.put(ownKey(COUNTED, 0), PRESENT);
    this.savesRecounted = true;
  }

  /** That commit has ended. */
  commitEnded(succeeded: boolean): void {
    if (!succeeded) this.isKnown = false;
    else if (this.savesRecounted) this.recounted = undefined;
    this.savesRecounted = false;
  }

  /** Those in the file; undefined if they are not to be trusted, or not all of them can be read. */
  private stored(): ReadonlyMap<number, Readonly<Ledger>> | undefined {
    if (this.storage.get(ownKey(COUNTED, 0)) === undefined) return undefined;
    const ledgers = new Map<number, Ledger>();
    for (const { key, value } of this.storage.range({ ...ownRange(LEDGER), limit: Number.POSITIVE_INFINITY })) {
      const ledger = decodeLedger(value);
      if (ledger === undefined) return undefined;
      ledgers.set(numberOf(key), ledger);
    }
    return ledgers;
  }

  /** Counts the hints of every owner whose ledger is not to be trusted or cannot be read. */
  private counted(): ReadonlyMap<number, Readonly<Ledger>> {
    const { storage } = this;
    const areTrusted = storage.get(ownKey(COUNTED, 0)) !== undefined;
    const ledgers = new Map<number, Ledger>();
    const trusted = new Set<number>();
    for (const { key, value } of storage.range({ ...ownRange(LEDGER), limit: Number.POSITIVE_INFINITY })) {
      const owner = numberOf(key);
      const ledger = decodeLedger(value);
      if (areTrusted && ledger !== undefined) {
        trusted.add(owner);
        ledgers.set(owner, ledger);
        continue;
      }
      if (areTrusted) this.onUnreadable(`how much it keeps for node ${owner}`, 'it is counted anew');
      ledgers.set(owner, { count: 0, bytes: 0, sinceMs: ledger?.sinceMs ?? 0 });
    }
    const { gte: lt } = ownerRange(MAX_OWNERS);
    for (let next = 0; next < MAX_OWNERS; next++) {
      const [first] = storage.range({ gte: ownerRange(next).gte, lt, limit: 1 });
      if (first === undefined) break;
      next = ownerOf(first.key);
      if (trusted.has(next)) continue;
      ledgers.set(next, { ...this.countOf(next), sinceMs: ledgers.get(next)?.sinceMs ?? 0 });
    }
    return new Map([...ledgers].sort(([a], [b]) => a - b));
  }

  private countOf(owner: number): { count: number; bytes: number } {
    const { gte, lt } = ownerRange(owner);
    let count = 0;
    let bytes = 0;
    let after: Uint8Array | undefined;
    for (;;) {
      const page = readPage(this.storage, { gte, after, lt }, COUNTED_AT_ONCE, COUNTED_AT_ONCE_BYTES);
      if (page.length === 0) return { count, bytes };
      for (const { key, value } of page) {
        count++;
        bytes += key.length + value.length;
        after = key;
      }
    }
  }
}
