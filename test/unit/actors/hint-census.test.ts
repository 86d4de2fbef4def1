/** Censuses of hints, without a host: what is as old as what is to be reaped is found, whenever it comes, goes, or comes back. */
import assert from 'node:assert/strict';
import { HintCensus } from '../../../actors/hint-census.js';
import { HintStore } from '../../../actors/hint-store.js';
import { utf8 } from '../../../src/base/bytes.js';
import { SeededRandom } from '../../../src/base/random.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { encodeRecord } from '../../../src/codec/record.js';
import type { ReaperAnswer } from '../../../src/messages/reap-messages.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import type { Incoming } from '../../../src/runtime/actor.js';
import { SimulatedDisk } from '../../../src/runtime/simulator/simulated-disk.js';
import { LoneContext } from '../../support/lone-actor.js';
import { assertReadable } from '../../support/own-records.js';
import { anObject } from '../../support/records.js';
import { test } from '../../support/test.js';

const PARTITION = 3;
const G = 6;
const KEYS = 800;
const RECORD = encodeRecord(anObject(0));
const ID = { high: 1, low: 1 };
const located = (n: number, partition = PARTITION) =>
  encodeLocatedKey(partition, { type: utf8('t'), bucket: utf8('b'), key: utf8(`k${String(n).padStart(5, '0')}`) });

class Node {
  readonly disk = new SimulatedDisk(new SeededRandom(1));
  readonly storage = this.disk.open();
  readonly context = new LoneContext();
  readonly hints: HintStore;
  readonly census: HintCensus;
  /** Entries that were read of the storage since this was 0. */
  read = 0;

  constructor() {
    const { storage, context } = this;
    const parts = { storage, maxBytes: 1e9, random: context.random, counters: newNodeCounters() };
    this.hints = new HintStore({ ...parts, isNew: true, onUnreadable: assertReadable });
    this.census = new HintCensus(this.hints, 'durable');
    const range = storage.range.bind(storage);
    storage.range = (options) => {
      const found = range(options);
      this.read += found.length;
      return found;
    };
  }

  /** Keeps a hint, unless it is refused. */
  keep(n: number, tag: number, { owner = 2, partition = PARTITION } = {}): void {
    if (tag < this.hints.fences.refuseBelow(partition)) return;
    const hint = { tag, session: ID, writer: ID, counter: 0, record: RECORD };
    assert(this.hints.put(owner, located(n, partition), hint, 0));
  }

  remove(n: number, owner = 2): boolean {
    return this.hints.removeIfUnchanged(owner, located(n), RECORD);
  }

  begin(incoming: Incoming<ReaperAnswer> = {}): void {
    this.census.begin(PARTITION, G, incoming, this.context);
  }

  /** The turn ends. @returns false if its commit fails */
  endTurn(): boolean {
    let failure: { readonly cause: unknown } | undefined;
    try {
      this.hints.commit();
    } catch (cause) {
      failure = { cause };
    }
    this.hints.commitEnded(failure);
    return failure === undefined;
  }

  /** A turn when the census wants one. */
  goOn(): void {
    this.context.nowMs = this.census.nextMs;
    this.read = 0;
    this.census.goOn(this.context);
    this.endTurn();
  }

  /** Until it has answered, or waits for hints to be delivered. @returns the turns that took */
  look(): number {
    let turns = 1;
    while (this.census.nextMs === this.context.nowMs + 1) {
      this.goOn();
      turns++;
    }
    return turns;
  }

  get answers(): string[] {
    return this.context.replies.map((answer) => (answer as ReaperAnswer).type);
  }

  get waits(): boolean {
    return this.census.nextMs < Number.POSITIVE_INFINITY;
  }

  /** The lowest tag of the partition's hints. */
  get lowest(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const owner of this.hints.owners.keys()) {
      for (const { key, value } of this.hints.pageOf(owner, PARTITION, undefined, 1e6, 1e9)) {
        const hint = this.hints.read(key, value);
        assert(hint !== undefined && hint !== 'newer');
        lowest = Math.min(lowest, hint.tag);
      }
    }
    return lowest;
  }
}

test('few hints are looked through at once, and those that are older are refused from then on', () => {
  const node = new Node();
  node.keep(0, G, { partition: PARTITION + 1 });
  for (const owner of [2, 5]) for (let n = 0; n < 20; n++) node.keep(n, G + 1, { owner });
  node.begin();
  assert.deepEqual([node.answers, node.context.releases, node.waits], [['clear'], ['durable'], false]);
  assert.equal(node.hints.fences.refuseBelow(PARTITION), G + 1);
  assert.equal(node.hints.fences.refuseBelow(PARTITION + 1), 0);
});

// Goal: clients of a node that keeps many hints do not wait for its censuses, nor does a census begin again and again.
test('many hints are looked through once, a slice in a turn, and so is what comes after one that was found', () => {
  const node = new Node();
  for (let n = 0; n < 3_000; n++) node.keep(n, n === 2_000 ? G : G + 1);
  node.endTurn();
  node.begin();
  assert(node.look() > 10);
  assert(node.read < 200, `${node.read} entries in a slice`);
  let read = 0;
  for (let i = 0; i < 30; i++) {
    const { nowMs } = node.context;
    node.census.goOn(node.context);
    node.goOn();
    assert.equal(node.context.nowMs, nowMs + 20);
    read += node.read;
  }
  assert.deepEqual(node.answers, []);
  assert(read / 30 < 200, `${read / 30} entries in a look`);
  assert(node.remove(2_000));
  node.endTurn();
  const turns = node.look();
  node.goOn();
  const rest = node.look() + turns;
  assert.deepEqual(node.answers, ['clear']);
  assert(rest < 12, `${rest} turns for the last third`);
});

test('a hint that came to where it had looked is found; and one that is not delivered within a second is told of', () => {
  const node = new Node();
  for (let n = 1; n < 1_000; n++) node.keep(n, G + 1);
  node.endTurn();
  node.begin();
  for (let turn = 0; turn < 3; turn++) node.goOn();
  node.keep(0, G);
  node.endTurn();
  const { nowMs } = node.context;
  while (node.waits) node.goOn();
  assert.deepEqual(node.answers, ['not-clear']);
  assert(node.context.nowMs >= nowMs + 900);
  assert.equal(node.hints.fences.refuseBelow(PARTITION), 0);
  assert(node.remove(0));
  node.begin();
  node.look();
  assert.deepEqual(node.answers, ['not-clear', 'clear']);
});

test('a hint that is there again, since the commit of its deletion failed, is found', () => {
  const node = new Node();
  for (let n = 0; n < 500; n++) node.keep(n, n === 0 ? G : G + 1);
  node.endTurn();
  assert(node.remove(0));
  node.begin();
  node.disk.failNextCommit('lost');
  assert(!node.endTurn());
  // The gate is shut while a probe is awaited.
  node.hints.gate.commitEnded(undefined);
  node.look();
  assert.deepEqual([node.answers, node.waits], [[], true]);
  assert(node.remove(0));
  node.endTurn();
  node.goOn();
  node.look();
  assert.deepEqual(node.answers, ['clear']);
});

test('several censuses take turns; and while nothing can be stored there is none', () => {
  const node = new Node();
  for (let n = 0; n < 1_000; n++) node.keep(n, G + 1);
  node.endTurn();
  for (let i = 0; i < 3; i++) node.begin();
  while (node.waits) {
    node.goOn();
    assert(node.read < 200, `${node.read} entries in a turn`);
  }
  assert.deepEqual(node.answers, ['clear', 'clear', 'clear']);
  node.begin();
  node.hints.gate.commitEnded('full');
  node.goOn();
  node.hints.gate.commitEnded('full');
  node.begin();
  assert.deepEqual(node.answers.slice(3), ['not-clear', 'not-clear']);
});

test('whatever comes, goes and fails meanwhile: when it is said that no older hint is left, none is, and none comes', () => {
  let clear = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed);
    const below = (bound: number) => random.uint32() % bound;
    const node = new Node();
    const old: [number, number][] = [];
    const keepOld = () => {
      const one: [number, number] = [below(KEYS), 2 + below(3)];
      old.push(one);
      node.keep(one[0], G - below(2), { owner: one[1] });
    };
    // Nearly all are of higher tags: it takes some slices to look through them.
    for (let n = 0; n < KEYS; n++) node.keep(n, G + 1, { owner: 2 + (n % 3) });
    for (let i = 0; i < 8; i++) keepOld();
    node.endTurn();
    for (let turn = 0; turn < 100; turn++) {
      if (!node.waits) node.begin();
      for (let ops = below(4); ops > 0; ops--) {
        if (below(16) === 0) keepOld();
        else if (below(2) === 0) node.keep(below(KEYS), G + 1 + below(3), { owner: 2 + below(3) });
        else if (old.length > 0) {
          const place = below(old.length);
          node.remove(...old[place]!);
          // It is tried again, as if its deletion had failed.
          if (below(2) === 0) old.splice(place, 1);
        }
      }
      node.context.nowMs = Math.min(node.census.nextMs, node.context.nowMs + 5);
      const answers = node.answers.length;
      node.census.goOn(node.context);
      if (below(12) === 0) node.disk.failNextCommit(below(2) === 0 ? 'lost' : 'stored');
      const isStored = node.endTurn();
      node.hints.gate.commitEnded(undefined);
      if (node.answers.slice(answers).includes('clear') && isStored) {
        clear++;
        assert(node.lowest > G, `seed ${seed}, turn ${turn}: a hint of tag ${node.lowest} is left`);
        for (let n = 0; n < KEYS; n++) node.keep(n, G);
        assert(node.lowest > G, 'nor does one come');
        break;
      }
    }
  }
  assert(clear > 20, `${clear} of 40 came to their end`);
});
