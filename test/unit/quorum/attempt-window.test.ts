// Goal: the window of remembered attempts never calls a seen attempt new, however the numbers come.
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'tap';
import type { Attempt } from '../../../src/clocks/event-id.js';
import { AttemptWindow } from '../../../src/quorum/attempt-window.js';

const WINDOW = 65_536;

/** Remembers everything. */
class NaiveWindow {
  private readonly seen = new Set<string>();
  private readonly highest = new Map<number, number>();

  see({ low, counter }: Attempt): 'new' | 'seen' | 'late' {
    const highest = this.highest.get(low) ?? 0;
    if (counter <= highest - WINDOW) return 'late';
    this.highest.set(low, Math.max(highest, counter));
    const name = `${low}:${counter}`;
    if (this.seen.has(name)) return 'seen';
    this.seen.add(name);
    return 'new';
  }
}

/** Numbers near the edges of words and of the window, relative to the highest so far; small steps and leaps; long runs. */
const step = fc.record({
  client: fc.integer({ min: 1, max: 3 }),
  run: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.integer({ min: 2, max: 2_500 }) }),
  stride: fc.constantFrom(-2, 1, 1, 5, 27, 300),
  offset: fc.oneof(
    fc.integer({ min: -70, max: 70 }),
    fc.integer({ min: -WINDOW - 2, max: -WINDOW + 2 }),
    fc.integer({ min: WINDOW - 2, max: WINDOW + 40 }),
    fc.integer({ min: -WINDOW, max: WINDOW }),
  ),
});

test('agrees with a window that remembers everything', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
      const window = new AttemptWindow();
      const naive = new NaiveWindow();
      const latest = [0, 0, 0, 0];
      for (const { client, run, stride, offset } of steps) {
        const from = latest[client]! + offset;
        for (let i = 0; i < run; i++) {
          const counter = Math.max(1, from + i * stride);
          const attempt = { high: 7, low: client, counter };
          if (window.see(attempt) !== naive.see(attempt)) assert.fail(`attempt ${client}:${counter}`);
          latest[client] = Math.max(latest[client]!, counter);
        }
      }
      assert.equal(window.forgotten, 0);
      assert(window.bytes <= 3 * 8_192);
    }),
    { numRuns: Number(process.env.QUORAL_PROPERTY_RUNS ?? 200) },
  );
  t.pass('held for every case');
});

test('both halves of a client id count', async (t) => {
  const window = new AttemptWindow();
  t.equal(window.see({ high: 1, low: 2, counter: 5 }), 'new');
  t.equal(window.see({ high: 2, low: 1, counter: 5 }), 'new');
  t.equal(window.see({ high: 1, low: 1, counter: 5 }), 'new');
  t.equal(window.see({ high: 1, low: 2, counter: 5 }), 'seen');
});

test('beyond its bound the client that was used longest ago is forgotten, and counted', async (t) => {
  const window = new AttemptWindow(2);
  const of = (low: number): Attempt => ({ high: 0, low, counter: 1 });
  window.see(of(1));
  window.see(of(2));
  t.equal(window.see(of(1)), 'seen');
  window.see(of(3)); // Client 2 goes: client 1 was used after it.
  t.equal(window.forgotten, 1);
  t.equal(window.see(of(1)), 'seen');
  t.equal(window.see(of(3)), 'seen');
  t.equal(window.see(of(2)), 'new');
});

test('the largest numbers that an attempt can have', async (t) => {
  const window = new AttemptWindow();
  const last = Number.MAX_SAFE_INTEGER;
  t.equal(window.see({ high: 0, low: 0, counter: last }), 'new');
  t.equal(window.see({ high: 0, low: 0, counter: last }), 'seen');
  t.equal(window.see({ high: 0, low: 0, counter: last - WINDOW + 1 }), 'new');
  t.equal(window.see({ high: 0, low: 0, counter: last - WINDOW }), 'late');
});

// Goal: clients that come and go, and vnodes that see few of a client's numbers, cost little.
test('a window takes room for what it has seen, not for what it could see', async (t) => {
  const bytesAfter = (stride: number) => {
    const window = new AttemptWindow();
    for (let counter = 1; counter <= 4 * WINDOW; counter += stride) window.see({ high: 0, low: 0, counter });
    return window.bytes;
  };
  t.equal(bytesAfter(4 * WINDOW), 32, 'one number');
  t.ok(bytesAfter(1_024) <= 256, 'one of 1,024 vnodes');
  t.ok(bytesAfter(64) <= 2_048 + 2_048, 'one of 64');
  t.equal(bytesAfter(1), 8_192, 'every number');
});

test('a client that was silent for a whole window begins anew, in little room', async (t) => {
  const window = new AttemptWindow();
  for (let counter = 1; counter <= 5_000; counter++) window.see({ high: 0, low: 0, counter });
  t.equal(window.bytes, 8_192);
  t.equal(window.see({ high: 0, low: 0, counter: 5_000 + WINDOW }), 'new');
  t.equal(window.bytes, 32);
  t.equal(window.see({ high: 0, low: 0, counter: 5_000 }), 'late');
  t.equal(window.see({ high: 0, low: 0, counter: 5_001 }), 'new');
});
