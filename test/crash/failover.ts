/**
 * A node is crashed and started again under a light load that does not wait for answers: nothing fails, its hints are
 * delivered while the load goes on, a read with r = 1 through it misses nothing silently of what three, or W, have
 * acknowledged without it, and in the end all replicas are equal. How long anything takes is measured by
 * `npm run bench -- failover`; here nothing depends on it.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Begun, type Ended, openLoop } from '../../benchmarks/workloads/open-loop.js';
import { pick } from '../../src/base/random.js';
import { type Bucket, open, type Receipt, type Store } from '../../src/index.js';
import { windowFarFromNow } from '../support/exchange-window.js';
import { keyPartition } from '../support/key-primaries.js';
import { reached } from '../support/reached.js';
import { readHints, readReplicas } from '../support/replica-files.js';
import { CrashCase } from './crash-case.js';
import type { Progress } from './story.js';

const VICTIM = 'b';
const OTHERS = ['a', 'c', 'd', 'e'];
const BUCKET = 'failover';
const PER_SECOND = 400;
/** An open loop after the other, of so many milliseconds each. */
const LOOP_MS = 500;
/** Few, so that many keys have the same primaries and stand-ins. */
const PARTITIONS = 8;
/**
 * So many puts are acknowledged before the node crashes; so many keys it lacks then of those that three have acknowledged,
 * and of those that W have; so many of them are read after its return.
 */
const BEFORE = 60;
const LACKING = 15;
const READ = 150;
/** For so long one of the stand-ins does not deliver what it keeps, in milliseconds. */
const HELD_BACK_MS = 1_000;
/** On a machine with more to do than it can, nothing is to fail for that. */
const PATIENTLY = { timeoutMs: 180_000 };

export function failOver({ seed }: { readonly seed: number }, progress: Progress): Promise<string> {
  return CrashCase.run('failover', seed, async ({ path, random }) => {
    // Replicas are compared only when that is asked for: what the node lacks it is to have of hints.
    const exchangeWindow = windowFarFromNow();
    const replication = { nodes: 5, n: 3, r: 2, w: 2, partitions: PARTITIONS } as const;
    const store = await open({ path, ...replication, sync: 'none', exchangeWindow });
    const load = new Load(store, (keys) => pick(random, keys));
    let hints: number;
    try {
      const running = load.run();
      await reached('acknowledged puts', () => load.acknowledged >= BEFORE);
      await store.admin.crash(VICTIM);
      const lacked = new LackedKeys(store);
      load.lacked = lacked;
      await reached('keys that the node lacks', () => lacked.byAll.length >= LACKING && lacked.byW.length >= LACKING);
      load.lacked = undefined;
      const missing = [...lacked.byAll, ...lacked.byW];
      hints = store.nodes().reduce((sum, node) => sum + node.hints, 0);
      assert(hints >= lacked.byAll.length, `${hints} hints for ${missing.length} keys that the node lacks`);
      progress(`${VICTIM} is down, with ${hints} hints for it`);
      // From before its return, so that the first moments are among them; a stand-in that stands still keeps its hints meanwhile.
      load.readAlone = missing;
      await store.admin.pause(lacked.holder, HELD_BACK_MS);
      await store.admin.start(VICTIM);
      const before = load.readsAlone;
      await reached('reads after the return', () => load.readsAlone - before >= READ);
      // While the load goes on.
      await store.admin.waitForHints(PATIENTLY);
      load.isOver = true;
      const failures = (await running).flatMap(({ failure }) => failure ?? []);
      assert.deepEqual(failures, [], 'operations failed while at most one node was down');
      assert.deepEqual(load.missed, [], 'reads with r = 1 have missed what was acknowledged, and do not say so');
      await readThroughVictim(store, load.bucket, missing);
      progress(`${VICTIM} has what it missed`);
      await store.admin.waitForExchange(PATIENTLY);
    } finally {
      await store.close();
    }
    const keys = checkEqual(path);
    return (
      `0 of ${load.begun} operations failed, ${hints} hints and more were delivered, ${keys} keys are ` +
      `equal on their replicas; ${load.warned} of ${load.readsAlone} reads with r = 1 around the return said that they may miss hints`
    );
  });
}

/**
 * Keys that the victim lacks, as one of their primaries, and nobody else: they were put and acknowledged while it was down.
 *
 * Where three have acknowledged a put, one of them is a stand-in with a hint. Where W have, the hint, or the write to the
 * other primary, may still be on its way after the reply. It was sent before what a later put to the same partition sends
 * there: such a key counts once a put that was begun after its reply was acknowledged by all of these nodes.
 */
class LackedKeys {
  readonly byAll: string[] = [];
  readonly byW: string[] = [];
  private readonly store: Store;
  /** By partition: keys that W have acknowledged, and that do not count yet. */
  private readonly early = new Map<number, string[]>();

  constructor(store: Store) {
    this.store = store;
  }

  /** The stand-in that is the first one for most of them. */
  get holder(): string {
    const holders = [...this.byAll, ...this.byW].map((key) => keyPartition(this.store, BUCKET, key).fallbacks[0]!);
    const times = (name: string) => holders.filter((holder) => holder === name).length;
    return holders.reduce((most, name) => (times(name) > times(most) ? name : most));
  }

  /** Notes what becomes of a put. */
  async note(key: string, byAll: boolean, put: () => Promise<Receipt>): Promise<void> {
    const { partition, primaries, fallbacks } = keyPartition(this.store, BUCKET, key);
    const isLacked = primaries.includes(VICTIM);
    const before = [...(this.early.get(partition) ?? [])];
    const { acks } = await put();
    if (!isLacked) return;
    if (!byAll) {
      this.early.set(partition, [...(this.early.get(partition) ?? []), key]);
      return;
    }
    const holders = [...primaries.filter((name) => name !== VICTIM), fallbacks[0]];
    // Else one of them was slow, and may lack it, too.
    if (!holders.every((name) => acks.some(({ node }) => node === name))) return;
    this.byAll.push(key);
    this.byW.push(...before.filter((one) => !this.byW.includes(one)));
  }
}

/** Puts and gets by turns, each put to a new key; every other one is acknowledged by three, the others by W. */
class Load {
  readonly bucket: Bucket<string>;
  /** While it is set, it notes what is put. */
  lacked: LackedKeys | undefined = undefined;
  /** From then on these are read with r = 1: once the victim is back, it has of them what hints have brought. */
  readAlone: readonly string[] | undefined = undefined;
  acknowledged = 0;
  readsAlone = 0;
  /** Of those reads, how many said that they may miss hints. */
  warned = 0;
  /** Keys that they did not find without saying so. */
  readonly missed: string[] = [];
  begun = 0;
  isOver = false;
  private readonly pick: (keys: readonly string[]) => string;
  private readonly byAll: string[] = [];

  constructor(store: Store, pick: (keys: readonly string[]) => string) {
    this.pick = pick;
    this.bucket = store.bucket<string>(BUCKET, { codec: 'text' });
  }

  /** Resolves once it is over, with what became of everything. */
  async run(): Promise<Ended[]> {
    const loops: Promise<Ended[]>[] = [];
    while (!this.isOver) {
      loops.push(openLoop({ perSecond: PER_SECOND, durationMs: LOOP_MS, begin: this.begin }));
      await sleep(LOOP_MS);
    }
    return (await Promise.all(loops)).flat();
  }

  private readonly begin = (): Begun => {
    const n = this.begun++;
    if (n % 2 === 0) return { kind: 'put', partition: 0, done: this.put(`key ${n}`, n % 4 === 0) };
    return { kind: 'get', partition: 0, done: this.get() };
  };

  private async put(key: string, byAll: boolean): Promise<void> {
    const put = () => this.bucket.put(key, key, byAll ? { ...PATIENTLY, w: 'all' } : PATIENTLY);
    await (this.lacked === undefined ? put() : this.lacked.note(key, byAll, put));
    this.acknowledged++;
    if (byAll) this.byAll.push(key);
  }

  private async get(): Promise<void> {
    if (this.readAlone !== undefined) {
      const key = this.pick(this.readAlone);
      const { value, mayMissHints } = await this.bucket.get(key, { ...PATIENTLY, r: 1 });
      this.readsAlone++;
      if (mayMissHints) this.warned++;
      else if (value !== key) this.missed.push(key);
    } else if (this.byAll.length > 0) {
      const key = this.pick(this.byAll);
      assert.equal((await this.bucket.get(key, PATIENTLY)).value, key);
    }
  }
}

/** Reads with r = 1 what the victim missed, when nobody else is there to answer. */
async function readThroughVictim(store: Store, bucket: Bucket<string>, keys: readonly string[]): Promise<void> {
  await Promise.all(OTHERS.map((name) => store.admin.stop(name)));
  for (const key of keys) {
    const { value } = await bucket.get(key, { ...PATIENTLY, r: 1 });
    assert.equal(value, key, 'its hints were delivered, and the node lacks what they were for');
  }
  await Promise.all(OTHERS.map((name) => store.admin.start(name)));
}

/** @returns how many keys there are */
function checkEqual(path: string): number {
  assert.deepEqual([...readHints(path).keys()], [], 'hints are left');
  const replicas = readReplicas(path);
  for (const [key, of] of replicas) {
    assert.equal(of.length, 3, `${key} is on ${of.map(({ node }) => node).join(', ')}`);
    for (const { record } of of) assert.deepEqual(record, of[0]!.record, `the replicas of ${key} differ`);
  }
  return replicas.size;
}
