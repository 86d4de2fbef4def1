/** Runs seeds of the swarm on several threads at once: each is a world of its own. */
import { Piscina } from 'piscina';
import { withoutLoaders } from '../../base/loaders.js';
import type { SeedCount, SeedTask } from './seed-worker.js';

const WORKER = new URL('./seed-worker.js', import.meta.url);
/** Seeds that are given out for each thread: one that it runs, and one that waits for it. */
const SEEDS_OF_A_THREAD = 2;

export interface SeedRuns {
  /** Taken from as threads become free. */
  readonly seeds: Iterable<number>;
  readonly threads: number;
  /** The module whose `spawn` makes the actors of a node. */
  readonly actors: URL;
}

/** What came of each seed, in their order. Throws what a run threw; when the consumer leaves, runs under way are given up. */
export async function* runSeeds({ seeds, threads, actors }: SeedRuns): AsyncGenerator<SeedCount, void, undefined> {
  const pool = new Piscina<SeedTask, SeedCount>({
    filename: WORKER.href,
    name: 'countSeed',
    minThreads: threads,
    maxThreads: threads,
    // Options of this process (loaders, a debugger's port) are not meant for the pool.
    ...withoutLoaders(process),
    execArgv: [],
  });
  // A thread that is ended while it loads its modules may take the process with it: see `runtime/threads/hashing-pool.ts`.
  const loaded = Promise.all(
    pool.threads.map(async (thread) => {
      await new Promise<unknown>((resolve) => thread.once('message', resolve).once('exit', resolve));
    }),
  );
  const underWay: Promise<SeedCount>[] = [];
  try {
    for (const seed of seeds) {
      const run = pool.run({ seed, actors: actors.href });
      // Whose turn does not come fails unheard: the one before it was told.
      run.catch(() => {});
      underWay.push(run);
      if (underWay.length >= threads * SEEDS_OF_A_THREAD) yield await underWay.shift()!;
    }
    for (const run of underWay) yield await run;
  } finally {
    await loaded;
    await pool.destroy();
  }
}
