/** Holds every engine to the storage contract: memory, LMDB, that of rehearsals, the simulator's disk. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { t } from 'tap';
import { SeededRandom } from '../../src/base/random.js';
import { SimulatedDisk } from '../../src/runtime/simulator/simulated-disk.js';
import { openLmdbStorage } from '../../src/storage/lmdb-storage.js';
import { openMemoryStorage } from '../../src/storage/memory-storage.js';
import { openStageStorage } from '../../src/storage/stage-storage.js';
import { type StorageUnderTest, storageConformance } from './storage.js';

const directory = mkdtempSync(join(tmpdir(), 'quoral-storage-'));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));
let places = 0;

function lmdb(sync: 'full' | 'none'): StorageUnderTest {
  const path = join(directory, `${++places}.mdb`);
  return {
    persistent: true,
    durable: true,
    open: () => openLmdbStorage({ path, sync }),
    dispose: () => {
      for (const file of [path, `${path}-lock`]) rmSync(file);
    },
  };
}

storageConformance('memory', () => ({ persistent: false, durable: false, open: openMemoryStorage }));
storageConformance('stage', () => ({
  persistent: false,
  durable: false,
  open: () => openStageStorage(join(directory, 'none.mdb')),
}));
storageConformance('lmdb, sync full', () => lmdb('full'));
storageConformance('lmdb, sync none', () => lmdb('none'));
for (const sync of ['full', 'none'] as const) {
  storageConformance(`simulated disk, sync ${sync}`, () => {
    const disk = new SimulatedDisk(new SeededRandom(1), { sync });
    return { persistent: true, durable: true, open: () => disk.open() };
  });
}
