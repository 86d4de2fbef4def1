/**
 * The floor: what the storage work of a quorum put or get costs when nothing else is done. No store can be faster than
 * its LMDB environments, so a benchmark prints its figures beside these, of the same run on the same machine.
 *
 * As many threads as nodes, each with an LMDB environment of its own (bare lmdb, none of our code, no writemap):
 * - put: read one, write one, in transactions of 150; summed over the threads and divided by n, as each put is stored
 *   n times.
 * - get: `getBinaryFast` and a copy; divided by r, as each get asks r replicas.
 *
 * `node dist/benchmarks/floor.js [DIRECTORY]` prints it.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

export interface FloorOptions {
  /** 'none': noSync. 'full': every transaction is flushed. */
  readonly sync: 'full' | 'none';
  /** Where to put the files: a directory on the disk that is to be measured. Default: the system's temporary one. */
  readonly directory?: string;
  /** Threads, each with its environment. Default 5. */
  readonly nodes?: number;
  /** Replicas written by a put. Default 3. */
  readonly n?: number;
  /** Replicas read by a get. Default 2. */
  readonly r?: number;
  /** Default 10,000, in every environment. */
  readonly keys?: number;
  /** Bytes of a value: payload and clock. Default 100 + 48. */
  readonly valueBytes?: number;
  /** How long each of the two is measured, in milliseconds. Default 1,000. */
  readonly durationMs?: number;
}

export interface FloorFigure {
  /** Quorum operations. */
  readonly perSecond: number;
  /** User and system time of the whole process for one of them, in microseconds. */
  readonly cpuMicros: number;
}

export interface Floor {
  readonly put: FloorFigure;
  readonly get: FloorFigure;
}

/** What the worker is told to do, and tells when it is done. */
export interface FloorPhase {
  readonly work: 'put' | 'get';
  readonly durationMs: number;
}

export interface FloorPhaseResult {
  readonly operations: number;
  readonly elapsedMs: number;
}

export interface FloorWorkerData {
  readonly path: string;
  readonly sync: 'full' | 'none';
  readonly keys: number;
  readonly valueBytes: number;
}

/** Threads with their environments filled, to be measured as often as one likes. */
export class FloorRig {
  private readonly options: Required<Pick<FloorOptions, 'n' | 'r'>>;
  private readonly directory: string;
  private readonly workers: readonly Worker[];

  private constructor(options: Required<Pick<FloorOptions, 'n' | 'r'>>, directory: string, workers: readonly Worker[]) {
    this.options = options;
    this.directory = directory;
    this.workers = workers;
  }

  static async open(options: Omit<FloorOptions, 'durationMs'>): Promise<FloorRig> {
    const { sync, nodes = 5, n = 3, r = 2, keys = 10_000, valueBytes = 148 } = options;
    const directory = mkdtempSync(join(options.directory ?? tmpdir(), 'quoral-floor-'));
    const workers = Array.from({ length: nodes }, (_, node) => {
      const workerData: FloorWorkerData = { path: join(directory, `${node}.mdb`), sync, keys, valueBytes };
      const worker = new Worker(new URL('./floor-worker.js', import.meta.url), { workerData });
      // Whoever waits for its next message gets the error; this keeps it from ending the process before the clean-up.
      worker.on('error', () => undefined);
      return worker;
    });
    const rig = new FloorRig({ n, r }, directory, workers);
    try {
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      return rig;
    } catch (error) {
      await rig.close();
      throw error;
    }
  }

  put(durationMs: number): Promise<FloorFigure> {
    return measure(this.workers, { work: 'put', durationMs }, this.options.n);
  }

  get(durationMs: number): Promise<FloorFigure> {
    return measure(this.workers, { work: 'get', durationMs }, this.options.r);
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.map(ended));
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Measures the floor; takes a little over two times `durationMs`. */
export async function measureFloor({ durationMs = 1_000, ...options }: FloorOptions): Promise<Floor> {
  const rig = await FloorRig.open(options);
  try {
    return { put: await rig.put(durationMs), get: await rig.get(durationMs) };
  } finally {
    await rig.close();
  }
}

async function measure(workers: readonly Worker[], phase: FloorPhase, replicas: number): Promise<FloorFigure> {
  const before = process.cpuUsage();
  const results = await Promise.all(
    workers.map(async (worker) => {
      const result = once(worker, 'message');
      worker.postMessage(phase);
      return (await result)[0] as FloorPhaseResult;
    }),
  );
  const { user, system } = process.cpuUsage(before);
  const operations = results.reduce((sum, result) => sum + result.operations, 0) / replicas;
  const perSecond = results.reduce((sum, each) => sum + each.operations / each.elapsedMs, 0) * (1_000 / replicas);
  return { perSecond, cpuMicros: (user + system) / operations };
}

/** Asks a worker to close, and waits until it has: terminated inside a transaction, it would never end. */
async function ended(worker: Worker): Promise<void> {
  if (worker.threadId === -1) return;
  const exit = new Promise((resolve) => worker.once('exit', resolve));
  worker.postMessage('close');
  await exit;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const directory = process.argv[2];
  for (const sync of ['none', 'full'] as const) {
    const floor = await measureFloor({ sync, ...(directory !== undefined && { directory }) });
    for (const work of ['put', 'get'] as const) {
      const { perSecond, cpuMicros } = floor[work];
      const rate = Math.round(perSecond).toLocaleString('en').padStart(10);
      console.log(`floor  sync ${sync.padEnd(4)}  ${work}  ${rate}/s  ${cpuMicros.toFixed(2).padStart(6)} µs CPU`);
    }
  }
}
