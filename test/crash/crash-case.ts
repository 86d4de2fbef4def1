/**
 * What the crash tests share: a directory for a store, the books of what was written to it, chance from a seed, and what
 * must hold of its files after any end.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../src/base/random.js';
import { digestHigh, digestLow } from '../../src/codec/record.js';
import { type OpenOptions, open, type Store } from '../../src/index.js';
import { merge } from '../../src/objects/merge.js';
import type { StoredObject } from '../../src/objects/stored-object.js';
import { CrashLedger } from '../support/crash-ledger.js';
import { CRASH_BUCKET } from '../support/crash-load.js';
import { type Replica, readHints, readReplicas } from '../support/replica-files.js';
import { WriterProcess } from './writer-process.js';

/** Each may repair two replicas, and a coordinator sheds repairs beyond 64 under way. */
const READS_AT_A_TIME = 16;
const MOST_PASSES = 12;
/** In which all hints are delivered to nodes that are up, in milliseconds. */
const HINTS_MS = 30_000;

export class CrashCase {
  readonly ledger = new CrashLedger();
  readonly random: SeededRandom;
  /** For whatever the test needs beside the store's; removed with it. */
  readonly directory: string;
  /** The store's. */
  readonly path: string;
  /** By partition; known since the last `converge`. */
  private primaries: string[][] = [];

  private constructor(name: string, seed: number) {
    this.random = new SeededRandom(seed);
    this.directory = mkdtempSync(join(tmpdir(), `quoral-${name}-`));
    this.path = join(this.directory, 'data');
  }

  /** Runs `story` on a case of its own. @returns what it returns @throws what it throws, with the seed */
  static async run<T>(name: string, seed: number, story: (test: CrashCase) => Promise<T>): Promise<T> {
    const test = new CrashCase(name, seed);
    try {
      return await story(test);
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
    } finally {
      rmSync(test.directory, { recursive: true, force: true });
    }
  }

  /** Creates the store in order: what a kill leaves of a directory half made is another test's. */
  async create(options: Pick<OpenOptions, 'sync' | 'nodes' | 'partitions'> = {}): Promise<void> {
    await (await open({ path: this.path, ...options })).close();
  }

  /**
   * Starts a process that writes to the store, by a seed of its own.
   * @param run - its name
   * @param more - what `entry` is given beside the path, the mode of syncing, the seed and the name
   */
  startWriter(
    entry: URL,
    sync: 'full' | 'none',
    run: string,
    more: { readonly arguments?: readonly string[]; readonly env?: NodeJS.ProcessEnv } = {},
  ): WriterProcess {
    const { path, directory, random } = this;
    const all = [path, sync, String(random.uint32()), run, ...(more.arguments ?? [])];
    return new WriterProcess({ ...more, entry, arguments: all, directory, run });
  }

  /** Enters what a process that has ended had logged. */
  enter(writer: WriterProcess): void {
    for (const entry of writer.entries) this.ledger.apply(entry);
  }

  /**
   * Looks at the files as an end has left them: each node has what it acknowledged, every dot names one write, and what
   * replicas and hints hold together is what was written.
   * @returns how many hints there are
   */
  checkLeft(): number {
    const replicas = readReplicas(this.path);
    const hints = readHints(this.path);
    this.checkStored(replicas, hints);
    this.ledger.check(joined(replicas, hints));
    return countOf(hints);
  }

  private checkStored(replicas: ReturnType<typeof readReplicas>, hints: ReturnType<typeof readHints>): void {
    this.ledger.checkDots(replicas);
    this.ledger.checkDots(hints);
    this.ledger.checkStored(replicas, hints);
  }

  /** Opens the store in this process, makes its replicas agree, closes it, and holds what they have against the books. */
  async verify(options: Pick<OpenOptions, 'sync'> = {}, before?: (store: Store) => Promise<void>): Promise<void> {
    const found = namesOf(readHints(this.path));
    const store = await open({ path: this.path, ...options });
    try {
      await before?.(store);
      await this.converge(store);
    } finally {
      await store.close();
    }
    await this.checkConverged(options, found);
  }

  /** Has all hints delivered, and reads every key strictly until its replicas agree. */
  async converge(store: Store): Promise<void> {
    await store.admin.waitForHints({ timeoutMs: HINTS_MS });
    this.primaries = store.ring().map((partition) => [...partition.primaries]);
    // Repairs are shed where reads are slow: what one pass finds stale, and leaves so, the next one finds again.
    let found = -1;
    for (let pass = 0; pass < MOST_PASSES; pass++) {
      const before = found;
      await readStrictly(store, this.ledger.keyNames);
      found = await digestMismatches(store);
      if (found === before) return;
    }
    assert.fail(`replicas differ after ${MOST_PASSES} strict reads of every key`);
  }

  /**
   * After `converge` and the store's close: nothing acknowledged is lost, nothing came back, no hint is left.
   * @param found - of the hints that were there when it was opened, their names
   */
  async checkConverged(options: Pick<OpenOptions, 'sync'>, found: ReadonlySet<string> = new Set()): Promise<void> {
    const late = [...namesOf(readHints(this.path))];
    if (late.length > 0) {
      assert.deepEqual(
        late.filter((name) => found.has(name)),
        [],
        'hints that were waited for are there',
      );
      // A put goes on after its reply: it may have kept a hint for a slow primary as the store was closed. Now nobody writes.
      const store = await open({ path: this.path, ...options });
      try {
        await store.admin.waitForHints({ timeoutMs: HINTS_MS });
      } finally {
        await store.close();
      }
    }
    const replicas = readReplicas(this.path);
    const hints = readHints(this.path);
    this.checkStored(replicas, hints);
    assert.equal(countOf(hints), 0, 'all hints were delivered, and there are some');
    this.ledger.check(this.ledger.checkReplicas(replicas, this.primaries));
  }
}

/** Who keeps what for whom, by its content: a hint that is merged with a later one is another. */
function namesOf(hints: ReturnType<typeof readHints>): Set<string> {
  const names = new Set<string>();
  for (const [key, some] of hints) {
    for (const { node, owner, record } of some) {
      names.add(`${key} of ${owner} on ${node}: ${digestHigh(record)} ${digestLow(record)}`);
    }
  }
  return names;
}

/** By key, what all its copies come to. */
function joined(...copies: ReadonlyMap<string, readonly Replica[]>[]): Map<string, StoredObject> {
  const objects = new Map<string, StoredObject>();
  for (const [key, some] of copies.flatMap((byKey) => [...byKey])) {
    for (const { object } of some) {
      const known = objects.get(key);
      objects.set(key, known === undefined ? object : merge(known, object));
    }
  }
  return objects;
}

function countOf(hints: ReturnType<typeof readHints>): number {
  return [...hints.values()].reduce((sum, some) => sum + some.length, 0);
}

/** Reads each key from all its primaries, not from stand-ins for some: what differs is repaired. */
async function readStrictly(store: Store, keys: readonly string[]): Promise<void> {
  const bucket = store.bucket<string>(CRASH_BUCKET, { codec: 'text' });
  for (let at = 0; at < keys.length; at += READS_AT_A_TIME) {
    await Promise.all(keys.slice(at, at + READS_AT_A_TIME).map((key) => bucket.get(key, { r: 'all', pr: 'all' })));
  }
}

/** How often, since the nodes were started, a read found replicas that differ. Throws if one met something worse. */
async function digestMismatches(store: Store): Promise<number> {
  const { nodes } = await store.stats();
  for (const [name, counters] of Object.entries(nodes)) {
    assert.equal(counters.corruptRecords, 0, `node ${name} met a damaged record`);
    assert.equal(counters.identityAlarms, 0, `node ${name} met its own name beyond its counter`);
  }
  return Object.values(nodes).reduce((sum, counters) => sum + counters.digestMismatches!, 0);
}
