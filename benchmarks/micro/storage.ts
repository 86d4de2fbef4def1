/**
 * What the storage layer adds to bare lmdb, operation by operation, and what the memory storage does.
 * Rounds of both are interleaved, since the machine has other work, too; the figures are medians, in user and system
 * time, which is steadier than the clock.
 *
 * `node dist/benchmarks/micro/storage.js [ROUNDS]`; with `--cpu-prof` it shows where our part goes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { assert } from '../../src/base/assert.js';
import { SeededRandom, shuffled } from '../../src/base/random.js';
import { openLmdbStorage } from '../../src/storage/lmdb-storage.js';
import { openMemoryStorage } from '../../src/storage/memory-storage.js';
import type { Storage } from '../../src/storage/storage.js';

const ROUNDS = Number(process.argv[2] ?? 9);
const KEYS = 10_000;
const OPERATIONS = 20_000;
const VALUE = Buffer.alloc(148, 7);
const random = new SeededRandom(1);

/** A partition of 2 bytes, a bucket's name, a key: as a store's. */
function keyOf(i: number): Buffer {
  const key = Buffer.from(`pp bench key-${i.toString().padStart(7, '0')}`);
  key.writeUInt16BE(i % 64);
  return key;
}

const keys = shuffled(
  random,
  Array.from({ length: KEYS }, (_, i) => keyOf(i)),
);
const missing = Array.from({ length: KEYS }, (_, i) => keyOf(KEYS + i));
let next = 0;

/** Runs so many operations, a group at a time. */
type Work = (operations: number) => void;

function inGroups(size: number, group: (from: number, size: number) => void): Work {
  return (operations) => {
    for (let done = 0; done < operations; done += size) {
      group(next, size);
      next = (next + size) % KEYS;
    }
  };
}

const directory = mkdtempSync(join(tmpdir(), 'quoral-micro-'));
const bare = open<Uint8Array, Uint8Array>({
  path: join(directory, 'bare.mdb'),
  noSubdir: true,
  keyEncoding: 'binary',
  encoding: 'binary',
  overlappingSync: false,
  noSync: true,
  mapSize: 64 * 2 ** 30,
});
const lmdb = openLmdbStorage({ path: join(directory, 'lmdb.mdb'), sync: 'none' });
const memory = openMemoryStorage();
const everything = [lmdb, memory];
bare.transactionSync(() => {
  for (const key of keys) void bare.put(key, VALUE);
});
for (const storage of everything) {
  for (const key of keys) storage.put(key, VALUE);
  storage.commit();
}

function bareWrites(batch: number): Work {
  return inGroups(batch, (from, size) => {
    for (let i = 0; i < size; i++) assert(bare.getBinaryFast(keys[(from + i) % KEYS]!) !== undefined, 'is there');
    bare.transactionSync(() => {
      for (let i = 0; i < size; i++) void bare.put(keys[(from + i) % KEYS]!, VALUE);
    });
  });
}

/** As a vnode does it: each read is followed by its write, so that it has to look at what is pending, too. */
function writes(storage: Storage, batch: number): Work {
  return inGroups(batch, (from, size) => {
    for (let i = 0; i < size; i++) {
      const key = keys[(from + i) % KEYS]!;
      assert(storage.get(key) !== undefined, 'is there');
      storage.put(key, VALUE);
    }
    storage.commit();
  });
}

const LIMIT = 100;
const each = (at: (i: number) => void): Work => inGroups(1, (from) => at(from));
const first = keyOf(0);

const rows: { name: string; bare: Work; lmdb: Work; memory: Work }[] = [
  ...[1, 16, 64, 256].map((batch) => ({
    name: `read-modify-write, groups of ${batch}`,
    bare: bareWrites(batch),
    lmdb: writes(lmdb, batch),
    memory: writes(memory, batch),
  })),
  {
    name: 'get',
    bare: each((i) => assert(bare.getBinaryFast(keys[i]!) !== undefined, 'is there')),
    lmdb: each((i) => assert(lmdb.get(keys[i]!) !== undefined, 'is there')),
    memory: each((i) => assert(memory.get(keys[i]!) !== undefined, 'is there')),
  },
  {
    name: 'get, a miss',
    bare: each((i) => assert(bare.getBinaryFast(missing[i]!) === undefined, 'is not there')),
    lmdb: each((i) => assert(lmdb.get(missing[i]!) === undefined, 'is not there')),
    memory: each((i) => assert(memory.get(missing[i]!) === undefined, 'is not there')),
  },
  {
    name: `range, a row of ${LIMIT}`,
    bare: inGroups(LIMIT, () => {
      let count = 0;
      for (const _ of bare.getRange({ start: first, limit: LIMIT })) count++;
      assert(count === LIMIT, 'are there');
    }),
    lmdb: inGroups(LIMIT, () => assert(lmdb.range({ gte: first, limit: LIMIT }).length === LIMIT, 'are there')),
    memory: inGroups(LIMIT, () => assert(memory.range({ gte: first, limit: LIMIT }).length === LIMIT, 'are there')),
  },
];

function microsOf(work: Work): number {
  const before = process.cpuUsage();
  work(OPERATIONS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / OPERATIONS;
}

function median(samples: number[]): number {
  return samples.sort((a, b) => a - b)[samples.length >> 1]!;
}

console.log(
  `µs CPU per operation, ${KEYS} keys of ${first.length} bytes, values of ${VALUE.length}`.padEnd(58),
  'bare     lmdb   added   memory',
);
for (const { name, ...works } of rows) {
  const samples = { bare: [] as number[], lmdb: [] as number[], memory: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    for (const engine of ['bare', 'lmdb', 'memory'] as const) {
      samples[engine].push(microsOf(works[engine]));
      // Lets lmdb's timers end its read transactions, as between two turns.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  const [b, l, m] = [median(samples.bare), median(samples.lmdb), median(samples.memory)];
  const added = `${(((l - b) / b) * 100).toFixed(0)} %`;
  console.log(
    name.padEnd(58),
    `${b.toFixed(2)}   ${l.toFixed(2).padStart(6)} ${added.padStart(7)}   ${m.toFixed(2).padStart(6)}`,
  );
}

// The memory storage has to keep its pace as it grows.
const MANY = 1_000_000;
const big = openMemoryStorage();
const start = process.cpuUsage();
for (const i of shuffled(
  random,
  Array.from({ length: MANY }, (_, i) => i),
)) {
  big.put(keyOf(i), VALUE);
  if (i % 64 === 0) big.commit();
}
big.commit();
const { user, system } = process.cpuUsage(start);
const resident = Math.round(process.memoryUsage.rss() / 2 ** 20);
console.log(
  `memory, ${MANY} keys loaded at random`.padEnd(58),
  `${((user + system) / MANY).toFixed(2)} µs each, ${resident} MiB resident`,
);
const bigGets = microsOf(each((i) => assert(big.get(keys[i]!) !== undefined, 'is there')));
console.log(`memory, get of ${MANY} keys`.padEnd(58), `${bigGets.toFixed(2)} µs each`);

for (const storage of [...everything, big]) storage.close();
await bare.close();
rmSync(directory, { recursive: true, force: true });
