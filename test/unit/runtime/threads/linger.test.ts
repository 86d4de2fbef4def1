/** When a thread rests before it parks, and for how long: tables of turns and of how late rests end. */
import { test } from 'tap';
import { Linger } from '../../../../src/runtime/threads/linger.js';

interface Load {
  readonly turns: number;
  /** From the end of one turn to that of the next, without rests, in milliseconds. */
  readonly apartMs: number;
  readonly turnMs: number;
  /** How much later than wanted a rest ends: what timers add, and the wait for a core. */
  readonly lateMs: number;
}

/** A thread's time. */
class Thread {
  readonly linger = new Linger();
  private nowMs = 0;

  /** @returns the rests that were taken */
  run({ turns, apartMs, turnMs, lateMs }: Load): number[] {
    const rests: number[] = [];
    for (let turn = 0; turn < turns; turn++) {
      this.nowMs += apartMs;
      this.linger.turnEnded(turnMs, this.nowMs);
      const restMs = this.linger.nextRest();
      if (restMs === 0) continue;
      rests.push(restMs);
      this.linger.rested(restMs, restMs + lateMs);
      this.nowMs += restMs + lateMs;
    }
    return rests;
  }
}

const SLACK_MS = 0.06;
const free: Load = { turns: 2_000, apartMs: 0.5, turnMs: 0.2, lateMs: SLACK_MS };
const contended: Load = { ...free, lateMs: SLACK_MS + 0.5 };
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

test('a thread that gets a core at once parks at once, and only now and then looks how late a rest ends', (t) => {
  const rests = new Thread().run(free);
  t.ok(rests.length >= 50, 'it looks');
  t.ok(rests.length <= free.turns / 30, 'once in about 32 parkings');
  t.ok(Math.max(...rests) <= 0.05, 'and shortly');
  t.end();
});

test('while threads wait for a core it rests before each parking, for up to four of its turns and a millisecond', (t) => {
  const thread = new Thread();
  thread.run(free);
  thread.run({ ...contended, turns: 1_000 });
  const rests = thread.run(contended);
  t.equal(rests.length, contended.turns, 'at each parking');
  t.ok(
    rests.every((ms) => ms <= 0.8 + 1e-9 && ms > 0.7),
    'as long as four turns of 0.2 ms',
  );
  const longer = thread.run({ ...contended, turnMs: 1.5 });
  t.equal(Math.max(...longer), 1, 'no longer than a millisecond');
  t.end();
});

test('a thread whose turns are very short does not rest, however late it would be: it would do nothing else', (t) => {
  const thread = new Thread();
  const rests = thread.run({ ...contended, turnMs: 0.01, turns: 3_000 });
  t.ok(sum(rests) < 10, 'but for looking how late it would be');
  t.end();
});

test('once cores are free again it stops resting', (t) => {
  const thread = new Thread();
  thread.run(free);
  thread.run(contended);
  thread.run({ ...free, turns: 200 });
  const rests = thread.run(free);
  t.ok(rests.length <= free.turns / 30);
  t.end();
});

test('a thread with little to do never rests, whatever happened before', (t) => {
  const thread = new Thread();
  thread.run(contended);
  thread.run({ ...contended, apartMs: 5, turns: 50 });
  t.same(thread.run({ ...contended, apartMs: 5 }), []);
  t.end();
});

test('where timers are coarse, as on a system with ticks of 15 ms, it all but gives up after a few looks', (t) => {
  const thread = new Thread();
  const rests = thread.run({ ...free, turns: 20_000, lateMs: 15 });
  t.ok(rests.length <= 8 + 5, 'after eight looks there is one in some thousand parkings');
  t.ok(thread.run({ ...contended, lateMs: 20 }).length <= 1);
  t.end();
});

// Goal: a node that is started on a machine which is busy just then is not slower than the others for all its life.
test('a thread that waited for a core in each of its first looks finds out later that its timers are fine', (t) => {
  const thread = new Thread();
  const late = thread.run({ ...contended, turns: 10_000 });
  t.ok(late.length < 20, 'it takes its timers for coarse');
  const found = thread.run({ ...free, turns: 10_000 });
  t.ok(found.length > 100, 'it looks as often as any other');
  t.ok(sum(found) < 20, 'and does not rest');
  thread.run({ ...contended, turns: 1_000 });
  t.equal(thread.run(contended).length, contended.turns);
  t.end();
});
