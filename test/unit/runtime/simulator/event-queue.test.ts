/** The event queue against a list that is sorted at each question, and the trace that is read by people. */
import assert from 'node:assert/strict';
import { below, SeededRandom } from '../../../../src/base/random.js';
import { EventQueue, type EventReceiver, type ScheduledEvent } from '../../../../src/runtime/simulator/event-queue.js';
import { Trace } from '../../../../src/runtime/simulator/trace.js';
import { test } from '../../../support/test.js';

const nobody: EventReceiver = { fire: () => undefined };

test('events come in order of time, whatever is added and cancelled', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const random = new SeededRandom(seed);
    const queue = new EventQueue(random.fork());
    let naive: ScheduledEvent[] = [];
    let now = 0;
    for (let step = 0; step < 6_000; step++) {
      // First it grows, then it shrinks; half of all events are cancelled, as timeouts are, so that it is swept.
      const choice = below(random, step < 4_000 ? 10 : 16);
      if (choice < 6) {
        naive.push(queue.add(now + below(random, 50), nobody, step, undefined));
      } else if (choice < 9) {
        const event = naive[below(random, naive.length)];
        if (event !== undefined) queue.cancel(event);
        if (event !== undefined) queue.cancel(event);
        naive = naive.filter((each) => each !== event);
      } else {
        const times = naive.map(({ time }) => time);
        const next = times.length === 0 ? undefined : Math.min(...times);
        assert.equal(queue.nextTime(), next);
        const event = queue.take();
        assert.equal(event?.time, next);
        assert(event === undefined || naive.includes(event), 'a cancelled event happened');
        naive = naive.filter((each) => each !== event);
        now = event?.time ?? now;
      }
      assert.equal(queue.size, naive.length);
    }
  }
});

test('events of one instant come in an order of the seed', () => {
  const orderOf = (seed: number): number[] => {
    const queue = new EventQueue(new SeededRandom(seed));
    for (let i = 0; i < 20; i++) queue.add(1, nobody, i, undefined);
    return Array.from({ length: 20 }, () => queue.take()!.kind);
  };
  assert.deepEqual(orderOf(1), orderOf(1));
  assert.notDeepEqual(orderOf(1), orderOf(2));
  assert.deepEqual(
    orderOf(1).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test('a trace keeps the last lines, and hashes all', () => {
  const [one, other] = [new Trace(3), new Trace(3)];
  for (const trace of [one, other]) {
    trace.note(0.5, 1, 'request', 2, 7, 3);
    trace.note(1, 2, 'failed', 3, 7, 0);
    trace.note(1, -1, 'network', 0, 0, 0, 'heal');
    trace.note(2, 0, 'pause', 12.5);
  }
  assert.equal(one.hash, other.hash);
  assert.deepEqual(
    one.lines().map((line) => line.trim().replace(/ +/g, ' ')),
    [
      '1.0000 ms t2 slot 3: request 7 failed: refused',
      '1.0000 ms - network: heal',
      '2.0000 ms t0 thread stands still for 12.5 ms',
    ],
  );
  assert.equal(one.lines(1).length, 1);
  // Everything counts: the time, the thread, the kind, each number, the text, and bytes.
  const differing: ((trace: Trace) => void)[] = [
    (trace) => trace.note(1, 1, 'request', 1, 1, 1),
    (trace) => trace.note(1.0000001, 1, 'request', 1, 1, 1),
    (trace) => trace.note(1, 2, 'request', 1, 1, 1),
    (trace) => trace.note(1, 1, 'receive', 1, 1, 1),
    (trace) => trace.note(1, 1, 'request', 2, 1, 1),
    (trace) => trace.note(1, 1, 'request', 1, 1.5, 1),
    (trace) => trace.note(1, 1, 'request', 1, 1, 1, 'text'),
    (trace) => trace.mixBytes(Uint8Array.of(1, 2)),
    (trace) => trace.mixBytes(Uint8Array.of(1, 3)),
  ];
  const hashes = differing.map((note) => {
    const trace = new Trace(3);
    note(trace);
    return trace.hash;
  });
  assert.equal(new Set(hashes).size, differing.length);
});
