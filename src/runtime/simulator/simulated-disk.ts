/**
 * A disk in virtual time, and the storage opened on it. The disk outlives threads and processes; a handle does not.
 *
 *     handle: pending writes ──commit──▶ disk: committed ──flush (or commit, if sync is 'full')──▶ durable
 *                 lost in any crash          lost, from some commit on, when power fails
 *
 * It runs slow, fills up, fails, forgets what was not durable, and lets records rot: as told, or by chance of the seed.
 * What the contract forbids a caller to rely on does not work here: bytes lent by `get` are overwritten at the next call.
 */
import { assert } from '../../base/assert.js';
import { compareBytes, latin1 } from '../../base/bytes.js';
import { StorageFailedError, StorageFullError } from '../../base/errors.js';
import { below, type Random, unit } from '../../base/random.js';
import type { RangeOptions, Storage, StorageEntry, StorageStats } from '../../storage/storage.js';

export interface Latency {
  /** Milliseconds that it takes at least. */
  readonly minMs: number;
  /** The mean of what is added to that, exponentially distributed. */
  readonly meanExtraMs: number;
}

export interface SimulatedDiskOptions {
  /** 'full' (default): a commit is durable. 'none': only a flush is. */
  readonly sync?: 'full' | 'none';
  readonly commit?: Latency;
  readonly flush?: Latency;
  /** A commit that would take the disk above so many bytes of keys and values throws `StorageFullError`. */
  readonly capacityBytes?: number;
}

/** How a disk fails by chance. All 0 at first. */
export interface DiskFaults {
  /** The chance that a commit throws `StorageFailedError`; half of those that do have stored everything. */
  readonly commitFailure: number;
  /** The chance that a flush throws `StorageFailedError`. */
  readonly flushFailure: number;
}

const COMMIT_FULL: Latency = { minMs: 0.2, meanExtraMs: 0.4 };
const COMMIT_NONE: Latency = { minMs: 0.02, meanExtraMs: 0.05 };
const FLUSH: Latency = { minMs: 0.2, meanExtraMs: 0.4 };
/** So many commits may be undone by a power failure: what is older has been written back by then. */
const MAX_UNDO = 1_024;
const MAX_KEY_BYTES = 1_978;
/** Fills lent bytes that are no longer valid. */
const POISON = 0xdb;

interface Record {
  readonly key: Uint8Array;
  value: Uint8Array;
}

/** A write of a group: the value undefined removes. */
interface Write {
  readonly id: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

function copyOf(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}

export class SimulatedDisk {
  readonly sync: 'full' | 'none';
  /** What was committed, by key, and its keys in order. */
  readonly #records = new Map<string, Record>();
  readonly #order: Record[] = [];
  /** For every commit that is not durable, oldest first: how to undo it. */
  #undo: Write[][] = [];
  #bytes = 0;
  #handle: DiskStorage | undefined;
  #faults: DiskFaults = { commitFailure: 0, flushFailure: 0 };
  #nextCommit: 'stored' | 'lost' | undefined;
  #nextFlushFails = false;
  #capacityBytes: number;
  #commit: Latency;
  #flush: Latency;
  readonly #random: Random;
  readonly #say: (what: string) => void;

  constructor(random: Random, options: SimulatedDiskOptions = {}, say: (what: string) => void = () => undefined) {
    this.#random = random;
    this.sync = options.sync ?? 'full';
    this.#commit = options.commit ?? (this.sync === 'full' ? COMMIT_FULL : COMMIT_NONE);
    this.#flush = options.flush ?? FLUSH;
    this.#capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY;
    this.#say = say;
  }

  /** Opens the disk for one writer, until it closes or its thread goes down. */
  open(): DiskStorage {
    assert(this.#handle === undefined, 'a disk is opened by one writer at a time');
    this.#handle = new DiskStorage(this);
    return this.#handle;
  }

  /** The process that had the disk open is no more: its pending writes are gone. */
  detach(): void {
    this.#handle?.close();
  }

  /** Called by the handle. */
  closed(): void {
    this.#handle = undefined;
  }

  // ── Faults ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes the power away: of what was not durable, the commits up to an arbitrary one are kept, the others undone. */
  powerFail(): void {
    this.detach();
    const keep = below(this.#random, this.#undo.length + 1);
    this.#say(`loses ${this.#undo.length - keep} of ${this.#undo.length} commits that were not durable`);
    for (const group of this.#undo.slice(keep).reverse()) for (const write of group.reverse()) this.#set(write);
    this.#undo = [];
  }

  /** Sets by which chance commits and flushes fail from now on. */
  setFaults(faults: Partial<DiskFaults>): void {
    this.#faults = { ...this.#faults, ...faults };
  }

  /** Lets the next commit throw; `outcome` tells what it has done. */
  failNextCommit(outcome: 'stored' | 'lost'): void {
    this.#nextCommit = outcome;
  }

  failNextFlush(): void {
    this.#nextFlushFails = true;
  }

  /** How long commits and flushes take from now on. */
  setLatency(commit: Latency, flush: Latency = commit): void {
    this.#commit = commit;
    this.#flush = flush;
  }

  /** Infinity for a disk that is never full. */
  setCapacity(bytes: number): void {
    this.#capacityBytes = bytes;
  }

  /** Ends every fault, planned ones too. What it is slow at it stays slow at. */
  heal(): void {
    this.#faults = { commitFailure: 0, flushFailure: 0 };
    this.#nextCommit = undefined;
    this.#nextFlushFails = false;
    this.#capacityBytes = Number.POSITIVE_INFINITY;
  }

  /** Flips one bit of the value under `key`, or of a record drawn. Gives the key, or undefined if there is nothing to rot. */
  rot(key?: Uint8Array): Uint8Array | undefined {
    const record =
      key === undefined ? this.#order[below(this.#random, this.#order.length)] : this.#records.get(latin1(key));
    if (record === undefined || record.value.length === 0) return undefined;
    // A value of its own: the old bytes may still be lent out.
    const value = copyOf(record.value);
    value[below(this.#random, value.length)]! ^= 1 << below(this.#random, 8);
    record.value = value;
    this.#say('a record rots');
    return record.key;
  }

  /** All that is on it is gone, as if it were another disk. Nobody has it open. */
  lose(): void {
    assert(this.#handle === undefined, 'a disk is taken out while nobody has it open');
    this.#say('is another one now, and empty');
    this.#records.clear();
    this.#order.length = 0;
    this.#undo = [];
    this.#bytes = 0;
  }

  /** It is taken back to what `peekAll` gave once: a copy was restored. Nobody has it open. */
  restore(entries: readonly StorageEntry[]): void {
    this.lose();
    for (const { key, value } of entries) this.#set({ id: latin1(key), key: copyOf(key), value: copyOf(value) });
  }

  // ── What a checker sees ────────────────────────────────────────────────────────────────────────────────────────

  /** What is committed under `key`, whether or not a thread has the disk open; a copy. */
  peek(key: Uint8Array): Uint8Array | undefined {
    const value = this.read(latin1(key));
    return value === undefined ? undefined : copyOf(value);
  }

  /** Everything that is committed, in order; copies. */
  peekAll(): StorageEntry[] {
    return this.#order.map(({ key, value }) => ({ key: copyOf(key), value: copyOf(value) }));
  }

  // ── What the handle does ───────────────────────────────────────────────────────────────────────────────────────

  get entries(): number {
    return this.#order.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  read(id: string): Uint8Array | undefined {
    return this.#records.get(id)?.value;
  }

  /** Committed entries in order, from the first at or after `from` (after it, if `exclusive`). Not copies. */
  *walk(from: Uint8Array | undefined, exclusive: boolean): Generator<Record> {
    let at = from === undefined ? 0 : this.#place(from);
    if (exclusive && from !== undefined && at < this.#order.length && compareBytes(this.#order[at]!.key, from) === 0) {
      at++;
    }
    for (; at < this.#order.length; at++) yield this.#order[at]!;
  }

  commitMs(): number {
    return this.#draw(this.#commit);
  }

  flushMs(): number {
    return this.#draw(this.#flush);
  }

  commit(writes: Iterable<Write>): void {
    const group = [...writes];
    const outcome = this.#nextCommit ?? this.#drawnOutcome();
    this.#nextCommit = undefined;
    if (outcome !== 'lost') {
      this.#refuseIfFull(group);
      this.#apply(group);
      if (this.sync === 'full' && outcome === undefined) this.#undo = [];
    }
    if (outcome !== undefined) {
      this.#say(`a commit fails (${outcome})`);
      throw new StorageFailedError('the simulated disk failed to commit; reopen it');
    }
  }

  flush(): void {
    if (this.#nextFlushFails || this.#chance(this.#faults.flushFailure)) {
      this.#nextFlushFails = false;
      this.#say('a flush fails');
      throw new StorageFailedError('the simulated disk failed to flush; reopen it');
    }
    this.#undo = [];
  }

  #drawnOutcome(): 'stored' | 'lost' | undefined {
    if (!this.#chance(this.#faults.commitFailure)) return undefined;
    return below(this.#random, 2) === 0 ? 'stored' : 'lost';
  }

  #refuseIfFull(group: readonly Write[]): void {
    let bytes = this.#bytes;
    for (const { id, key, value } of group) {
      const old = this.#records.get(id);
      if (old !== undefined) bytes -= key.length + old.value.length;
      if (value !== undefined) bytes += key.length + value.length;
    }
    // What frees room is let through.
    if (bytes > this.#capacityBytes && bytes > this.#bytes) {
      this.#say('is full');
      throw new StorageFullError('the simulated disk is full; free room or enlarge it');
    }
  }

  #apply(group: readonly Write[]): void {
    const undo: Write[] = [];
    for (const { id, key, value } of group) {
      undo.push({ id, key: copyOf(key), value: this.#records.get(id)?.value });
      // The bytes are the caller's until now.
      this.#set({ id, key: copyOf(key), value: value === undefined ? undefined : copyOf(value) });
    }
    this.#undo.push(undo);
    if (this.#undo.length > MAX_UNDO) this.#undo.shift();
  }

  #set({ id, key, value }: Write): void {
    const record = this.#records.get(id);
    if (record !== undefined) this.#bytes -= key.length + record.value.length;
    if (value !== undefined) this.#bytes += key.length + value.length;
    if (value === undefined) {
      if (record === undefined) return;
      this.#records.delete(id);
      this.#order.splice(this.#place(key), 1);
    } else if (record === undefined) {
      const added = { key, value };
      this.#records.set(id, added);
      this.#order.splice(this.#place(key), 0, added);
    } else {
      record.value = value;
    }
  }

  /** Where `key` is in order, or would be. */
  #place(key: Uint8Array): number {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytes(this.#order[middle]!.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #draw({ minMs, meanExtraMs }: Latency): number {
    return minMs - meanExtraMs * Math.log(1 - unit(this.#random));
  }

  #chance(chance: number): boolean {
    return chance > 0 && unit(this.#random) < chance;
  }
}

/** An opened simulated disk. Tells its host how long commits take, so that the thread is busy meanwhile. */
export class DiskStorage implements Storage {
  readonly commitIsDurable: boolean;
  readonly #disk: SimulatedDisk;
  readonly #pending = new Map<string, Write>();
  #lent: Uint8Array | undefined;
  #open = true;

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
    this.commitIsDurable = disk.sync === 'full';
  }

  get pending(): boolean {
    return this.#pending.size > 0;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#begin();
    const id = latin1(key);
    const write = this.#pending.get(id);
    const value = write === undefined ? this.#disk.read(id) : write.value;
    if (value === undefined) return undefined;
    this.#lent = copyOf(value);
    return this.#lent;
  }

  isPending(key: Uint8Array): boolean {
    return this.#pending.has(latin1(key));
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#begin();
    this.#write(key, value);
  }

  remove(key: Uint8Array): void {
    this.#begin();
    this.#write(key, undefined);
  }

  range(options: RangeOptions): StorageEntry[] {
    this.#begin();
    const { lt, limit } = options;
    const exclusive = options.gt !== undefined;
    const from = options.gt ?? options.gte;
    const inRange = (key: Uint8Array): boolean =>
      (from === undefined || compareBytes(key, from) >= (exclusive ? 1 : 0)) &&
      (lt === undefined || compareBytes(key, lt) < 0);
    const written = [...this.#pending.values()].filter((write) => inRange(write.key));
    written.sort((a, b) => compareBytes(a.key, b.key));
    const entries: StorageEntry[] = [];
    let next = 0;
    const addWritten = (): void => {
      const { key, value } = written[next++]!;
      if (value !== undefined && entries.length < limit) entries.push({ key: copyOf(key), value: copyOf(value) });
    };
    for (const { key, value } of this.#disk.walk(from, exclusive)) {
      if (entries.length >= limit || (lt !== undefined && compareBytes(key, lt) >= 0)) break;
      while (next < written.length && compareBytes(written[next]!.key, key) < 0) addWritten();
      const overwritten = next < written.length && compareBytes(written[next]!.key, key) === 0;
      if (overwritten) addWritten();
      else if (entries.length < limit) entries.push({ key: copyOf(key), value: copyOf(value) });
    }
    while (next < written.length && entries.length < limit) addWritten();
    return entries;
  }

  commit(): void {
    this.#begin();
    if (this.#pending.size === 0) return;
    const writes = [...this.#pending.values()];
    this.#pending.clear();
    this.#disk.commit(writes);
  }

  flush(): void {
    this.#begin();
    this.#disk.flush();
  }

  /** Draws how long the commit that is due takes, in virtual milliseconds. */
  commitMs(): number {
    return this.#disk.commitMs();
  }

  flushMs(): number {
    return this.#disk.flushMs();
  }

  stats(): StorageStats {
    this.#begin();
    return { entries: this.#disk.entries, bytes: this.#disk.bytes };
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#pending.clear();
    this.#disk.closed();
  }

  #write(key: Uint8Array, value: Uint8Array | undefined): void {
    assert(key.length >= 1 && key.length <= MAX_KEY_BYTES, 'a key has from 1 to 1,978 bytes');
    const id = latin1(key);
    this.#pending.set(id, { id, key, value });
  }

  /** Every call begins here: what was lent is no longer valid, and shows it. */
  #begin(): void {
    assert(this.#open, 'a storage that is closed, or whose thread went down, is not used');
    this.#lent?.fill(POISON);
    this.#lent = undefined;
  }
}
