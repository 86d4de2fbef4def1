/** A thread of a fuzz run: attaches to its stores, and makes its share of the calls. Started by `store-fuzz-run.ts`. */
import { workerData } from 'node:worker_threads';
import { attach } from '../../src/index.js';
import { type FuzzThreadData, fuzzShares } from './store-fuzz-run.js';

const { memory, disk, shares, ...run } = workerData as FuzzThreadData;
const stores = [await attach(memory), await attach(disk)] as const;
try {
  await fuzzShares({ memory: [stores[0]], disk: [stores[1]] }, shares, run);
} finally {
  await Promise.all(stores.map((store) => store.close()));
}
