/** Thread groups: real threads that ask one another, die in every way and come back. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type Test, test } from 'tap';
import { withoutLoaders } from '../../../../src/base/loaders.js';
import { RemoteError, ThreadGoneError } from '../../../../src/runtime/threads/control-plane.js';
import { joinGroup } from '../../../../src/runtime/threads/join-group.js';
import { ThreadStartError } from '../../../../src/runtime/threads/thread-errors.js';
import {
  type GroupEvent,
  ThreadGroup,
  type ThreadGroupOptions,
  type ThreadState,
} from '../../../../src/runtime/threads/thread-group.js';
import { Asker, type Outcome, tally, told } from '../../../support/threads/asker.js';
import type { EchoControl, EchoSetup } from '../../../support/threads/echo-worker.js';

const ENTRY = new URL('../../../support/threads/echo-worker.js', import.meta.url);
const COMMIT_ENTRY = new URL('../../../support/threads/commit-worker.js', import.meta.url);
const APPLICATION = new URL('../../../support/threads/application-thread.js', import.meta.url);
const IDLE_SCRIPT = fileURLToPath(new URL('../../../support/threads/idle-process.js', import.meta.url));
const EXIT_SCRIPT = fileURLToPath(new URL('../../../support/threads/exit-process.js', import.meta.url));

/** The children load no hooks of the test runner. */
const PLAIN = { ...process.env, NODE_OPTIONS: '' };

/** A group whose events can be waited for, closed when the test ends. */
class Watched {
  readonly group: ThreadGroup;
  readonly events: GroupEvent[] = [];
  private readonly waiting: { thread: number; state: ThreadState; resolve: (event: GroupEvent) => void }[] = [];

  constructor(t: Test, options: Partial<ThreadGroupOptions> = {}) {
    this.group = new ThreadGroup({ entry: ENTRY, workers: 2, ...options, onEvent: (event) => this.heard(event) });
    // A thread that waits for its restart does not hold the process: the test does.
    const alive = setInterval(() => {}, 1_000);
    t.teardown(async () => {
      clearInterval(alive);
      await this.group.close({ graceMs: 0 });
    });
  }

  async start(setup: EchoSetup = {}): Promise<Asker> {
    await Promise.all([this.group.start(0, setup), this.group.start(1, setup)]);
    return Asker.on(this.group.host);
  }

  /** Resolves when `thread` next enters `state`. */
  enters(thread: number, state: ThreadState): Promise<GroupEvent> {
    return new Promise((resolve) => this.waiting.push({ thread, state, resolve }));
  }

  private heard(event: GroupEvent): void {
    this.events.push(event);
    if (event.type !== 'state') return;
    const found = this.waiting.filter(({ thread, state }) => thread === event.thread && state === event.state);
    for (const each of found) {
      this.waiting.splice(this.waiting.indexOf(each), 1);
      each.resolve(event);
    }
  }
}

test('three threads ask and answer one another', async (t) => {
  const watched = new Watched(t);
  const asker = await watched.start();

  const echo = told(await asker.ask(0, { number: 12.5, body: Buffer.from('hello') }));
  t.equal(echo.told.number, 12.5);
  t.equal(Buffer.from(echo.told.body).toString(), 'hello');

  const forwarded = told(await asker.ask(0, { verb: 'forward', number: 1, body: Buffer.from('via 0 to 1') }));
  t.equal(Buffer.from(forwarded.told.body).toString(), 'via 0 to 1');

  const noticed = told(await asker.ask(1, { verb: 'notice' }));
  t.same([noticed.notices.map((each) => each.number), noticed.told.number], [[1], 2]);
  t.same(await asker.ask(0, {}, 99), { failure: 'unreachable' });

  // Both workers at once, to themselves, to each other and back, bodies in the lane and beside it.
  for (let wave = 0; wave < 3; wave++) {
    const sizeOf = (i: number): number => (i % 97 === 0 ? 70_000 + i : (i * 31) % 1_500);
    const outcomes = await Promise.all(
      Array.from({ length: 2_000 }, (_, i) => {
        const body = new Uint8Array(sizeOf(i)).fill(i);
        const verb = i % 3 === 0 ? 'echo' : 'forward';
        return asker.ask(i & 1, { verb, number: verb === 'echo' ? i : (i >> 1) & 1, body });
      }),
    );
    outcomes.forEach((outcome, i) => {
      const { body } = told(outcome).told;
      if (body.length !== sizeOf(i) || body.some((byte) => byte !== (i & 0xff))) t.fail(`answer ${i} is not its own`);
    });
  }
  const big = new Uint8Array(32 * 2 ** 20).fill(9);
  t.equal(Buffer.compare(told(await asker.ask(0, { verb: 'forward', number: 1, body: big })).told.body, big), 0);
  t.same([asker.strays, asker.open, watched.group.host.outstanding], [0, 0, 0]);
  t.ok(
    watched.events.every((event) => event.type === 'state'),
    'nothing troubled them',
  );
});

test('the control plane calls, tells errors as they are, and rejects when the thread is gone', async (t) => {
  const watched = new Watched(t);
  await watched.start();
  const { group } = watched;
  const control = group.control<EchoControl>(1);
  t.equal(await control.ping(), 1);
  const failure = await control.fail().catch((error: unknown) => error);
  t.ok(failure instanceof RemoteError);
  t.match(failure, { name: 'RangeError', message: 'out of range', code: 'E_RANGE', definite: true });
  await t.rejects((control as unknown as { nothing(): Promise<void> }).nothing(), /no control method/);
  const hanging = control.hang().catch((error: unknown) => error);
  await group.crash(1);
  t.ok((await hanging) instanceof ThreadGoneError);
  t.ok((await control.ping().catch((error: unknown) => error)) instanceof ThreadGoneError);
  t.throws(() => group.control(1), /down/);
  await group.start(1, {});
  t.equal(await group.control<EchoControl>(1).ping(), 1);
});

test('a thread is ready once its actors are started, however slow what comes after is', async (t) => {
  const stillUntil = new Int32Array(new SharedArrayBuffer(4));
  const { group } = new Watched(t, { workers: 1 });
  await group.start(0, { stillUntil } satisfies EchoSetup);
  const started = group.control<EchoControl>(0).started();
  // The question lies there before the thread takes its next step.
  Atomics.store(stillUntil, 0, 1);
  Atomics.notify(stillUntil, 0);
  t.equal(await started, 1);
});

test('when a thread dies, every request to it fails exactly once, and it comes back', async (t) => {
  const watched = new Watched(t, { heapMb: 48 });
  const asker = await watched.start();
  for (const verb of ['exit', 'exhaust']) {
    const held = Array.from({ length: 500 }, () => asker.ask(1, { verb: 'hold' }));
    // Thread 0 has requests at thread 1, too.
    const through = Array.from({ length: 50 }, () => asker.ask(0, { verb: 'forward', number: 1 }));
    await asker.ask(1, {});
    const restarted = watched.enters(1, 'up');
    const waited = watched.enters(1, 'waiting');
    const killer = asker.ask(1, { verb });
    t.same(tally(await Promise.all(held)), { died: 500 }, verb);
    t.same(await killer, { failure: 'died' });
    t.same(tally(await Promise.all(through)), { told: 50 });
    t.equal(watched.group.state(0), 'up', 'the other thread goes on');
    const { error } = (await waited) as { error?: { code?: string } };
    t.equal(error?.code, verb === 'exhaust' ? 'ERR_WORKER_OUT_OF_MEMORY' : undefined);
    await restarted;
    t.ok('told' in (await asker.ask(1, {})), 'it answers again');
    t.ok('told' in (await asker.ask(0, { verb: 'forward', number: 1 })), 'also to the other thread');
  }
  t.same([asker.strays, asker.open], [0, 0]);
});

test('a thread that cannot start says why; one that dies again and again is left down', async (t) => {
  const watched = new Watched(t, { supervision: { backoffMs: 1, maxBackoffMs: 2, maxRestarts: 3, windowMs: 60_000 } });
  const { group } = watched;
  const failure = await group.start(0, { broken: true }).catch((error: unknown) => error);
  t.ok(failure instanceof ThreadStartError);
  t.match(failure, { data: { message: 'broken on purpose', code: 'E_BROKEN' } });
  t.equal(group.state(0), 'down', 'and is not restarted');

  await t.rejects(group.start(0, { brokenLater: true }), ThreadStartError);
  t.equal(group.state(0), 'down', 'nor is one whose second incarnation fails');
  await group.start(1, { brokenLater: true });
  const asker = await Asker.on(group.host);
  const given = watched.enters(1, 'given-up');
  t.same(await asker.ask(1, { verb: 'exit' }), { failure: 'died' });
  t.match(await given, { error: { message: 'broken on purpose' } });
  const waits = watched.events.filter(
    (event) => event.type === 'state' && event.thread === 1 && event.state === 'waiting',
  );
  t.equal(waits.length, 3);
  t.same(await asker.ask(1, {}), { failure: 'unreachable' });
  await group.start(1, {});
  t.ok('told' in (await asker.ask(1, {})), 'until it is started by request');
  // An actor that fails too often takes its thread with it.
  const escalated = watched.enters(1, 'waiting');
  let outcome: Outcome = { failure: 'died' };
  while (group.state(1) === 'up') outcome = await asker.ask(1, { verb: 'throw' });
  t.ok('failure' in outcome);
  await escalated;
  t.ok(watched.events.some((event) => event.type === 'escalated'));
});

test('a restart whose setup fails for a while is tried again, and never given up', async (t) => {
  const told: (string | undefined)[] = [];
  const watched = new Watched(t, {
    supervision: { backoffMs: 1, maxBackoffMs: 2, maxRestarts: 3, windowMs: 60_000 },
    retryStartMs: ({ code }) => {
      told.push(code);
      return code === 'E_BROKEN' ? 1 : undefined;
    },
  });
  const { group } = watched;
  await group.start(0, { brokenUntil: 8 });
  const asker = await Asker.on(group.host);
  const up = watched.enters(0, 'up');
  t.same(await asker.ask(0, { verb: 'exit' }), { failure: 'died' });
  await up;
  t.ok('told' in (await asker.ask(0, {})));
  // Asked about failed restarts alone, not about the death before.
  t.same(told, new Array(7).fill('E_BROKEN'));
  // Those were no deaths: there are two restarts left of three.
  const again = watched.enters(0, 'up');
  t.same(await asker.ask(0, { verb: 'exit' }), { failure: 'died' });
  await again;
  // What someone has asked for is answered, and not tried again.
  await t.rejects(group.start(1, { broken: true }), ThreadStartError);
  t.equal(group.state(1), 'down');
});

test('a stop under load answers or fails every request, and what it answered it did', async (t) => {
  const watched = new Watched(t);
  const asker = await watched.start();
  const { group } = watched;
  let asking = true;
  const outcomes: Outcome[] = [];
  const pump = async (): Promise<void> => {
    while (asking) outcomes.push(await asker.ask(1, { number: outcomes.length }));
  };
  for (let round = 0; round < 3; round++) {
    asking = true;
    outcomes.length = 0;
    const pumps = Array.from({ length: 64 }, pump);
    while (outcomes.length < 2_000) await new Promise(setImmediate);
    await group.stop(1);
    t.equal(group.state(1), 'down');
    asking = false;
    await Promise.all(pumps);
    const counts = tally(outcomes);
    t.notOk(counts.died, 'none was taken and left unanswered');
    t.ok(counts.told! >= 2_000 - 64 && counts.unreachable! >= 64, JSON.stringify(counts));
    await group.start(1, {});
  }
  const stopped = [group.stop(1), group.stop(1), group.crash(1)];
  await Promise.all(stopped);
  await group.stop(1);
  t.equal(group.state(1), 'down', 'stops are idempotent');
  t.same([asker.strays, asker.open], [0, 0]);
});

test('a thread that hangs is ended by the watchdog', async (t) => {
  const watched = new Watched(t);
  const asker = await watched.start();
  const hanging = asker.ask(1, { verb: 'spin' });
  await asker.taken(1);
  await watched.group.stop(1, { timeoutMs: 100 });
  t.same(await hanging, { failure: 'died' });
  await watched.group.start(1, {});
  t.ok('told' in (await asker.ask(1, {})));
});

// Goal: nothing runs, and nothing holds the process, while nobody asks anything.
test('idle threads use no time, and let the process end', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, [IDLE_SCRIPT, ENTRY.href], {
    timeout: 20_000,
    env: PLAIN,
  });
  const { answers, cpuShare } = JSON.parse(stdout) as { answers: number; cpuShare: number };
  t.equal(answers, 1_000);
  t.ok(cpuShare < 0.01, `idle, ${(cpuShare * 100).toFixed(2)} % of one core`);
});

// Goal: LMDB's cleanup at the end of a process waits for a lock; a worker that was ended within a commit would hold it.
test('a process that exits while its workers commit does not hang', async (t) => {
  const path = t.testdir();
  for (const workMs of [20, 43, 71]) {
    const args = [EXIT_SCRIPT, COMMIT_ENTRY.href, path, String(workMs)];
    const ended = await promisify(execFile)(process.execPath, args, { timeout: 20_000, env: PLAIN }).catch(
      (error: unknown) => error,
    );
    t.match(ended, { code: 7, signal: null });
  }
});

// Goal: not even a worker that died within a commit keeps the process from ending.
test('a process that exits while a worker is stuck in a commit ends all the same', async (t) => {
  const args = [EXIT_SCRIPT, COMMIT_ENTRY.href, t.testdir(), '100', 'stuck'];
  const ended = await promisify(execFile)(process.execPath, args, { timeout: 20_000, env: PLAIN }).catch(
    (error: unknown) => error,
  );
  t.match(ended, { signal: 'SIGKILL', killed: false, stderr: /thread 0 is stuck in a commit/ });
});

test('another application thread joins the group, hears of its threads, and leaves', async (t) => {
  const watched = new Watched(t, { applications: 2 });
  await watched.start();
  const { group } = watched;
  const { ends, transfer, left } = group.attach(3);
  t.throws(() => group.attach(3), /taken/);
  t.throws(() => group.attach(4), /application/);
  const application = new Worker(APPLICATION, { workerData: ends, transferList: transfer, ...withoutLoaders(process) });
  const next = async (): Promise<unknown> => (await once(application, 'message'))[0];
  const ask = (): Promise<unknown> => {
    application.postMessage('ask');
    return next();
  };
  /** Asks until the outcomes are these: the thread follows the group in its own time. Gives the last ones. */
  const askUntil = async (wanted: Record<string, number>): Promise<unknown> => {
    let seen = await ask();
    for (let tries = 0; tries < 100 && JSON.stringify(seen) !== JSON.stringify(wanted); tries++) seen = await ask();
    return seen;
  };
  t.equal(await next(), 'joined');
  t.same(await ask(), { told: 1_000 });
  await group.crash(1);
  t.same(await ask(), { told: 500, unreachable: 500 });
  await group.start(1, {});
  t.same(await askUntil({ told: 1_000 }), { told: 1_000 }, 'a thread that comes back is linked to it, too');
  await group.split([1]);
  t.same(await ask(), { told: 500, 'cut-off': 500 }, 'a split cuts it off, too');
  await group.heal();
  t.same(await askUntil({ told: 1_000 }), { told: 1_000 });
  application.postMessage('leave');
  await once(application, 'exit');
  await left;
  const again = group.attach(3);
  t.pass('its place is free again');

  // Cut off, here on this thread: what it asked of threads that live on may have been done, and says so.
  const cut: string[] = [];
  const host = joinGroup(again.ends, { onCut: () => cut.push('cut') });
  const asker = await Asker.on(host);
  t.ok('told' in (await asker.ask(0, {})));
  const held = [0, 1].map((thread) => asker.ask(thread, { verb: 'hold' }));
  again.cut();
  t.same(tally(await Promise.all(held)), { 'cut-off': 2 });
  t.same([cut, asker.open, host.outstanding], [['cut'], 0, 0]);
  await again.left;
  host.close();
  t.equal(cut.length, 1, 'a host that is closed is not cut off');
});

test('a thread that was to be started again is not, once the group is closed', async (t) => {
  const watched = new Watched(t);
  const { group } = watched;
  await watched.start();
  const stopped = group.stop(0);
  const started = t.rejects(group.start(0, {}), ThreadStartError);
  await group.close();
  await Promise.all([stopped, started]);
  t.equal(group.state(0), 'down');
});
