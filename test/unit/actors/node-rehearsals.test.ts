/** When a thread rehearses: briefly at once, at length once its node is in use and in its turn, and not at all if it has before. */
import { test } from 'tap';
import {
  type ClosableStage,
  NodeRehearsals,
  type RehearsalGround,
  type RehearsingNode,
  rehearseStandingBy,
} from '../../../actors/node-rehearsals.js';
import { EntropyRandom } from '../../../src/runtime/threads/entropy.js';
import { Miniature } from '../../../src/runtime/threads/miniature.js';
import { openMemoryStorage } from '../../../src/storage/memory-storage.js';

/** Stages as threads have them, each with whether it is closed; those that are `mute` do nothing. */
class Ground implements RehearsalGround {
  readonly random = new EntropyRandom();
  readonly openStorage = openMemoryStorage;
  readonly stages: { closed: boolean; onTrouble(error: unknown, isFatal: boolean): void }[] = [];
  private readonly mute: boolean;

  constructor(mute: boolean) {
    this.mute = mute;
  }

  openStage(onTrouble: (error: unknown, isFatal: boolean) => void): ClosableStage {
    const stage = { closed: false, onTrouble };
    this.stages.push(stage);
    const hosts = new Miniature({});
    return {
      start: (thread, setup) => hosts.start(thread, setup),
      crash: (thread) => hosts.crash(thread),
      outside: (thread, work) => {
        if (!this.mute) hosts.outside(thread, work);
      },
      close: () => {
        stage.closed = true;
        hosts.close();
      },
    };
  }
}

/** A node whose clock is driven by hand. */
class Clock implements RehearsingNode {
  readonly node: number;
  readonly isPrepared: boolean;
  readonly isBack = false;
  readonly reported: unknown[] = [];
  asked = 0;
  timesInUse = 0;
  private waiting: { readonly ms: number; readonly then: () => void } | undefined;

  constructor(node: number, isPrepared: boolean) {
    this.node = node;
    this.isPrepared = isPrepared;
  }

  operations(): number {
    return this.asked;
  }

  inUse(): void {
    this.timesInUse++;
  }

  report(error: unknown): void {
    this.reported.push(error);
  }

  after(ms: number, then: () => void): () => void {
    const waiting = { ms, then };
    this.waiting = waiting;
    return () => {
      if (this.waiting === waiting) this.waiting = undefined;
    };
  }

  /** Lets the time pass until what waits is due. @returns how long that was; undefined if nothing waits */
  pass(): number | undefined {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.then();
    return waiting?.ms;
  }
}

test('briefly as the thread starts, at length once the node is in use, one node after the other', (t) => {
  const ground = new Ground(true);
  const clock = new Clock(3, false);
  const rehearsals = new NodeRehearsals(ground, clock);
  rehearsals.begin();
  t.equal(ground.stages.length, 0, 'first it says that it is ready');
  t.equal(clock.pass(), 0);
  t.equal(ground.stages.length, 1);
  const afterMs = clock.pass();
  t.ok(afterMs !== undefined && afterMs >= 5_000, 'not while it catches up');
  for (let looks = 0; looks < 10; looks++) clock.pass();
  t.same([ground.stages.length, clock.timesInUse], [1, 0], 'nobody has asked it for anything');
  clock.asked = 10_000;
  clock.pass();
  t.equal(clock.timesInUse, 1);
  const turnMs = clock.pass();
  t.ok(turnMs !== undefined && turnMs >= 3 * 2_600, 'three nodes come before it, each of which rests for 2.6 s');
  t.same(
    ground.stages.map(({ closed }) => closed),
    [true, false],
    'what is left of the brief one is ended',
  );
  t.equal(clock.pass(), undefined, 'there is no other');
  rehearsals.end();
  t.end();
});

test('a thread that has stood by has nothing to rehearse, but tells that its node is in use', (t) => {
  const ground = new Ground(true);
  const clock = new Clock(0, true);
  new NodeRehearsals(ground, clock).begin();
  clock.asked = 10_000;
  while (clock.pass() !== undefined);
  t.same([ground.stages.length, clock.timesInUse], [0, 1]);
  t.end();
});

test('it can be ended at any time; whatever goes wrong is told, and ends it only if it must', (t) => {
  for (const passes of [0, 1, 2, 3]) {
    const ground = new Ground(true);
    const clock = new Clock(0, false);
    clock.asked = 10_000;
    const rehearsals = new NodeRehearsals(ground, clock);
    rehearsals.begin();
    for (let i = 0; i < passes; i++) clock.pass();
    rehearsals.end();
    t.equal(clock.pass(), undefined, `after ${passes}`);
    t.ok(ground.stages.every(({ closed }) => closed));
  }
  const ground = new Ground(true);
  const clock = new Clock(0, false);
  new NodeRehearsals(ground, clock).begin();
  clock.pass();
  const [stage] = ground.stages;
  stage!.onTrouble('an actor crashed', false);
  t.equal(stage!.closed, false);
  stage!.onTrouble('it does so again and again', true);
  t.equal(stage!.closed, true);
  t.same(clock.reported, ['an actor crashed', 'it does so again and again']);
  t.end();
});

test('standing by is over once all is rehearsed, and fails with whatever goes wrong', async (t) => {
  // An idle host lets its process end.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  const ground = new Ground(false);
  await rehearseStandingBy(ground, 0);
  t.ok(ground.stages.length >= 2 && ground.stages.every(({ closed }) => closed));
  const broken = new Ground(true);
  const standing = rehearseStandingBy(broken);
  broken.stages[0]!.onTrouble(new Error('an actor crashed'), false);
  await t.rejects(standing, { message: 'an actor crashed' });
  t.equal(broken.stages[0]!.closed, true);
});
