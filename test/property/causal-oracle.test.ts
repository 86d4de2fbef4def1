/**
 * Goal: whatever happens to puts, messages and nodes, a replica shows exactly what the naive causal oracle says.
 * Method: random histories through the real records, minting, merging and tokens (test/support/version-world.ts),
 * compared at every step, and for identical bytes after healing. Then each rule is broken by name, and that must be noticed.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InvariantError } from '../../src/base/assert.js';
import { Violation } from '../support/causal-oracle.js';
import { choice, historyOfSteps } from '../support/histories.js';
import { holds, runsUntilFailure } from '../support/property.js';
import { test } from '../support/test.js';
import { PLANTED_BUGS, PLANTED_CLIENT_BUGS, VersionWorld, type WorldOptions } from '../support/version-world.js';

const order = fc.array(choice, { minLength: 8, maxLength: 8 });

function histories(options: WorldOptions, counts?: Map<string, number>) {
  return fc.property(historyOfSteps, order, (taken, healing) => {
    const world = new VersionWorld(options);
    for (const each of taken) world.take(each);
    world.heal(healing);
    for (const [what, times] of world.counts) counts?.set(what, (counts.get(what) ?? 0) + times);
  });
}

function assertHappened(counts: ReadonlyMap<string, number>, ...what: string[]): void {
  for (const each of what) assert.ok((counts.get(each) ?? 0) > 0, `no history had '${each}': it proves nothing`);
}

test('replicas show what the causal oracle shows, after every step and after healing', () => {
  const counts = new Map<string, number>();
  holds(histories({}, counts), 1_500);
  assertHappened(counts, 'minted', 'stored', 'superseded', 'voided', 'retry', 'receipt', 'get', 'delivered');
  assertHappened(counts, 'handed over', 'alone', 'crash with escaped dots', 'damage', 'foreign token refused');
});

// Damage and crashes may take what a put was acknowledged for; then its client's next put is told so by no sibling.
test('a sequential client that passes the join of its tokens never sees siblings', () => {
  const counts = new Map<string, number>();
  holds(histories({ sequential: true }, counts), 500);
  assertHappened(counts, 'minted', 'voided', 'retry', 'receipt', 'get', 'crash with escaped dots');
});

for (const bug of PLANTED_BUGS) {
  test(`the oracle notices: ${bug}`, () => noticed({ bug }));
}

for (const bug of PLANTED_CLIENT_BUGS) {
  test(`a sequential client notices: ${bug}`, () => noticed({ bug, sequential: true }));
}

function noticed(options: WorldOptions): void {
  const runs = runsUntilFailure(histories(options), 3_000, 7, [Violation, InvariantError]);
  assert.ok(runs !== undefined, 'no history showed it');
}
