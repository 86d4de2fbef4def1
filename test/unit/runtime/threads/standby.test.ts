/** Workers that stand by: they take the place of threads that died, and nobody notices those that cannot. */
import type { Worker } from 'node:worker_threads';
import { type Test, test } from 'tap';

import { type GroupEvent, ThreadGroup } from '../../../../src/runtime/threads/thread-group.js';
import { Asker, told } from '../../../support/threads/asker.js';
import type { EchoControl, EchoPreparation } from '../../../support/threads/echo-worker.js';

const ENTRY = new URL('../../../support/threads/echo-worker.js', import.meta.url);

interface Seen {
  readonly group: ThreadGroup;
  readonly asker: Asker;
  readonly events: GroupEvent[];
}

/** Two threads, one of which has told that it is in use. */
async function groupWith(t: Test, data: EchoPreparation): Promise<Seen> {
  const events: GroupEvent[] = [];
  const options = { entry: ENTRY, workers: 2, standby: { data } };
  const group = new ThreadGroup({ ...options, onEvent: (event) => events.push(event) });
  // Idle threads let their process end.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(async () => {
    clearInterval(alive);
    await group.close({ graceMs: 0 });
  });
  await Promise.all([group.start(0, {}), group.start(1, {})]);
  await group.control<EchoControl>(0).inUse();
  return { group, asker: await Asker.on(group.host), events };
}

const prepared = (group: ThreadGroup, thread: number): Promise<string | undefined> =>
  group.control<EchoControl>(thread).prepared();

/** Crashes a thread, and starts it again. */
async function anew(group: ThreadGroup, thread: number): Promise<void> {
  await group.crash(thread);
  await group.start(thread, {});
}

/** Resolves once a worker stands by. */
async function standing(group: ThreadGroup): Promise<void> {
  const { standby } = group as unknown as { standby: { standby: { isReady: boolean } | undefined } };
  while (standby.standby?.isReady !== true) await new Promise((resolve) => setTimeout(resolve, 1));
}

test('once a thread is in use, the next start is that of a worker that stood by', async (t) => {
  const { group, asker } = await groupWith(t, { name: 'ready' });
  t.equal(await prepared(group, 0), undefined, 'those that were started before are of the usual kind');
  await standing(group);
  // Another one that tells it changes nothing.
  await group.control<EchoControl>(1).inUse();
  await anew(group, 1);
  t.equal(await prepared(group, 1), 'ready');
  const { number } = told(await asker.ask(1, { number: 7 })).told;
  t.equal(number, 7, 'it is linked to the others, and has its actors');
  t.equal(told(await asker.ask(0, { verb: 'forward', number: 1 })).told.number, 1, 'in both directions');
  t.equal(await group.control<EchoControl>(1).started(), 1);
  await anew(group, 0);
  t.equal(await prepared(group, 0), undefined, 'there was one; the next one stands by some time later');
  await group.stop(1);
  t.equal(group.state(1), 'down', 'it ends as any other');
});

test('one that dies unasked is replaced by it, too', async (t) => {
  const { group, asker } = await groupWith(t, { name: 'ready' });
  await standing(group);
  await asker.ask(1, { verb: 'exit' });
  while (group.state(1) === 'up') await new Promise((resolve) => setTimeout(resolve, 1));
  while (group.state(1) !== 'up') await new Promise((resolve) => setTimeout(resolve, 1));
  t.equal(await prepared(group, 1), 'ready');
});

test('who is not ready is not waited for, and ends with the group', async (t) => {
  const until = new Int32Array(new SharedArrayBuffer(12));
  const { group } = await groupWith(t, { name: 'slow', until });
  while (Atomics.load(until, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await anew(group, 1);
  t.equal(await prepared(group, 1), undefined);
  await group.close({ graceMs: 0 });
  Atomics.store(until, 0, 1);
  // It would take no longer than a turn of its loop.
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
  t.equal(Atomics.load(until, 2), 0, 'nobody is there any more who could go on');
});

test('a group that closes while its entry is being loaded ends it all the same', async (t) => {
  const until = new Int32Array(new SharedArrayBuffer(12));
  const { group } = await groupWith(t, { name: 'early', until });
  const { standby } = group as unknown as { standby: { standby: { worker: Worker } } };
  const { worker } = standby.standby;
  t.not(worker.threadId, -1, 'it has begun');
  await group.close({ graceMs: 0 });
  t.equal(worker.threadId, -1, 'it is gone when the group is closed');
  t.equal(Atomics.load(until, 1), 0, 'it was not prepared at all');
  await group.close({ graceMs: 0 });
});

test('one that cannot be prepared is told of, and threads start without', async (t) => {
  const { group, events } = await groupWith(t, { name: 'never', broken: true });
  const troubles = () => events.filter((event) => event.type === 'trouble');
  while (troubles().length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  t.match(troubles(), [{ what: 'standby', error: { message: 'cannot be prepared' } }]);
  await anew(group, 1);
  t.equal(await prepared(group, 1), undefined);
});
