/** Each fault of the simulated network and of threads, one at a time, with what the requester sees of it. */
import assert from 'node:assert/strict';
import { refAt } from '../../../../src/runtime/actor.js';
import { SIMULATION_EPOCH_MS } from '../../../../src/runtime/simulator/simulated-clock.js';
import { PlannedCrash } from '../../../../src/runtime/simulator/simulator.js';
import type { CrashPoint } from '../../../../src/runtime/simulator/world.js';
import { type Asked, KEEPER_SLOT, KEEPING, Ledger } from '../../../support/simulated-ledger.js';
import { test } from '../../../support/test.js';

/** Until a lost frame must have shown, in milliseconds. */
const TIMED_OUT = 1_000;
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

function ended(ledger: Ledger, asked: Asked): boolean {
  return ledger.simulator.runUntil(() => asked.endedAt >= 0, 2_000);
}

test('a lost frame surfaces as cut-off when the connection times out, and only then', () => {
  const ledger = new Ledger({ seed: 1, threads: 2 });
  ledger.simulator.network.setLink(0, 1, { loss: 1 });
  const lostRequest = ledger.ask(0, 1);
  assert(ended(ledger, lostRequest));
  assert.deepEqual([lostRequest.failures, lostRequest.received], [['cut-off'], 0]);
  assert(lostRequest.endedAt - lostRequest.at >= 500, 'not before the time is up');

  ledger.simulator.network.calm();
  ledger.simulator.network.setLink(1, 0, { loss: 1 });
  const lostReply = ledger.ask(0, 1);
  assert(ended(ledger, lostReply));
  assert.deepEqual([lostReply.failures, lostReply.received], [['cut-off'], 1]);
});

test('a duplicated request is received twice, and answered once', () => {
  const ledger = new Ledger({ seed: 1, threads: 2 });
  ledger.simulator.network.setAll({ duplication: 1 });
  const asked = Array.from({ length: 20 }, () => ledger.ask(0, 1, 'stored'));
  assert(ledger.simulator.runUntilIdle());
  for (const { received, answers, failures } of asked) assert.deepEqual([received, answers, failures], [2, 1, []]);
});

test('a duplicated request that does not fit counts as refused only if no copy did', () => {
  for (const seed of SEEDS) {
    const ledger = new Ledger({ seed, threads: 2 });
    ledger.simulator.network.setAll({ duplication: 1, reordering: 1, reorderMs: 5 });
    // The mailbox takes 64 copies; while the keeper's thread stands still, the rest is turned away.
    ledger.simulator.pauseThread(1, 20);
    const asked = Array.from({ length: 60 }, () => ledger.ask(0, 1));
    assert(ledger.simulator.runUntilIdle());
    ledger.check(() => true);
    assert(asked.some(({ failures }) => failures[0] === 'refused'));
    assert(
      asked.some(({ received, answers }) => received === 1 && answers === 1),
      'one copy was in, one out',
    );
  }
});

test('a split cuts both ways, a one-way cut one; heal ends them', () => {
  const ledger = new Ledger({ seed: 1, threads: 3 });
  const { simulator } = ledger;
  simulator.split([0]);
  const across = ledger.ask(0, 1);
  const within = ledger.ask(2, 1);
  assert(ended(ledger, across) && ended(ledger, within));
  assert.deepEqual([across.failures, across.received], [['cut-off'], 0]);
  assert.equal(within.answers, 1);
  // By now the thread knows that it has no connection, and says so at once.
  const again = ledger.ask(0, 1);
  simulator.runFor(1);
  assert.deepEqual(again.failures, ['unreachable']);
  simulator.heal();
  simulator.runFor(simulator.pace.detectionMs);
  const healed = ledger.ask(0, 1);
  assert(ended(ledger, healed));
  assert.equal(healed.answers, 1);

  simulator.splitOneWay([1], [0]);
  const oneWay = ledger.ask(0, 1);
  assert(ended(ledger, oneWay));
  assert.deepEqual([oneWay.failures, oneWay.received], [['cut-off'], 1]);
});

test('a split catches what is under way', () => {
  const ledger = new Ledger({ seed: 1, threads: 2 });
  ledger.simulator.network.setAll({ minDelayMs: 10 });
  const asked = ledger.ask(0, 1);
  ledger.simulator.runFor(5);
  ledger.simulator.split([0]);
  ledger.simulator.runFor(TIMED_OUT);
  assert.deepEqual([asked.failures, asked.received], [['cut-off'], 0]);
});

test('links can be slow, and requests overtake one another', () => {
  const ledger = new Ledger({ seed: 1, threads: 2 });
  ledger.simulator.network.setAll({ minDelayMs: 20, meanExtraDelayMs: 20, reordering: 0, perByteMs: 0 });
  const asked: Asked[] = [];
  for (let i = 0; i < 50; i++) asked.push(ledger.ask(0, 1));
  assert(ledger.simulator.runUntilIdle());
  const delays = asked.map(({ at, endedAt }) => endedAt - at);
  assert(delays.every((delay) => delay >= 40));
  const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
  assert(mean > 60 && mean < 110, `a mean of ${mean} ms`);
  assert(asked.some(({ endedAt }, i) => i > 0 && endedAt < asked[i - 1]!.endedAt));
});

test('a paused thread does nothing, then catches up', () => {
  const ledger = new Ledger({ seed: 1, threads: 2 });
  ledger.simulator.pauseThread(1, 100);
  const asked = ledger.ask(0, 1, 'stored');
  ledger.simulator.runFor(99);
  assert.equal(asked.received, 0);
  assert(ended(ledger, asked));
  assert.equal(asked.answers, 1);
});

test('a crash can fall on every point of a turn', () => {
  const seen = new Map<CrashPoint | 'now', Set<string>>();
  for (const point of ['mid-turn', 'before-commit', 'after-commit', 'now'] as const) {
    const outcomes = new Set<string>();
    seen.set(point, outcomes);
    for (const seed of SEEDS) {
      const ledger = new Ledger({ seed, threads: 2 });
      const { simulator } = ledger;
      if (point !== 'now') simulator.crashThread(1, point);
      const stored = ledger.ask(0, 1, 'stored');
      const now = ledger.ask(0, 1, 'now');
      if (point === 'now') {
        assert(simulator.runUntil(() => simulator.host(1).committing, 100));
        simulator.crashThread(1);
      }
      assert(simulator.runUntilIdle());
      assert(!simulator.host(1).up);
      assert.deepEqual(stored.failures, ['died']);
      outcomes.add(`on disk ${ledger.isOnDisk(stored)}`);
      outcomes.add(`now ${now.answers}`);
      simulator.startThread(1);
      simulator.runFor(10);
      const after = ledger.ask(0, 1, 'stored');
      assert(ended(ledger, after));
      assert.equal(after.answers, 1, 'it comes back');
    }
  }
  assert(!seen.get('before-commit')!.has('on disk true'));
  assert(seen.get('before-commit')!.has('now 1'), 'what was released now had left');
  assert(!seen.get('after-commit')!.has('on disk false'));
  assert(!seen.get('mid-turn')!.has('on disk true'));
  assert(seen.get('now')!.has('on disk true') && seen.get('now')!.has('on disk false'), 'within the commit: either');
});

test('a planned crash is not counted as a failure of the code', () => {
  const ledger = new Ledger({ seed: 1, threads: 2 });
  ledger.simulator.crashActor(refAt(KEEPING, 1, KEEPER_SLOT));
  ledger.simulator.runFor(50);
  assert.deepEqual(ledger.simulator.crashes, []);
  assert(ledger.simulator.trace.lines().some((line) => line.includes(PlannedCrash.name)));
});

test('a stop asserts that nothing asked was forgotten', () => {
  const ledger = new Ledger({ seed: 1, threads: 1 });
  const { simulator } = ledger;
  simulator.stopThread(0, 50);
  assert(simulator.runUntilIdle());
  assert(!simulator.host(0).up);
  simulator.startThread(0, (host) => {
    host.spawn(KEEPER_SLOT, KEEPING, () => ({ receive: () => undefined }));
    host.spawn(0, KEEPING, (context) => ({
      receive: () => undefined,
      start: () => context.request(refAt(KEEPING, 0, KEEPER_SLOT), { id: 1, release: 'now' }, 1),
    }));
  });
  simulator.runFor(1);
  simulator.stopThread(0, 50);
  assert.throws(() => simulator.runUntilIdle(), /slot 1 \(keeping\): 1/);
});

test('a setup that throws leaves the thread down', () => {
  const ledger = new Ledger({ seed: 1, threads: 2 });
  ledger.simulator.crashThread(1);
  const broken = (): never => {
    throw new Error('no such disk');
  };
  assert.throws(() => ledger.simulator.startThread(1, broken), /no such disk/);
  assert(!ledger.simulator.host(1).up);
  const asked = ledger.ask(0, 1);
  assert(ended(ledger, asked));
  assert.equal(asked.answers, 0);
});

test('clocks jump and drift, each thread for itself', () => {
  const { simulator } = new Ledger({ seed: 1, threads: 2 });
  const [one, other] = [simulator.host(0).clock, simulator.host(1).clock];
  const start = simulator.time;
  const before = one.monotonic(start);
  assert.equal(one.wall(start), SIMULATION_EPOCH_MS + Math.floor(start));
  simulator.jumpClock(0, -3_600_000);
  assert.equal(one.wall(start), SIMULATION_EPOCH_MS + Math.floor(start) - 3_600_000);
  assert.equal(one.monotonic(start), before, 'the monotonic clock does not jump');
  simulator.driftClock(0, 0.01);
  assert.equal(one.monotonic(start), before, 'a change of pace is no jump');
  assert.equal(Math.round(one.monotonic(start + 1_000) - before), 1_010);
  assert.equal(one.virtualDuration(1_010), 1_000);
  assert.equal(other.wall(start + 1_000), SIMULATION_EPOCH_MS + Math.floor(start + 1_000));
});
