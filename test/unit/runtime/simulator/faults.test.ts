/** The simulator's faults do what they say, and under all of them the contract of requests holds. */
import assert from 'node:assert/strict';
import { below, pick, SeededRandom } from '../../../../src/base/random.js';
import { type Failure, type Release, refAt } from '../../../../src/runtime/actor.js';
import type { CrashPoint } from '../../../../src/runtime/simulator/world.js';
import { ASKER_SLOT, KEEPER_SLOT, KEEPING, Ledger } from '../../../support/simulated-ledger.js';
import { test } from '../../../support/test.js';

const SEEDS = Number(process.env.QUORAL_SIMULATOR_SEEDS ?? 60);

interface Tally {
  requests: number;
  answers: number;
  failures: Map<Failure, number>;
  duplicates: number;
  hash: string;
}

/** Plays random faults over random requests, heals everything, and checks the contract. */
function chaos(seed: number): Tally {
  const random = new SeededRandom(seed);
  const threads = 4;
  const ledger = new Ledger({
    seed,
    threads,
    supervision: { backoffMs: 1, maxBackoffMs: 20, maxRestarts: 4, windowMs: 200 },
  });
  const { simulator } = ledger;
  const { network } = simulator;
  const thread = (): number => below(random, threads);
  const faults: readonly (() => void)[] = [
    () => network.setAll({ loss: 0.05 * below(random, 3), duplication: 0.1 * below(random, 3) }),
    () => network.setAll({ reordering: 0.2 * below(random, 3), reorderMs: 20 }),
    () => network.setLink(thread(), thread(), { meanExtraDelayMs: 5 }),
    () => simulator.split([thread()]),
    () => simulator.splitOneWay([thread()], [thread()]),
    () => simulator.heal(),
    () => simulator.crashThread(thread()),
    () => simulator.crashThread(thread(), pick<CrashPoint>(random, ['mid-turn', 'before-commit', 'after-commit'])),
    () => simulator.crashActor(refAt(KEEPING, thread(), KEEPER_SLOT)),
    () => simulator.crashActor(refAt(KEEPING, thread(), ASKER_SLOT)),
    () => simulator.pauseThread(thread(), below(random, 50)),
    () => simulator.powerFail(thread()),
    () => simulator.disk(thread(), 'objects').setFaults({ commitFailure: 0.2 * below(random, 2), flushFailure: 0.1 }),
    () => simulator.disk(thread(), 'objects').failNextCommit(pick(random, ['stored', 'lost'])),
    () => simulator.jumpClock(thread(), below(random, 100_000) - 50_000),
    () => simulator.driftClock(thread(), (below(random, 21) - 10) / 1_000),
  ];
  for (let round = 0; round < 150; round++) {
    const burst = below(random, 12) === 0 ? 100 : below(random, 6);
    const [from, to] = [thread(), thread()];
    for (let i = 0; i < burst; i++) ledger.tryAsk(from, to, pick<Release>(random, ['now', 'stored', 'durable']));
    if (below(random, 4) === 0) pick(random, faults)();
    simulator.runFor(below(random, 8));
    const down = thread();
    if (!simulator.host(down).up && below(random, 3) === 0) simulator.startThread(down);
  }
  network.calm();
  simulator.heal();
  assert(simulator.runUntilIdle(), 'it comes to rest');
  ledger.check((asked) => [0, 1, 2, 3].some((each) => ledger.currentAsker(each) === asked.asker));

  const tally: Tally = { requests: 0, answers: 0, failures: new Map(), duplicates: 0, hash: simulator.trace.hash };
  for (const asked of ledger.asked.values()) {
    tally.requests++;
    tally.answers += asked.answers;
    if (asked.received > 1) tally.duplicates++;
    for (const failure of asked.failures) tally.failures.set(failure, (tally.failures.get(failure) ?? 0) + 1);
    // With sync 'full' stored is durable: no power failure takes it.
    if (asked.answers > 0 && asked.release !== 'now') assert(ledger.isOnDisk(asked), `request ${asked.id} was lost`);
  }
  return tally;
}

test('under any mix of faults every request has one outcome, and none that is a lie', () => {
  const sum = { requests: 0, answers: 0, duplicates: 0 };
  const failures = new Set<Failure>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    let tally: Tally;
    try {
      tally = chaos(seed);
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
    sum.requests += tally.requests;
    sum.answers += tally.answers;
    sum.duplicates += tally.duplicates;
    for (const failure of tally.failures.keys()) failures.add(failure);
    if (seed <= 5) assert.deepEqual(chaos(seed), tally, 'a seed run twice does the same');
  }
  // A run without faults, or without successes, would show nothing.
  assert(sum.answers > sum.requests / 3 && sum.answers < sum.requests, `${sum.answers} of ${sum.requests}`);
  assert(sum.duplicates > 0, 'requests were received twice');
  assert.deepEqual([...failures].sort(), ['commit-failed', 'cut-off', 'died', 'refused', 'stale', 'unreachable']);
});
