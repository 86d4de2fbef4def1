/**
 * The hints of one node: what it keeps for owners that were out of reach. One for the node's hint keeper and its hint
 * deliverer, which live on one thread: they are the storage's only writers, and see each other's writes within a turn.
 *
 * Beside the hints stand a ledger for each owner (`hint-ledgers.ts`), and for each partition the tag below which hints are
 * refused (`hint-fences.ts`). Hints that are older than what was reaped come of a file that went back to an older state: they are
 * set aside wherever one is met.
 */
import { WriteGate } from '../src/admission/write-gate.js';
import { StorageFullError } from '../src/base/errors.js';
import type { Random } from '../src/base/random.js';
import { CorruptRecordError, UnknownRecordVersionError } from '../src/codec/errors.js';
import { partitionRange } from '../src/codec/key.js';
import { sameDigest } from '../src/codec/record.js';
import type { Passes } from '../src/hinted-handoff/delivery.js';
import {
  hintKey,
  ownerOf,
  ownerRange,
  ownKey,
  PROBE,
  partitionOfHint,
  setAsideKey,
} from '../src/hinted-handoff/hint-key.js';
import type { Ledger } from '../src/hinted-handoff/hint-ledger.js';
import { decodeHint, encodeHint, type Hint, hintedRecord, type Session } from '../src/hinted-handoff/hint-record.js';
import type { HintedOwner, HintStatus } from '../src/messages/node-control.js';
import type { NodeCounters } from '../src/metrics/node-counters.js';
import type { Committer } from '../src/runtime/actor.js';
import type { Storage, StorageEntry } from '../src/storage/storage.js';
import { distrustFences, HintFences } from './hint-fences.js';
import { distrustLedgers, HintLedgers } from './hint-ledgers.js';
import { readPage } from './hint-page.js';
import type { OnUnreadable } from './own-records.js';
import { PROBE_VALUE } from './write-guard.js';

export interface HintStoreOptions {
  /** Synced as the node's objects are; or in memory. */
  readonly storage: Storage;
  /** Keys and records of all hints together; more are refused. */
  readonly maxBytes: number;
  readonly random: Random;
  readonly counters: NodeCounters;
  /** True if there has been no hint store of this node before. */
  readonly isNew: boolean;
  readonly onUnreadable: OnUnreadable;
  /** Index 0 is kept at the number of hints, for whoever looks at this node from another thread. */
  readonly gauge?: Int32Array | undefined;
}

/** What is in the place of a hint: nothing, a hint, or one of a newer format. */
export type Kept = Hint | undefined | 'newer';

/** Who is told of hints as they come, and come back. */
export interface HintWatcher {
  hintKept(partition: number, tag: number): void;
  /** Hints that were deleted may be there again. */
  commitFailed(): void;
}

/** Written into a file of hints that may have gone back to an older state, for the next store that is made of it. */
export function distrustHints(storage: Storage): void {
  distrustFences(storage);
  distrustLedgers(storage);
}

/** Its committer is the store, not the storage: what it keeps for itself is written once a commit. */
export class HintStore implements Committer {
  readonly storage: Storage;
  readonly fences: HintFences;
  /** Shut while commits of hints fail. */
  readonly gate = new WriteGate();
  private readonly maxBytes: number;
  private readonly random: Random;
  private readonly counters: NodeCounters;
  private readonly ledgers: HintLedgers;
  private readonly passesByOwner = new Map<number, Passes>();
  /** By owner: hints that are yet to be written, together with others. */
  private readonly gathered = new Map<number, { count: number; readonly sinceMs: number }>();
  private drawn: Session;
  private watcher: HintWatcher | undefined;

  constructor(options: HintStoreOptions) {
    this.storage = options.storage;
    this.maxBytes = options.maxBytes;
    this.random = options.random;
    this.counters = options.counters;
    this.drawn = this.drawSession();
    this.ledgers = new HintLedgers(options);
    this.fences = new HintFences(options);
  }

  /** Names that were drawn in another session are not to be minted by. */
  get session(): Session {
    return this.drawn;
  }

  /** True if something was written that awaits its commit, which may fail. */
  get pending(): boolean {
    return this.storage.pending;
  }

  get commitIsDurable(): boolean {
    return this.storage.commitIsDurable;
  }

  commit(): void {
    this.ledgers.save();
    this.fences.save();
    this.storage.commit();
  }

  flush(): void {
    this.storage.flush();
  }

  commitMs(): number {
    const storage: Committer = this.storage;
    return storage.commitMs?.() ?? 0;
  }

  flushMs(): number {
    const storage: Committer = this.storage;
    return storage.flushMs?.() ?? 0;
  }

  /** How many hints there are. */
  get size(): number {
    return this.ledgers.hints;
  }

  /** By owner; only owners that have hints. Not to be kept. */
  get owners(): ReadonlyMap<number, Readonly<Ledger>> {
    return this.ledgers.byOwner;
  }

  /** How many hints there are for `owner`, those with them that are yet to be written: the puts that they are for may be acknowledged. */
  heldFor(owner: number): number {
    return (this.owners.get(owner)?.count ?? 0) + (this.gathered.get(owner)?.count ?? 0);
  }

  /** True if hints for `owner` are yet to be written: a pass that begins now may miss them. */
  isGathering(owner: number): boolean {
    return this.gathered.has(owner);
  }

  /** The hint keeper has one more hint in hand that is to be written with others. */
  gather(owner: number, nowMs: number): void {
    const gathered = this.gathered.get(owner);
    if (gathered === undefined) this.gathered.set(owner, { count: 1, sinceMs: nowMs });
    else gathered.count++;
  }

  /** It has none any more: they are being written, or were refused, or went with it. */
  noneGathered(): void {
    this.gathered.clear();
  }

  /** There is one watcher: this one, from now on. */
  watch(watcher: HintWatcher): void {
    this.watcher = watcher;
  }

  passesOf(owner: number): Passes {
    let passes = this.passesByOwner.get(owner);
    if (passes === undefined) {
      passes = { begun: 0, clean: 0 };
      this.passesByOwner.set(owner, passes);
    }
    return passes;
  }

  /**
   * What is kept for `owner` under a located key. Its record is a view of what the storage lends: valid until the next
   * call of anything that reads or writes hints. A hint that cannot be read is set aside, and as good as none.
   */
  get(owner: number, located: Uint8Array): Kept {
    const key = hintKey(owner, located);
    // First of all: what the storage lends is valid only until its next call.
    this.fences.staleBelow(partitionOfHint(key));
    const bytes = this.storage.get(key);
    return bytes === undefined ? undefined : this.read(key, bytes);
  }

  /**
   * Keeps `hint` instead of what was there.
   * @returns false, and nothing is changed, if there is no room for it
   */
  put(owner: number, located: Uint8Array, hint: Hint, nowMs: number): boolean {
    // First of all: its record may be lent by the storage.
    const value = encodeHint(hint);
    const { hintBytes } = this.ledgers;
    const key = hintKey(owner, located);
    const before = this.storage.get(key)?.length;
    const more = before === undefined ? key.length + value.length : value.length - before;
    if (more > 0 && hintBytes + more > this.maxBytes) return false;
    this.storage.put(key, value);
    this.ledgers.enter(owner, before === undefined ? 1 : 0, more, nowMs);
    this.watcher?.hintKept(partitionOfHint(key), hint.tag);
    return true;
  }

  /** Deletes the hint if its object is the one of `record`. Its writerId is not used again. @returns true if it was */
  removeIfUnchanged(owner: number, located: Uint8Array, record: Uint8Array): boolean {
    this.ledgers.load();
    const key = hintKey(owner, located);
    const bytes = this.storage.get(key);
    if (bytes === undefined || !sameDigest(hintedRecord(bytes), record)) return false;
    const { length } = bytes;
    this.storage.remove(key);
    this.ledgers.enter(owner, -1, -key.length - length, 0);
    return true;
  }

  /**
   * Hints of `owner` in byte order, from the first one after the key `after`: at most `limit`, and of about
   * `limitBytes`. The caller's own.
   */
  page(owner: number, after: Uint8Array | undefined, limit: number, limitBytes: number): StorageEntry[] {
    return readPage(this.storage, { ...ownerRange(owner), after }, limit, limitBytes);
  }

  /** As `page`, of hints of one partition. */
  pageOf(
    owner: number,
    partition: number,
    after: Uint8Array | undefined,
    limit: number,
    limitBytes: number,
  ): StorageEntry[] {
    const { gte, lt } = partitionRange(partition);
    return readPage(this.storage, { gte: hintKey(owner, gte), after, lt: hintKey(owner, lt) }, limit, limitBytes);
  }

  /** The hint of an entry; undefined if it cannot be read, or is older than what was reaped, and was set aside. */
  read(key: Uint8Array, bytes: Uint8Array): Kept {
    let hint: Hint;
    try {
      hint = decodeHint(bytes);
    } catch (error) {
      if (error instanceof UnknownRecordVersionError) return 'newer';
      if (!(error instanceof CorruptRecordError)) throw error;
      this.counters.corruptRecords++;
      this.setAside(key, bytes);
      return undefined;
    }
    if (hint.tag >= this.fences.staleBelow(partitionOfHint(key))) return hint;
    this.counters.hintsUndeliverable++;
    this.setAside(key, bytes);
    return undefined;
  }

  /**
   * Its owner refuses this hint as read before something was reaped: it will never take it. No census leaves such a hint;
   * these come of a hint file that was taken back to an older state. Out of the way, and kept.
   */
  setAsideStale(owner: number, located: Uint8Array): void {
    const key = hintKey(owner, located);
    const bytes = this.storage.get(key);
    if (bytes !== undefined) this.setAside(key, bytes);
  }

  /** For whoever waits for hints, or looks at them, from outside the thread. */
  status(): HintStatus {
    const owners: HintedOwner[] = [];
    for (const [owner, ledger] of this.owners) {
      owners.push({ owner, ...ledger, ...this.passesOf(owner), count: this.heldFor(owner) });
    }
    for (const [owner, { count, sinceMs }] of this.gathered) {
      if (!this.owners.has(owner)) owners.push({ owner, count, bytes: 0, sinceMs, ...this.passesOf(owner) });
    }
    return { session: this.session, owners };
  }

  /** A commit has ended; @param failure - what it threw. */
  commitEnded(failure: { readonly cause: unknown } | undefined): void {
    if (failure === undefined) {
      this.gate.commitEnded(undefined);
    } else {
      this.gate.commitEnded(failure.cause instanceof StorageFullError ? 'full' : 'failed');
      this.drawn = this.drawSession();
      this.watcher?.commitFailed();
    }
    this.ledgers.commitEnded(failure === undefined);
    this.fences.commitEnded(failure === undefined);
  }

  /** Writes what tells whether hints can be stored. */
  writeProbe(): void {
    this.storage.put(ownKey(PROBE, 0), PROBE_VALUE);
  }

  /** Out of the way, and kept: whoever looks into the file may make something of it. */
  private setAside(key: Uint8Array, bytes: Uint8Array): void {
    // First of all: it may be lent by the storage.
    const copy = Uint8Array.from(bytes);
    this.ledgers.load();
    this.storage.put(setAsideKey(key), copy);
    this.storage.remove(key);
    this.counters.hintsSetAside++;
    this.ledgers.enter(ownerOf(key), -1, -key.length - copy.length, 0);
  }

  private drawSession(): Session {
    return { high: this.random.uint32(), low: this.random.uint32() };
  }
}
