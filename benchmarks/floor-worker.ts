/** One node of the floor: see `floor.ts`. Bare lmdb, used as `src/storage/lmdb-storage.ts` uses it. */
import { parentPort, workerData } from 'node:worker_threads';
import { open } from 'lmdb';
import { assert } from '../src/base/assert.js';
import { SeededRandom, shuffled } from '../src/base/random.js';
import type { FloorPhase, FloorPhaseResult, FloorWorkerData } from './floor.js';

const BATCH = 150;

const { path, sync, keys: count, valueBytes } = workerData as FloorWorkerData;
const db = open<Uint8Array, Uint8Array>({
  path,
  noSubdir: true,
  keyEncoding: 'binary',
  encoding: 'binary',
  overlappingSync: false,
  noSync: sync === 'none',
  mapSize: 64 * 2 ** 30,
});

const random = new SeededRandom(1);
/** As a store's: a partition of 2 bytes, a bucket's name, a key. */
const keys = Array.from({ length: count }, (_, i) => {
  const key = Buffer.from(`pp bench key-${i.toString().padStart(7, '0')}`);
  key.writeUInt16BE(random.uint32() % 64);
  return key;
});
const order = shuffled(random, keys);
const values = Array.from({ length: BATCH }, (_, i) => Buffer.alloc(valueBytes, i));
let source: Uint8Array | undefined;
let view: Uint8Array = new Uint8Array(valueBytes);
let copied = Buffer.alloc(valueBytes);
let next = 0;

db.transactionSync(() => {
  for (const key of order) void db.put(key, values[0]!);
});

function keyAt(position: number): Buffer {
  return order[position % order.length]!;
}

/** Reads a batch, then writes it; returns how many. */
function putBatch(): number {
  for (let i = 0; i < BATCH; i++) assert(db.getBinaryFast(keyAt(next + i)) !== undefined, 'Every key is there');
  db.transactionSync(() => {
    for (let i = 0; i < BATCH; i++) void db.put(keyAt(next + i), values[i]!);
  });
  next += BATCH;
  return BATCH;
}

function getBatch(): number {
  for (let i = 0; i < BATCH; i++) {
    const found: Uint8Array | undefined = db.getBinaryFast(keyAt(next + i));
    assert(found !== undefined, 'Every key is there');
    // A length is pasted over that of lmdb's buffer, which is one and the same at every get: `set` would copy it all.
    if (found !== source) {
      source = found;
      view = new Uint8Array(found.buffer, found.byteOffset, valueBytes);
    }
    copied = Buffer.allocUnsafe(valueBytes);
    copied.set(view);
  }
  next += BATCH;
  return BATCH;
}

function run({ work, durationMs }: FloorPhase): FloorPhaseResult {
  const batch = work === 'put' ? putBatch : getBatch;
  const start = performance.now();
  let operations = 0;
  let elapsedMs = 0;
  while (elapsedMs < durationMs) {
    operations += batch();
    elapsedMs = performance.now() - start;
  }
  assert(copied.length === valueBytes, 'Every value is whole');
  return { operations, elapsedMs };
}

parentPort!.on('message', (message: FloorPhase | 'close') => {
  if (message === 'close') {
    void db.close();
    parentPort!.close();
  } else parentPort!.postMessage(run(message));
});
parentPort!.postMessage('loaded');
