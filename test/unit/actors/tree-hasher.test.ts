/** Trees that threads of the hashing pool build from real LMDB files which nodes are writing to. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { t } from 'tap';
import { poolHashing } from '../../../actors/pool-hashing.js';
import { ReplicaTrees } from '../../../actors/replica-trees.js';
import { ChangeLog } from '../../../src/anti-entropy/change-log.js';
import { buffersOf, type HashTask } from '../../../src/anti-entropy/hash-task.js';
import { TreeKeeper } from '../../../src/anti-entropy/tree-keeper.js';
import { utf8 } from '../../../src/base/bytes.js';
import { below, SeededRandom } from '../../../src/base/random.js';
import type { HasherResult, HasherTask } from '../../../src/messages/hasher-task.js';
import { newNodeCounters } from '../../../src/metrics/node-counters.js';
import { HashingClient } from '../../../src/runtime/threads/hashing-client.js';
import { HashingPool } from '../../../src/runtime/threads/hashing-pool.js';
import { openLmdbSnapshot } from '../../../src/storage/lmdb-snapshot.js';
import { openLmdbStorage } from '../../../src/storage/lmdb-storage.js';
import { SharedOpening } from '../../../src/storage/shared-opening.js';
import type { Storage } from '../../../src/storage/storage.js';
import type { TestTask } from '../../support/hasher-thread.js';
import { test } from '../../support/test.js';
import { assertSameTrees, keyOf, PARTITION, plainTree, recordOf } from '../../support/tree-replica.js';

const THREAD = new URL('../../support/hasher-thread.js', import.meta.url);
const directory = mkdtempSync(join(tmpdir(), 'quoral-hasher-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));
let places = 0;

/** A node's objects file, with the word that says that it is open. */
class Node {
  readonly path = join(directory, `${++places}.mdb`);
  readonly storage: Storage = openLmdbStorage({ path: this.path, sync: 'none' });
  readonly opened = new Int32Array(new SharedArrayBuffer(4));
  readonly opening = new SharedOpening(this.opened);
  readonly log = new ChangeLog({ pageBytes: 4_096, newMemory: (bytes) => new SharedArrayBuffer(bytes) });
  readonly keeper: TreeKeeper;
  private counter = 0;

  constructor(sliceRecords = 8_192) {
    this.keeper = new TreeKeeper({ partition: PARTITION, log: this.log, sliceRecords });
    this.opening.opened();
  }

  put(number: number): void {
    const key = keyOf(number);
    const record = recordOf({ high: 1, low: 1, counter: ++this.counter });
    this.keeper.note(key, this.storage.get(key), record);
    this.storage.put(key, record);
    this.writeMark();
  }

  remove(number: number): void {
    const key = keyOf(number);
    this.keeper.note(key, this.storage.get(key), undefined);
    this.storage.remove(key);
    this.writeMark();
  }

  fill(count: number): void {
    for (let i = 0; i < count; i++) {
      this.put(i);
      if (i % 1_000 === 999) this.storage.commit();
    }
    this.storage.commit();
  }

  writeMark(): void {
    const { mark } = this.keeper;
    if (mark !== undefined) this.storage.put(mark.key, mark.value);
  }

  hasherTask(task: HashTask): HasherTask {
    return { task, path: this.path, opened: this.opened };
  }

  close(): void {
    this.opening.closing();
    this.storage.close();
  }
}

function poolOf(threads: number, onError?: (error: Error) => void): HashingPool<TestTask, HasherResult> {
  return new HashingPool<TestTask, HasherResult>({
    entry: THREAD,
    name: 'work',
    threads,
    maxQueue: 4,
    buffersOf,
    ...(onError !== undefined && { onError }),
  });
}

/** Gives out the node's tasks until its tree is built and fresh; `asTask` may have threads die. */
async function build(
  node: Node,
  run: (task: TestTask) => Promise<HasherResult>,
  asTask: (task: HasherTask) => TestTask,
  meanwhile: () => void = () => {},
  share = 1,
): Promise<number> {
  const { keeper, storage, log } = node;
  keeper.beginBuild(77, storage.stats().entries);
  let failures = 0;
  for (;;) {
    const slice = keeper.nextSlice(share);
    if (slice !== undefined) node.writeMark();
    storage.commit();
    const next = slice ?? log.nextFold(!keeper.isBuilding);
    if (next === undefined) break;
    const { number } = next;
    const result = run(asTask(node.hasherTask(next.task)));
    if (keeper.isBuilding) meanwhile();
    storage.commit();
    try {
      const done = await result;
      assert.ok(done.type !== 'gone');
      if (done.type === 'folded') log.folded(number, done);
      else keeper.done(number, done);
    } catch {
      // Its thread died: it is given out again.
      failures++;
      if (next.task.type === 'fold') log.failed(number);
      else keeper.failed(number);
    }
    assert.ok(failures < 1_000);
  }
  return failures;
}

test('a tree of 100,000 records is built by the pool as the plain way builds it', async () => {
  const pool = poolOf(2);
  const node = new Node();
  node.fill(100_000);
  const port = pool.connect();
  const client = new HashingClient<TestTask, HasherResult>(port);
  const started = process.hrtime.bigint();
  await build(
    node,
    (task) => client.run(task),
    (task) => ({ type: 'hash', task }),
  );
  const ms = Number(process.hrtime.bigint() - started) / 1e6;
  assertSameTrees(node.keeper.tree!, plainTree(node.storage));
  assert.equal(node.keeper.tree!.keys, 100_000);
  assert.ok(ms < 60_000);
  node.close();
  client.close();
  await pool.close();
});

test('writes during a build, and threads that die in it, cost the tree nothing', async () => {
  const pool = poolOf(2);
  const node = new Node(1_500);
  node.fill(20_000);
  const random = new SeededRandom(3);
  let tasks = 0;
  const failures = await build(
    node,
    (task) => pool.run(task),
    (task) => (tasks++ % 6 === 3 ? { type: 'die-reading', task } : { type: 'hash', task }),
    () => {
      for (let i = 0; i < 40; i++) {
        if (below(random, 4) === 0) node.remove(below(random, 20_000));
        else node.put(below(random, 21_000));
      }
    },
    1 / 2,
  );
  assert.ok(failures > 1, 'some died');
  for (let task = node.log.nextFold(true); task !== undefined; task = node.log.nextFold(true)) {
    node.log.folded(task.number, (await pool.run({ type: 'hash', task: node.hasherTask(task.task) })) as never);
  }
  assertSameTrees(node.keeper.tree!, plainTree(node.storage, node.keeper.tree!.depth));

  // Readers that died hold no pages back: the file does not grow with what is overwritten.
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < 500; j++) node.put(j);
    node.storage.commit();
  }
  const before = statSync(node.path).size;
  for (let i = 0; i < 100; i++) {
    for (let j = 0; j < 500; j++) node.put(j);
    node.storage.commit();
  }
  assert.ok(statSync(node.path).size < 1.5 * before, `${before} grew to ${statSync(node.path).size}`);
  node.close();
  await pool.close();
});

// Goal: changes of many trees travel together, and only when they are worth it; what dies on the way is sent again.
test('changes are folded in by the pool, and outlive its threads', async () => {
  const pool = poolOf(1);
  const node = new Node();
  let sent = 0;
  let died = 0;
  const hashing = poolHashing(async (task) => {
    if (++sent % 3 !== 1) return pool.run({ type: 'hash', task: node.hasherTask(task) });
    died++;
    await assert.rejects(pool.run({ type: 'die' }));
    return { type: 'gone' };
  });
  const trees = new ReplicaTrees({ objects: node.storage, counters: newNodeCounters(), hashing, maxAgeMs: 1e9 });
  const { log } = trees;
  const saved = () => plainTree(node.storage, 1);
  const keepers = Array.from({ length: 70 }, (_, partition) => new TreeKeeper({ partition, log, saved: saved() }));
  let change = 0;
  const write = (count: number): void => {
    for (const end = change + count; change < end; change++) {
      const key = keyOf(change % 5_000);
      const before = node.storage.get(key);
      const after = change % 7 === 6 ? undefined : recordOf({ high: 2, low: 2, counter: change + 1 });
      for (const keeper of change % 3_000 === 0 ? keepers : [keepers[0]!]) keeper.note(key, before, after);
      if (after === undefined) node.storage.remove(key);
      else node.storage.put(key, after);
    }
    node.storage.commit();
  };
  /** As a replica does while somebody waits for its tree. */
  const freshen = async (): Promise<void> => {
    const since = log.noted;
    // Threads may be started anew meanwhile: that takes what it takes.
    const deadline = performance.now() + 60_000;
    while (!keepers.every((one) => one.isFresh(since))) {
      assert.ok(performance.now() < deadline, 'it comes to an end');
      trees.fold(true);
      await setImmediate();
    }
  };
  write(100);
  await freshen();
  assert.equal(sent, 0, 'a hundred changes are not worth the way');
  for (let i = 0; i < 3; i++) {
    write(4_000);
    assert.ok(!keepers[0]!.isFresh(log.noted));
    await freshen();
    assertSameTrees(keepers[0]!.tree!, plainTree(node.storage, 1));
  }
  write(20_000);
  assert.ok(log.isWaiting, 'a page is full');
  trees.fold(false);
  write(10);
  await freshen();
  assert.ok(sent <= 12, `32,000 changes went in ${sent} tasks`);
  assert.ok(died > 0, 'some died');
  assertSameTrees(keepers[0]!.tree!, plainTree(node.storage, 1));
  for (const other of keepers.slice(1)) assertSameTrees(other.tree!, keepers[1]!.tree!);

  // A node that stops does not wait for the pool.
  write(1_000);
  trees.fold(true);
  write(10);
  const plain = plainTree(node.storage, 1);
  assertSameTrees(keepers[0]!.settle()!, plain);
  keepers[1]!.retire();
  assert.equal(keepers[1]!.tree, undefined);
  node.close();
  await pool.close();
  assertSameTrees(keepers[0]!.tree!, plain);
});

test('a snapshot stays as it is, needs a writer, and does not come before it', async () => {
  const node = new Node();
  node.fill(10);
  const { path, opening } = node;
  const range = [keyOf(0).slice(0, 2), Uint8Array.of(0, PARTITION + 1)] as const;
  const snapshot = openLmdbSnapshot(path, opening)!;
  node.remove(3);
  node.put(4);
  node.storage.commit();
  assert.equal([...snapshot.keys(...range)].length, 10);
  assert.deepEqual(Buffer.from(snapshot.get(keyOf(4))!), recordOf({ high: 1, low: 1, counter: 5 }));
  assert.equal(snapshot.get(utf8('nothing')), undefined);
  const later = openLmdbSnapshot(path, opening)!;
  assert.equal([...later.keys(...range)].length, 9);
  snapshot.close();

  // The writer stops, and starts again while a reader is still in.
  node.close();
  assert.equal(openLmdbSnapshot(path, opening), undefined, 'its writer is gone');
  let waited = false;
  const start = opening.beforeOpening().then(() => {
    waited = true;
  });
  await setImmediate();
  assert.ok(!waited && Atomics.load(node.opened, 0) !== 0, 'it waits for the reader');
  later.close();
  await start;
  const again = openLmdbStorage({ path, sync: 'none' });
  opening.opened();
  again.put(utf8('key'), utf8('value'));
  again.commit();
  const reader = openLmdbSnapshot(path, opening)!;
  assert.notEqual(reader.get(utf8('key')), undefined);

  // The writer dies, and a reader never leaves: the next start waits only so long, and is not confused by a late one.
  again.close();
  await opening.beforeOpening(30);
  assert.equal(Atomics.load(node.opened, 0), 0);
  reader.close();
  assert.equal(Atomics.load(node.opened, 0), 0);
});

test('a pool that closes lets its threads load, and do what they were given', async () => {
  const word = new Int32Array(new SharedArrayBuffer(4)).fill(1);
  for (const turns of [0, 1, 10, 100]) {
    const pool = poolOf(2);
    const [first, second, waiting] = [1, 2, 3].map(() => pool.run({ type: 'wait', word }));
    const refused = assert.rejects(waiting!, /closed/);
    for (let turn = 0; turn < turns; turn++) await setImmediate();
    await pool.close();
    assert.deepEqual([await first, await second], [{ type: 'early' }, { type: 'early' }]);
    await refused;
  }
  // A thread that had nothing to do yet when the pool closed: the other was faster.
  const pool = poolOf(2);
  await Promise.race([pool.run({ type: 'wait', word }), pool.run({ type: 'wait', word })]);
  await pool.close();
});

test('tasks are refused when too many wait, fail with their thread, and end with the pool', async () => {
  const errors: Error[] = [];
  const pool = poolOf(1, (error) => errors.push(error));
  const word = new Int32Array(new SharedArrayBuffer(4));
  const port = pool.connect();
  const client = new HashingClient<TestTask, HasherResult>(port);
  const waits = Array.from({ length: 8 }, () => client.run({ type: 'wait', word }));
  const outcomes = Promise.allSettled(waits);
  await Promise.any(
    waits.map((wait) =>
      wait.then(
        () => assert.fail('still waiting'),
        () => {},
      ),
    ),
  );
  Atomics.store(word, 0, 1);
  Atomics.notify(word, 0);
  const settled = await outcomes;
  assert.ok(settled.filter(({ status }) => status === 'fulfilled').length >= 4);
  assert.ok(
    settled.some(({ status }) => status === 'rejected'),
    'there is an end to the queue',
  );
  await assert.rejects(client.run({ type: 'die' }));
  assert.equal((await client.run({ type: 'wait', word })).type, 'early', 'another thread took its place');
  const closed = once(port, 'close');
  // Nobody waits for an answer, and an idle pool holds no process: this test does, until the port is closed.
  port.ref();
  await pool.close();
  await closed;
  await assert.rejects(client.run({ type: 'wait', word }), /closed/);
});
