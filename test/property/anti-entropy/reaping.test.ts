/**
 * Goal: deletions are forgotten, and contexts reduced, without a replaced value ever coming back, or an acknowledged write being lost;
 * and each rule of the protocol is needed for that. Random histories against a causal oracle (`reaping-world.ts`).
 */
import assert from 'node:assert/strict';
import { PLANTED_BUGS, type ReapingOptions, ReapingViolation, ReapingWorld } from '../../support/reaping-world.js';
import { test } from '../../support/test.js';

const RUNS = Number(process.env.QUORAL_RUNS ?? 1);
const FIRST = Number(process.env.QUORAL_SEED ?? 1);
const STEPS = 400;

interface Totals {
  reaped: number;
  reduced: number;
  refused: number;
}

function live(seed: number, options: ReapingOptions, totals?: Totals): ReapingViolation | undefined {
  const world = new ReapingWorld(seed, options);
  try {
    world.run(STEPS);
  } catch (error) {
    if (!(error instanceof ReapingViolation)) throw error;
    return error;
  }
  if (totals !== undefined) {
    totals.reaped += world.reaped;
    totals.reduced += world.reduced;
    totals.refused += world.refused;
  }
  return undefined;
}

for (const restores of [false, true]) {
  test(`no deleted value comes back${restores ? ', nor with a copy that is restored' : ', and no write is lost'}`, () => {
    const totals = { reaped: 0, reduced: 0, refused: 0 };
    const histories = Math.ceil(1_500 * RUNS);
    for (let seed = FIRST; seed < FIRST + histories; seed++) {
      const violation = live(seed, { restores }, totals);
      assert.equal(violation, undefined, `QUORAL_SEED=${seed}: ${violation?.message}`);
    }
    assert.ok(totals.reaped > histories / 10, `only ${totals.reaped} tombstones were reaped in ${histories} histories`);
    assert.ok(totals.reduced > histories / 10, `only ${totals.reduced} contexts were reduced`);
    assert.ok(totals.refused > histories / 20, `only ${totals.refused} messages came too late`);
  });
}

for (const bug of PLANTED_BUGS) {
  test(`planted: ${bug}`, () => {
    const restores = bug.startsWith('a restored vnode');
    // It takes a write after the removal, and one from before it, in one repair.
    const writes = bug.startsWith('what was made of several') ? 14 : 9;
    let seed = 1;
    while (seed < 20_000 && live(seed, { bug, restores, writes }) === undefined) seed++;
    assert.ok(seed < 20_000, 'the oracle has not noticed');
  });
}
