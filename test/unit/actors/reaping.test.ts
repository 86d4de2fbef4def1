/** What vnodes and reapers answer in rounds of reaping, without a host: above all what happens when a commit fails. */
import assert from 'node:assert/strict';
import { Arrears } from '../../../actors/arrears.js';
import { NodeFences } from '../../../actors/fence.js';
import { FenceInquiry, type ToldFences } from '../../../actors/fence-inquiry.js';
import { HintStore } from '../../../actors/hint-store.js';
import { beginLife, beginLineage, laterLife, MAX_LIVES, settleLineage } from '../../../actors/lives.js';
import { NodeIdentity } from '../../../actors/node-identity.js';
import { PutWarnings } from '../../../actors/put-warnings.js';
import { GO_ON_REAPING } from '../../../actors/replica-reaping.js';
import { Vnode } from '../../../actors/vnode.js';
import { WriteGate } from '../../../src/admission/write-gate.js';
import type { ReapCandidate } from '../../../src/anti-entropy/reaping.js';
import { EMPTY, utf8 } from '../../../src/base/bytes.js';
import { StorageFailedError } from '../../../src/base/errors.js';
import type { Random } from '../../../src/base/random.js';
import { attemptsOf, coversDot, withAttempts, withDot } from '../../../src/clocks/causal-context.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { decodeRecord, digestHigh, digestLow, encodeRecord } from '../../../src/codec/record.js';
import type { Lineage } from '../../../src/codec/system-entries.js';
import type { ObjectPut } from '../../../src/messages/object-request.js';
import type { VnodeAnswer, VnodeRequest } from '../../../src/messages/vnode-messages.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { SimulatedDisk } from '../../../src/runtime/simulator/simulated-disk.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import type { Storage } from '../../../src/storage/storage.js';
import { LoneContext } from '../../support/lone-actor.js';
import { assertReadable } from '../../support/own-records.js';
import { anObject } from '../../support/records.js';
import { test } from '../../support/test.js';

const KEY = encodeLocatedKey(0, { type: utf8('t'), bucket: utf8('b'), key: utf8('k') });
const RECORD = encodeRecord(anObject(0));
const CANDIDATES: readonly ReapCandidate[] = [
  { key: KEY, high: digestHigh(RECORD), low: digestLow(RECORD), verb: 'remove' },
];

/** A node that has partition 0, and starts. */
function identityOf(system: Storage, objects: Storage, random: Random): NodeIdentity {
  return NodeIdentity.open({ system, objects, random, losses: 0, partitions: [0], onUnreadable: assertReadable });
}

/** A vnode with one record, and what it is made of. */
class Replica {
  readonly objects = openMemoryStorage();
  readonly system = openMemoryStorage();
  readonly context = new LoneContext();
  readonly counters = newNodeCounters();
  readonly gate = new WriteGate();
  mayBeOld = false;
  fences: NodeFences;
  arrears: Arrears | undefined;
  vnode: Vnode;

  constructor(isNew = true) {
    this.fences = new NodeFences(this.system, isNew, assertReadable);
    this.vnode = this.start();
    if (!isNew) return;
    this.commit();
    assert.equal(this.ask({ type: 'write', key: KEY, record: RECORD, durable: false, tag: 0 }).type, 'wrote');
    this.commit();
  }

  /** Its thread was down: what is not on its disk is gone. */
  restart(): void {
    this.fences = new NodeFences(this.system, false, assertReadable);
    this.vnode = this.start();
  }

  ask(message: VnodeRequest): VnodeAnswer {
    this.vnode.receive(message, {}, this.context);
    return this.context.replies.at(-1) as VnodeAnswer;
  }

  reap(ask: (VnodeRequest & { type: 'reap' })['ask']): string {
    const answer = this.ask({ type: 'reap', ask });
    return answer.type === 'reap' ? answer.answer.type : answer.type;
  }

  /** The end of a turn. */
  commit(outcome: 'stored' | 'lost' = 'stored'): void {
    if (this.objects.pending) this.objects.commit();
    if (!this.system.pending) return;
    if (outcome === 'stored') this.system.commit();
    this.fences.commitEnded(outcome === 'stored' ? undefined : { cause: new Error('the disk fails') });
  }

  get tag(): number | undefined {
    const answer = this.ask({ type: 'read', key: KEY, digestOnly: false });
    return answer.type === 'object' ? answer.tag : undefined;
  }

  private start(): Vnode {
    const { objects, system, context, counters, fences } = this;
    const identity = identityOf(system, objects, context.random);
    const arrears = new Arrears({ hintsMayWait: false, refilling: identity.refilling, mayBeOld: this.mayBeOld });
    this.arrears = arrears;
    const limits = { maxSiblings: 100, maxObjectBytes: 2 ** 30, canBeDurable: true };
    const parts = { partition: 0, objects, fences, identity, counters, arrears, gate: this.gate };
    const warnings = new PutWarnings({ counters, report: () => {} });
    return new Vnode({ ...parts, trees: undefined, warnings, ...limits }, context);
  }
}

const vote = { type: 'vote', g: 0, floor: 0, candidates: CANDIDATES } as const;
const commit = { type: 'commit', g: 0, candidates: CANDIDATES } as const;

test('a vote is flushed, and what is read bears the new tag once that is durable', () => {
  const replica = new Replica();
  assert.equal(replica.reap(vote), 'voted');
  assert.equal(replica.context.releases.at(-1), 'durable');
  assert.equal(replica.tag, 0);
  replica.commit();
  assert.equal(replica.tag, 1);
  assert.equal(replica.reap(vote), 'late');
  replica.restart();
  assert.equal(replica.tag, 1, 'it is on the disk');
});

test('a vote whose commit failed raises no tag, and the next round goes above it', () => {
  const replica = new Replica();
  assert.equal(replica.reap(vote), 'voted');
  replica.commit('lost');
  assert.equal(replica.tag, 0);
  assert.equal(replica.reap(vote), 'late', 'it may be on the disk');
  assert.equal(replica.fences.of(0).raised, 1, 'what it answers to a new round');
  assert.equal(replica.reap({ ...vote, g: 1 }), 'voted');
  replica.commit();
  assert.equal(replica.tag, 2);
});

test('a tombstone goes in a later turn than its floor is written in, and stays if that failed', () => {
  for (const outcome of ['stored', 'lost'] as const) {
    const replica = new Replica();
    replica.reap(vote);
    replica.commit();
    const { length } = replica.context.replies;
    replica.reap(commit);
    replica.vnode.timer(GO_ON_REAPING, replica.context);
    assert(replica.objects.get(KEY) !== undefined, 'not before the commit');
    replica.commit(outcome);
    replica.vnode.timer(GO_ON_REAPING, replica.context);
    const count = outcome === 'stored' ? 1 : 0;
    assert.deepEqual(replica.context.replies.slice(length), [{ type: 'reap', answer: { type: 'reaped', count } }]);
    assert.equal(replica.objects.get(KEY) === undefined, outcome === 'stored');
    assert.equal(replica.counters.tombstonesReaped, count);
    const stale = { type: 'write', key: KEY, record: RECORD, durable: false, tag: 0 } as const;
    assert.equal(replica.ask(stale).type, 'stale-fence', 'to be refused more is no harm');
  }
});

test('the context of a record that lives is reduced, with its attempts or without, as the initiator says', () => {
  const object = anObject(0);
  const writers = [7, 8, 9].map((high) => ({ high, low: 1, counter: 3 }));
  for (const [verb, keepsAttempts] of [
    ['reduce', false],
    ['reduce-but-attempts', true],
  ] as const) {
    const replica = new Replica();
    const grown = encodeRecord({ ...object, context: withAttempts(writers.reduce(withDot, object.context), writers) });
    replica.ask({ type: 'write', key: KEY, record: grown, durable: false, tag: 0 });
    replica.commit();
    const stored = replica.objects.get(KEY)!;
    const candidates: readonly ReapCandidate[] = [{ key: KEY, high: digestHigh(stored), low: digestLow(stored), verb }];
    replica.reap({ ...vote, candidates });
    replica.commit();
    replica.reap({ ...commit, candidates });
    replica.commit();
    replica.vnode.timer(GO_ON_REAPING, replica.context);
    const left = decodeRecord(replica.objects.get(KEY)!);
    assert.deepEqual(left.siblings, decodeRecord(stored).siblings);
    assert.deepEqual(attemptsOf(left.context).length, keepsAttempts ? 3 : 0);
    assert(writers.every((dot) => !coversDot(left.context, dot)));
    assert.deepEqual([replica.counters.contextsReduced, replica.counters.tombstonesReaped], [1, 0]);
  }
});

test('what is not the record that was voted for stays', () => {
  const replica = new Replica();
  replica.reap(vote);
  replica.commit();
  replica.ask({ type: 'write', key: KEY, record: encodeRecord(anObject(1)), durable: false, tag: 1 });
  replica.reap(commit);
  replica.commit();
  replica.vnode.timer(GO_ON_REAPING, replica.context);
  assert(replica.objects.get(KEY) !== undefined);
});

test('a vnode that is below the floor is set aside, durably, until it was emptied and has adopted a fence', () => {
  const replica = new Replica();
  assert.equal(replica.reap({ ...vote, g: 7, floor: 5 }), 'behind');
  replica.commit();
  for (let start = 0; start < 2; start++) {
    assert.equal(replica.ask({ type: 'read', key: KEY, digestOnly: false }).type, 'corrupt');
    const write = { type: 'write', key: KEY, record: RECORD, durable: false, tag: 9 } as const;
    assert.equal(replica.ask(write).type, 'not-ready');
    assert.equal(replica.reap(vote), 'behind');
    replica.restart();
  }
  replica.ask({ type: 'discard' });
  replica.commit();
  replica.vnode.timer(GO_ON_REAPING, replica.context);
  assert.deepEqual(replica.context.replies.at(-1), { type: 'discarded' });
  assert.equal(replica.ask({ type: 'adopt', tag: 7, floor: 5 }).type, 'adopted');
  replica.commit();
  assert.deepEqual(replica.ask({ type: 'read', key: KEY, digestOnly: false }), { type: 'nothing', behind: true });
  const { tag, floor } = replica.fences.of(0);
  assert.deepEqual([tag, floor], [7, 5]);
});

test('a replica that is emptied hears that its disk fails, rests, and goes on when it is well again', () => {
  const replica = new Replica();
  const { context, gate, objects, counters, vnode } = replica;
  replica.reap({ ...vote, g: 7, floor: 5 });
  replica.commit();
  const answers = context.replies.length;
  vnode.receive({ type: 'discard' }, {}, context);
  assert.equal(objects.get(KEY), undefined);
  // The commit fails: what it was to remove is there.
  objects.put(KEY, RECORD);
  replica.commit();
  gate.commitEnded('full');
  for (let i = 0; i < 3; i++) {
    vnode.timer(GO_ON_REAPING, context);
    assert.deepEqual([objects.get(KEY), counters.failedCommits], [RECORD, 1], 'nothing is tried meanwhile but a probe');
  }
  assert(objects.pending, 'the probe');
  replica.commit();
  gate.commitEnded(undefined);
  vnode.timer(GO_ON_REAPING, context);
  assert.equal(objects.get(KEY), undefined);
  assert.equal(context.replies.length, answers);
  replica.commit();
  gate.commitEnded(undefined);
  vnode.timer(GO_ON_REAPING, context);
  assert.deepEqual(context.replies.slice(answers), [{ type: 'discarded' }]);
});

test('a vnode whose fence was lost lets its mail wait until others have told theirs, and not for ever', () => {
  const replica = new Replica(false);
  const { context } = replica;
  const read = { type: 'read', key: KEY, digestOnly: false } as const;
  replica.vnode.receive(read, {}, context);
  assert.equal(context.replies.length, 0);
  assert.equal(replica.ask({ type: 'adopt', tag: 0, floor: 0 }).type, 'nothing');
  assert.deepEqual(
    context.replies.map((answer) => (answer as VnodeAnswer).type),
    ['adopted', 'nothing'],
  );
  const forgotten = new Replica(false);
  forgotten.vnode.receive(read, {}, forgotten.context);
  forgotten.vnode.timer('go on', forgotten.context);
  assert.deepEqual(forgotten.context.replies, [], 'it may yet be told');
  forgotten.context.nowMs += 500;
  forgotten.vnode.timer('go on', forgotten.context);
  assert.deepEqual(forgotten.context.replies, [{ type: 'corrupt' }], 'it is no source');
});

test('a vnode that may be an older copy lets its mail wait for the first word, and serves if nobody can be reached', () => {
  const read = { type: 'read', key: KEY, digestOnly: true } as const;
  for (const isHeard of [true, false]) {
    const replica = new Replica();
    replica.mayBeOld = true;
    replica.restart();
    const { context, vnode } = replica;
    const { length } = context.replies;
    vnode.receive(read, {}, context);
    vnode.timer('go on', context);
    assert.equal(context.replies.length, length);
    if (isHeard) replica.arrears!.heardWord();
    else replica.arrears!.heardNobody();
    vnode.timer('go on', context);
    assert.equal(context.replies.length, length + 1);
    assert.equal((context.replies.at(-1) as { behind: boolean }).behind, true, 'a single word is no certainty');
    replica.arrears!.heardMost();
    assert.equal((replica.ask(read) as { behind: boolean }).behind, false);
  }
});

test('a writer keeps its name from an earlier life once most others know of no later one, and else mints under another', () => {
  for (const isCertain of [true, false]) {
    const replica = new Replica();
    const { context } = replica;
    const mint = (counter: number) => {
      const put: ObjectPut = {
        key: KEY,
        causalContext: EMPTY,
        attempt: { high: 1, low: 2, counter },
        earlier: [],
        expiresAtMs: context.wallClock() + 60_000,
        minting: 'siblings',
        tombstone: false,
        ttlMs: 0,
        body: utf8('v'),
        condition: 'none',
        ifMatch: EMPTY,
        maxSiblings: 0,
      };
      replica.vnode.receive({ type: 'mint', put, durable: false }, {}, context);
    };
    const writers = () => context.notices.map((one) => (one as VnodeAnswer & { type: 'minted' }).dot.low);
    mint(1);
    replica.vnode.stop(context);
    replica.commit();
    replica.mayBeOld = true;
    replica.restart();
    replica.arrears!.heardWord();
    mint(2);
    assert.equal(writers().length, 1, 'it waits');
    if (isCertain) replica.arrears!.heardMost();
    else context.nowMs += 500;
    replica.vnode.timer('go on', context);
    const [before, now] = writers();
    assert.equal(before === now, isCertain);
    mint(3);
    assert.equal(writers()[2], now);
  }
});

/** The inquiry of node 0, whose peers are 1 and 2, in one partition, or in those of these primaries. */
function inquiryOf(
  isNew: boolean,
  primaries: readonly (readonly number[])[] = [[0, 1, 2]],
  storage: Storage = openMemoryStorage(),
) {
  const system = openMemoryStorage();
  const fences = new NodeFences(system, isNew, assertReadable);
  const context = new LoneContext();
  const parts = { storage, maxBytes: 1e6, random: context.random, counters: newNodeCounters() };
  const hints = new HintStore({ ...parts, isNew, onUnreadable: assertReadable });
  /** The end of a turn. */
  const commit = () => {
    let failure: { readonly cause: unknown } | undefined;
    try {
      hints.commit();
    } catch (cause) {
      failure = { cause };
    }
    hints.commitEnded(failure);
    return failure === undefined;
  };
  const said: string[] = [];
  const objects = openMemoryStorage();
  const identity = identityOf(system, objects, context.random);
  const arrears = new Arrears({ hintsMayWait: false, refilling: identity.refilling, mayBeOld: true });
  const inquiry = new FenceInquiry({
    node: 0,
    preferenceLists: primaries.map((nodes) => ({ primaries: nodes, fallbacks: [3] })),
    fences,
    hints,
    identity,
    arrears,
    report: () => said.push('warned'),
  });
  const speaker = {
    askFences: (node: number) => said.push(`fences of ${node}`),
    askVnode: (_partition: number, message: VnodeRequest) =>
      said.push(message.type === 'adopt' ? `adopt ${message.tag} ${message.floor}` : message.type),
  };
  const heard = (node: number, tag: number, floor: number, more: { isKnown?: boolean } & Partial<ToldFences> = {}) => {
    const { isKnown = true, refuseBelow = [], laterLife = 0 } = more;
    const told = [{ partition: 0, tag, floor, isKnown }];
    inquiry.heard(node, { type: 'fences', fences: told, refuseBelow, laterLife }, speaker);
  };
  const taken = () => said.splice(0);
  return { inquiry, speaker, heard, taken, hints, commit, identity, arrears, fences };
}

test('a fence that was lost is adopted from one peer if nothing was reaped, and else once all have told', () => {
  const { inquiry, speaker, heard, taken, hints } = inquiryOf(false);
  inquiry.tick(speaker);
  assert.deepEqual(taken(), ['fences of 1', 'fences of 2']);
  heard(1, 0, 0, { isKnown: false });
  assert.deepEqual(taken(), [], 'who knows nothing himself says nothing');
  heard(2, 0, 0);
  assert.deepEqual(taken(), ['adopt 0 0']);
  assert(hints.fences.isKnown(0));

  const reaped = inquiryOf(false);
  reaped.inquiry.tick(reaped.speaker);
  reaped.taken();
  reaped.heard(1, 5, 4, { refuseBelow: [0] });
  assert.deepEqual(reaped.taken(), []);
  assert.equal(reaped.hints.fences.refuseBelow(0), 5, 'a hint store begins anew above all that may have been reaped');
  reaped.inquiry.tick(reaped.speaker);
  assert.deepEqual(reaped.taken(), ['fences of 2']);
  reaped.heard(2, 4, 4);
  assert.deepEqual(reaped.taken(), ['discard']);
  reaped.inquiry.vnodeAnswered(0, undefined, reaped.speaker);
  reaped.inquiry.tick(reaped.speaker);
  assert.deepEqual(reaped.taken(), ['discard'], 'what failed is asked again');
  reaped.inquiry.vnodeAnswered(0, { type: 'discarded' }, reaped.speaker);
  assert.deepEqual(reaped.taken(), ['adopt 5 4']);
});

test('a hint store that was lost has learnt all once it knows of each partition that others have replicas of', () => {
  const { inquiry, hints } = inquiryOf(false, [[0], [1], [2]]);
  const silent = { askFences: () => undefined, askVnode: () => undefined };
  const answer = { type: 'fences', refuseBelow: [0, 0, 0], laterLife: 0 } as const;
  for (const node of [1, 2]) {
    assert.deepEqual(hints.fences.refusedBelow(3), [], 'it is no help to others yet');
    inquiry.heard(node, { ...answer, fences: [{ partition: node, tag: node, floor: 0, isKnown: true }] }, silent);
  }
  assert.deepEqual(hints.fences.refusedBelow(3), [0, 0, 0]);
  assert.deepEqual(
    [0, 1, 2].map((partition) => hints.fences.refuseBelow(partition)),
    [0, 1, 2],
  );
});

test('what a hint store has learnt counts once it is stored: if that fails it takes no hints, and asks anew', () => {
  const { inquiry, speaker, heard, taken, hints } = inquiryOf(false);
  heard(1, 5, 4);
  heard(2, 5, 4);
  assert(hints.fences.isKnown(0));
  hints.commitEnded({ cause: new StorageFailedError('a test') });
  assert(!hints.fences.isKnown(0), 'below which tag it refuses hints may not be stored');
  taken();
  inquiry.tick(speaker);
  assert.deepEqual(taken().slice(-2), ['fences of 1', 'fences of 2']);
  heard(1, 5, 4);
  hints.commitEnded(undefined);
  hints.commitEnded({ cause: new StorageFailedError('of what came later') });
  assert(hints.fences.isKnown(0));
});

test('a replica below the floor of a peer is set aside, with a warning, and begins anew once all have told', () => {
  const { inquiry, speaker, heard, taken } = inquiryOf(true);
  heard(1, 0, 0);
  inquiry.tick(speaker);
  assert.deepEqual(taken(), ['fences of 1', 'fences of 2'], 'who does not know what he refuses has given no word');
  heard(1, 0, 0, { refuseBelow: [0] });
  inquiry.tick(speaker);
  assert.deepEqual(taken(), ['fences of 2']);
  heard(2, 3, 2);
  assert.deepEqual(taken(), ['warned']);
  inquiry.tick(speaker);
  assert.deepEqual(taken(), ['fences of 1', 'fences of 2']);
  heard(1, 3, 2);
  heard(2, 3, 2);
  assert.deepEqual(taken(), ['discard']);
});

test('one word of any member tells whether a replica is old: none has come to a census without its vote', () => {
  const current = inquiryOf(true);
  current.heard(3, 0, 0);
  assert(current.arrears.awaitsWord, 'who has lost his hints does not know');
  current.heard(3, 0, 0, { refuseBelow: [0] });
  assert(!current.arrears.awaitsWord && current.arrears.isUnheard);
  current.heard(1, 0, 0);
  assert(current.arrears.isUnheard, 'one of two is not most of them');
  current.heard(2, 0, 0);
  assert(!current.arrears.isUnheard && !current.arrears.behind(0));
  assert.deepEqual(current.taken(), []);

  const old = inquiryOf(true);
  old.heard(3, 0, 0, { refuseBelow: [4] });
  assert(!old.arrears.awaitsWord && old.fences.of(0).isSetAside);
  assert.deepEqual(old.taken(), ['warned']);
});

test('a node of which somebody knows a later life takes other names, learns its fences, and is refilled', () => {
  const { inquiry, speaker, heard, taken, hints, commit, identity, arrears } = inquiryOf(true);
  const { disowned } = identity;
  heard(1, 5, 0, { refuseBelow: [0] });
  assert.equal(hints.fences.refuseBelow(0), 0);
  for (const later of [7, 7, 8]) {
    heard(2, 5, 0, { refuseBelow: [0], laterLife: later });
    commit();
  }
  assert.deepEqual([identity.lineage.number, identity.lineage.names.length], [9, 1], 'it is told of as a later one');
  assert.deepEqual(taken(), ['warned']);
  assert.equal(identity.disowned, disowned + 1);
  assert(arrears.behind(0) && !arrears.awaitsWord);
  assert.equal(hints.fences.refuseBelow(0), 5, 'as if it had lost its hints');
  inquiry.tick(speaker);
  assert.deepEqual(taken().sort(), ['fences of 1', 'fences of 2'], 'what was heard before is asked for again');
});

// Goal: however its disk fails, and whenever it ends: what may be old is either told to it again, or stands in the file.
test('a node that is told of a later life owns up to it once its hints, after another start, are not trusted either', () => {
  const disk = new SimulatedDisk(new LoneContext().random);
  const storage = disk.open();
  const { heard, hints, commit, identity } = inquiryOf(true, undefined, storage);
  commit();
  const { number } = identity.lineage;
  const parts = { storage, maxBytes: 1e6, random: new LoneContext().random, counters: newNodeCounters() };
  const isTrusted = () => {
    const next = new HintStore({ ...parts, isNew: false, onUnreadable: assertReadable });
    return !next.fences.isLearning;
  };
  assert(isTrusted());
  for (const isKnown of [false, true, false]) {
    disk.failNextCommit('lost');
    heard(2, 5, 0, { isKnown, refuseBelow: [0], laterLife: number + 6 });
    hints.writeProbe();
    assert.equal(commit(), false);
    assert.deepEqual([identity.lineage.number, isTrusted()], [number, true], 'it is told again');
  }
  hints.writeProbe();
  assert(commit());
  assert(!isTrusted());
  heard(2, 5, 0, { isKnown: false, refuseBelow: [0], laterLife: number + 6 });
  assert.equal(identity.lineage.number, number + 7);
  disk.failNextCommit('lost');
  heard(1, 5, 0);
  commit();
  assert(hints.fences.isLearning && !isTrusted());
});

test('a life that is told again is the same, one with a lower number or another name is an older copy', () => {
  const system = openMemoryStorage();
  const { random } = new LoneContext();
  const lives = [1, 2, 3].map(() => settleLineage(system, beginLife(system, random, assertReadable)!));
  assert.deepEqual(
    lives.map(({ number, names }) => [number, names.length]),
    [1, 2, 3].map((number) => [number, 1]),
  );
  const [first, second, third] = lives;
  const other = openMemoryStorage();
  const later = (life: Lineage, node = 4) => laterLife(other, node, life, assertReadable);
  const renamed = { ...second!, names: first!.names };
  assert.deepEqual([later(first!), later(second!), later(second!)], [0, 0, 0]);
  assert.deepEqual([later(renamed), later(third!), later(second!)], [2, 0, 3]);
  assert.equal(later(second!, 5), 0);
  const reborn = beginLife(openMemoryStorage(), random, assertReadable)!;
  assert.deepEqual([later(reborn), later(second!)], [0, 0], 'who has lost his memory begins anew');
});

test('a copy is told by any of its lives, however many it has had before somebody heard of one', () => {
  const { random } = new LoneContext();
  const copyOf = (system: Storage): Storage => {
    const copy = openMemoryStorage();
    for (const { key, value } of system.range({ limit: 9 })) copy.put(key, value);
    return copy;
  };
  const system = openMemoryStorage();
  settleLineage(system, beginLife(system, random, assertReadable)!);
  const copy = copyOf(system);
  const other = openMemoryStorage();
  assert.equal(laterLife(other, 0, beginLife(system, random, assertReadable)!, assertReadable), 0);
  let last: Lineage | undefined;
  for (let life = 2; life < 6; life++) last = beginLife(copy, random, assertReadable);
  assert.equal(laterLife(other, 0, last!, assertReadable), 2);
  // Of the node itself the other may have missed as many; a copy of one of them is told, too.
  const unheard = copyOf(system);
  for (let life = 3; life < 6; life++) last = beginLife(system, random, assertReadable);
  assert.equal(laterLife(other, 0, last!, assertReadable), 0);
  assert.equal(laterLife(other, 0, beginLife(unheard, random, assertReadable)!, assertReadable), 5);
  // Once it has owned up to it, it goes on after that one.
  assert.equal(laterLife(other, 0, beginLineage(unheard, random, 5, assertReadable), assertReadable), 0);
  assert.equal(laterLife(other, 0, beginLife(unheard, random, assertReadable)!, assertReadable), 0);
});

test('a node that has had too many lives of which somebody was not told takes other names by itself', () => {
  const { random } = new LoneContext();
  const system = openMemoryStorage();
  const objects = openMemoryStorage();
  for (let life = 1; life <= MAX_LIVES; life++) {
    const identity = identityOf(system, objects, random);
    assert.deepEqual([identity.lineage.number, identity.disowned], [life, 0]);
    assert.equal(identity.take(0) === undefined, life === 1);
    identity.leave(0, { writer: { high: 1, low: 2 }, counter: 3 });
  }
  const identity = identityOf(system, objects, random);
  assert.equal(identity.take(0), undefined);
  assert.deepEqual([identity.lineage.number, identity.lineage.names.length], [MAX_LIVES + 1, 1]);
  assert(identity.refilling.has(0));
});
