/**
 * Goal: the checkers see what they are there to see. Each mistake of the list in the store's semantics, §8, that
 * concerns what exists is planted in turn, under the faults that bring it out: within a few seeds a checker must tell.
 */
import assert from 'node:assert/strict';
import { runSeed } from '../../src/simulation/swarm.js';
import { test } from '../support/test.js';
import { ACKNOWLEDGEMENT_BUGS } from './planted/acknowledgements.js';
import { IDENTITY_BUGS } from './planted/identity.js';
import type { PlantedBug } from './planted/plant.js';
import { TOKEN_BUGS } from './planted/tokens.js';
import { spawn } from './spawn.js';

for (const bug of [...IDENTITY_BUGS, ...ACKNOWLEDGEMENT_BUGS, ...TOKEN_BUGS]) {
  test(`noticed: ${bug.name}`, () => {
    const seed = noticedAt(bug);
    assert.notEqual(seed, undefined, `${bug.seeds} seeds passed in spite of it`);
    if (process.env.QUORAL_VERBOSE !== undefined) console.log(`  # noticed at seed ${seed}`);
  });
}

/** The first seed at which a checker says what is expected of it. */
function noticedAt(bug: PlantedBug): number | undefined {
  const { sync, kinds, noticed } = bug;
  for (let seed = 1; seed <= bug.seeds; seed++) {
    const { violations } = runSeed({ seed, spawn, planted: bug, sync, kinds, durationMs: 600 });
    if (violations.some((violation) => noticed.test(violation))) return seed;
  }
  return undefined;
}
