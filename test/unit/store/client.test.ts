/** The client alone: when it gives a request up. */
import assert from 'node:assert/strict';
import type { CoordinatorAnswer } from '../../../src/messages/coordinator-messages.js';
import { Client } from '../../../src/store/client.js';
import type { ClientPut, GetOutcome, PutOutcome } from '../../../src/store/client-outcomes.js';
import { LoneContext } from '../../support/lone-actor.js';
import { test } from '../../support/test.js';

const get = {
  type: 'get',
  key: Uint8Array.of(0, 0, 1),
  r: 1,
  pr: 0,
  notfoundOk: true,
  basicQuorum: false,
  session: new Uint8Array(0),
  timeoutMs: 1_000,
} as const;

function asked(context: LoneContext): { client: Client; outcomes: GetOutcome[] } {
  const client = new Client(
    { preferenceLists: [{ primaries: [0], fallbacks: [] }], nodes: 1, maxInFlight: 10 },
    context,
  );
  const outcomes: GetOutcome[] = [];
  assert.equal(client.get(get, { settle: (outcome) => void outcomes.push(outcome) }), context.requests[0]);
  return { client, outcomes };
}

test('an application that held its thread beyond the timeout gets the answer that came meanwhile', () => {
  const context = new LoneContext();
  const { client, outcomes } = asked(context);
  context.nowMs += 60_000;
  // The host wakes actors before it gives them their mail.
  client.timer();
  client.answered(context.requests[0]!, { type: 'got', record: new Uint8Array(0), mayMissHints: false });
  assert.deepEqual(outcomes, [{ ok: true, record: new Uint8Array(0), mayMissHints: false }]);
});

test('without an answer the request ends by its timeout and some slack, also after a pause', () => {
  for (const pauseMs of [0, 60_000]) {
    const context = new LoneContext();
    const { client, outcomes } = asked(context);
    context.nowMs += pauseMs;
    const resumed = context.nowMs;
    while (outcomes.length === 0) {
      client.timer();
      assert(context.nowMs <= resumed + 2_000, 'given up');
      context.nowMs += context.delays.at(-1)!;
    }
    const [outcome] = outcomes;
    assert(outcome !== undefined && !outcome.ok && outcome.failure.why === 'timeout');
  }
});

test('a conditional put whose outcome is not known is not tried again; another one is', () => {
  for (const condition of ['none', 'if-none-match', 'if-match'] as const) {
    const context = new LoneContext();
    const client = new Client(
      { preferenceLists: [{ primaries: [0, 1], fallbacks: [] }], nodes: 2, maxInFlight: 10 },
      context,
    );
    const empty = new Uint8Array(0);
    const put: ClientPut = {
      ...{ key: Uint8Array.of(0, 0, 1), causalContext: empty, minting: 'siblings', condition, ifMatch: empty },
      ...{ maxSiblings: 0, tombstone: false, ttlMs: 0, body: empty, w: 1, pw: 0, dw: 0, timeoutMs: 1_000 },
    };
    const outcomes: PutOutcome[] = [];
    const ticket = client.put(put, { settle: (outcome) => void outcomes.push(outcome) }) as number;
    const failure = { why: 'unavailable', quorum: 'w', got: 0, wanted: 1, definite: false } as const;
    client.answered(ticket, { type: 'failed', failure });
    assert.equal(context.requests.length, condition === 'none' ? 2 : 1, condition);
    assert.deepEqual(outcomes, condition === 'none' ? [] : [{ ok: false, failure }], condition);
  }
});

// ---- Silence: a request is sent elsewhere, too.

function twoNodes(context: LoneContext): Client {
  return new Client({ preferenceLists: [{ primaries: [0, 1], fallbacks: [] }], nodes: 2, maxInFlight: 10 }, context);
}

function putOf(condition: ClientPut['condition']): ClientPut {
  const empty = new Uint8Array(0);
  return {
    ...{ key: Uint8Array.of(0, 0, 1), causalContext: empty, minting: 'siblings', condition, ifMatch: empty },
    ...{ maxSiblings: 0, tombstone: false, ttlMs: 0, body: empty, w: 1, pw: 0, dw: 0, timeoutMs: 1_000 },
  };
}

/** Lets so much time pass, with a sweep as often as it is asked for. */
function pass(client: Client, context: LoneContext, ms: number): void {
  for (const until = context.nowMs + ms; context.nowMs < until; ) {
    context.nowMs += context.delays.at(-1)!;
    client.timer();
  }
}

function done(counter: number): CoordinatorAnswer & { type: 'put-done' } {
  return {
    ...{ type: 'put-done', dot: { high: 1, low: 1, counter, alone: true }, timestamp: { ms: 1, logical: 0 } },
    ...{ acks: [], hints: [] },
  };
}

test('a silent coordinator: a get is asked elsewhere within 60 ms, and the first answer counts', () => {
  for (const first of [0, 1]) {
    const context = new LoneContext();
    const client = twoNodes(context);
    const outcomes: GetOutcome[] = [];
    client.get(get, { settle: (outcome) => void outcomes.push(outcome) });
    pass(client, context, 60);
    assert.equal(context.requests.length, 2);
    const { count, maxMs } = client.secondAttempts.summary();
    assert(count === 1 && maxMs > 0 && maxMs <= 60, `${count} second attempts, after ${maxMs} ms`);
    const record = Uint8Array.of(first);
    // One of them has failed: the other may do better.
    if (first === 1) client.failed(context.requests[0]!, 'died');
    client.answered(context.requests[first]!, { type: 'got', record, mayMissHints: false });
    client.answered(context.requests[1 - first]!, { type: 'got', record: new Uint8Array(0), mayMissHints: false });
    assert.deepEqual(outcomes, [{ ok: true, record, mayMissHints: false }]);
    assert.equal(client.inFlight, 0);
  }
});

test('a put gets a second attempt, which covers the first; what the first is answered then is ignored', () => {
  for (const late of [
    done(1),
    { type: 'failed', failure: { why: 'not-met', quorum: 'w', got: 1, wanted: 2, definite: false } },
  ]) {
    const context = new LoneContext();
    const client = twoNodes(context);
    const outcomes: PutOutcome[] = [];
    client.put(putOf('none'), { settle: (outcome) => void outcomes.push(outcome) });
    pass(client, context, 60);
    assert.equal(context.requests.length, 2);
    client.answered(context.requests[0]!, late as CoordinatorAnswer);
    assert.equal(outcomes.length, 0, 'it may be voided');
    client.answered(context.requests[1]!, done(2));
    const [outcome] = outcomes;
    assert(outcome?.ok === true && outcome.dot.counter === 2);
    assert.equal(outcome.attempts.length, 2, 'the receipt covers both');
  }
});

test('a conditional put waits for its coordinator, however silent', () => {
  const context = new LoneContext();
  const client = twoNodes(context);
  client.put(putOf('if-none-match'), { settle: () => undefined });
  pass(client, context, 500);
  assert.equal(context.requests.length, 1);
  assert.equal(client.secondAttempts.summary().count, 0);
});

test('the store’s own requests and the application’s take no room from each other, and are bounded alike', () => {
  const context = new LoneContext();
  const client = twoNodes(context);
  const outcomes: GetOutcome[] = [];
  const settle = { settle: (outcome: GetOutcome) => void outcomes.push(outcome) };
  const overloaded = { why: 'overloaded', quorum: 'r', got: 0, wanted: 1, definite: true };
  for (const internal of [true, false]) {
    const tickets = Array.from({ length: 10 }, () => client.get(get, settle, internal));
    assert(tickets.every((ticket) => typeof ticket === 'number'));
    assert.deepEqual(client.get(get, settle, internal), overloaded);
  }
  // Room is given back to whose it was.
  client.answered(context.requests[0]!, { type: 'got', record: new Uint8Array(0), mayMissHints: false });
  assert.deepEqual([outcomes.length, client.inFlight], [1, 19]);
  assert.deepEqual(client.get(get, settle), overloaded);
  const ticket = client.get(get, settle, true) as number;
  assert.deepEqual([client.abandon(ticket), client.inFlight], [true, 19]);
});

// ---- Nobody can take it: it rests and begins anew.

/** Lets time pass until so many requests have been made. */
function untilAsked(client: Client, context: LoneContext, requests: number): void {
  const began = context.nowMs;
  while (context.requests.length < requests) {
    assert(context.nowMs < began + 100, 'it begins anew soon');
    pass(client, context, 5);
  }
  assert(context.nowMs >= began + 20, 'not at once');
}

test('a put that nobody could take begins anew until somebody can, under another attempt', () => {
  for (const definite of [true, false]) {
    const context = new LoneContext();
    const client = twoNodes(context);
    const outcomes: PutOutcome[] = [];
    client.put(putOf('none'), { settle: (outcome) => void outcomes.push(outcome) });
    const failure = {
      why: definite ? 'unavailable' : 'not-met',
      quorum: 'w',
      got: definite ? 0 : 1,
      wanted: 2,
      definite,
    } as const;
    for (let tried = 0; tried < 2; tried++) client.answered(context.requests[tried]!, { type: 'failed', failure });
    assert.equal(context.requests.length, 2, 'both were asked, once each');
    assert.equal(outcomes.length, 0);
    untilAsked(client, context, 3);
    client.answered(context.requests[2]!, done(1));
    const [outcome] = outcomes;
    assert(outcome?.ok === true);
    assert.equal(outcome.attempts.length, definite ? 1 : 3, 'what has failed for certain need not be covered');
  }
});

test('a request that nobody takes until its deadline fails with what the last coordinator said', () => {
  const context = new LoneContext();
  const client = twoNodes(context);
  const outcomes: PutOutcome[] = [];
  client.put(putOf('none'), { settle: (outcome) => void outcomes.push(outcome) });
  const failure = { why: 'unavailable', quorum: 'w', got: 1, wanted: 2, definite: true } as const;
  const began = context.nowMs;
  for (let answered = 0; outcomes.length === 0; ) {
    assert(context.nowMs < began + 1_000, 'not before its deadline');
    if (answered < context.requests.length) {
      client.answered(context.requests[answered++]!, { type: 'failed', failure });
    } else pass(client, context, 5);
  }
  assert(context.nowMs > began + 600);
  assert(context.requests.length > 8 && context.requests.length < 20, `${context.requests.length} tries`);
  assert.deepEqual(outcomes, [{ ok: false, failure }]);
});

test('a get begins anew if it was never heard; that replicas are out of reach, and an overload, it takes for an answer', () => {
  const context = new LoneContext();
  const client = twoNodes(context);
  const outcomes: GetOutcome[] = [];
  client.get(get, { settle: (outcome) => void outcomes.push(outcome) });
  for (let tried = 0; tried < 2; tried++) client.failed(context.requests[tried]!, 'unreachable');
  assert.equal(outcomes.length, 0);
  untilAsked(client, context, 3);
  const failure = { why: 'unavailable', quorum: 'w', got: 0, wanted: 1, definite: true } as const;
  for (let tried = 2; tried < 4; tried++) client.answered(context.requests[tried]!, { type: 'failed', failure });
  assert.deepEqual(outcomes.splice(0), [{ ok: false, failure }]);
  for (const request of [4, 5]) {
    if (request === 4) client.get(get, { settle: (outcome) => void outcomes.push(outcome) });
    client.failed(context.requests[request]!, 'refused');
  }
  const [refused] = outcomes;
  assert(refused?.ok === false && refused.failure.why === 'overloaded');
  assert.equal(client.inFlight, 0);
});

test('once too few nodes are up at all, a request fails at once', () => {
  const context = new LoneContext();
  const client = twoNodes(context);
  const outcomes: PutOutcome[] = [];
  client.put({ ...putOf('none'), w: 2 }, { settle: (outcome) => void outcomes.push(outcome) });
  client.setUp(1, false);
  client.failed(context.requests[0]!, 'unreachable');
  assert.deepEqual(outcomes, [
    { ok: false, failure: { why: 'unavailable', quorum: 'w', got: 1, wanted: 2, definite: true } },
  ]);
});

test('a put that three have died with does not begin anew: it may be what they died of', () => {
  const context = new LoneContext();
  const client = new Client(
    { preferenceLists: [{ primaries: [0, 1, 2], fallbacks: [] }], nodes: 3, maxInFlight: 10 },
    context,
  );
  const outcomes: PutOutcome[] = [];
  client.put(putOf('none'), { settle: (outcome) => void outcomes.push(outcome) });
  const lost = { why: 'died', quorum: 'w', got: 0, wanted: 1, definite: false } as const;
  client.answered(context.requests[0]!, { type: 'failed', failure: lost });
  client.answered(context.requests[1]!, { type: 'failed', failure: lost });
  client.failed(context.requests[2]!, 'died');
  assert.deepEqual(outcomes, [{ ok: false, failure: lost }]);
});

test('a put that nodes were cut off with begins anew, however often: they did not die of it', () => {
  const context = new LoneContext();
  const client = twoNodes(context);
  const outcomes: PutOutcome[] = [];
  client.put(putOf('none'), { settle: (outcome) => void outcomes.push(outcome) });
  const cutOff = { why: 'unavailable', quorum: 'w', got: 0, wanted: 1, definite: false } as const;
  for (let round = 0; round < 3; round++) {
    client.failed(context.requests[2 * round]!, 'cut-off');
    client.answered(context.requests[2 * round + 1]!, { type: 'failed', failure: cutOff });
    assert.equal(outcomes.length, 0);
    untilAsked(client, context, 2 * round + 3);
  }
  client.answered(context.requests[6]!, done(7));
  assert(outcomes[0]?.ok === true);
});

test('what an earlier attempt is answered after the put began anew is late, although its coordinator is asked again', () => {
  for (const late of [
    done(1),
    { type: 'failed', failure: { why: 'timeout', quorum: 'w', got: 0, wanted: 1, definite: false } },
  ]) {
    const context = new LoneContext();
    const client = twoNodes(context);
    const outcomes: PutOutcome[] = [];
    client.put(putOf('none'), { settle: (outcome) => void outcomes.push(outcome) });
    pass(client, context, 60);
    assert.equal(context.requests.length, 2, 'a new attempt, for the first is silent');
    const nobody = { why: 'unavailable', quorum: 'w', got: 0, wanted: 1, definite: true } as const;
    client.answered(context.requests[1]!, { type: 'failed', failure: nobody });
    untilAsked(client, context, 3);
    client.answered(context.requests[0]!, late as CoordinatorAnswer);
    client.failed(context.requests[0]!, 'died');
    assert.equal(outcomes.length, 0);
    client.answered(context.requests[2]!, done(2));
    const [outcome] = outcomes;
    assert(outcome?.ok === true && outcome.dot.counter === 2);
  }
});
