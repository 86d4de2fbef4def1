/**
 * Jepsen's set test on real threads: clients add elements, each its own, while nodes are crashed, paused and split from
 * one another at random. Afterwards every acknowledged element must be there, and no write may have been refused while
 * W nodes were well.
 *
 * Two ways of adding: read, add, put with the read's context; and blindly, a set of one element that stands beside what
 * is there. Readers join siblings. A last-write-wins bucket lives through the same: it loses elements, by design, and
 * the test says how many.
 * Source: Kingsbury, *Call me maybe: Cassandra / Riak* (2013), and Jepsen's `set` workload.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { below, pick, SeededRandom } from '../../src/base/random.js';
import { type Bucket, open, QuoralError, type ReadResult, type Store } from '../../src/index.js';
import { keyPrimaries } from '../support/key-primaries.js';
import type { Progress } from './story.js';

export interface SetOptions {
  readonly seed: number;
  /** How long clients add and faults strike. */
  readonly seconds: number;
  readonly sync: 'full' | 'none';
}

type Elements = readonly number[];

/** A key takes so many elements, as many as it may have siblings at most; then the clients go on with the next. */
const ELEMENTS_OF_A_KEY = 100;
const READERS_WRITERS = 6;
const BLIND_WRITERS = 2;
/** A blind writer rests, so that the readers keep up with its siblings. */
const BLIND_REST_MS = 15;
const NODES = 5;
const R = 2;
const W = 2;

export async function addUnderFaults({ seed, seconds, sync }: SetOptions, progress: Progress): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-set-'));
  const random = new SeededRandom(seed);
  const store = await open({ path: join(directory, 'data'), nodes: NODES, n: 3, r: R, w: W, sync });
  try {
    const until = performance.now() + seconds * 1_000;
    const over = (): boolean => performance.now() >= until;
    const nemesis = new Nemesis(store, random.fork());
    const isExcused = (bucket: string, key: string): boolean => nemesis.wellPrimaries(bucket, key) < R;
    // While a key's reads wait, blind writes may give it all of its elements as siblings: that is not what is looked at here.
    const merging = { codec: 'json', resolution: 'merge', merge: joined, maxSiblings: ELEMENTS_OF_A_KEY } as const;
    const kept = new SetWork(store.bucket<Elements>('kept', merging), isExcused);
    const overwriting = { codec: 'json', resolution: 'last-write-wins' } as const;
    const latest = new SetWork(store.bucket<Elements>('latest', overwriting), isExcused);
    const work = [kept.run(over), latest.run(over)];
    const faults = nemesis.run(over, (what) => {
      const left = Math.max(0, Math.round((until - performance.now()) / 1_000));
      progress(`${left} s left: ${kept.acknowledged.size} acknowledged, ${kept.refused.length} refused; ${what}`);
    });
    await Promise.all([...work, faults]);
    await nemesis.heal();
    await store.admin.waitForHints({ timeoutMs: 60_000 });
    const lost = await kept.lost();
    for (const { refused, unread } of [kept, latest]) {
      assert.deepEqual(refused, [], 'writes were refused while W nodes were well');
      assert.deepEqual(unread, [], 'reads failed while R primaries were well');
    }
    assert.deepEqual(lost, [], `acknowledged elements are lost`);
    assert(kept.acknowledged.size > 0, 'nothing was acknowledged: this shows nothing');
    assert(nemesis.struck.size === 3, 'not every kind of fault struck: this shows nothing');
    const struck = [...nemesis.struck].map(([kind, count]) => `${count} × ${kind}`).join(', ');
    const overwritten = (await latest.lost()).length;
    return (
      `${kept.acknowledged.size} elements acknowledged, 0 lost, 0 refused, under ${struck}; ` +
      `${kept.excused} times fewer than R primaries were well, and a read failed; ` +
      `last-write-wins lost ${overwritten} of ${latest.acknowledged.size}`
    );
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  } finally {
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function joined(siblings: readonly { readonly value: Elements }[]): Elements {
  return [...new Set(siblings.flatMap(({ value }) => value))].sort((a, b) => a - b);
}

/** The clients of one bucket, and what they were told. */
class SetWork {
  readonly acknowledged = new Set<number>();
  /** Writes that ended in an error, in words. */
  readonly refused: string[] = [];
  /** Reads that did, although enough primaries were well; and how many did where there were too few. */
  readonly unread: string[] = [];
  excused = 0;
  private readonly bucket: Bucket<Elements>;
  private readonly isExcused: (bucket: string, key: string) => boolean;
  private next = 0;

  /** @param isExcused - whether a read of this key may fail now */
  constructor(bucket: Bucket<Elements>, isExcused: (bucket: string, key: string) => boolean) {
    this.bucket = bucket;
    this.isExcused = isExcused;
  }

  async run(over: () => boolean): Promise<void> {
    const clients: Promise<void>[] = [];
    for (let i = 0; i < READERS_WRITERS; i++) clients.push(this.each(over, (element) => this.readAndAdd(element)));
    for (let i = 0; i < BLIND_WRITERS; i++) clients.push(this.each(over, (element) => this.addBlindly(element)));
    await Promise.all(clients);
  }

  /** Acknowledged elements that are not there. */
  async lost(): Promise<number[]> {
    const found = new Set<number>();
    for (let element = 0; element < this.next; element += ELEMENTS_OF_A_KEY) {
      const { siblings } = await this.bucket.get(keyOf(element), { r: 'all' });
      for (const there of joined(siblings)) found.add(there);
    }
    return [...this.acknowledged].filter((element) => !found.has(element));
  }

  private async each(over: () => boolean, add: (element: number) => Promise<void>): Promise<void> {
    while (!over()) {
      const element = this.next++;
      const beganAt = performance.now();
      try {
        await add(element);
      } catch (error) {
        if (!(error instanceof QuoralError)) throw error;
        const tookMs = Math.round(performance.now() - beganAt);
        this.refused.push(`${this.bucket.name}, ${keyOf(element)}, after ${tookMs} ms: ${error.code} ${error.message}`);
      }
    }
  }

  private async readAndAdd(element: number): Promise<void> {
    const read = await this.read(keyOf(element));
    if (read === null) return;
    const { siblings, causalContext } = read;
    await this.bucket.put(keyOf(element), joined([...siblings, { value: [element] }]), { causalContext });
    this.acknowledged.add(element);
  }

  /** Null if it failed: a fallback that knows nothing of a key is no replica, so that R primaries must be well. */
  private async read(key: string): Promise<ReadResult<Elements> | null> {
    const wasExcused = this.isExcused(this.bucket.name, key);
    try {
      return await this.bucket.get(key);
    } catch (error) {
      if (!(error instanceof QuoralError)) throw error;
      if (wasExcused || this.isExcused(this.bucket.name, key)) this.excused++;
      else this.unread.push(`${error.code} ${error.message}`);
      // Whoever reads again at once has the others wait.
      await sleep(BLIND_REST_MS);
      return null;
    }
  }

  private async addBlindly(element: number): Promise<void> {
    await this.bucket.put(keyOf(element), [element]);
    this.acknowledged.add(element);
    await sleep(BLIND_REST_MS);
  }
}

function keyOf(element: number): string {
  return `set-${Math.floor(element / ELEMENTS_OF_A_KEY)}`;
}

type FaultKind = 'crash' | 'pause' | 'split';

/** Lets faults strike, never so many at a time that fewer than W nodes are well. */
class Nemesis {
  readonly struck = new Map<FaultKind, number>();
  private readonly store: Store;
  private readonly random: SeededRandom;
  /** Nodes that something is wrong with. */
  private readonly ailing = new Set<string>();
  private split = false;
  private readonly ending: Promise<void>[] = [];

  constructor(store: Store, random: SeededRandom) {
    this.store = store;
    this.random = random;
  }

  async run(over: () => boolean, tell: (what: string) => void): Promise<void> {
    while (!over()) {
      await sleep(100 + below(this.random, 700));
      const kind = pick(this.random, ['crash', 'pause', 'split'] as const);
      const well = this.store
        .nodes()
        .map(({ name }) => name)
        .filter((name) => !this.ailing.has(name));
      if (well.length <= W || (kind === 'split' && this.split)) continue;
      this.struck.set(kind, (this.struck.get(kind) ?? 0) + 1);
      tell(`${kind} of ${well.length} that are well`);
      const victims = [pick(this.random, well)];
      // Two of five, at most: those that are left are a majority.
      if (kind === 'split' && well.length > W + 2) victims.push(well.find((name) => name !== victims[0])!);
      const struck = this.strike(kind, victims);
      // Should it fail, `heal` says so; until then it is nobody's unhandled rejection.
      struck.catch(() => {});
      this.ending.push(struck);
    }
  }

  /** How many primaries of a key nothing is wrong with. */
  wellPrimaries(bucket: string, key: string): number {
    return keyPrimaries(this.store, bucket, key).filter((name) => !this.ailing.has(name)).length;
  }

  /** Waits until every fault has ended. */
  async heal(): Promise<void> {
    await Promise.all(this.ending);
    assert.deepEqual(
      this.store.nodes().filter(({ state }) => state === 'down'),
      [],
    );
  }

  private async strike(kind: FaultKind, victims: readonly string[]): Promise<void> {
    const { admin } = this.store;
    for (const name of victims) this.ailing.add(name);
    const lastsMs = 200 + below(this.random, 2_500);
    if (kind === 'crash') {
      await admin.crash(victims[0]!);
      await sleep(lastsMs);
      await admin.start(victims[0]!);
    } else if (kind === 'pause') {
      const pausedMs = Math.min(1_000, lastsMs);
      await admin.pause(victims[0]!, pausedMs);
      await sleep(pausedMs);
    } else {
      this.split = true;
      await admin.split([...victims]);
      await sleep(lastsMs);
      await admin.heal();
      this.split = false;
    }
    for (const name of victims) this.ailing.delete(name);
  }
}
