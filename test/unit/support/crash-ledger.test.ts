/** The books of the crash tests find what they are there to find: each story here breaks one promise. */
import assert from 'node:assert/strict';
import { utf8 } from '../../../src/base/bytes.js';
import { type CausalContext, EMPTY_CONTEXT, withDot } from '../../../src/clocks/causal-context.js';
import type { EventId } from '../../../src/clocks/event-id.js';
import { ZERO_TIMESTAMP } from '../../../src/clocks/timestamp.js';
import { encodeBody } from '../../../src/codec/body.js';
import { encodeLocatedKey, keyHash } from '../../../src/codec/key.js';
import { encodeRecord } from '../../../src/codec/record.js';
import { encodeToken } from '../../../src/codec/token.js';
import type { Sibling, StoredObject } from '../../../src/objects/stored-object.js';
import { CrashLedger } from '../../support/crash-ledger.js';
import { CRASH_BUCKET, valueFor } from '../../support/crash-load.js';
import type { Replica } from '../../support/replica-files.js';
import { test } from '../../support/test.js';

const HASH = keyHash(encodeLocatedKey(0, { type: utf8('default'), bucket: utf8(CRASH_BUCKET), key: utf8('k') }));

const dot = (counter: number, writer = 1): EventId => ({ high: writer, low: writer, counter });
const seen = (...dots: EventId[]): CausalContext => dots.reduce(withDot, EMPTY_CONTEXT);
const token = (context: CausalContext) => encodeToken(HASH, context, ZERO_TIMESTAMP);

/** A ledger, and what a writer of the key 'k' tells it. */
class Story {
  readonly ledger = new CrashLedger();

  begun(id: string, given: EventId[] = [], kind: 'put' | 'delete' = 'put'): this {
    const context = given.length === 0 ? {} : { token: token(seen(...given)) };
    this.ledger.apply({ type: 'begun', id, key: 'k', kind, ...context });
    return this;
  }

  acked(id: string, own: EventId, given: EventId[] = [], kind: 'put' | 'delete' = 'put'): this {
    this.begun(id, given, kind).ledger.apply({
      type: 'acked',
      id,
      token: token(seen(...given, own)),
      nodes: ['a'],
      hints: [],
    });
    return this;
  }

  /** Checks what a store holds now: an id, or null for a tombstone, by dot. */
  holds(...siblings: [string | null, EventId][]): void {
    const object = objectOf(siblings);
    this.ledger.checkDots(new Map([['k', [replicaOf('a', object)]]]));
    this.ledger.check(new Map([['k', object]]));
  }
}

function objectOf(siblings: readonly [string | null, EventId][]): StoredObject {
  const made = siblings.map(([id, of], i): Sibling => {
    const tombstone = id === null;
    const value = utf8(valueFor(id ?? ''));
    return {
      dot: of,
      attempt: { high: 9, low: 9, counter: i + 1 },
      timestamp: ZERO_TIMESTAMP,
      tombstone,
      expiresAtMs: 0,
      body: tombstone ? new Uint8Array(0) : encodeBody({ contentType: 'text/plain', metadata: {}, value }),
    };
  });
  return { context: seen(...siblings.map(([, of]) => of)), siblings: made };
}

function replicaOf(node: string, object: StoredObject): Replica {
  return { node, partition: 0, object, record: encodeRecord(object) };
}

test('what can be explained is accepted', () => {
  new Story().acked('a', dot(1)).holds(['a', dot(1)]);
  new Story()
    .acked('a', dot(1))
    .acked('b', dot(2))
    .holds(['a', dot(1)], ['b', dot(2)]);
  new Story()
    .acked('a', dot(1))
    .acked('b', dot(2), [dot(1)])
    .holds(['b', dot(2)]);
  new Story()
    .acked('a', dot(1))
    .acked('gone', dot(2), [dot(1)], 'delete')
    .holds([null, dot(2)]);
  // A write whose outcome is open may be there or not; if it is, it replaces what it was given.
  new Story()
    .acked('a', dot(1))
    .begun('b', [dot(1)])
    .holds(['a', dot(1)]);
  new Story()
    .acked('a', dot(1))
    .begun('b', [dot(1)])
    .holds(['b', dot(2)]);
  new Story()
    .acked('a', dot(1))
    .begun('gone', [dot(1)], 'delete')
    .holds([null, dot(2)]);
  // Also if it was seen before, and then replaced by another.
  const story = new Story().acked('a', dot(1)).begun('b', [dot(1)]);
  story.holds(['b', dot(2)]);
  story.acked('c', dot(3), [dot(2)]).holds(['c', dot(3)]);
});

test('what cannot be explained is found', () => {
  const found = (story: () => void, message: RegExp) => assert.throws(story, message);
  found(() => new Story().acked('a', dot(1)).holds(), /a was acknowledged, and k has lost it/);
  found(
    () =>
      new Story()
        .acked('a', dot(1))
        .acked('b', dot(2))
        .holds(['b', dot(2)]),
    /a was acknowledged.*lost/,
  );
  found(
    () =>
      new Story()
        .acked('a', dot(1))
        .begun('b', [dot(1)])
        .holds(),
    /a was acknowledged.*lost/,
  );
  found(
    () =>
      new Story()
        .acked('a', dot(1))
        .acked('b', dot(2), [dot(1)])
        .holds(['a', dot(1)], ['b', dot(2)]),
    /k shows a, which b \(acked\) has replaced/,
  );
  found(
    () =>
      new Story()
        .acked('a', dot(1))
        .acked('d', dot(2), [dot(1)], 'delete')
        .holds(['a', dot(1)]),
    /d was acknowledged.*lost/,
  );
  found(() => new Story().begun('a').holds(['a', dot(1)], ['a', dot(2)]), /k shows a twice/);
  found(() => new Story().begun('a').holds(['b', dot(1)]), /nobody wrote b/);
  found(
    () =>
      new Story()
        .acked('a', dot(1))
        .begun('b')
        .holds(['b', dot(1)]),
    /names k a, and now k b/,
  );
  found(() => new Story().acked('a', dot(1)).acked('b', dot(1)), /names k a, and now k b/);
  found(() => {
    const { ledger } = new Story().begun('a');
    ledger.apply({ type: 'failed', id: 'a', code: 'OVERLOADED', definite: true });
    ledger.apply({ type: 'saw', key: 'k', ids: ['a'] });
  }, /a failed for certain, and is there all the same/);
  found(() => {
    const { ledger } = new Story().acked('a', dot(1));
    ledger.apply({ type: 'failed', id: 'a', code: 'TIMEOUT', definite: false });
  }, /a has two outcomes/);
});

test('a node that has lost what it acknowledged is found', () => {
  const left = (node: string, ...siblings: [string | null, EventId][]) =>
    new Map([['k', [replicaOf(node, objectOf(siblings))]]]);
  const checked = (replicas: Map<string, Replica[]>) => new Story().acked('a', dot(1)).ledger.checkStored(replicas);
  checked(left('a', ['a', dot(1)]));
  checked(left('a', ['b', dot(2)], ['a', dot(1)]));
  assert.throws(() => checked(new Map()), /node a acknowledged a, and has lost it/);
  assert.throws(() => checked(left('b', ['a', dot(1)])), /node a acknowledged a, and has lost it/);
  assert.throws(() => checked(left('a', ['b', dot(2)])), /node a acknowledged a, and has lost it/);
});

test('replicas that are missing, too many or different are found', () => {
  const { ledger } = new Story().acked('a', dot(1));
  const object = objectOf([['a', dot(1)]]);
  const other = objectOf([
    ['a', dot(1)],
    ['a', dot(2)],
  ]);
  const check = (...replicas: Replica[]) => ledger.checkReplicas(new Map([['k', replicas]]), [['b', 'a']]);
  assert.deepEqual(check(replicaOf('a', object), replicaOf('b', object)), new Map([['k', object]]));
  assert.throws(() => check(replicaOf('a', object)), /not on exactly its primaries/);
  assert.throws(() => check(replicaOf('a', object), replicaOf('c', object)), /not on exactly its primaries/);
  assert.throws(() => check(replicaOf('a', object), replicaOf('b', other)), /differs between a and b/);
});

test('a delete that reads by itself leaves a tombstone of its own, whichever of its dots that is', () => {
  const story = new Story().acked('a', dot(1));
  story.ledger.apply({ type: 'begun', id: 'd', key: 'k', kind: 'delete', unread: true });
  story.ledger.apply({ type: 'acked', id: 'd', token: token(seen(dot(1), dot(1, 2))), nodes: ['a'], hints: [] });
  story.holds([null, dot(1, 2)]);
  assert.throws(() => story.holds(['a', dot(1)], [null, dot(1, 2)]), /shows a, which d \(acked\) has replaced/);
});
