/** What a thread does that runs seeds of the swarm: one after the other, as they are given to it. */
import type { SpawnNode } from '../../simulation/cluster-options.js';
import { runSeed } from '../../simulation/swarm.js';

/** What is counted of a run: without its history, which stays in the thread. */
export interface SeedCount {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly events: number;
  readonly acknowledged: number;
  readonly faults: ReadonlyMap<string, number>;
}

export interface SeedTask {
  readonly seed: number;
  /** The module whose `spawn` makes the actors of a node: a file URL. */
  readonly actors: string;
}

export async function countSeed({ seed, actors }: SeedTask): Promise<SeedCount> {
  const { spawn } = (await import(actors)) as { spawn: SpawnNode };
  const { violations, events, acknowledged, faults } = runSeed({ seed, spawn });
  return { seed, violations, events, acknowledged, faults };
}
