/** Replicas of a store on real threads, compared until they are equal: in memory, on disk, and after a disk was lost. */
import assert from 'node:assert/strict';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { statusText } from '../../../src/cli/status.js';
import { sameDigest } from '../../../src/codec/record.js';
import { type Bucket, open, QuoralError } from '../../../src/index.js';
import { statusOf } from '../../../src/service/http/overview.js';
import type { Store } from '../../../src/store/api/store.js';
import { windowFarFromNow } from '../../support/exchange-window.js';
import { fails } from '../../support/rejection.js';
import { readReplicas } from '../../support/replica-files.js';
import { test } from '../../support/test.js';

const KEYS = 1_500;
const WAIT = { timeoutMs: 60_000 };
const THINKING_MS = 10;

async function inDirectory(story: (path: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'quoral-exchange-'));
  try {
    await story(join(directory, 'data'));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function fill(store: Store): Promise<void> {
  const bucket = store.bucket('things', { codec: 'text' });
  for (let i = 0; i < KEYS; i += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, at) => bucket.put(`key ${i + at}`, `value ${i + at}`)));
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + WAIT.timeoutMs;
  while (!(await condition())) {
    assert(performance.now() < deadline, `this did not come about: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function sum(store: Store, counter: string): Promise<number> {
  const { nodes } = await store.stats();
  return Object.values(nodes).reduce((all, counters) => all + counters[counter]!, 0);
}

function assertEqualReplicas(path: string): void {
  const replicas = readReplicas(path);
  assert(replicas.size >= KEYS);
  for (const [key, found] of replicas) {
    assert.equal(found.length, 3, `${key} has ${found.length} replicas`);
    for (const { record } of found) assert(sameDigest(record, found[0]!.record), `${key} differs`);
  }
}

/** Clients that go on, with one read and one write at a time each, until they are stopped. */
class Clients {
  reads = 0;
  readonly written: string[] = [];
  private readonly bucket: Bucket<string>;
  private stopped = false;
  private readonly ended: Promise<unknown>;

  constructor(store: Store) {
    this.bucket = store.bucket('things', { codec: 'text' });
    this.ended = Promise.all([1, 2, 2, 'all'].map((r, client) => this.run(r as number | 'all', client)));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.ended;
  }

  /** What is there is given, or it is said that it may be missing; or the read fails, and is none. */
  private async run(r: number | 'all', client: number): Promise<void> {
    for (let i = client; !this.stopped; i += 7) {
      const key = i % KEYS;
      const read = await this.bucket.get(`key ${key}`, { r }).catch(refused);
      if (read !== undefined) {
        if (read.found) assert.equal(read.value, `value ${key}`);
        else assert(read.mayMissHints, `key ${key} was missed, and nothing said of it (r = ${r})`);
        this.reads++;
      }
      const name = `more ${client} ${i}`;
      if ((await this.bucket.put(name, name).catch(refused)) !== undefined) this.written.push(name);
      // The tests beside this one need cores, too.
      await new Promise((resolve) => setTimeout(resolve, THINKING_MS));
    }
  }
}

function refused(error: unknown): undefined {
  if (!(error instanceof QuoralError)) throw error;
}

test('a node whose directory was deleted while it was down is refilled while clients go on, and tells how far it is', () =>
  inDirectory(async (path) => {
    const store = await open({ path, partitions: 8, sync: 'none', exchangeIntervalMs: 3_600_000 });
    let written: readonly string[];
    try {
      await fill(store);
      await store.admin.waitForExchange(WAIT);
      const b = async () => (await store.stats()).nodes.b!;
      const { storedEntries: before } = await b();
      // What c has, too, is not refilled before c is back: that much is left until then.
      const ofB = store.ring().filter(({ primaries }) => primaries.includes('b'));
      const left = ofB.filter(({ primaries }) => primaries.includes('c')).length;
      assert(left > 0);
      await store.admin.stop('c');
      await store.admin.stop('b');
      rmSync(join(path, 'b'), { recursive: true });
      const clients = new Clients(store);
      await store.admin.start('b');
      const seen: number[] = [];
      const isAt = (wanted: number) => async () => {
        const { partitionsToRefill } = await b();
        if (partitionsToRefill !== seen.at(-1)) seen.push(partitionsToRefill!);
        return partitionsToRefill === wanted;
      };
      await until(isAt(left));
      const told = statusText(await statusOf(store));
      assert.match(told, new RegExp(`│ b [^\\n]* │ +${left} of ${ofB.length} │ +\\d+ │`), 'status shows it');
      const stored = (await b()).storedEntries!;
      const repaired = await sum(store, 'exchangeKeysRepaired');
      assert(stored > 0 && repaired > 0, `${stored} records, ${repaired} of them by exchanges`);
      await store.admin.start('c');
      // Nobody calls for it, nor waits for the next interval.
      await until(isAt(0));
      await clients.stop();
      assert.deepEqual(
        seen,
        [...seen].sort((x, y) => y - x),
        'it falls, and never rises',
      );
      assert(clients.reads > 0 && clients.written.length > 0);
      ({ written } = clients);
      const { storedEntries, treesBuilt } = await b();
      assert(storedEntries! >= before! && treesBuilt! > 0);
      const { lastExchangeAtMs, exchangeBytes } = (await store.stats()).total.counters;
      assert(lastExchangeAtMs! > 0 && exchangeBytes! > 0);
      await store.admin.waitForHints(WAIT);
      await store.admin.waitForExchange(WAIT);
    } finally {
      await store.close();
    }
    assertEqualReplicas(path);
    const replicas = readReplicas(path);
    for (const key of written) assert(replicas.has(key), `${key} was acknowledged`);
  }));

test('a node whose objects file was deleted refills, and its mark ends once it was compared with all others', () =>
  inDirectory(async (path) => {
    let store = await open({ path, partitions: 8, sync: 'none', exchangeIntervalMs: 500 });
    await fill(store);
    await store.close();
    rmSync(join(path, 'c', 'objects.mdb'));
    const warnings: string[] = [];
    const hear = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', hear);
    store = await open({ path, exchangeIntervalMs: 500, sync: 'none' });
    try {
      assert(existsSync(join(path, 'c', 'objects.mdb')));
      assert.match(
        warnings.join('\n'),
        /^node "c" starts empty, under a new identity: its objects file .* is missing$/,
      );
      await store.admin.waitForExchange(WAIT);
      // The news that it was found equal is on its way to it.
      await until(async () => (await store.stats()).nodes.c!.partitionsToRefill === 0);
      assert((await store.stats()).nodes.c!.storedEntries! > 0);
      assert((await sum(store, 'exchangeKeysRepaired')) > 0);
    } finally {
      process.off('warning', hear);
      await store.close();
    }
    assertEqualReplicas(path);
  }));

test('trees are taken over from the last stop, and built anew on demand; outside of the window only what is waited for is compared', () =>
  inDirectory(async (path) => {
    const exchangeWindow = windowFarFromNow();
    const options = { path, sync: 'none', exchangeIntervalMs: 100, exchangeWindow } as const;
    let store = await open({ ...options, partitions: 8 });
    await fill(store);
    // Several times what one would take inside of the window.
    await store.admin.rebuildTrees('a', WAIT);
    assert.equal(await sum(store, 'exchanges'), 0);
    assert((await sum(store, 'treesBuilt')) > 0);
    await store.admin.waitForExchange(WAIT);
    const trees = await sum(store, 'treesBuilt');
    await store.close();
    store = await open(options);
    try {
      await store.admin.waitForExchange(WAIT);
      assert.equal(await sum(store, 'treesRestored'), 24);
      assert.equal(await sum(store, 'treesBuilt'), 0, `they were built before, ${trees} of them`);
      const { nodes } = await store.stats();
      await store.admin.rebuildTrees('b', WAIT);
      assert.equal(await sum(store, 'treesBuilt'), nodes.b!.treesRestored);
      await fails(() => store.admin.rebuildTrees('x'), { code: 'INVALID_ARGUMENT', message: /there is no node "x"/ });
      await store.admin.stop('b');
      await fails(() => store.admin.rebuildTrees('b', { timeoutMs: 300 }), {
        code: 'TIMEOUT',
        definite: false,
        message: /the building of all Merkle trees of node "b" was not done within 300 ms/,
      });
    } finally {
      await store.close();
    }
    assertEqualReplicas(path);
  }));

/** Flips a bit of every copy of a text in a file, beneath whoever has it open. */
function rot(file: string, text: string): void {
  const bytes = readFileSync(file);
  const descriptor = openSync(file, 'r+');
  let flipped = 0;
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1), flipped++) {
    writeSync(descriptor, Uint8Array.of(bytes[at]! ^ 0x20), 0, 1, at);
  }
  closeSync(descriptor);
  assert(flipped > 0, `${text} is not in ${file}`);
}

test('a record that rots on disk is never served: a read, a scan and a build of its tree find it, and it is healed', () =>
  inDirectory(async (path) => {
    const store = await open({ path, partitions: 8, nodes: 3, sync: 'none', exchangeIntervalMs: 600_000 });
    const bucket = store.bucket('things', { codec: 'text', r: 1 });
    try {
      await fill(store);
      await store.admin.waitForHints(WAIT);
      for (const name of ['a', 'b', 'c']) await store.admin.rebuildTrees(name, WAIT);
      const finders: [string, () => Promise<void>][] = [
        [
          'value 1234',
          async () => {
            // Until the replica that is unreadable was asked.
            while ((await sum(store, 'corruptRecords')) === 0) {
              assert.equal(
                (await bucket.get('key 1234', { r: 3 }).catch(() => bucket.get('key 1234'))).value,
                'value 1234',
              );
            }
          },
        ],
        [
          'value 1357',
          async () => {
            let seen = 0;
            for await (const { key, value } of bucket.scan({ values: true, r: 3 })) {
              assert.equal(value, String(key).replace('key', 'value'));
              seen++;
            }
            assert.equal(seen, KEYS);
          },
        ],
        ['value 1470', () => store.admin.rebuildTrees('b', WAIT)],
      ];
      for (const [i, [text, find]] of finders.entries()) {
        rot(join(path, 'b', 'objects.mdb'), text);
        await find();
        await until(async () => (await sum(store, 'rotHealed')) > i);
        assert((await sum(store, 'corruptRecords')) > i);
      }
      // One that was found twice may have been healed twice, before another one. In the end a build finds none.
      await until(async () => {
        const found = await sum(store, 'corruptRecords');
        await store.admin.rebuildTrees('b', WAIT);
        return (await sum(store, 'corruptRecords')) === found;
      });
      await store.admin.waitForExchange(WAIT);
    } finally {
      await store.close();
    }
    assertEqualReplicas(path);
  }));

test('in memory, a node that crashed is refilled; while a node is down, nobody is told that all is equal', async () => {
  const store = await open({ partitions: 8, exchangeIntervalMs: 500 });
  try {
    await fill(store);
    await store.admin.waitForExchange(WAIT);
    await store.admin.stop('d');
    await fails(() => store.admin.waitForExchange({ timeoutMs: 1_500 }), {
      code: 'TIMEOUT',
      definite: false,
      message: /pairs.* d/,
    });
    await store.admin.start('d');
    await store.admin.waitForExchange(WAIT);
    assert((await store.stats()).nodes.d!.storedEntries! > 0);
    assert((await sum(store, 'exchangeKeysRepaired')) > 0);
  } finally {
    await store.close();
  }
});
