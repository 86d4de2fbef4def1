/** The vnode alone: what it does when the clock jumps, and what a listing takes from its storage. */
import assert from 'node:assert/strict';
import { Arrears } from '../../../actors/arrears.js';
import { NodeFences } from '../../../actors/fence.js';
import { NodeIdentity } from '../../../actors/node-identity.js';
import { PutWarnings } from '../../../actors/put-warnings.js';
import { Vnode } from '../../../actors/vnode.js';
import { WriteGate } from '../../../src/admission/write-gate.js';
import { utf8 } from '../../../src/base/bytes.js';
import { encodeLocatedKey } from '../../../src/codec/key.js';
import { decodeRecord } from '../../../src/codec/record.js';
import type { ObjectPut } from '../../../src/messages/object-request.js';
import type { VnodeAnswer } from '../../../src/messages/vnode-messages.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import type { Incoming, Release } from '../../../src/runtime/actor.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';
import type { RangeOptions, Storage } from '../../../src/storage/storage.js';
import { LoneContext } from '../../support/lone-actor.js';
import { assertReadable } from '../../support/own-records.js';
import { test } from '../../support/test.js';

const INCOMING: Incoming<VnodeAnswer> = {};
const HOUR_MS = 3_600_000;

function vnodeOn(objects: Storage, context: LoneContext, identity = identityOn(objects, context)): Vnode {
  const system = openMemoryStorage();
  const limits = { maxSiblings: 100, maxObjectBytes: 2 ** 30, canBeDurable: false };
  const arrears = new Arrears({ hintsMayWait: false, refilling: identity.refilling, mayBeOld: false });
  const gate = new WriteGate();
  const counters = newNodeCounters();
  const warnings = new PutWarnings({ counters, report: () => {} });
  return new Vnode(
    {
      partition: 0,
      objects,
      fences: new NodeFences(system, true, assertReadable),
      identity,
      counters,
      warnings,
      gate,
      arrears,
      trees: undefined,
      ...limits,
    },
    context,
  );
}

function identityOn(objects: Storage, { random }: LoneContext, losses = 0, system = openMemoryStorage()): NodeIdentity {
  return NodeIdentity.open({ system, objects, random, losses, partitions: [0, 3], onUnreadable: assertReadable });
}

const located = (key: string) => encodeLocatedKey(0, { type: utf8('t'), bucket: utf8('b'), key: utf8(key) });
let attempts = 0;

function put(fields: {
  readonly key?: string;
  readonly expiresAtMs: number;
  readonly ttlMs?: number;
  body?: Uint8Array;
}) {
  const request: ObjectPut = {
    key: located(fields.key ?? 'k'),
    causalContext: new Uint8Array(0),
    attempt: { high: 1, low: 2, counter: ++attempts },
    earlier: [],
    expiresAtMs: fields.expiresAtMs,
    minting: 'siblings',
    tombstone: false,
    ttlMs: fields.ttlMs ?? 0,
    body: fields.body ?? utf8('v'),
    condition: 'none',
    ifMatch: new Uint8Array(0),
    maxSiblings: 0,
  };
  return { type: 'mint', put: request, durable: false } as const;
}

test('a wall clock that is set right does not make every put too late, and lets no value expire early', () => {
  for (const jumpMs of [-HOUR_MS, HOUR_MS]) {
    const context = new LoneContext();
    const vnode = vnodeOn(openMemoryStorage(), context);
    context.wallMs += jumpMs;
    // The client's clock is the same one: it allows 15 s from now.
    vnode.receive(put({ expiresAtMs: context.wallMs + 15_000, ttlMs: 60_000 }), INCOMING, context);
    assert.deepEqual(context.replies, [{ type: 'wrote', durable: false }], `after a jump of ${jumpMs} ms`);
    const { record } = context.notices[0] as { record: Uint8Array };
    const { expiresAtMs } = decodeRecord(record).siblings[0]!;
    assert(expiresAtMs >= context.wallMs + 60_000, 'readers go by the wall clock');
  }
});

test('an attempt is late once its time is over by the clock it was measured with', () => {
  const context = new LoneContext();
  const vnode = vnodeOn(openMemoryStorage(), context);
  vnode.receive(put({ expiresAtMs: context.wallMs - 1 }), INCOMING, context);
  assert.deepEqual(context.replies, [{ type: 'not-minted', why: 'late' }]);
});

// Goal: a page of large values does not read many pages' worth of them into memory.
test('a listing takes little more from the storage than it gives', () => {
  const context = new LoneContext();
  const objects = openMemoryStorage();
  const vnode = vnodeOn(objects, context);
  const small = new Uint8Array(100);
  const large = new Uint8Array(64 * 1_024);
  for (let i = 0; i < 300; i++) {
    const key = String(i).padStart(4, '0');
    vnode.receive(put({ key, expiresAtMs: context.wallMs + 1_000, body: i < 20 ? small : large }), INCOMING, context);
  }
  let taken = 0;
  const range = objects.range.bind(objects);
  objects.range = (options: RangeOptions) => {
    const found = range(options);
    for (const { value } of found) taken += value.length;
    return found;
  };
  const keys: string[] = [];
  const lt = located('9999');
  for (let gte = located('0000'), more = true; more; ) {
    taken = 0;
    vnode.receive({ type: 'list', gte, lt, limit: 256, limitBytes: 256 * 1_024, values: true }, INCOMING, context);
    const page = context.replies.at(-1) as VnodeAnswer & { type: 'listed' };
    let given = 0;
    for (const { key, record } of page.entries) {
      keys.push(Buffer.from(key).subarray(-4).toString());
      given += record.length;
    }
    assert(taken <= given + 40 * large.length, `took ${taken} bytes to give ${given}`);
    more = page.more;
    gte = Buffer.concat([page.entries.at(-1)!.key, Uint8Array.of(0)]);
  }
  assert.deepEqual(
    keys,
    Array.from({ length: 300 }, (_, i) => String(i).padStart(4, '0')),
  );
});

test('a listing of keys alone carries no values, and reads no more than it may', () => {
  const context = new LoneContext();
  const vnode = vnodeOn(openMemoryStorage(), context);
  for (let i = 0; i < 20; i++) {
    vnode.receive(
      put({ key: `k${i}`, expiresAtMs: context.wallMs + 1_000, body: new Uint8Array(65_536) }),
      INCOMING,
      context,
    );
  }
  const [gte, lt] = [located('k'), located('l')];
  const list = (values: boolean, limitBytes: number) => {
    vnode.receive({ type: 'list', gte, lt, limit: 256, limitBytes, values }, INCOMING, context);
    const { entries, more } = context.replies.at(-1) as VnodeAnswer & { type: 'listed' };
    return { count: entries.length, more, bytes: entries.reduce((sum, { record }) => sum + record.length, 0) };
  };
  const keys = list(false, 4 * 2 ** 20);
  assert.deepEqual([keys.count, keys.more], [20, false]);
  assert(keys.bytes < 20 * 100, `${keys.bytes} bytes for 20 keys`);
  const some = list(false, 256 * 1_024);
  assert.deepEqual([some.count, some.more], [3, true]);
  assert(list(true, 4 * 2 ** 20).bytes > 20 * 64 * 1_024);
});

test('what a turn has written is shown to others only once it is stored', () => {
  const context = new LoneContext();
  const storage = openMemoryStorage();
  const vnode = vnodeOn(storage, context);
  const [written, other] = [located('k'), located('other')];
  const lt = Uint8Array.of(0xff);
  const ask = (): Release[] => {
    const before = context.releases.length;
    vnode.receive({ type: 'read', key: written, digestOnly: false }, INCOMING, context);
    vnode.receive({ type: 'read', key: written, digestOnly: true }, INCOMING, context);
    vnode.receive({ type: 'read', key: other, digestOnly: false }, INCOMING, context);
    vnode.receive(
      { type: 'list', gte: new Uint8Array(0), lt, limit: 9, limitBytes: 999, values: true },
      INCOMING,
      context,
    );
    return context.releases.slice(before);
  };
  vnode.receive(put({ expiresAtMs: context.wallMs + HOUR_MS }), INCOMING, context);
  assert.deepEqual(ask(), ['stored', 'stored', 'now', 'stored']);
  storage.commit();
  assert.deepEqual(ask(), ['now', 'now', 'now', 'now']);
});

test('a replica that was lost says so until it is refilled, over restarts, and once for each loss', () => {
  const context = new LoneContext();
  const objects = openMemoryStorage();
  const system = openMemoryStorage();
  const isBehind = (identity: NodeIdentity): boolean => {
    vnodeOn(objects, context, identity).receive(
      { type: 'read', key: located('k'), digestOnly: false },
      INCOMING,
      context,
    );
    return (context.replies.at(-1) as VnodeAnswer & { type: 'nothing' }).behind;
  };
  const whole = identityOn(objects, context, 0, system);
  assert.deepEqual([[...whole.refilling], isBehind(whole)], [[], false]);
  const lost = identityOn(objects, context, 1, system);
  assert.deepEqual([[...lost.refilling], isBehind(lost)], [[0, 3], true]);
  lost.refilled(0);
  assert.equal(isBehind(lost), false);
  system.commit();
  assert.deepEqual([...identityOn(objects, context, 1, system).refilling], [3], 'the loss is not counted twice');
  const again = identityOn(objects, context, 2, system);
  assert.deepEqual([...again.refilling].sort(), [0, 3]);
});
