/** The host of one thread: turns, releases, refusals, incarnations, bodies. Several hosts share this thread here. */
import { test } from 'tap';
import type { Actor, ActorContext, ActorRef, Committer, Incoming } from '../../../../src/runtime/actor.js';
import { refAt } from '../../../../src/runtime/actor.js';
import type { ThreadHost } from '../../../../src/runtime/threads/thread-host.js';
import { Asker, type Outcome, tally, told } from '../../../support/threads/asker.js';
import { type Ask, ECHO, ECHO_SLOT, EchoActor, type Told } from '../../../support/threads/echo.js';
import { hostPair, link } from '../../../support/threads/pair.js';

/** A storage that notes what is done to it. */
class FakeCommitter implements Committer {
  pending = false;
  commitIsDurable = false;
  failing: 'commit' | 'flush' | undefined = undefined;
  readonly log: string[] = [];

  write(): void {
    this.pending = true;
  }

  commit(): void {
    this.pending = false;
    this.log.push('commit');
    if (this.failing === 'commit') throw new Error('disk full');
  }

  flush(): void {
    this.log.push('flush');
    if (this.failing === 'flush') throw new Error('disk gone');
  }
}

test('a turn publishes what is released at once, then commits, then releases the rest', async (t) => {
  const troubles: string[] = [];
  const [a, b] = hostPair(t, { events: { trouble: (what) => troubles.push(what) } });
  const first = new FakeCommitter();
  const second = new FakeCommitter();
  const failed: unknown[] = [];
  const order: string[] = [];
  const actor = Object.assign(
    new EchoActor(() => {
      first.write();
      second.write();
    }),
    { commitFailed: (error: unknown) => failed.push(error) },
  );
  b.spawn(ECHO_SLOT, ECHO, () => actor);
  b.addCommitter(first);
  b.addCommitter(second);
  const asker = await Asker.on(a);
  const ask = async (verb: string): Promise<string> => {
    const outcome = await asker.ask(1, { verb });
    order.push(verb);
    return 'failure' in outcome ? outcome.failure : 'told';
  };

  t.same(await Promise.all([ask('durable'), ask('store'), ask('echo')]), ['told', 'told', 'told']);
  t.same(order, ['echo', 'store', 'durable'], 'each leaves as soon as it may');
  t.same(
    [first.log.splice(0), second.log.splice(0)],
    [
      ['commit', 'flush'],
      ['commit', 'flush'],
    ],
  );

  await ask('echo');
  t.same(first.log, [], 'a turn that wrote nothing commits nothing');

  first.commitIsDurable = true;
  t.equal(await ask('durable'), 'told');
  t.same([first.log.splice(0), second.log.splice(0)], [['commit'], ['commit', 'flush']], 'durable by its commit');

  first.failing = 'commit';
  t.same(await Promise.all([ask('store'), ask('durable'), ask('echo')]), ['commit-failed', 'commit-failed', 'told']);
  t.equal(failed.length, 1, 'its actor is told once');
  t.same(second.log.splice(0), ['commit'], 'no write of the other is left for the next turn');

  first.failing = undefined;
  second.failing = 'flush';
  t.same(await Promise.all([ask('store'), ask('durable')]), ['told', 'commit-failed'], 'stored is stored all the same');
  t.same(troubles, ['commit-failed', 'commit-failed']);
});

test('an answer held back is what it was when it was given', async (t) => {
  const [a, b] = hostPair(t);
  // As a storage does, the actor lends bytes that it overwrites at the next call.
  const lent = new Uint8Array(40_000);
  b.spawn(ECHO_SLOT, ECHO, () => ({
    receive(ask: Ask, incoming: Incoming<Told>, context: ActorContext): void {
      lent.fill(ask.number);
      context.reply(incoming, { number: ask.number, body: lent.subarray(0, 1 + ask.number * 997) }, 'stored');
    },
  }));
  const asker = await Asker.on(a);
  const outcomes = await Promise.all(Array.from({ length: 40 }, (_, i) => asker.ask(1, { number: i })));
  for (const [i, outcome] of outcomes.entries()) {
    const { body } = told(outcome).told;
    if (body.length !== 1 + i * 997 || body.some((byte) => byte !== i)) t.fail(`answer ${i} was changed`);
  }
  t.equal(outcomes.length, 40);
});

test('a turn ends after some frames where each takes long: the others see that the thread goes on', async (t) => {
  const [a, b] = hostPair(t);
  b.startPulse();
  const stopwatch = new Int32Array(new SharedArrayBuffer(4));
  const pulses: number[] = [];
  const slow = new EchoActor(() => {
    pulses.push(b.pulse(1));
    Atomics.wait(stopwatch, 0, 0, 1);
  });
  b.spawn(ECHO_SLOT, ECHO, () => slow);
  const asker = await Asker.on(a);
  const asks = 100;
  await Promise.all(Array.from({ length: asks }, () => asker.ask(1, { verb: 'store' })));
  t.equal(pulses.length, asks);
  const inLongestTurn = Math.max(...pulses.map((pulse) => pulses.filter((other) => other === pulse).length));
  t.ok(inLongestTurn < asks / 2, `${inLongestTurn} of ${asks} in one turn`);
});

test('a mailbox that is full refuses, on the same thread and from another', async (t) => {
  const [a, b] = hostPair(t);
  let letGo = (): void => {};
  const holder = (context: ActorContext): EchoActor => {
    const actor = new EchoActor();
    letGo = () => b.outside(() => actor.stop(context));
    return actor;
  };
  b.spawn(ECHO_SLOT, ECHO, holder, { mailbox: 3 });
  const far = await Asker.on(a);
  const near = await Asker.on(b);
  // What is held is let go from outside, since there is no room to ask for it.
  for (const asker of [far, near]) {
    const held = Array.from({ length: 3 }, () => asker.ask(1, { verb: 'hold' }));
    t.same(await asker.ask(1, {}), { failure: 'refused' });
    t.equal(asker.open, 3, 'what was admitted is still in hand');
    letGo();
    t.same(tally(await Promise.all(held)), { told: 3 });
    t.ok('told' in (await asker.ask(1, {})), 'then there is room again');
  }
});

// Goal: under a flood through a narrow lane, requests may be refused, but what was admitted is answered, by the lane
// or beside it, and nothing is answered twice.
test('a flood through a narrow lane is refused in part and answered in full', async (t) => {
  const [a, b] = hostPair(t, { laneBytes: 4_096 });
  a.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  b.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  const askers = [await Asker.on(a), await Asker.on(b)];
  for (const verb of ['echo', 'notice', 'grow']) {
    const all = await Promise.all(
      Array.from({ length: 3_000 }, (_, i) =>
        askers[i & 1]!.ask(1 - (i & 1), { verb, number: i % 700, body: new Uint8Array(i % 300).fill(i) }),
      ),
    );
    const counts = tally(all);
    t.same(Object.keys(counts).sort(), ['refused', 'told'], `${verb}: ${JSON.stringify(counts)}`);
    t.equal(counts.told! + counts.refused!, 3_000);
    // A lane of 4,096 bytes: a reserve of 64 headers, hence 32 requests at a time each way.
    t.ok(counts.told! >= 20);
    all.forEach((outcome, i) => {
      if ('failure' in outcome) return;
      const { body } = outcome.told;
      const length = verb === 'grow' ? i % 700 : i % 300;
      if (body.length !== length || body.some((byte) => byte !== ((verb === 'grow' ? length : i) & 0xff))) {
        t.fail(`answer ${i} to '${verb}' is not its own`);
      }
    });
  }
  t.same([askers[0]!.strays, askers[1]!.strays, a.outstanding, b.outstanding], [0, 0, 0, 0]);
});

// Planted bug: requests are admitted without counting their answers' headers. A reply then finds no room, and that must
// not pass in silence.
test('planted: a reply without reserved room is caught', async (t) => {
  const [a, b] = hostPair(t, { laneBytes: 4_096 });
  b.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  const asker = await Asker.on(a);
  const { links } = a as unknown as { links: { links: { outstanding: { limit: number } }[] } };
  links.links[1]!.outstanding.limit = 65_536;
  const caught = new Promise<unknown>((resolve) => process.once('uncaughtException', resolve));
  // Three waves that wait in hand, so that all are answered in one turn.
  for (let wave = 0; wave < 12; wave++) {
    for (let i = 0; i < 30; i++) void asker.ask(1, { verb: 'hold' });
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  }
  void asker.ask(1, { verb: 'release', body: new Uint8Array(300) });
  const error = (await caught) as Error;
  t.match(error.message, /reserve was not kept/);
});

test('an actor that throws fails what it has in hand, once, and comes back as another incarnation', async (t) => {
  const crashed = async (backoffMs: number): Promise<{ b: ThreadHost; asker: Asker; near: Asker }> => {
    const crashes: number[] = [];
    const [a, b] = hostPair(t, {
      supervision: { backoffMs, maxBackoffMs: backoffMs, maxRestarts: 1, windowMs: 60_000 },
      events: { crashed: (_slot, incarnation) => crashes.push(incarnation) },
    });
    b.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
    const asker = await Asker.on(a);
    const near = await Asker.on(b);
    const held = [asker, near, asker].map((each) => each.ask(1, { verb: 'hold' }));
    await asker.ask(1, {});
    const thrown = asker.ask(1, { verb: 'throw' });
    t.same(await Promise.all([...held, thrown]), Array(4).fill({ failure: 'died' }));
    t.same(crashes, [1]);
    return { b, asker, near };
  };
  const { asker: early } = await crashed(600_000);
  t.same(await early.ask(1, {}), { failure: 'unreachable' }, 'while it waits to be restarted');

  const { b, asker, near } = await crashed(10);
  let outcome: Outcome;
  do outcome = await asker.ask(1, {});
  while ('failure' in outcome && outcome.failure === 'unreachable');
  t.same(outcome, { failure: 'stale' }, 'the first request to reach the new one was meant for the old one');
  t.ok('told' in (await asker.ask(1, {})), 'from then on its incarnation is known');
  t.same([asker.strays, near.strays, b.busy], [0, 0, false]);
});

// Goal: what was asked by an incarnation that is no more is not answered to its successor.
test('a reply to an earlier incarnation of the requester is dropped', async (t) => {
  const [a, b] = hostPair(t);
  b.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  const heard: string[] = [];
  let context: ActorContext | undefined;
  const echo: ActorRef<Ask, Told> = refAt(ECHO, 1, ECHO_SLOT);
  class Restless implements Actor<Ask, Told, Told> {
    private readonly name: string;
    constructor(own: ActorContext) {
      this.name = `incarnation ${own.incarnation}`;
      context = own;
    }
    receive(ask: Ask): void {
      throw new Error(ask.verb);
    }
    answered(correlation: number): void {
      heard.push(`${this.name} heard ${correlation}`);
    }
    timer(message: unknown): void {
      heard.push(`${this.name} woke by ${message}`);
    }
  }
  a.spawn(5, ECHO, (own) => new Restless(own));
  const asker = await Asker.on(a);
  const body = new Uint8Array(0);
  a.outside(() => {
    context!.request(echo, { verb: 'hold', number: 0, body }, 1);
    context!.after(15, 'the timer of the first');
  });
  t.same(await asker.ask(0, { verb: 'throw' }, 5), { failure: 'died' });
  const first = context;
  while (context === first) await new Promise(setImmediate);
  a.outside(() => context!.request(echo, { verb: 'hold', number: 0, body }, 2));
  a.outside(() => context!.after(30, 'its own timer'));
  t.ok('told' in (await asker.ask(1, { verb: 'release' })));
  while (heard.length < 2) await new Promise(setImmediate);
  t.same(heard, ['incarnation 2 heard 2', 'incarnation 2 woke by its own timer']);
});

test('an actor that fails again and again escalates', async (t) => {
  const escalated: number[] = [];
  const [, b] = hostPair(t, {
    supervision: { backoffMs: 0, maxBackoffMs: 0, maxRestarts: 3, windowMs: 60_000 },
    events: { escalated: (slot) => escalated.push(slot) },
  });
  let starts = 0;
  const done = new Promise<void>((resolve) => {
    b.spawn(9, ECHO, () => {
      if (++starts === 4) setImmediate(resolve);
      throw new Error('cannot start');
    });
  });
  await done;
  t.same([starts, escalated], [4, [9]]);
});

test('what cannot be encoded crashes its actor, and what cannot be decoded is told', async (t) => {
  const troubles: string[] = [];
  const [a, b] = hostPair(t, { events: { trouble: (what) => troubles.push(what) } });
  const broken = { ...ECHO, answer: { ...ECHO.answer, size: () => 1 } };
  for (const [slot, release] of [
    [1, 'now'],
    [2, 'stored'],
  ] as const) {
    b.spawn(slot, broken, () => ({
      receive: (_ask: Ask, incoming: Incoming<Told>, context: ActorContext) =>
        context.reply(incoming, { number: 1, body: new Uint8Array(10) }, release),
    }));
  }
  b.spawn(
    3,
    { ...ECHO, request: { ...ECHO.request, read: (from) => ECHO.request.read(from) && ECHO.request.read(from) } },
    () => new EchoActor(),
  );
  const asker = await Asker.on(a, 10);
  t.same(await asker.ask(1, {}, 1), { failure: 'died' });
  t.same(await asker.ask(1, {}, 2), { failure: 'died' });
  t.same(await asker.ask(1, { number: 1e300 }, 3), { failure: 'refused' });
  t.same(troubles, ['malformed-frame']);
});

test('bodies larger than a lane travel beside it, and hold nothing up', async (t) => {
  const [a, b] = hostPair(t);
  b.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  const asker = await Asker.on(a);
  const big = new Uint8Array(64 * 2 ** 20);
  for (let i = 0; i < big.length; i += 4_096) big[i] = i / 4_096;
  const order: string[] = [];
  const large = asker.ask(1, { number: 1, body: big }).finally(() => order.push('large'));
  const small = asker.ask(1, { number: 2 }).finally(() => order.push('small'));
  t.equal(told(await small).told.number, 2);
  const back = told(await large).told;
  t.same(order, ['small', 'large']);
  t.equal(Buffer.compare(back.body, big), 0, '64 MiB there and back');

  const many = await Promise.all(
    Array.from({ length: 100 }, (_, i) => asker.ask(1, { verb: 'grow', number: 100_000 + i })),
  );
  t.same(
    many.map((each) => told(each).told.body.length),
    Array.from({ length: 100 }, (_, i) => 100_000 + i),
  );
  t.same(await asker.ask(1, { verb: 'echo', body: big }, 99), { failure: 'unreachable' });
  t.equal(a.busy, false, 'a body that nobody wants is not kept');
  // 256 MiB fit into the outbox: four of these, not five.
  const flood = await Promise.all(Array.from({ length: 5 }, () => asker.ask(1, { body: big })));
  t.ok(tally(flood).refused! >= 1, JSON.stringify(tally(flood)));
  t.equal(a.busy || b.busy, false);
});

test('when a thread is gone, each request to it fails once: died if it was taken, unreachable if not', async (t) => {
  const [a, b] = hostPair(t);
  b.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  const asker = await Asker.on(a);
  const taken = Array.from({ length: 10 }, () => asker.ask(1, { verb: 'hold' }));
  t.ok('told' in (await asker.ask(1, {})));
  b.close();
  const lost = Array.from({ length: 10 }, () => asker.ask(1, {}));
  await new Promise(setImmediate);
  a.disconnect(1);
  t.same(tally(await Promise.all(taken)), { died: 10 });
  t.same(tally(await Promise.all(lost)), { unreachable: 10 });
  t.same(await asker.ask(1, {}), { failure: 'unreachable' });
  t.same([asker.strays, a.outstanding], [0, 0]);
});

test('the last frames of a thread that is gone are heard before its requests fail', async (t) => {
  const [a, b] = hostPair(t);
  b.spawn(ECHO_SLOT, ECHO, () => new EchoActor());
  const asker = await Asker.on(a);
  const held = Array.from({ length: 300 }, () => asker.ask(1, { verb: 'hold' }));
  t.ok('told' in (await asker.ask(1, {})));
  // Its stop answers what it holds; this thread hears of its end before it looks at its lane.
  b.stop();
  a.disconnect(1);
  t.same(tally(await Promise.all(held)), { told: 300 });
});

test('a stop tells actors, commits, flushes, and reports what was forgotten', async (t) => {
  const troubles: string[] = [];
  const [a, b] = hostPair(t, { events: { trouble: (what) => troubles.push(what) } });
  const committer = new FakeCommitter();
  b.addCommitter(committer);
  b.spawn(ECHO_SLOT, ECHO, () =>
    Object.assign(new EchoActor(), {
      stop(): void {
        committer.write();
      },
    }),
  );
  const asker = await Asker.on(a);
  const held = asker.ask(1, { verb: 'hold' });
  await asker.ask(1, {});
  b.refuseRequests();
  t.same(await asker.ask(1, {}), { failure: 'unreachable' });
  b.stop();
  t.same(await held, { failure: 'died' });
  t.same(
    committer.log,
    ['flush', 'commit', 'flush'],
    'what the actors tell at their stop is not kept longer than the rest',
  );
  t.same(troubles, ['forgotten-request']);
  t.throws(() => b.outside(() => {}), { name: 'InvariantError' });
});

test('a stop whose first flush fails is none: the actors are not asked to tell how far they came', async (t) => {
  const [, b] = hostPair(t);
  const committer = new FakeCommitter();
  b.addCommitter(committer);
  const told: string[] = [];
  b.spawn(ECHO_SLOT, ECHO, () => Object.assign(new EchoActor(), { stop: () => void told.push('stop') }));
  await new Promise((resolve) => setImmediate(resolve));
  committer.failing = 'flush';
  t.throws(() => b.stop(), /disk gone/);
  t.same(told, []);
  t.throws(() => b.outside(() => {}), { name: 'InvariantError' }, 'it is closed all the same');
});

test('contexts hold actors to their contract', async (t) => {
  const [a, b] = hostPair(t);
  let kept: { incoming: Incoming<Told>; context: ActorContext } | undefined;
  b.spawn(ECHO_SLOT, ECHO, () => ({
    receive(_ask: Ask, incoming: Incoming<Told>, context: ActorContext): void {
      const answer = { number: 0, body: new Uint8Array(0) };
      context.notice(incoming, answer);
      t.throws(() => context.notice(incoming, answer), /at most once/);
      context.reply(incoming, answer);
      t.throws(() => context.reply(incoming, answer), /once/);
      t.throws(() => context.notice(incoming, answer), /once/);
      kept = { incoming, context };
    },
  }));
  const asker = await Asker.on(a);
  t.equal(told(await asker.ask(1, {})).notices.length, 1);
  t.throws(() => kept!.context.request(refAt(ECHO, 0, 1), {} as Ask, 0), /within `outside`/);
  t.throws(() => b.spawn(ECHO_SLOT, ECHO, () => new EchoActor()), /taken/);
  t.throws(() => b.spawn(70_000, ECHO, () => new EchoActor()), /slot/);
  // A link made anew replaces the old one.
  const open = asker.ask(1, {});
  link(a, b);
  const outcome = await open;
  t.ok('told' in outcome || outcome.failure === 'unreachable');
  t.ok('told' in (await asker.ask(1, {})));
});
