/** Faults of live threads: pauses, splits, threads that do not end. What every runtime does then, test/conformance tells. */
import { setTimeout as pass } from 'node:timers/promises';
import { type Test, test } from 'tap';
import { ThreadStuckError } from '../../../../src/runtime/threads/thread-errors.js';
import { ThreadGroup } from '../../../../src/runtime/threads/thread-group.js';
import {
  MARK,
  MARKS,
  type Placement,
  Probe,
  SAYING,
  type Say,
  say,
  sayer,
} from '../../../support/conformance-actors.js';
import { Asker, tally, told } from '../../../support/threads/asker.js';

const ECHO_ENTRY = new URL('../../../support/threads/echo-worker.js', import.meta.url);
const GATED_ENTRY = new URL('../../../support/conformance-worker.js', import.meta.url);

function groupOf(t: Test, entry: URL, workers: number): ThreadGroup {
  const group = new ThreadGroup({ entry, workers });
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await group.close({ graceMs: 0 });
  });
  return group;
}

async function echoes(t: Test, workers: number): Promise<{ group: ThreadGroup; asker: Asker }> {
  const group = groupOf(t, ECHO_ENTRY, workers);
  await Promise.all(Array.from({ length: workers }, (_, thread) => group.start(thread, {})));
  return { group, asker: await Asker.on(group.host) };
}

test('a paused thread stands still once the pause has resolved, for as long as was said', async (t) => {
  const { group, asker } = await echoes(t, 2);
  await asker.ask(1, {});
  const began = performance.now();
  await group.pause(1, 800);
  const pulse = group.host.pulse(1);
  const late = asker.ask(1, {});
  told(await asker.ask(0, {}));
  t.equal(group.host.pulse(1), pulse);
  // Pauses that overlap end with the last of them, and are not added up.
  await Promise.all([group.pause(1, 100), group.pause(1, 1_000), group.pause(1, 950)]);
  told(await late);
  const tookMs = performance.now() - began;
  t.ok(tookMs >= 995, `${tookMs} ms`);
  t.equal(group.state(1), 'up');

  // An end does not wait for the end of a pause; and who is down stands still already.
  await group.pause(1, 3_600_000);
  const held = asker.ask(1, {});
  await group.stop(1, { graceMs: 0 });
  t.same(tally([await held]).told, undefined);
  await group.pause(1, 3_600_000);
  await group.start(1, {});
  told(await asker.ask(1, {}));
  await group.pause(1, 3_600_000);
  await group.crash(1);
  t.equal(group.state(1), 'down');
});

test('splits add up; what is on one side goes on; threads started within one are cut off, too, until it is healed', async (t) => {
  const { group, asker } = await echoes(t, 4);
  const forward = async (from: number, to: number): Promise<string> => {
    const { number, body } = told(await asker.ask(from, { verb: 'forward', number: to })).told;
    return number === -2 ? Buffer.from(body).toString() : 'told';
  };
  t.equal(await forward(0, 3), 'told');
  const before = [0, 1].map((thread) => asker.ask(thread, { verb: 'hold' }));
  await asker.ask(0, {});
  await group.split([2, 3]);
  t.equal(await forward(0, 1), 'told');
  const across = asker.ask(2, {});
  const throughCut = forward(0, 2);
  await group.split([3]);
  await group.crash(3);
  await group.start(3, {});
  t.same(await asker.ask(3, {}), { failure: 'unreachable' }, 'it came up on the other side');
  t.equal(group.host.pulse(3), -1, 'and nothing has been seen of it');
  t.same(await across, { failure: 'cut-off' });
  t.equal(await throughCut, 'cut-off');
  t.equal(await forward(0, 2), 'unreachable', 'once the connection is broken, at once');
  await group.heal();
  await group.heal();
  for (const [from, to] of [
    [0, 2],
    [1, 3],
    [2, 3],
    [3, 0],
  ] as const) {
    t.equal(await forward(from, to), 'told', `${from} to ${to}`);
  }
  told(await asker.ask(0, { verb: 'release' }));
  told(await asker.ask(1, { verb: 'release' }));
  t.same(tally(await Promise.all(before)), { told: 2 }, 'what was asked within a side is answered');
  t.same([asker.strays, asker.open, group.host.outstanding], [0, 0, 0]);
});

test('under load, with splits and healings at any moment, every request ends once', async (t) => {
  const { group, asker } = await echoes(t, 3);
  let asking = true;
  const counts: Record<string, number> = {};
  const pump = async (first: number): Promise<void> => {
    for (let i = first; asking; i++) {
      const body = new Uint8Array(i % 50 === 0 ? 70_000 : 100);
      const verb = i % 2 === 0 ? 'echo' : 'forward';
      const outcome = await asker.ask(i % 3, { verb, number: (i + 1) % 3, body });
      const kind = 'failure' in outcome ? outcome.failure : 'told';
      counts[kind] = (counts[kind] ?? 0) + 1;
      // A request that is refused at once is answered in the next turn: others must come to theirs.
      if (kind === 'unreachable') await pass(5);
    }
  };
  const pumps = Array.from({ length: 60 }, (_, i) => pump(i));
  for (const [side, ms] of [
    [[0], 20],
    [[1, 2], 5],
    [[2], 600],
    [[0], 0],
  ] as const) {
    await group.split(side);
    await pass(ms);
    await group.heal();
    await pass(30);
  }
  asking = false;
  await Promise.all(pumps);
  t.ok(counts.told! > 100 && counts['cut-off']! > 0 && counts.unreachable! > 0, JSON.stringify(counts));
  t.same(Object.keys(counts).sort(), ['cut-off', 'told', 'unreachable']);
  t.same([asker.strays, asker.open, group.host.outstanding], [0, 0, 0]);
  const forwards = Array.from({ length: 300 }, (_, i) => asker.ask(i % 3, { verb: 'forward', number: (i + 1) % 3 }));
  t.same(tally(await Promise.all(forwards)), { told: 300 });
});

// Goal: nobody waits for ever for a thread that nothing can end.
test('a thread stuck in a commit is said to be, at once to whoever starts it; it is down once it has come out', async (t) => {
  const group = groupOf(t, GATED_ENTRY, 1);
  const marks = new Int32Array(new SharedArrayBuffer(MARKS * 4));
  const placements: Placement[] = [{ thread: 0, slot: 1, actor: 'worker' }];
  await group.start(0, { placements, marks });
  const probe = await new Promise<Probe>((resolve) => {
    group.host.spawn(0, SAYING as never, (context) => {
      const made = new Probe(context);
      resolve(made);
      return made;
    });
  });
  const ask = (message: Say) => group.host.outside(() => probe.ask(sayer(0, 1), message));
  const gated = ask(say('gate'));
  while (gated.answers.length === 0) await pass(1);
  const put = ask(say('put', { text: 'x' }));
  while (Atomics.load(marks, MARK.commitsBegun) === 0) await pass(1);

  const first = group.stop(0, { timeoutMs: 50 });
  const waiting = group.start(0, { placements, marks });
  const failed = t.rejects(waiting, ThreadStuckError);
  await t.rejects(first, { name: 'ThreadStuckError', message: /stuck in a commit/ });
  await failed;
  t.equal(group.state(0), 'stuck');
  while (put.failures.length === 0) await pass(1);
  t.same(put.failures, ['died'], 'nobody waits for it any more');
  await t.rejects(group.start(0, { placements, marks }), ThreadStuckError);
  await t.rejects(group.crash(0, { timeoutMs: 20 }), ThreadStuckError);

  Atomics.store(marks, MARK.gate, 1);
  Atomics.notify(marks, MARK.gate);
  while (group.state(0) === 'stuck') await pass(1);
  t.equal(group.state(0), 'down', 'the order to stop was waiting for it');
  t.same([put.answers, put.failures], [[], ['died']]);
  await group.start(0, { placements, marks });
  t.equal(group.state(0), 'up');
});
