/** The hint keeper, the hint deliverer and the store that they share, without a host. */
import assert from 'node:assert/strict';
import { Arrears } from '../../../actors/arrears.js';
import { HintDeliverer } from '../../../actors/hint-deliverer.js';
import { HintKeeper } from '../../../actors/hint-keeper.js';
import { distrustHints, HintStore } from '../../../actors/hint-store.js';
import { countUnreadable } from '../../../actors/own-records.js';
import { PutWarnings } from '../../../actors/put-warnings.js';
import { BackgroundBudget } from '../../../src/admission/background-budget.js';
import { utf8 } from '../../../src/base/bytes.js';
import { StorageFailedError } from '../../../src/base/errors.js';
import { SeededRandom } from '../../../src/base/random.js';
import type { Dot } from '../../../src/clocks/event-id.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { decodeRecord, encodeRecord, sameDigest } from '../../../src/codec/record.js';
import { mergeRecords } from '../../../src/codec/record-update.js';
import { hintKey, MAX_OWNERS, ownerOf, ownerRange, ownKey } from '../../../src/hinted-handoff/hint-key.js';
import { encodeLedger } from '../../../src/hinted-handoff/hint-ledger.js';
import type { TaggedEntry } from '../../../src/messages/entries.js';
import type { HoldingAnswer } from '../../../src/messages/hint-delivery-messages.js';
import type { HintRequest } from '../../../src/messages/hint-messages.js';
import type { ObjectPut } from '../../../src/messages/object-request.js';
import type { NotMinted, VnodeAnswer, VnodeRequest } from '../../../src/messages/vnode-messages.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { threadOf } from '../../../src/runtime/actor.js';
import { SimulatedDisk } from '../../../src/runtime/simulator/simulated-disk.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import type { Storage } from '../../../src/storage/storage.js';
import { LoneContext, Timers } from '../../support/lone-actor.js';
import { anObject } from '../../support/records.js';
import { test } from '../../support/test.js';

const OWNER = 2;
const located = (key: string, partition = 0) =>
  encodeLocatedKey(partition, { type: utf8('t'), bucket: utf8('b'), key: utf8(key) });
const record = (n: number) => encodeRecord(anObject(n));

class Node {
  readonly storage: Storage;
  readonly context: LoneContext;
  readonly counters = newNodeCounters();
  hints: HintStore;
  keeper: HintKeeper;
  private readonly maxBytes: number;

  constructor(maxBytes = 2 ** 20, storage = openMemoryStorage(), context = new LoneContext()) {
    this.storage = storage;
    this.context = context;
    this.maxBytes = maxBytes;
    this.hints = this.openHints();
    this.keeper = this.newKeeper();
  }

  /** A crash: what was not committed is gone, and everything begins anew. */
  restart(isNew = true): void {
    this.commit();
    this.hints = this.openHints(isNew);
    this.keeper = this.newKeeper();
  }

  /** It threw, and is made anew. */
  restartKeeper(): void {
    this.keeper = this.newKeeper();
  }

  ask(message: HintRequest): VnodeAnswer {
    this.keeper.receive(message, {}, this.context);
    return this.context.replies.at(-1) as VnodeAnswer;
  }

  mint(key: string, fields: Partial<ObjectPut> = {}, owner = OWNER): Dot | NotMinted | VnodeAnswer['type'] {
    const notices = this.context.notices.length;
    const answer = this.ask({ type: 'mint', owner, put: putOf(key, fields), durable: false });
    const notice = this.context.notices[notices] as (VnodeAnswer & { type: 'minted' }) | undefined;
    if (notice !== undefined) {
      const { high, low, counter } = notice.dot;
      return { high, low, counter };
    }
    return answer.type === 'not-minted' ? answer.why : answer.type;
  }

  keep(key: string, record: Uint8Array, fields: { owner?: number; tag?: number } = {}): VnodeAnswer {
    const { owner = OWNER, tag = 0 } = fields;
    return this.ask({ type: 'keep', owner, key: located(key), record, durable: true, mayWait: false, tag });
  }

  read(key: string): VnodeAnswer {
    return this.ask({ type: 'read', key: located(key), digestOnly: false });
  }

  /** Throws what the storage throws. */
  commit(): void {
    try {
      this.hints.commit();
    } catch (cause) {
      this.hints.commitEnded({ cause });
      throw cause;
    }
    this.hints.commitEnded(undefined);
  }

  private openHints(isNew = true): HintStore {
    const { storage, maxBytes, counters } = this;
    return new HintStore({
      storage,
      maxBytes,
      counters,
      random: this.context.random,
      isNew,
      onUnreadable: countUnreadable(counters, () => {}),
    });
  }

  private newKeeper(): HintKeeper {
    const { hints, counters } = this;
    const warnings = new PutWarnings({ counters, report: () => {} });
    const arrears = new Arrears({ hintsMayWait: false, refilling: new Set<number>(), mayBeOld: false });
    const limits = { maxSiblings: 3, maxObjectBytes: 2 ** 20 };
    return new HintKeeper({ hints, arrears, counters, ...limits, warnings }, this.context);
  }
}

let attempts = 0;

function putOf(key: string, fields: Partial<ObjectPut>): ObjectPut {
  return {
    key: located(key),
    causalContext: new Uint8Array(0),
    attempt: { high: 1, low: 2, counter: ++attempts },
    earlier: [],
    expiresAtMs: 1_700_000_100_000,
    minting: 'siblings',
    tombstone: false,
    ttlMs: 0,
    body: utf8('v'),
    condition: 'none',
    ifMatch: new Uint8Array(0),
    maxSiblings: 0,
    ...fields,
  };
}

function dot(minted: unknown): Dot {
  assert(typeof minted === 'object', `minted, not ${minted}`);
  return minted as Dot;
}

const writerOf = ({ high, low }: Dot) => `${high}:${low}`;

// Goal: no two writes ever have one dot, although the stand-in forgets.
test('each hint is minted on by a name of its own, which ends with it, with a crash, and with a failed commit', () => {
  const node = new Node();
  const first = dot(node.mint('k'));
  const second = dot(node.mint('k'));
  assert.equal(first.counter, 1);
  assert.deepEqual(second, { ...first, counter: 2 });
  const used = new Set([writerOf(first)]);
  const isNew = (minted: Dot, why: string) => {
    assert(!used.has(writerOf(minted)), why);
    assert.equal(minted.counter, 1);
    used.add(writerOf(minted));
  };
  isNew(dot(node.mint('another')), 'another key');
  isNew(dot(node.mint('k', {}, OWNER + 1)), 'another owner');
  node.commit();
  const kept = node.hints.get(OWNER, located('k'));
  assert(kept !== undefined && kept !== 'newer');
  assert(node.hints.removeIfUnchanged(OWNER, located('k'), Uint8Array.from(kept.record)));
  isNew(dot(node.mint('k')), 'the hint was delivered meanwhile');
  node.restart();
  isNew(dot(node.mint('k')), 'after a crash');
  node.hints.commitEnded({ cause: new StorageFailedError('a test') });
  node.hints.commitEnded(undefined);
  node.hints.commitEnded(undefined);
  isNew(dot(node.mint('k')), 'after a commit that failed');
});

test('a stand-in keeps the rules of minting: attempts, deadlines, conditions, limits', () => {
  const node = new Node();
  const attempt = { high: 1, low: 2, counter: ++attempts };
  dot(node.mint('k', { attempt }));
  assert.equal(node.mint('k', { attempt }), 'repeated');
  assert.equal(node.mint('k', { expiresAtMs: node.context.wallMs - 1 }), 'late');
  assert.equal(node.mint('k', { condition: 'if-none-match' }), 'precondition-failed');
  dot(node.mint('new', { condition: 'if-none-match' }));
  dot(node.mint('k'));
  dot(node.mint('k'));
  assert.equal(node.mint('k'), 'too-many-siblings');
  const winner = dot(node.mint('k', { minting: 'last-write-wins' }));
  const answer = node.read('k');
  assert(answer.type === 'object');
  assert.deepEqual(
    decodeRecord(answer.record).siblings.map((sibling) => sibling.dot),
    [winner],
  );
  assert.equal(node.mint('k', { attempt }), 'doubtful', 'it was there, and is not');
});

test('what is kept for a key merges; it is read over all owners, and never counts as behind', () => {
  const node = new Node();
  assert.deepEqual(node.read('k'), { type: 'nothing', behind: false });
  assert.deepEqual(node.keep('k', record(0), { tag: 5 }), { type: 'wrote', durable: true });
  node.keep('k', record(1), { tag: 3 });
  node.keep('k', record(2), { owner: OWNER + 1, tag: 4 });
  const merged = mergeRecords(mergeRecords(record(0), record(1)), record(2));
  assert.deepEqual(node.read('k'), { type: 'object', record: merged, tag: 3, behind: false });
  const digest = node.ask({ type: 'read', key: located('k'), digestOnly: true });
  assert.equal(digest.type, 'digest');
  assert.equal(node.hints.size, 2);
  const own = node.hints.get(OWNER, located('k'));
  assert(own !== undefined && own !== 'newer' && own.tag === 3, 'the lowest tag of what it was made of');
});

test('a hint below the tag that is asked for is refused as behind the fence', () => {
  const node = new Node();
  node.hints.fences.counted(0, 7);
  node.restart();
  assert.deepEqual(node.keep('k', record(0), { tag: 6 }), { type: 'stale-fence' });
  assert.equal(node.keep('k', record(0), { tag: 7 }).type, 'wrote');
  dot(node.mint('minted'));
  const minted = node.hints.get(OWNER, located('minted'));
  assert(minted !== undefined && minted !== 'newer' && minted.tag === 7, 'a new write passes every fence there is');
});

test('a full hint store refuses for certain, and has room again when hints are delivered', () => {
  const node = new Node(400);
  const refused = { type: 'no-storage', full: true };
  assert.equal(node.keep('a', record(0)).type, 'wrote');
  assert.deepEqual(node.keep('b', record(0)), refused);
  assert.equal(node.mint('b', { body: new Uint8Array(300) }), 'no-storage');
  assert.equal(node.counters.hintsRefused, 2);
  assert.equal(node.hints.size, 1);
  assert(node.hints.removeIfUnchanged(OWNER, located('a'), record(0)));
  assert.equal(node.keep('b', record(0)).type, 'wrote');
});

test('counts and sizes survive a restart, and a ledger that is unreadable', () => {
  const node = new Node();
  for (let i = 0; i < 70; i++) node.keep(`k${i}`, record(i));
  node.keep('other', record(0), { owner: 5 });
  const before = new Map([...node.hints.owners].map(([owner, { count, bytes }]) => [owner, { count, bytes }]));
  assert.equal(before.get(OWNER)?.count, 70);
  node.restart();
  const again = () => new Map([...node.hints.owners].map(([owner, { count, bytes }]) => [owner, { count, bytes }]));
  assert.deepEqual(again(), before);
  const ledger = Uint8Array.from(node.storage.get(ownKey('o', OWNER))!);
  ledger[0]! ^= 1;
  node.storage.put(ownKey('o', OWNER), ledger);
  node.restart();
  assert.deepEqual(again(), before);
  assert.equal(node.counters.corruptOwnRecords, 1);
});

test('a hint that rots is set aside: the others are delivered, and it is not lost from sight', () => {
  const node = new Node();
  for (const key of ['a', 'b', 'c']) node.keep(key, record(0));
  node.commit();
  const bytes = Uint8Array.from(node.storage.get(hintKey(OWNER, located('b')))!);
  bytes[bytes.length - 1]! ^= 1;
  node.storage.put(hintKey(OWNER, located('b')), bytes);
  const owner = new Delivering(node);
  owner.tick();
  assert.deepEqual(keysOf(owner.batch().entries), ['a', 'c']);
  owner.answer({ type: 'took', durable: true, stale: [], unmerged: [] });
  // What was taken is deleted together with more, some milliseconds later at the most.
  owner.tick();
  assert.equal(node.hints.size, 0);
  assert.equal(node.counters.hintsSetAside, 1);
  assert.deepEqual(node.storage.get(Uint8Array.of(0xff, 0xfe, ...hintKey(OWNER, located('b')))), bytes);
});

// Goal: hints that nobody waits for cost a flush for many, never an answer: each is answered, once it is written.
test('hints that may wait are gathered, and written together with the next that may not, or soon', () => {
  const node = new Node();
  const { context } = node;
  const keepLater = (key: string, tag = 0) => {
    const before = context.replies.length;
    node.ask({
      type: 'keep',
      owner: OWNER,
      key: located(key),
      record: record(0),
      durable: false,
      mayWait: true,
      tag,
    });
    return context.replies.length - before;
  };
  assert.equal(keepLater('a'), 1, 'none was written just before');
  assert.equal(keepLater('b') + keepLater('c'), 0);
  assert.equal(node.hints.size, 1);
  assert(context.delays.at(-1)! <= 10, 'soon');
  assert.equal(node.read('other').type, 'nothing');
  assert.equal(node.hints.size, 1);
  node.keep('d', record(0));
  assert.equal(node.hints.size, 4);
  assert.equal(context.replies.filter((reply) => (reply as VnodeAnswer).type === 'wrote').length, 4);

  assert.equal(keepLater('e'), 0);
  node.hints.fences.counted(0, 1);
  context.nowMs += 10;
  node.keeper.timer('write gathered', context);
  assert.equal(node.hints.size, 4);
  assert.deepEqual(context.replies.at(-1), { type: 'stale-fence' }, 'as if it came only now');

  keepLater('f', 1);
  keepLater('g', 1);
  node.keeper.stop(context);
  assert.equal(node.hints.size, 6, 'a node that stops owes nobody an answer');
  assert.equal(context.replies.filter((reply) => (reply as VnodeAnswer).type === 'wrote').length, 6);
});

// Goal: one commit of gathered hints in ten milliseconds, not one for each timer that was ever set.
test('hints that were written with another one leave no timer behind, which would write the next too early', () => {
  const timers = new Timers();
  const node = new Node(2 ** 20, openMemoryStorage(), timers);
  const keep = (key: string, mayWait: boolean) =>
    node.ask({ type: 'keep', owner: OWNER, key: located(key), record: record(0), durable: false, mayWait, tag: 0 });
  keep('first', true);
  for (let i = 0; i < 20; i++) {
    keep(`waits ${i}`, true);
    timers.nowMs += 2;
    keep(`may not ${i}`, false);
    assert.equal(node.hints.size, 3 + 2 * i);
    assert.equal(timers.due.size, 0);
  }
  const { nowMs } = timers;
  keep('waits', true);
  timers.nowMs += 3;
  keep('waits, too', true);
  assert.deepEqual([...timers.due.values()], [nowMs + 10]);
  timers.next();
  node.keeper.timer('write gathered', timers);
  assert.deepEqual([node.hints.size, timers.due.size], [43, 0]);
});

// Goal: the puts that gathered hints are for may be acknowledged: whoever asks what is held must hear of them.
test('gathered hints count as held, a pass that begins meanwhile as none, and whoever reads one gets it', () => {
  const node = new Node();
  const { context, hints } = node;
  const gather = (key: string, owner: number) =>
    node.ask({ type: 'keep', owner, key: located(key), record: record(0), durable: false, mayWait: true, tag: 0 });
  const figures = () => hints.status().owners.map(({ owner, count, clean }) => ({ owner, count, clean }));
  const holding = (from: number) => owner.holdingFor(from);
  const owner = new Delivering(node, [0, OWNER, 3]);
  node.keep('a', record(0));
  gather('b', OWNER);
  gather('c', 3);
  assert.deepEqual(figures(), [
    { owner: OWNER, count: 2, clean: 0 },
    { owner: 3, count: 1, clean: 0 },
  ]);
  const { count, begun } = holding(OWNER);
  assert.deepEqual({ count, begun }, { count: 2, begun: 0 });
  assert.deepEqual(keysOf(owner.batch().entries), ['a']);
  owner.answer(TOOK);
  assert.deepEqual(figures()[0], { owner: OWNER, count: 1, clean: 0 }, 'b may have been missed by that pass');

  assert.equal(node.read('b').type, 'object', 'another one waits for it');
  assert.deepEqual(context.releases.at(-1), 'stored');
  assert.equal(hints.size, 2);
  assert.deepEqual([hints.isGathering(OWNER), hints.isGathering(3)], [false, false]);
  assert.equal(holding(OWNER).count, 1);
  assert.deepEqual(keysOf(owner.batch().entries), ['b']);
  owner.answer(TOOK);
  assert.deepEqual(hints.passesOf(OWNER).clean, 2);
  assert.equal(holding(0).count, 0);

  gather('d', OWNER);
  node.restartKeeper();
  assert.deepEqual(figures(), [{ owner: 3, count: 1, clean: 0 }], 'what a keeper had in hand went with it');
});

test('what was taken is deleted together; not what was changed since, and nothing is met twice', () => {
  const node = new Node();
  node.keep('a', record(0));
  node.keep('b', record(0));
  const inPartition = (partition: number) => ({ key: located('c', partition), record: record(0), durable: false });
  node.ask({ type: 'keep', owner: OWNER, ...inPartition(1), mayWait: false, tag: 0 });
  const owner = new Delivering(node);
  assert.deepEqual(keysOf(owner.batch().entries), ['a', 'b']);
  owner.answer(TOOK);
  assert.deepEqual(keysOf(owner.batch().entries), ['c'], 'the next batch is on its way');
  assert.equal(node.hints.size, 3, 'and a flush is saved');
  node.keep('b', record(1));
  owner.tick();
  assert.equal(node.hints.size, 2, 'b is another one now');
  assert(owner.isIdle);
  owner.answer(TOOK);
  owner.tick();
  assert.equal(node.hints.size, 1);
  owner.tick();
  assert.deepEqual(keysOf(owner.batch().entries), ['b'], 'in the next pass');
  node.keep('b', record(1));
  owner.answer(TOOK);
  assert.equal(node.hints.size, 0);

  node.keep('a', record(0));
  node.ask({ type: 'keep', owner: OWNER, ...inPartition(1), mayWait: false, tag: 0 });
  owner.tick();
  owner.batch();
  owner.answer(TOOK);
  owner.batch();
  assert.equal(node.hints.size, 2);
  owner.deliverer.stop();
  assert.equal(node.hints.size, 1, 'what a node knows to be taken it does not hand over again after a stop');
});

const keysOf = (entries: readonly TaggedEntry[]) => entries.map(({ key }) => Buffer.from(key).toString().at(-1));

/** A deliverer, and the owners that it delivers to. */
class Delivering {
  readonly deliverer: HintDeliverer;
  readonly arrears: Arrears;
  private readonly node: Node;
  private seen = 0;
  private last: LoneContext['sent'][number] | undefined;

  constructor(node: Node, primaries: readonly number[] = [0, OWNER], { hintsMayWait = false } = {}) {
    this.node = node;
    const { hints, counters } = node;
    const preferenceLists = [primaries, primaries].map((list) => ({ primaries: list, fallbacks: [1] }));
    this.arrears = new Arrears({ hintsMayWait, refilling: new Set<number>(), mayBeOld: false });
    const { arrears } = this;
    const budget = new BackgroundBudget();
    this.deliverer = new HintDeliverer({ node: 1, preferenceLists, hints, arrears, counters, budget });
    this.deliverer.start(node.context);
  }

  tick(): void {
    this.node.context.nowMs += 2_000;
    this.deliverer.timer('tick', this.node.context);
  }

  /** What an owner is told that asks: not at once, but soon. */
  holdingFor(from: number): HoldingAnswer {
    const { context } = this.node;
    const replies = context.replies.length;
    this.deliverer.receive({ type: 'what-for-me', from, holds: 0 }, {}, context);
    assert.equal(context.replies.length, replies, 'what was sent before the question may be read after it');
    context.nowMs += 1;
    this.deliverer.timer('tick', context);
    assert.equal(context.replies.length, replies + 1);
    return context.replies.at(-1) as HoldingAnswer;
  }

  /** The next batch that was sent and not looked at, and to whom. */
  batch(): { readonly entries: readonly TaggedEntry[]; readonly to: number } {
    const sent = this.node.context.sent[this.seen++];
    assert(sent !== undefined, 'a batch was sent');
    const message = sent.message as VnodeRequest;
    assert(message.type === 'hand-off');
    this.last = sent;
    return { entries: message.entries, to: threadOf(sent.place) };
  }

  get isIdle(): boolean {
    return this.seen === this.node.context.sent.length;
  }

  /** To the batch that was looked at last. */
  answer(answer: VnodeAnswer): void {
    this.deliverer.answered(this.last!.correlation, answer, false, this.node.context);
  }

  get correlation(): number {
    return this.last!.correlation;
  }
}

const TOOK: VnodeAnswer = { type: 'took', durable: true, stale: [], unmerged: [] };

test('a hint is deleted upon the acknowledgement, and only if it is as it was sent', () => {
  const node = new Node();
  node.keep('a', record(0));
  node.keep('b', record(0));
  const owner = new Delivering(node);
  assert.deepEqual(keysOf(owner.batch().entries), ['a', 'b']);
  assert.equal(node.hints.size, 2, 'not before');
  node.keep('b', record(1));
  owner.answer(TOOK);
  assert.equal(node.hints.size, 1);
  owner.tick();
  const { entries } = owner.batch();
  assert.deepEqual(keysOf(entries), ['b']);
  assert(sameDigest(entries[0]!.record, mergeRecords(record(0), record(1))));
  owner.answer(TOOK);
  assert.equal(node.hints.size, 0);
  assert.equal(node.counters.hintsDelivered, 2);
});

test('a batch is of one partition; what the owner refuses stays or is set aside, and the others go', () => {
  const node = new Node();
  for (const key of ['a', 'b', 'c']) node.keep(key, record(0));
  node.ask({
    type: 'keep',
    owner: OWNER,
    key: located('d', 1),
    record: record(0),
    durable: false,
    mayWait: false,
    tag: 0,
  });
  const owner = new Delivering(node);
  assert.deepEqual(keysOf(owner.batch().entries), ['a', 'b', 'c']);
  owner.answer({ type: 'took', durable: true, stale: [0], unmerged: [2] });
  assert.deepEqual(keysOf(owner.batch().entries), ['d']);
  owner.answer(TOOK);
  assert.equal(node.hints.size, 1);
  assert.deepEqual([node.counters.hintsUndeliverable, node.counters.hintsSetAside], [2, 1]);
  assert(owner.isIdle, 'what was refused is not sent again at once');
  owner.tick();
  assert.deepEqual(keysOf(owner.batch().entries), ['c'], 'but later; never what is older than something reaped');
});

test("hints of an owner that has left go to all of the partition's primaries, and stay until all have them", () => {
  const node = new Node();
  node.keep('a', record(0), { owner: 9 });
  const owner = new Delivering(node);
  assert.equal(owner.batch().to, 0);
  const first = owner.correlation;
  assert.equal(owner.batch().to, OWNER);
  owner.answer(TOOK);
  assert.equal(node.hints.size, 1);
  owner.deliverer.failed(first, 'unreachable', node.context);
  assert.equal(node.hints.size, 1, 'one of them has it not');
  owner.tick();
  for (let i = 0; i < 2; i++) {
    owner.batch();
    owner.answer(TOOK);
  }
  assert.equal(node.hints.size, 0);
});

test('an owner that is down does not hold up the others, and an owner that asks gets its hints at once', () => {
  const node = new Node();
  node.keep('a', record(0), { owner: 0 });
  node.keep('b', record(0));
  const owner = new Delivering(node);
  assert.equal(owner.batch().to, 0);
  owner.deliverer.failed(owner.correlation, 'unreachable', node.context);
  assert.equal(owner.batch().to, OWNER);
  owner.answer(TOOK);
  assert.equal(node.hints.size, 1);
  assert(owner.isIdle, 'who is down is given time');
  assert.equal(owner.holdingFor(0).count, 1);
  assert.equal(owner.batch().to, 0);
});

// Goal: one hint that has its owner die every time is found out, and does not keep the rest from it.
test('a hint upon which the owner dies again and again is left out for a pass', () => {
  const node = new Node();
  for (let i = 0; i < 8; i++) node.keep(String(i), record(0));
  const owner = new Delivering(node);
  let deaths = 0;
  for (let i = 0; i < 60 && node.hints.size > 1; i++) {
    if (owner.isIdle) owner.tick();
    if (owner.isIdle) continue;
    const { entries } = owner.batch();
    if (keysOf(entries).includes('5')) {
      deaths++;
      owner.deliverer.failed(owner.correlation, 'died', node.context);
    } else owner.answer(TOOK);
  }
  assert.equal(node.hints.size, 1);
  assert(deaths <= 7, `the owner died ${deaths} times`);
});

test('an owner that is merely cut off has its hints again as they were', () => {
  const node = new Node();
  for (let i = 0; i < 8; i++) node.keep(String(i), record(0));
  const owner = new Delivering(node);
  if (owner.isIdle) owner.tick();
  const all = keysOf(owner.batch().entries);
  assert.equal(all.length, 8);
  for (let cuts = 0; cuts < 3; cuts++) {
    owner.deliverer.failed(owner.correlation, 'cut-off', node.context);
    while (owner.isIdle) owner.tick();
    assert.deepEqual(keysOf(owner.batch().entries), all);
  }
});

test('while nothing can be deleted, nothing is delivered', () => {
  const node = new Node();
  node.keep('a', record(0));
  node.commit();
  node.hints.commitEnded({ cause: new StorageFailedError('a test') });
  const owner = new Delivering(node);
  owner.tick();
  assert(owner.isIdle);
  assert(node.storage.pending, 'a probe is written');
  node.commit();
  owner.tick();
  assert.deepEqual(keysOf(owner.batch().entries), ['a']);
});

// Goal: an idle store stays idle, hints or not: each look wakes its own thread, and those that it looks at.
test('it looks seldom while there is nobody to deliver to, at those alone who are owed, and soon once somebody is', () => {
  const node = new Node();
  const owner = new Delivering(node);
  const { context } = node;
  assert.deepEqual(context.delays, [1_000]);
  const lookedAt: number[] = [];
  let isUp = false;
  context.pulse = (thread?: number) => {
    lookedAt.push(thread!);
    return isUp ? context.nowMs : -1;
  };
  owner.tick();
  assert.deepEqual([context.delays.at(-1), lookedAt], [1_000, []]);
  node.keep('a', record(0));
  owner.tick();
  assert.deepEqual([context.delays.at(-1), lookedAt], [100, [OWNER]]);
  assert(owner.isIdle, 'who is down is sent nothing');
  isUp = true;
  owner.tick();
  assert.deepEqual(keysOf(owner.batch().entries), ['a']);
  assert.equal(context.delays.at(-1), 20);
});

test('a node that is away is asked again when it is due, and meanwhile the deliverer sleeps', () => {
  const node = new Node();
  const owner = new Delivering(node, [0, 1], { hintsMayWait: true });
  const { context } = node;
  const asked = context.sent[0]!;
  assert.deepEqual(asked.message, { type: 'what-for-me', from: 1, holds: 0 });
  owner.deliverer.failed(asked.correlation, 'unreachable', context);
  assert.deepEqual(context.delays, [1_000, 10], 'it is asked again in time, although nothing was due before');
  for (let i = 0; i < 8; i++) {
    owner.tick();
    owner.deliverer.failed(context.sent.at(-1)!.correlation, 'unreachable', context);
  }
  assert.equal(context.sent.length, 9);
  assert.equal(context.delays.at(-1), 1_000);
});

test('who has no room for the question, or was just restarted, is not away: it may hold hints', () => {
  for (const failure of ['refused', 'stale'] as const) {
    const node = new Node();
    const owner = new Delivering(node, [0, 1], { hintsMayWait: true });
    const { deliverer, arrears } = owner;
    const { context } = node;
    const asked = () => context.sent.at(-1)!.correlation;
    deliverer.failed(asked(), failure, context);
    assert(arrears.isOpen, failure);
    owner.tick();
    deliverer.failed(asked(), 'unreachable', context);
    assert(!arrears.isOpen, 'who is gone is not waited for');
    owner.tick();
    deliverer.failed(asked(), failure, context);
    assert(arrears.isOpen, 'but who is there again is');
    owner.tick();
    const nothing: HoldingAnswer = { type: 'holding', count: 0, session: { high: 1, low: 1 }, begun: 0, clean: 0 };
    deliverer.answered(asked(), nothing, false, context);
    assert(!arrears.isOpen);
  }
});

// Goal: a file that may have gone back, on a disk that fails, costs one look through its hints, not one in each tick.
test('hints whose ledgers are not to be trusted are counted once, however often what was counted fails to be stored', () => {
  const ledgersOf = ({ hints }: Node) => [...hints.owners].map(([owner, { count, bytes }]) => [owner, count, bytes]);
  for (const outcome of ['lost', 'stored'] as const) {
    const disk = new SimulatedDisk(new SeededRandom(5));
    const storage = disk.open();
    const node = new Node(2 ** 30, storage);
    for (let i = 0; i < 300; i++) node.keep(`k${i}`, record(0));
    node.commit();
    distrustHints(storage);
    storage.remove(ownKey('o', OWNER));
    storage.put(ownKey('o', OWNER + 1), encodeLedger({ count: 1, bytes: 9, sinceMs: 1 }));
    storage.commit();
    const read = entriesRead(storage);
    node.restart(false);
    const owner = new Delivering(node);
    // Nobody takes them.
    node.context.pulse = () => -1;
    const { context } = node;
    disk.failNextCommit(outcome);
    node.keep('another', record(0));
    assert.throws(() => node.commit());
    let failed = 1;
    disk.setFaults({ commitFailure: 1 });
    for (let i = 0; i < 100; i++) {
      context.nowMs += 20;
      owner.deliverer.timer('tick', context);
      if (!node.hints.pending) continue;
      assert.throws(() => node.commit());
      failed++;
    }
    assert(failed < 12, `${failed} commits failed in 2 s: only probes are risked`);
    assert(read() < 1_000, `${read()} entries were read`);
    disk.heal();
    context.nowMs += 1_000;
    owner.deliverer.timer('tick', context);
    node.commit();
    assert(node.hints.gate.open);
    const found = ledgersOf(node);
    assert.equal(found.length, 1);
    assert.deepEqual(found[0]!.slice(0, 2), [OWNER, storage.get(hintKey(OWNER, located('another'))) ? 301 : 300]);
    node.restart(false);
    assert.deepEqual(ledgersOf(node), found);
    assert.equal(node.counters.corruptOwnRecords, 0);
    const before = read();
    node.restart(false);
    assert(read() < before + 100, 'and not at another start');
  }
});

test('whatever fails, rots or is cut off: ledgers tell of the hints that are there, in memory and in the file', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed);
    const below = (bound: number) => random.uint32() % bound;
    const disk = new SimulatedDisk(random);
    let node = new Node(2 ** 30, disk.open());
    const counted = () => {
      const owners = new Map<number, { count: number; bytes: number }>();
      for (const { key, value } of node.storage.range({ lt: ownerRange(MAX_OWNERS).gte, limit: 1_000 })) {
        const { count, bytes } = owners.get(ownerOf(key)) ?? { count: 0, bytes: 0 };
        owners.set(ownerOf(key), { count: count + 1, bytes: bytes + key.length + value.length });
      }
      return owners;
    };
    const isRight = (when: string) => {
      const told = new Map([...node.hints.owners].map(([owner, { count, bytes }]) => [owner, { count, bytes }]));
      const sorted = (ledgers: typeof told) => [...ledgers].sort(([a], [b]) => a - b);
      assert.deepEqual(sorted(told), sorted(counted()), `seed ${seed}, ${when}`);
    };
    for (let turn = 0; turn < 60; turn++) {
      for (let ops = below(4); ops > 0; ops--) {
        const [key, owner] = [`k${below(6)}`, 2 + below(3)];
        const kept = node.hints.get(owner, located(key));
        if (kept === undefined || below(2) === 0) node.keep(key, record(below(4)), { owner });
        else if (kept !== 'newer' && below(4) > 0) {
          node.hints.removeIfUnchanged(owner, located(key), Uint8Array.from(kept.record));
        } else node.hints.setAsideStale(owner, located(key));
        if (below(8) === 0) node.hints.writeProbe();
      }
      if (below(3) === 0) isRight('in a turn');
      if (below(4) === 0) disk.failNextCommit(below(2) === 0 ? 'lost' : 'stored');
      try {
        node.commit();
      } catch {
        // Other hints are refused until something was stored.
        if (below(2) === 0) node.hints.gate.commitEnded(undefined);
      }
      if (below(3) === 0) isRight('after a turn');
      if (below(6) > 0) continue;
      disk.detach();
      if (below(3) === 0) disk.rot(ownKey('o', 2));
      const storage = disk.open();
      if (below(3) === 0) {
        distrustHints(storage);
        storage.put(ownKey('o', 2), encodeLedger({ count: 7, bytes: 70, sinceMs: 7 }));
        storage.remove(ownKey('o', 3));
        try {
          storage.commit();
        } catch {
          // As if the power had gone before that.
        }
      }
      node = new Node(2 ** 30, storage);
      isRight('after a start');
    }
  }
});

test('a start with many hints reads no more of them than a batch', () => {
  const storage = openMemoryStorage();
  const node = new Node(2 ** 30, storage);
  const random = new SeededRandom(3);
  for (let i = 0; i < 1_000; i++) node.keep(`${random.uint32()}`, record(i));
  node.commit();
  const read = entriesRead(storage);
  node.restart();
  const owner = new Delivering(node);
  assert.equal(owner.batch().entries.length, 128);
  assert(read() < 200, `${read()} entries were read`);
});

/** @returns how many entries ranges of the storage have given since */
function entriesRead(storage: Storage): () => number {
  let read = 0;
  const range = storage.range.bind(storage);
  storage.range = (options) => {
    const found = range(options);
    read += found.length;
    return found;
  };
  return () => read;
}
