/**
 * Goal: the checkers see what they are there to see. Each mistake of the list in the store's semantics, §8, that
 * concerns what exists is planted in turn, under the faults that bring it out: within a few seeds a checker must tell,
 * and of that very seed without the mistake it must tell nothing.
 *
 * Those of reaping are in `reaping.test.ts`, and in the model's tests (`test/property/anti-entropy`). A restart before a
 * pending commit is known, and a reply to a later incarnation, are mistakes of a runtime: `conformance/runtime-mutants`
 * has them. Here they would break no promise: an actor that begins anew draws other names, and what it reads of a pending
 * turn is not told before that is stored.
 */
import assert from 'node:assert/strict';
import { spawn } from '../../actors/simulated-node.js';
import { SimulatedCluster } from '../../src/simulation/simulated-cluster.js';
import { runSeed } from '../../src/simulation/swarm.js';
import { test } from '../support/test.js';
import { ACKNOWLEDGEMENT_BUGS } from './planted/acknowledgements.js';
import { EXCHANGE_BUGS, EXCHANGE_STORIES } from './planted/exchanges.js';
import { HINT_STORIES } from './planted/hints.js';
import { IDENTITY_BUGS } from './planted/identity.js';
import type { PlantedBug } from './planted/plant.js';
import { STAND_IN_STORIES } from './planted/stand-ins.js';
import { TOKEN_BUGS } from './planted/tokens.js';

const BUGS: readonly PlantedBug[] = [...IDENTITY_BUGS, ...ACKNOWLEDGEMENT_BUGS, ...TOKEN_BUGS, ...EXCHANGE_BUGS];
const DURATION_MS = 600;

for (const bug of BUGS) {
  test(`noticed: ${bug.name}`, () => {
    const { name, sync, kinds, seeds } = bug;
    const seed = noticedAt(bug);
    assert(seed !== undefined, `${seeds} seeds passed in spite of it`);
    if (process.env.QUORAL_VERBOSE !== undefined) console.log(`  # noticed at seed ${seed}`);
    const { violations } = runSeed({ seed, spawn, sync, kinds, durationMs: DURATION_MS });
    assert.deepEqual(violations, [], `without it, under the same faults as '${name}', every promise is kept`);
  });
}

/** The first seed at which a checker says what is expected of it. */
function noticedAt(bug: PlantedBug): number | undefined {
  const { sync, kinds, noticed, spawn: own = spawn } = bug;
  for (let seed = 1; seed <= bug.seeds; seed++) {
    const { violations } = runSeed({ seed, spawn: own, planted: bug, sync, kinds, durationMs: DURATION_MS });
    if (violations.some((violation) => noticed.test(violation))) return seed;
  }
  return undefined;
}

const STORY_SEEDS = 12;

for (const { planted, sync, cluster, tell } of [...HINT_STORIES, ...STAND_IN_STORIES, ...EXCHANGE_STORIES]) {
  test(`noticed: ${planted.name}`, () => {
    let noticed = 0;
    for (let seed = 1; seed <= STORY_SEEDS; seed++) {
      assert(
        tell(new SimulatedCluster({ ...cluster, seed, spawn, sync })),
        `without it, seed ${seed} keeps what was promised`,
      );
      if (!tell(new SimulatedCluster({ ...cluster, seed, spawn, sync, planted }))) noticed++;
    }
    assert(noticed > 0, `${STORY_SEEDS} seeds passed in spite of it`);
    if (process.env.QUORAL_VERBOSE !== undefined) console.log(`  # noticed in ${noticed} of ${STORY_SEEDS} seeds`);
  });
}
