/** The birth of a worker thread of a group. */
import { type TransferListItem, Worker } from 'node:worker_threads';
import { withoutLoaders } from '../../base/loaders.js';

export interface NewWorkerOptions {
  readonly entry: URL;
  /** For debuggers and tools of the system. */
  readonly name: string;
  /** What its JavaScript heap may take, in MiB (default: what Node gives a thread). */
  readonly heapMb: number | undefined;
  readonly data: unknown;
  /** Of `data`: what it alone has from now on. */
  readonly transfer: readonly TransferListItem[];
}

export function newWorker({ entry, name, heapMb, data, transfer }: NewWorkerOptions): Worker {
  return new Worker(entry, {
    workerData: data,
    transferList: [...transfer],
    name,
    ...withoutLoaders(process),
    ...(heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
  });
}
