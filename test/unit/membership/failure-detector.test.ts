/** The failure detector: what it thinks after each kind of history, those that made others flap or lag among them. */
import assert from 'node:assert/strict';
import { Arrivals, NEVER_SUSPICIOUS_MS } from '../../../src/membership/arrivals.js';
import { FailureDetector, type NodeHealth } from '../../../src/membership/failure-detector.js';
import { test } from '../../support/test.js';

const NODE = 1;

/** An observer that looks at one node every so often, and the node's pulse. */
class Watch {
  readonly detector = new FailureDetector(3);
  now = 1_000;
  pulse = 0;
  lookMs = 25;
  /** What the node was thought to be after each look, without repetitions. */
  readonly seen: NodeHealth[] = [];

  get state(): NodeHealth {
    return this.detector.state(NODE, this.now);
  }

  look(pulse = this.pulse): void {
    this.detector.observe(NODE, pulse, this.now);
    if (this.seen.at(-1) !== this.state) this.seen.push(this.state);
  }

  /** Time passes, watched. @param beats - whether the node's thread runs */
  pass(ms: number, beats: boolean): void {
    const until = this.now + ms;
    while (this.now < until) {
      this.now = Math.min(until, this.now + this.lookMs);
      if (beats) this.pulse++;
      this.look();
    }
  }

  /** Time passes, and nobody looks. */
  idle(ms: number, beats: boolean): void {
    this.now += ms;
    if (beats) this.pulse += Math.ceil(ms / 25);
  }

  /** How long its pulse must go on until the node is up. */
  untilUp(): number {
    const start = this.now;
    while (this.state !== 'up' && this.now < start + 60_000) this.pass(25, true);
    return this.now - start;
  }

  /** How long the node must stand still, watched, until it is not up. */
  patience(): number {
    const start = this.now;
    while (this.state === 'up' && this.now < start + 60_000) this.pass(5, false);
    return this.now - start;
  }
}

function watch(lookMs = 25): Watch {
  const made = new Watch();
  made.lookMs = lookMs;
  made.look();
  made.pass(3_000, true);
  return made;
}

test('φ grows with silence, and with how regular the node was', () => {
  const regular = new Arrivals();
  for (let i = 0; i < 200; i++) regular.add(25);
  const values = [0, 25, 100, 200, 300, 338, 340, 400, 1_000, 60_000].map((ms) => regular.phi(ms));
  for (let i = 1; i < values.length; i++) assert(values[i]! > values[i - 1]!);
  // By hand: the deviation is the least one, 60; φ(25) is that of the mean.
  assert(Math.abs(values[1]! - Math.log10(2)) < 1e-9);
  assert(values[3]! > 2 && values[3]! < 4, `${values[3]} after 200 ms`);
  assert(values[5]! < 8 && values[6]! > 8, 'eight between 338 and 340 ms');
  assert(Number.isFinite(values[9]));

  const pausing = new Arrivals();
  for (let i = 0; i < 200; i++) pausing.add(i % 5 === 0 ? 300 : 25);
  assert(pausing.phi(400) < 8 && pausing.phi(5_000) > 8, 'it has learned to be patient, within bounds');
  for (let i = 0; i < 100; i++) pausing.add(25);
  assert.equal(pausing.phi(400), regular.phi(400), 'and forgets');

  const worst = new Arrivals();
  for (let i = 0; i < 100; i++) worst.add(i % 2 === 0 ? 1e9 : 0);
  assert(worst.phi(2_000) > 8, 'however bad it was, two seconds are too long');
  const best = new Arrivals();
  for (let i = 0; i < 100; i++) best.add(0);
  assert(best.phi(NEVER_SUSPICIOUS_MS) < 8);
});

test('nodes are up until something is known of them', () => {
  const detector = new FailureDetector(2);
  assert.deepEqual([detector.state(0, 0), detector.state(1, 1e9)], ['up', 'up']);
  assert.equal(detector.phi(0, 1e9) < 1, true);
  detector.observe(0, -1, 5);
  assert.deepEqual([detector.state(0, 5), detector.phi(0, 5)], ['down', Infinity]);
  assert.equal(detector.state(1, 5), 'up', 'each node by itself');
});

test('a collection of garbage is no failure: pauses up to 200 ms leave a node up', () => {
  for (const lookMs of [10, 25, 50, 100]) {
    for (const pause of [20, 50, 100, 200]) {
      const w = watch(lookMs);
      for (let round = 0; round < 20; round++) {
        w.pass(pause, false);
        w.pass(100 + ((round * 137) % 900), true);
      }
      assert.deepEqual(w.seen, ['up'], `${pause} ms, looked at every ${lookMs}`);
    }
  }
});

test('a thread that stands still is suspect within 0.4 s, never down, and up with its next movement', () => {
  for (const lookMs of [10, 25, 50, 100]) {
    const w = watch(lookMs);
    const patience = w.patience();
    assert(patience > 250 && patience <= 440, `${patience} ms, looked at every ${lookMs}`);
    const phi = w.detector.phi(NODE, w.now);
    assert(phi >= 8);
    w.pass(60_000, false);
    assert.equal(w.state, 'suspect');
    assert(w.detector.phi(NODE, w.now) > phi);
    w.now += lookMs;
    w.pulse++;
    w.look();
    assert.equal(w.state, 'up');
    assert.deepEqual(w.seen, ['up', 'suspect', 'up']);
    // An outage must not hide the next one.
    w.pass(500, true);
    assert(w.patience() < 650, 'half a minute of silence counts as half a second');
  }
});

test('a death is seen at once, and so is the return', () => {
  const w = watch();
  w.now += 1;
  w.look(-1);
  assert.equal(w.state, 'down', 'also in a look that follows at once');
  w.pulse = -1;
  w.pass(10_000, false);
  w.idle(5_000, false);
  w.look();
  assert.deepEqual(w.seen, ['up', 'down']);
  w.pulse = 0;
  w.idle(30_000, false);
  w.look();
  assert.equal(w.state, 'up', 'a thread has a pulse only once it is ready');
  assert(w.patience() < 440, 'from now on it is watched as ever');
});

// scylladb#5677: nodes marked down and up in a loop, which hurt the whole cluster.
test('what was seen of a thread is not held against the next one, though nobody looked in between', () => {
  const held: ((watched: Watch) => void)[] = [
    // Silence that is nearly suspicious; suspicion; flapping; requests that stay unanswered, or are not delivered.
    (watched) => watched.pass(NEVER_SUSPICIOUS_MS, false),
    (watched) => watched.pass(1_000, false),
    (watched) => {
      for (let i = 0; i < 4; i++) {
        watched.pass(1_000, false);
        watched.pass(400, true);
      }
      watched.pass(1_000, false);
    },
    (watched) => {
      for (let i = 0; i < 3; i++) {
        watched.detector.unanswered(NODE, watched.now);
        watched.pass(100, true);
      }
    },
    (watched) => watched.detector.unreachable(NODE, watched.now),
  ];
  for (const hold of held) {
    const watched = watch();
    watched.pass(500, true);
    hold(watched);
    watched.detector.ended(NODE);
    assert.equal(watched.state, 'down');
    watched.now += 100;
    watched.look(watched.pulse);
    assert.equal(watched.state, 'up');
    watched.pass(200, false);
    assert.equal(watched.state, 'up', 'its silence is its own');
  }
});

test('a node that flaps is trusted more slowly each time, and as before once it has been quiet', () => {
  const w = watch();
  const waits: number[] = [];
  for (let round = 0; round < 7; round++) {
    w.pass(1_200, false);
    assert.equal(w.seen.at(-1), 'suspect');
    waits.push(w.untilUp() / 25);
    w.pass(50, true);
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 32]);
  w.pass(11_000, true);
  w.pass(1_200, false);
  w.pass(25, true);
  assert.equal(w.state, 'up');
  // A thread that dies again and again is its supervisor's to judge.
  for (let round = 0; round < 4; round++) {
    w.look(-1);
    w.pass(25, true);
    assert.equal(w.state, 'up');
  }
});

// scylladb#957: the observer was paused itself, and took all others for dead.
test('a pause of the observer makes nobody suspect', () => {
  for (const beats of [true, false]) {
    const w = watch();
    w.idle(7_085, beats);
    assert.equal(w.state, 'up', 'before it looks');
    w.look();
    assert.equal(w.state, 'up', beats ? 'the other ran' : 'the other idled, too: its pulse is as it was');
    w.pass(1_000, true);
    assert.deepEqual(w.seen, ['up']);
  }
});

test('after idleness a thread that stands still is found out as soon as ever', () => {
  const w = watch();
  w.pass(100, false);
  w.idle(10_000, false);
  w.look();
  assert.equal(w.state, 'up', 'one look is not enough to know');
  const patience = w.patience();
  assert(patience > 50 && patience < 340, `${patience} ms`);
  // Suspicion does not fade while nobody looks.
  w.idle(60_000, false);
  w.look();
  assert.equal(w.state, 'suspect');
  w.idle(60_000, true);
  w.look();
  assert.equal(w.state, 'up');
});

// scylladb#8488: heartbeats that were sent before a death arrived long after it, and held the dead node up for minutes.
test('late answers of a node that is gone do not keep it up', () => {
  const w = watch();
  for (let i = 0; i < 20; i++) {
    w.pass(50, false);
    w.detector.answered(NODE);
  }
  assert.equal(w.state, 'suspect');
  w.look(-1);
  w.detector.answered(NODE);
  assert.equal(w.state, 'down');
});

// scylladb#8036: a node that shows life, but takes no requests.
test('a node that answers nothing is avoided although its pulse goes on, and tried again, ever more rarely', () => {
  const w = watch();
  for (let i = 0; i < 1_000; i++) w.detector.unanswered(NODE, w.now);
  assert.equal(w.state, 'up', 'a burst counts once');
  w.pass(100, true);
  w.detector.unanswered(NODE, w.now);
  w.detector.answered(NODE);
  w.pass(100, true);
  w.detector.unanswered(NODE, w.now);
  assert.equal(w.state, 'up', 'an answer takes it all back');
  for (let i = 0; i < 2; i++) {
    w.pass(100, true);
    w.detector.unanswered(NODE, w.now);
  }
  const avoided: number[] = [];
  for (let i = 0; i < 8; i++) {
    assert.equal(w.state, 'suspect');
    avoided.push(w.untilUp());
    w.detector.unanswered(NODE, w.now);
  }
  assert.deepEqual(avoided, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
  w.detector.answered(NODE);
  assert.equal(w.state, 'up');
});

test('where nothing can be delivered a node is down, for a time that doubles, or until its pulse moves after silence', () => {
  const w = watch();
  const avoided: number[] = [];
  for (let i = 0; i < 7; i++) {
    for (let burst = 0; burst < 100; burst++) w.detector.unreachable(NODE, w.now);
    assert.equal(w.state, 'down');
    avoided.push(w.untilUp());
  }
  assert.deepEqual(avoided, [50, 100, 200, 400, 800, 1_000, 1_000]);
  // A split: silence, then a connection that counts as broken, then the healing.
  w.pass(600, false);
  w.detector.unanswered(NODE, w.now);
  w.detector.unreachable(NODE, w.now);
  assert.equal(w.state, 'down');
  w.pass(25, true);
  assert.equal(w.state, 'up');
});

test('looking with every message changes nothing but that a death is seen sooner', () => {
  const w = watch(0.05);
  w.pass(200, false);
  assert.equal(w.state, 'up');
  assert(w.patience() < 240);
  w.pass(15, true);
  assert.equal(w.state, 'up');
});
