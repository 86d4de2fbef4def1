/** What an observer knows of the nodes, and when it lets a request be hedged. */
import { test } from 'tap';
import { DueQueue } from '../../../src/base/due-queue.js';
import { SeededRandom } from '../../../src/base/random.js';
import { HedgeBudget } from '../../../src/quorum/hedge-budget.js';
import { LatencyEstimate } from '../../../src/quorum/latency-estimate.js';
import { type Detector, Peers } from '../../../src/quorum/peers.js';
import { hasSlot } from '../../../src/quorum/slots.js';

const TRUSTING: Detector = {
  observe: () => undefined,
  ended: () => undefined,
  answered: () => undefined,
  unanswered: () => undefined,
  unreachable: () => undefined,
  state: () => 'up',
};

const READ = { leastMs: 3, mostMs: 25, cost: 1 };
const WRITE = { ...READ, cost: 4 };

/** Nodes whose pulses go on, but for those that are told to stand still. */
class World {
  readonly standing = new Set<number>();
  readonly inCommit = new Set<number>();
  readonly peers: Peers;
  nowMs = 1_000;
  private readonly pulses: number[];

  constructor(nodes: number) {
    this.pulses = new Array<number>(nodes).fill(0);
    this.peers = new Peers({ nodes, own: 0, detector: TRUSTING, hedging: [READ, WRITE] });
  }

  pulse(node: number): number {
    return this.pulses[node]!;
  }

  committing(node: number): boolean {
    return this.inCommit.has(node);
  }

  crash(node: number): void {
    this.standing.add(node);
    this.pulses[node] = -1;
  }

  start(node: number): void {
    this.standing.delete(node);
    this.pulses[node] = 0;
  }

  beat(node: number): void {
    this.pulses[node]!++;
  }

  run(ms: number): void {
    for (const until = this.nowMs + ms; this.nowMs < until; ) {
      this.nowMs += 5;
      for (let node = 0; node < this.pulses.length; node++) if (!this.standing.has(node)) this.beat(node);
      this.peers.look(this, this.nowMs);
    }
  }
}

/** How many of a hundred requests a node is given that others are preferred to, in each tenth of a time. */
function share(world: World, node: number, ms: number): number[] {
  const given: number[] = [];
  for (let tenth = 0; tenth < 10; tenth++) {
    let taken = 0;
    let asked = 0;
    for (const until = world.nowMs + ms / 10; world.nowMs < until; ) {
      world.run(5);
      for (let i = 0; i < 20; i++, asked++) {
        if (hasSlot(world.peers.preferred, node) || world.peers.takesShare(node, world.nowMs)) taken++;
      }
    }
    given.push(taken / asked);
  }
  return given;
}

/** Spends what hedges of reads are saved up. */
function spend(peers: Peers, node: number, nowMs: number): void {
  for (let i = 0; i < 1_000; i++) if (!peers.mayHedge(0, node, 0, nowMs)) return;
  throw new Error('hedges are without end');
}

test('the estimate is the 99th percentile of what was observed lately, a quarter too high at most', async (t) => {
  const random = new SeededRandom(3n);
  const estimate = new LatencyEstimate();
  t.equal(estimate.p99Ms, Number.POSITIVE_INFINITY, 'nothing is known');
  for (const scale of [0.02, 1, 30, 2]) {
    const observed: number[] = [];
    for (let i = 0; i < 30_000; i++) {
      const ms = -scale * Math.log(1 - random.uint32() / 2 ** 32);
      observed.push(ms);
      estimate.observe(ms);
    }
    const exact = observed.slice(-4_096).sort((a, b) => a - b)[Math.floor(0.99 * 4_096)]!;
    const ratio = estimate.p99Ms / exact;
    t.ok(ratio > 0.75 && ratio < 1.6, `${estimate.p99Ms} for ${exact}`);
  }
  for (const ms of [0, 1e-9, 1e7, Number.MAX_VALUE]) estimate.observe(ms);
});

test('a queue gives back what was put in, in order, however it grows and shrinks', async (t) => {
  const random = new SeededRandom(5n);
  const queue = new DueQueue();
  const model: [number, number][] = [];
  for (let i = 0; i < 20_000; i++) {
    if (random.uint32() % 100 < (i < 10_000 ? 55 : 45) || model.length === 0) {
      queue.push(i, i / 2);
      model.push([i, i / 2]);
    } else {
      const [entry, time] = model.shift()!;
      if (queue.firstTime !== time || queue.shift() !== entry) t.fail(`at ${i}`);
    }
    if (queue.size !== model.length) t.fail(`size at ${i}`);
  }
  while (queue.size > 0) queue.shift();
  t.equal(queue.firstTime, Number.POSITIVE_INFINITY);
  t.throws(() => queue.shift(), /only what was pushed/);
});

test('a small share may be hedged, and what is saved up is little', async (t) => {
  const budget = new HedgeBudget();
  let saved = 0;
  while (budget.spend(1)) saved++;
  t.ok(saved >= 5 && saved <= 20, `${saved} at first`);
  let hedges = 0;
  for (let i = 0; i < 10_000; i++) {
    budget.earn();
    if (budget.spend(1)) hedges++;
  }
  t.ok(hedges > 100 && hedges <= 500, `${hedges} of 10,000`);
  let dear = 0;
  for (let i = 0; i < 10_000; i++) {
    budget.earn();
    if (budget.spend(8)) dear++;
  }
  t.ok(dear > hedges / 10 && dear <= hedges / 7, `${dear} that cost as much as eight`);
});

test('a request is due after what its node takes, and never for its own sake hedged without end', async (t) => {
  const world = new World(3);
  const { peers } = world;
  world.run(50);
  for (let i = 0; i < 200; i++) peers.answered(0, 1, 8);
  peers.asked(0, 1, 77, world.nowMs);
  t.equal(peers.nextDue(0, 1, world.nowMs + 5), -1);
  t.equal(peers.nextDue(0, 1, world.nowMs + 11), 77);
  let granted = 0;
  for (let i = 0; i < 100; i++) if (peers.mayHedge(0, 1, 77, world.nowMs)) granted++;
  t.ok(granted > 0 && granted <= 20, `${granted} of 100 at once`);
  // What was not granted is due again.
  t.equal(peers.nextDue(0, 1, world.nowMs + 26), 77);
});

test('all of a thread that stands still is backed up; not where many do', async (t) => {
  const world = new World(5);
  world.run(100);
  world.standing.add(3);
  world.run(20);
  t.equal(world.peers.standsStill(3), false, 'a pulse may rest for so long');
  world.run(20);
  t.equal(world.peers.standsStill(3), true);
  for (let i = 0; i < 200; i++) if (!world.peers.mayHedge(0, 3, 1, world.nowMs)) t.fail('is not hedged freely');
  world.standing.add(2).add(4);
  world.run(60);
  t.equal(world.peers.standsStill(3), false, 'the machine is overloaded');
  world.standing.clear();
  world.run(10);
  t.equal(world.peers.standsStill(3), false);
  // Whoever did not look knows nothing of the time between.
  world.nowMs += 10_000;
  world.peers.look(world, world.nowMs);
  t.equal(world.peers.standsStill(1), false);
});

test('a thread within a commit is well for longer, but not for ever', async (t) => {
  const world = new World(5);
  world.run(100);
  world.standing.add(3);
  world.inCommit.add(3);
  world.run(140);
  t.equal(world.peers.standsStill(3), false, 'its disk is slow');
  world.inCommit.delete(3);
  world.run(5);
  t.equal(world.peers.standsStill(3), true, 'it has left the commit, and does nothing all the same');
  world.inCommit.add(3);
  world.run(5);
  t.equal(world.peers.standsStill(3), true, 'nobody waits so long for a disk');
  world.standing.clear();
  world.run(5);
  t.equal(world.peers.standsStill(3), false);
});

test('who looks late himself is slow to say that another stands still', async (t) => {
  const world = new World(5);
  world.run(100);
  const until = (stepMs: number): number => {
    world.standing.clear();
    world.run(5);
    const since = world.nowMs;
    while (!world.peers.standsStill(3)) {
      world.nowMs += stepMs;
      for (const node of [1, 2, 4]) world.beat(node);
      world.peers.look(world, world.nowMs);
    }
    return world.nowMs - since;
  };
  t.equal(until(5), 25);
  t.equal(until(15), 45);
  t.equal(until(60), 120, 'by the clock');
});

test('reads of a thread whose pulse rests are all backed up at once; writes only if it is no slow commit', async (t) => {
  const world = new World(5);
  const mayHedge = (kind: number) => world.peers.mayHedge(kind, 3, 0, world.nowMs);
  world.run(100);
  spend(world.peers, 3, world.nowMs);
  world.standing.add(3);
  world.inCommit.add(3);
  world.run(15);
  t.equal(mayHedge(0), false, 'a pulse may rest for so long');
  world.run(10);
  for (let i = 0; i < 100; i++) t.equal(mayHedge(0), true);
  t.equal(mayHedge(1), false, 'its disk is slow');
  world.run(175);
  t.equal(mayHedge(1), true);
  world.standing.delete(3);
  world.inCommit.delete(3);
  world.run(50);
  t.equal(mayHedge(0), true, 'it has the mail of all that time before it');
  world.run(60);
  spend(world.peers, 3, world.nowMs);
  for (const kind of [0, 1]) t.equal(mayHedge(kind), false, 'it goes on as ever');
  world.standing.add(1).add(3);
  world.run(100);
  for (const kind of [0, 1]) t.equal(mayHedge(kind), false, 'the machine is overloaded');
});

test('what was not backed up for want of budget is due as soon as the thread stands still', async (t) => {
  const world = new World(5);
  const { peers } = world;
  world.run(100);
  // It takes long as a rule: what is put back waits long.
  for (let i = 0; i < 500; i++) peers.answered(0, 3, 25);
  world.standing.add(3);
  world.run(15);
  spend(peers, 3, world.nowMs);
  peers.asked(0, 3, 7, world.nowMs - 25);
  while (peers.nextDue(0, 3, world.nowMs) === 0);
  t.equal(peers.mayHedge(0, 3, 7, world.nowMs), false);
  world.run(20);
  const due: number[] = [];
  for (let next = peers.nextDue(0, 3, world.nowMs); next !== -1; next = peers.nextDue(0, 3, world.nowMs))
    due.push(next);
  t.ok(due.includes(7), 'long before its 25 ms have passed again');
});

// Goal: who need not be asked is not, while it stands still and just after; and never is anybody avoided where many are slow.
test('others are preferred to a thread that stands still, and little by little it is asked again', async (t) => {
  const world = new World(5);
  const { peers } = world;
  world.run(100);
  t.equal(peers.preferred, 0b11111);
  world.standing.add(3);
  world.run(15);
  t.equal(peers.preferred, 0b11111, 'a pulse may rest for so long');
  world.run(10);
  t.equal(peers.preferred, 0b10111);
  t.equal(peers.up, 0b11111, 'it is not suspected');
  t.equal(peers.takesShare(3, world.nowMs), false, 'it does nothing now');
  world.run(175);
  world.standing.delete(3);
  const given = share(world, 3, 100);
  t.ok(given[0]! < 0.05, `${given[0]} just after`);
  t.ok(given[9]! > 0.5 && given[9]! > given[4]!, `${given} at last`);
  world.run(10);
  t.equal(peers.preferred, 0b11111, 'after half the time that it stood still');
  world.standing.add(3);
  world.run(100);
  world.standing.delete(3);
  world.standing.add(4);
  world.run(30);
  t.equal(peers.preferred, 0b00111, 'one has only just gone on, another stands still');
  world.standing.delete(4);
  world.run(500);
  world.standing.add(3);
  world.run(50);
  world.standing.add(2);
  world.run(50);
  t.equal(peers.preferred, 0b11111, 'two of five: it is the machine');
});

test('a thread that was started again is eased in for longer; one that was not watched meanwhile is not', async (t) => {
  const world = new World(5);
  const { peers } = world;
  world.run(100);
  t.equal(peers.preferred, 0b11111, 'all begin alike');
  world.crash(3);
  world.run(100);
  world.standing.add(1);
  world.run(50);
  t.equal(peers.standsStill(1), true, 'who is down does not count among those that stand still');
  world.standing.delete(1);
  world.run(500);
  world.start(3);
  const given = share(world, 3, 2_000);
  t.ok(given[0]! < 0.01 && given[4]! > 0.1 && given[4]! < 0.4 && given[9]! > 0.8, `${given}`);
  world.run(10);
  t.equal(peers.preferred, 0b11111);
  world.crash(3);
  world.run(50);
  world.start(3);
  world.nowMs += 1_000;
  world.peers.look(world, world.nowMs);
  t.equal(peers.preferred, 0b11111, 'whoever did not look has no requests for it either');
});

test('what somebody is certain of stands above suspicion', async (t) => {
  const world = new World(3);
  world.run(10);
  world.peers.setDown(1, true);
  world.run(10);
  t.equal(world.peers.up, 0b101);
  t.equal(world.peers.reachable, 0b101);
  world.peers.setDown(1, false);
  t.equal(world.peers.up, 0b111);
});
