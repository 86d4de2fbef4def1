/** Laws of the failure detector, under random histories of a node and random looks of its observer. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FailureDetector, type NodeHealth } from '../../src/membership/failure-detector.js';
import { holds } from '../support/property.js';
import { test } from '../support/test.js';

/** A stretch of a node's life, in milliseconds. */
interface Stretch {
  readonly kind: 'runs' | 'stands' | 'dead';
  readonly ms: number;
}

/** Plays a life, looking every so often; `looked` is told the time, the state, and how long the node has stood still. */
function play(
  life: readonly Stretch[],
  looks: readonly number[],
  looked: (now: number, state: NodeHealth, stretch: Stretch, stoodMs: number, detector: FailureDetector) => void,
): void {
  const detector = new FailureDetector(1);
  let now = 0;
  let next = 0;
  let look = 0;
  let pulse = 0;
  for (const stretch of life) {
    const begin = now;
    const end = now + stretch.ms;
    // Whoever goes on takes a turn, whether somebody looks or not.
    if (stretch.kind === 'runs') pulse++;
    while (now < end) {
      now = Math.min(end, next);
      if (now < next) break;
      if (stretch.kind === 'runs') pulse++;
      detector.observe(0, stretch.kind === 'dead' ? -1 : pulse, now);
      looked(now, detector.state(0, now), stretch, stretch.kind === 'stands' ? now - begin : 0, detector);
      next = now + looks[look++ % looks.length]!;
    }
    now = end;
  }
}

const stretch = (kind: Stretch['kind'], min: number, max: number): fc.Arbitrary<Stretch> =>
  fc.integer({ min, max }).map((ms) => ({ kind, ms }));
const looksUpTo = (max: number): fc.Arbitrary<number[]> => fc.array(fc.integer({ min: 1, max }), { minLength: 1 });

test('whoever never stands still for more than 200 ms is always up, however it is looked at', () => {
  const life = fc.array(fc.tuple(stretch('runs', 1, 2_000), stretch('stands', 1, 200)), { maxLength: 20 });
  // An observer that looks in time, and is away for longer now and then.
  const looks = fc.tuple(looksUpTo(100), fc.array(fc.integer({ min: 101, max: 20_000 }), { maxLength: 2 }));
  holds(
    fc.property(life, looks, (pairs, [often, seldom]) => {
      play(pairs.flat(), [...often, ...seldom], (_now, state) => assert.equal(state, 'up'));
    }),
    300,
  );
});

test('whoever is watched and stands still is suspect within 2 s, whatever went before; within 0.6 s if that was calm', () => {
  const wild = fc.array(fc.oneof(stretch('runs', 1, 3_000), stretch('stands', 1, 3_000), stretch('dead', 1, 500)), {
    maxLength: 30,
  });
  const calm = fc.array(fc.tuple(stretch('runs', 100, 2_000), stretch('stands', 1, 100)), { maxLength: 10 });
  const last = { kind: 'stands', ms: 4_000 } as const;
  const check = (life: readonly Stretch[], looks: readonly number[], boundMs: number): void =>
    play([...life, last], looks, (_now, state, { ms }, stoodMs) => {
      if (ms === last.ms && stoodMs > boundMs) assert.notEqual(state, 'up', `after ${stoodMs} ms`);
    });
  holds(
    fc.property(wild, looksUpTo(100), (life, looks) => check(life, looks, 2_000)),
    200,
  );
  holds(
    fc.property(calm, looksUpTo(100), (life, looks) => check(life.flat(), looks, 600)),
    200,
  );
});

test('down is exactly who has no pulse; φ never falls while nothing moves', () => {
  const life = fc.array(fc.oneof(stretch('runs', 1, 2_000), stretch('stands', 1, 3_000), stretch('dead', 1, 2_000)), {
    maxLength: 30,
  });
  holds(
    fc.property(life, looksUpTo(3_000), (stretches, looks) => {
      let before = { stretch: undefined as Stretch | undefined, stoodMs: 0, phi: 0 };
      play(stretches, looks, (now, state, current, stoodMs, detector) => {
        assert.equal(state === 'down', current.kind === 'dead');
        const phi = detector.phi(0, now);
        // Of looks that follow within 10 ms, not the first may see the last movement.
        if (current === before.stretch && before.stoodMs >= 10)
          assert(phi >= before.phi, `${before.phi} fell to ${phi}`);
        before = { stretch: current, stoodMs, phi };
      });
    }),
    300,
  );
});

test('whoever runs again is up within 32 looks', () => {
  const life = fc.array(fc.oneof(stretch('runs', 1, 500), stretch('stands', 1, 3_000), stretch('dead', 1, 500)), {
    maxLength: 40,
  });
  const last = { kind: 'runs', ms: 10_000 } as const;
  holds(
    fc.property(life, looksUpTo(200), (stretches, looks) => {
      let ran = 0;
      let seen = 0;
      play([...stretches, last], looks, (now, state, { ms }) => {
        if (ms !== last.ms) return;
        // Looks that follow within 10 ms are not counted.
        if (now - seen >= 10) {
          ran++;
          seen = now;
        }
        if (ran > 33) assert.equal(state, 'up');
      });
    }),
    200,
  );
});
