/**
 * What every runtime must do, as `src/runtime/actor.ts` says: run over worker threads and over the simulator.
 * A story is a function of a system, so that it can also be shown to fail on a system with a planted bug.
 *
 * Left open by the contract, and by these stories: the order of messages, and which of 'died', 'stale' and
 * 'unreachable' is told where none of them would be a lie.
 */
import assert from 'node:assert/strict';
import { test } from 'tap';
import { type ActorHost, type ActorRef, type Conversation, PULSE_MS } from '../../src/runtime/actor.js';
import {
  MARK,
  MARKS,
  type Outcome,
  type Placement,
  Probe,
  SAYING,
  type Say,
  say,
  sayer,
} from '../support/conformance-actors.js';

/** A runtime with two worker threads, 0 and 1, and a client's thread, whose host is at hand. */
export interface RuntimeUnderTest {
  readonly client: ActorHost;
  /** Runs `action` as a turn of the client's thread. */
  outside<T>(action: () => T): T;
  /** Runs until `done`; gives up, without an error, after `limitMs`. */
  runUntil(done: () => boolean, limitMs: number): Promise<void>;
  startThread(thread: number): Promise<void>;
  /** Kills a thread; resolves once it is down. */
  crashThread(thread: number): Promise<void>;
  /** Stops a thread cleanly; resolves once it is down. */
  stopThread(thread: number): Promise<void>;
  /** Lets a thread stand still for `ms`; resolves once it does. */
  pauseThread(thread: number, ms: number): Promise<void>;
  /** Cuts threads off from all others, the client's included; resolves once nothing passes. */
  split(side: readonly number[]): Promise<void>;
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** Makes a system whose threads are up, with `placements` set up by `setUpConformanceThread`. */
export type MakeRuntime = (placements: readonly Placement[], marks: Int32Array) => Promise<RuntimeUnderTest>;

export interface RuntimeStory {
  readonly name: string;
  readonly placements?: readonly Placement[];
  run(stage: Stage): Promise<void>;
}

export const WORKER_THREADS = 2;

const LIMIT_MS = 10_000;
/** How long to look whether something comes that must not. */
const QUIET_MS = 60;

/** A system, a probe on its client's thread, and words for stories. */
export class Stage {
  readonly system: RuntimeUnderTest;
  readonly marks: Int32Array;
  readonly #probe: Probe;

  private constructor(system: RuntimeUnderTest, marks: Int32Array, probe: Probe) {
    this.system = system;
    this.marks = marks;
    this.#probe = probe;
  }

  static async open(system: RuntimeUnderTest, marks: Int32Array): Promise<Stage> {
    const made: Probe[] = [];
    system.client.spawn(0, SAYING as unknown as Conversation<never, never>, (context) => {
      const probe = new Probe(context);
      made.push(probe);
      return probe;
    });
    await system.runUntil(() => made.length > 0, LIMIT_MS);
    return new Stage(system, marks, made[0]!);
  }

  mark(which: number): number {
    return Atomics.load(this.marks, which);
  }

  /** Lets a gated commit go on. */
  openGate(): void {
    Atomics.store(this.marks, MARK.gate, 1);
    Atomics.notify(this.marks, MARK.gate);
  }

  shutGate(): void {
    Atomics.store(this.marks, MARK.gate, 0);
  }

  /** Asks, and goes on. */
  ask(to: ActorRef<Say, Say>, message: Say): Outcome {
    return this.system.outside(() => this.#probe.ask(to, message));
  }

  /** Asks several things of one actor at once: they travel together, and mostly share a turn. */
  askAll(to: ActorRef<Say, Say>, messages: readonly Say[]): Outcome[] {
    return this.system.outside(() => messages.map((message) => this.#probe.ask(to, message)));
  }

  async until(done: () => boolean, what: string): Promise<void> {
    await this.system.runUntil(done, LIMIT_MS);
    assert(done(), `in vain: waited until ${what}`);
  }

  async outcomesOf(outcomes: readonly Outcome[]): Promise<void> {
    await this.until(() => outcomes.every(isSettled), 'every request had an outcome');
  }

  /** Asks, and waits for the answer. A failure fails the story. */
  async answer(to: ActorRef<Say, Say>, message: Say): Promise<Say> {
    const outcome = this.ask(to, message);
    await this.outcomesOf([outcome]);
    assert.deepEqual(outcome.failures, [], `${message.verb} failed`);
    return outcome.answers[0]!;
  }

  /** Asks again and again until there is an answer, while an actor or thread is on its way back. */
  async answerInTheEnd(to: ActorRef<Say, Say>, message: Say): Promise<Say> {
    for (let attempt = 0; attempt < 1_000; attempt++) {
      const outcome = this.ask(to, message);
      await this.outcomesOf([outcome]);
      if (outcome.answers.length > 0) return outcome.answers[0]!;
      await this.quiet(5);
    }
    throw new assert.AssertionError({ message: `${message.verb} was never answered` });
  }

  /** Requests that the actor has received, as their notices tell, and answers only after `ms`. */
  async inHand(to: ActorRef<Say, Say>, count: number, ms = 60_000): Promise<Outcome[]> {
    const outcomes = this.askAll(
      to,
      Array.from({ length: count }, () => say('notice', { number: ms })),
    );
    await this.until(() => outcomes.every(({ notices }) => notices.length > 0), 'all were in hand');
    return outcomes;
  }

  /** What the client's thread sees of another's pulse. */
  pulse(thread: number): number {
    return this.system.outside(() => this.#probe.pulse(thread));
  }

  /** True if the client's thread sees another within a commit. */
  committing(thread: number): boolean {
    return this.system.outside(() => this.#probe.committing(thread));
  }

  /** Waits until the pulse of a thread is seen to go on. */
  async beats(thread: number): Promise<void> {
    let last = this.pulse(thread);
    let beats = 0;
    for (let looks = 0; beats < 3; looks++) {
      assert(looks < 400, `in vain: waited until the pulse of thread ${thread} went on`);
      await this.quiet(PULSE_MS);
      const pulse = this.pulse(thread);
      if (last >= 0 && pulse >= 0 && pulse !== last) beats++;
      last = pulse;
    }
  }

  /** Lets time pass, for what must not happen. */
  async quiet(ms = QUIET_MS): Promise<void> {
    await this.system.runUntil(() => false, ms);
  }

  /** Held at the end of every story: one outcome for each request, at most one notice, and none astray. */
  async check(): Promise<void> {
    await this.until(() => this.#probe.outcomes.every(isSettled), 'every request had an outcome');
    await this.quiet();
    for (const { answers, failures, notices } of this.#probe.outcomes) {
      assert.equal(answers.length + failures.length, 1, `${answers.length} answers, failures: ${failures}`);
      assert(notices.length <= 1, `${notices.length} notices`);
    }
    assert.equal(this.mark(MARK.strays), 0, 'outcomes or timers reached an incarnation that had not asked');
  }
}

function isSettled(outcome: Outcome): boolean {
  return outcome.answers.length + outcome.failures.length > 0;
}

/** Plays a story on a system made for it. Rejects if the runtime does not conform. */
export async function play(story: RuntimeStory, make: MakeRuntime): Promise<void> {
  const marks = new Int32Array(new SharedArrayBuffer(4 * MARKS));
  const system = await make(story.placements ?? WORKERS, marks);
  const stage = await Stage.open(system, marks);
  try {
    await story.run(stage);
    await stage.check();
  } finally {
    // No commit must wait for a story that failed.
    stage.openGate();
    await system.close();
  }
}

/** Holds a runtime to the contract. */
export function runtimeConformance(name: string, make: MakeRuntime): void {
  for (const story of RUNTIME_STORIES) {
    test(`${name}: ${story.name}`, async (t) => {
      await play(story, make);
      // Tap counts its own assertions only: a test without one is reported as skipped.
      t.pass('held');
    });
  }
}

const WORKERS: readonly Placement[] = [
  { thread: 0, slot: 1, actor: 'worker' },
  { thread: 0, slot: 2, actor: 'worker' },
  { thread: 1, slot: 1, actor: 'worker' },
];
const first = sayer(0, 1);
const second = sayer(0, 2);
const other = sayer(1, 1);

function bytes(length: number): Uint8Array {
  const body = new Uint8Array(length);
  for (let i = 0; i < length; i += 997) body[i] = i % 251;
  return body;
}

export const RUNTIME_STORIES: readonly RuntimeStory[] = [
  {
    name: 'a request is answered, on the same thread and on another',
    async run(stage) {
      const message = say('echo', { number: -1.5e300, text: 'grüße, 世界, 🦆', body: bytes(100) });
      const echo = await stage.answer(first, message);
      assert.deepEqual({ ...echo, body: [...echo.body] }, { ...message, body: [...message.body] });
      for (const target of [second, first, other]) {
        const forwarded = await stage.answer(
          first,
          say('forward', { number: target.place, text: 'echo', body: bytes(10) }),
        );
        assert.deepEqual([...forwarded.body], [...bytes(10)], `forwarded to ${target.place}`);
      }
    },
  },
  {
    name: 'thousands of requests at once, each answered with its own',
    async run(stage) {
      const asked = Array.from({ length: 3_000 }, (_, number) => say('echo', { number, body: bytes(number % 300) }));
      const outcomes = [...stage.askAll(first, asked), ...stage.askAll(other, asked)];
      await stage.outcomesOf(outcomes);
      outcomes.forEach(({ answers, failures }, i) => {
        assert.deepEqual(failures, [], 'neither a request within the mailbox nor a reply is refused');
        assert.equal(answers[0]!.number, i % 3_000);
        assert.equal(answers[0]!.body.length, (i % 3_000) % 300);
      });
    },
  },
  {
    name: 'a notice comes before its reply',
    async run(stage) {
      const outcome = stage.ask(other, say('notice', { number: 500 }));
      await stage.until(() => outcome.notices.length === 1, 'the notice came');
      assert.equal(outcome.answers.length, 0, 'the reply is still to come');
      await stage.outcomesOf([outcome]);
      assert.equal(outcome.answers[0]!.verb, 'at last');
    },
  },
  {
    name: 'what does not fit into a mailbox is refused at once, and nothing else is',
    placements: [
      { thread: 0, slot: 1, actor: 'worker' },
      { thread: 0, slot: 2, actor: 'worker', mailbox: 10 },
      { thread: 1, slot: 1, actor: 'worker' },
    ],
    async run(stage) {
      const outcomes = stage.askAll(
        second,
        Array.from({ length: 25 }, () => say('hold', { number: 50 })),
      );
      await stage.until(() => outcomes.filter(({ failures }) => failures.length > 0).length === 15, '15 were refused');
      assert.equal(outcomes.filter(({ answers }) => answers.length > 0).length, 0, 'refused at once');
      await stage.outcomesOf(outcomes);
      assert(outcomes.every(({ failures }) => failures.every((failure) => failure === 'refused')));
      // Room is given back; and the bound holds for requests of the same thread, and of a third, as well.
      for (const flooder of [first, other]) {
        const flooded = await stage.answer(flooder, say('flood', { number: second.place, text: '25' }));
        assert.deepEqual(JSON.parse(flooded.text), { 'at last': 10, refused: 15 });
      }
    },
  },
  {
    name: 'nobody there: unreachable',
    async run(stage) {
      const outcome = stage.ask(sayer(1, 77), say('echo'));
      await stage.outcomesOf([outcome]);
      assert.deepEqual(outcome.failures, ['unreachable']);
      const forwarded = await stage.answer(first, say('forward', { number: sayer(0, 77).place, text: 'echo' }));
      assert.equal(forwarded.text, 'unreachable');
    },
  },
  {
    name: 'what a turn wrote is read within the turn',
    async run(stage) {
      const wrote = await stage.answer(first, say('put', { text: 'one' }));
      assert.equal(wrote.text, 'one');
      assert.equal((await stage.answer(first, say('get'))).text, 'one');
    },
  },
  {
    name: 'a reply leaves now, when stored, or when durable',
    async run(stage) {
      for (const target of [first, other]) {
        const stored = await stage.answer(target, say('put', { text: 'stored' }));
        assert(stage.mark(MARK.commits) > stored.number, 'answered before the commit');
        const durable = await stage.answer(target, say('put-durable', { text: 'durable' }));
        assert(stage.mark(MARK.flushes) > durable.number, 'answered before the flush');
      }
      await stage.answer(other, say('gate'));
      const now = stage.ask(other, say('put-now', { text: 'a' }));
      await stage.outcomesOf([now]);
      assert.equal(stage.mark(MARK.commits), now.answers[0]!.number, 'sent before the commit ended');
      stage.openGate();
      await stage.until(() => stage.mark(MARK.commits) > now.answers[0]!.number, 'the commit ended');
      stage.shutGate();
      await stage.answer(other, say('gate'));
      const begun = stage.mark(MARK.commitsBegun);
      const stored = stage.ask(other, say('put', { text: 'b' }));
      await stage.until(() => stage.mark(MARK.commitsBegun) > begun, 'the commit had begun');
      await stage.quiet(20);
      assert.equal(stored.answers.length, 0, 'held while the commit lasts');
      stage.openGate();
      await stage.outcomesOf([stored]);
      assert(stage.mark(MARK.commits) > stored.answers[0]!.number);
    },
  },
  {
    name: 'a failed commit fails every write of its turn, and its actors are told',
    async run(stage) {
      // A shut gate gathers the writes behind it: into one turn, as far as the runtime's bounds allow.
      await stage.answer(first, say('gate'));
      await stage.answer(first, say('fail-commit'));
      const before = stage.ask(first, say('put', { text: 'before' }));
      await stage.until(() => stage.mark(MARK.commitsBegun) > stage.mark(MARK.commits), 'the commit had begun');
      const writes = [
        ...stage.askAll(first, [say('put', { text: 'x' }), say('put', { text: 'y' })]),
        ...stage.askAll(second, [say('put', { text: 'z' })]),
      ];
      await stage.quiet(10);
      stage.openGate();
      await stage.outcomesOf([before, ...writes]);
      assert.deepEqual(before.failures, [], 'the failing commit is the one after the gated one');
      assert(
        writes.some(({ failures }) => failures[0] === 'commit-failed'),
        'no write failed with the commit',
      );
      for (const { answers, failures } of writes) {
        if (failures.length > 0) assert.deepEqual(failures, ['commit-failed']);
        for (const { text } of answers) {
          const { number } = await stage.answer(first, say('was-stored', { text }));
          assert.equal(number, 1, `${text} was acknowledged, and its commit had failed`);
        }
      }
      await stage.until(() => stage.mark(MARK.commitFailed) > 0, 'an actor was told');
    },
  },
  {
    name: 'a failed commit, alone: it is told why, then all is as before',
    async run(stage) {
      await stage.answer(other, say('put', { text: 'before' }));
      await stage.answer(other, say('fail-commit'));
      const put = stage.ask(other, say('put', { text: 'lost' }));
      await stage.outcomesOf([put]);
      assert.deepEqual(put.failures, ['commit-failed']);
      await stage.until(() => stage.mark(MARK.commitFailed) === 1, 'the actor was told');
      assert.equal((await stage.answer(other, say('get'))).text, 'before');
      await stage.answer(other, say('put', { text: 'after' }));
      assert.equal((await stage.answer(other, say('get'))).text, 'after');
      assert.equal(stage.mark(MARK.commitFailed), 1, 'told once');
      await stage.answer(other, say('fail-commit', { text: 'full' }));
      const full = stage.ask(other, say('put', { text: 'too much' }));
      await stage.outcomesOf([full]);
      assert.deepEqual(full.failures, ['commit-full']);
    },
  },
  {
    name: 'a failed flush fails what was to be durable',
    async run(stage) {
      await stage.answer(first, say('fail-flush'));
      const put = stage.ask(first, say('put-durable', { text: 'a' }));
      await stage.outcomesOf([put]);
      assert.deepEqual(put.failures, ['commit-failed']);
      await stage.until(() => stage.mark(MARK.commitFailed) === 1, 'the actor was told');
      assert.equal((await stage.answer(first, say('put-durable', { text: 'b' }))).text, 'b');
    },
  },
  {
    name: 'an actor that throws fails what it was asked, and comes back as a new incarnation',
    async run(stage) {
      for (const target of [other, first]) {
        assert.equal((await stage.answer(target, say('incarnation'))).number, 1);
        await stage.answer(target, say('put', { text: 'kept' }));
        const held = await stage.inHand(target, 2);
        const thrown = stage.ask(target, say('throw'));
        await stage.outcomesOf([...held, thrown]);
        assert.deepEqual(thrown.failures, ['died']);
        for (const { failures } of held) assert.deepEqual(failures, ['died']);
        assert.equal((await stage.answerInTheEnd(target, say('incarnation'))).number, 2);
        assert.equal((await stage.answer(target, say('get'))).text, 'kept', 'restarted from storage');
      }
    },
  },
  {
    name: 'requests behind a crash are not received, or say that they may have been',
    async run(stage) {
      const outcomes = stage.askAll(first, [
        say('throw'),
        ...Array.from({ length: 20 }, (_, number) => say('echo', { number })),
      ]);
      await stage.outcomesOf(outcomes);
      // In any order: some may have been answered before.
      const allowed = new Set(['died', 'stale', 'unreachable']);
      for (const { failures } of outcomes) for (const failure of failures) assert(allowed.has(failure), failure);
      assert.deepEqual(outcomes[0]!.failures, ['died']);
    },
  },
  {
    name: 'a request to an incarnation that is no more is stale',
    async run(stage) {
      await stage.answer(other, say('incarnation'));
      await stage.outcomesOf([stage.ask(other, say('throw'))]);
      await stage.until(() => stage.mark(MARK.starts) === 4, 'the actor was restarted');
      // This thread has not heard of the restart: whom it asks is no more.
      const outcome = stage.ask(other, say('echo'));
      await stage.outcomesOf([outcome]);
      assert.deepEqual(outcome.failures, ['stale']);
      assert.equal((await stage.answer(other, say('incarnation'))).number, 2);
    },
  },
  {
    name: 'answers and timers of an old incarnation do not reach the new one',
    async run(stage) {
      await stage.outcomesOf([stage.ask(first, say('timer-then-throw'))]);
      await stage.answerInTheEnd(first, say('incarnation'));
      await stage.quiet();
      for (const target of [second, other]) {
        await stage.outcomesOf([stage.ask(first, say('ask-then-throw', { number: target.place }))]);
        await stage.answerInTheEnd(first, say('incarnation'));
        await stage.quiet();
      }
      // `check` finds strays.
    },
  },
  {
    name: 'a restarted actor waits for the outcome of the commit that its crash left pending',
    async run(stage) {
      await stage.answer(first, say('put', { text: 'before' }));
      const put = stage.ask(first, say('failed-put-then-throw', { text: 'never stored' }));
      await stage.outcomesOf([put]);
      assert(['died', 'commit-failed'].includes(put.failures[0]!), `acknowledged: ${put.answers.length}`);
      assert.equal((await stage.answerInTheEnd(first, say('seen-at-start'))).text, 'before');
      assert.equal((await stage.answer(first, say('get'))).text, 'before');
    },
  },
  {
    name: 'an actor that throws again and again takes its thread with it, which comes back',
    async run(stage) {
      const [held] = await stage.inHand(second, 1);
      const before = stage.mark(MARK.threadStarts);
      for (let i = 0; i < 6; i++) {
        await stage.answerInTheEnd(first, say('echo'));
        await stage.outcomesOf([stage.ask(first, say('throw'))]);
      }
      await stage.outcomesOf([held!]);
      assert.deepEqual(held!.failures, ['died']);
      await stage.answerInTheEnd(second, say('echo'));
      assert.equal(stage.mark(MARK.threadStarts), before + 1);
      assert.equal((await stage.answerInTheEnd(first, say('incarnation'))).number, 1, 'a thread counts anew');
    },
  },
  {
    name: 'when a thread dies, every request outstanding there fails once',
    async run(stage) {
      const held = await stage.inHand(other, 50);
      await stage.answer(first, say('forward', { number: other.place, text: 'echo' }));
      const under = stage.askAll(
        other,
        Array.from({ length: 50 }, () => say('echo')),
      );
      await stage.system.crashThread(1);
      await stage.outcomesOf([...held, ...under]);
      for (const { failures } of held) assert.deepEqual(failures, ['died']);
      const down = stage.ask(other, say('echo'));
      await stage.outcomesOf([down]);
      assert(down.failures[0] === 'unreachable' || down.failures[0] === 'died', `${down.failures[0]}`);
      await stage.system.startThread(1);
      assert.equal((await stage.answerInTheEnd(other, say('incarnation'))).number, 1);
      // The other thread has found its way back, too.
      const forward = say('forward', { number: other.place, text: 'echo' });
      let forwarded = await stage.answer(first, forward);
      for (let attempt = 0; attempt < 100 && forwarded.verb === 'failed'; attempt++) {
        await stage.quiet(5);
        forwarded = await stage.answer(first, forward);
      }
      assert.equal(forwarded.verb, 'echo');
    },
  },
  {
    name: 'the pulse of a thread goes on while it is idle, and stands still while it commits or is paused',
    async run(stage) {
      for (const thread of [0, 1]) await stage.beats(thread);
      const ofOther = async () => (await stage.answer(first, say('pulse', { number: 1 }))).number;
      const before = await ofOther();
      let now = before;
      // A busy machine may let the other one wait for its turn.
      for (let looks = 0; now === before && looks < 40; looks++) {
        await stage.quiet(2 * PULSE_MS);
        now = await ofOther();
      }
      assert.notEqual(now, before, 'an actor sees the pulse of another thread, which is idle');

      await stage.answer(other, say('gate'));
      const begun = stage.mark(MARK.commitsBegun);
      const stored = stage.ask(other, say('put', { text: 'a' }));
      await stage.until(() => stage.mark(MARK.commitsBegun) > begun, 'the commit had begun');
      const committing = stage.pulse(1);
      await stage.quiet(40);
      assert.equal(stage.pulse(1), committing, 'a thread within a commit shows no pulse');
      assert(stage.committing(1), 'but why');
      assert(!stage.committing(0), 'only that one is within a commit');
      stage.openGate();
      await stage.outcomesOf([stored]);
      await stage.beats(1);

      await stage.system.pauseThread(1, 1_000);
      const paused = [stage.pulse(1), await ofOther()];
      const asked = stage.ask(other, say('echo'));
      await stage.quiet(100);
      assert.deepEqual([stage.pulse(1), await ofOther()], paused, 'a paused thread shows no pulse');
      assert(!stage.committing(1), 'a paused thread is in no commit');
      assert(!isSettled(asked), 'a paused thread answers nothing');
      await stage.beats(0);
      await stage.outcomesOf([asked]);
      assert.equal(asked.answers.length, 1, 'it goes on where it stood');
      await stage.beats(1);
    },
  },
  {
    name: 'a thread that is down has no pulse, until it is up again',
    async run(stage) {
      await stage.beats(1);
      await stage.system.crashThread(1);
      await stage.until(() => stage.pulse(1) === -1, 'its death was seen');
      await stage.beats(0);
      // The other worker hears of it, too.
      let seen = 0;
      for (let attempt = 0; attempt < 100 && seen !== -1; attempt++) {
        seen = (await stage.answer(first, say('pulse', { number: 1 }))).number;
        await stage.quiet(5);
      }
      assert.equal(seen, -1);
      await stage.system.startThread(1);
      await stage.beats(1);
      await stage.system.stopThread(1);
      await stage.until(() => stage.pulse(1) === -1, 'its end was seen');
    },
  },
  {
    name: 'across a split nothing passes and nothing is seen; every request ends once, and others after the healing',
    placements: [
      { thread: 0, slot: 1, actor: 'worker' },
      { thread: 0, slot: 2, actor: 'worker' },
      { thread: 1, slot: 1, actor: 'worker' },
    ],
    async run(stage) {
      const forward = say('forward', { number: other.place, text: 'echo' });
      await stage.answer(first, forward);
      const held = await stage.inHand(other, 3, 300);
      const large = stage.ask(other, say('notice', { number: 300, body: bytes(3 * 2 ** 20) }));
      await stage.until(() => large.notices.length > 0, 'the large one was in hand');
      await stage.system.split([1]);
      const pulse = stage.pulse(1);
      const sent = [
        stage.ask(other, say('put', { text: 'lost' })),
        stage.ask(other, say('echo', { body: bytes(70_000) })),
      ];
      const forwarded = stage.ask(first, forward);
      await stage.quiet(50);
      for (const outcome of [...sent, forwarded]) assert(!isSettled(outcome), 'silence, at first');
      assert.equal((await stage.answer(first, say('echo', { number: 5 }))).number, 5, 'the others go on');
      await stage.outcomesOf([...held, large, ...sent, forwarded]);
      for (const { failures } of [...held, large, ...sent]) assert.deepEqual(failures, ['cut-off']);
      assert.equal(forwarded.answers[0]!.text, 'cut-off');
      // The connection counts as broken by now.
      const late = stage.ask(other, say('echo'));
      await stage.outcomesOf([late]);
      assert.deepEqual(late.failures, ['unreachable']);
      assert.equal(stage.pulse(1), pulse, 'nothing is seen across a split');
      await stage.beats(0);

      await stage.system.heal();
      await stage.answerInTheEnd(other, say('echo'));
      await stage.beats(1);
      assert.equal((await stage.answer(other, say('was-stored', { text: 'lost' }))).number, 0, 'it never arrived');
      let again = await stage.answer(first, forward);
      for (let attempt = 0; attempt < 100 && again.verb === 'failed'; attempt++) {
        await stage.quiet(5);
        again = await stage.answer(first, forward);
      }
      assert.equal(again.verb, 'echo');
      assert.equal((await stage.answer(other, say('echo', { body: bytes(2 ** 20) }))).body.length, 2 ** 20);
    },
  },
  {
    name: 'a split that is soon healed, and threads that die and come within one',
    async run(stage) {
      const under = [];
      for (let round = 0; round < 3; round++) {
        await stage.system.split([1]);
        under.push(
          stage.ask(other, say('echo')),
          stage.ask(first, say('forward', { number: other.place, text: 'echo' })),
        );
        await stage.quiet(10);
        await stage.system.heal();
        await stage.answerInTheEnd(other, say('echo'));
      }
      await stage.outcomesOf(under);
      await stage.system.split([0]);
      const outstanding = stage.ask(other, say('hold', { number: 60_000 }));
      await stage.system.split([1]);
      await stage.system.crashThread(1);
      await stage.outcomesOf([outstanding]);
      assert.equal(outstanding.failures.length, 1);
      await stage.until(() => stage.pulse(1) === -1, 'a death is seen across a split');
      await stage.system.startThread(1);
      const across = stage.ask(other, say('echo'));
      await stage.outcomesOf([across]);
      assert(['cut-off', 'unreachable'].includes(across.failures[0]!), `${across.failures[0]}`);
      await stage.system.heal();
      await stage.answerInTheEnd(other, say('echo'));
      await stage.answerInTheEnd(first, say('echo'));
      await stage.beats(1);
    },
  },
  {
    name: 'large messages, beside small ones',
    async run(stage) {
      const large = [1, 65_537, 2 ** 20 + 1, 3 * 2 ** 20].map((length) => say('echo', { body: bytes(length) }));
      const outcomes = stage.askAll(
        other,
        large.flatMap((message) => [message, say('echo')]),
      );
      await stage.outcomesOf(outcomes);
      outcomes.forEach(({ answers, failures }, i) => {
        assert.deepEqual(failures, []);
        const sent = i % 2 === 0 ? large[i / 2]!.body : new Uint8Array(0);
        assert.equal(Buffer.compare(answers[0]!.body, sent), 0, `${sent.length} bytes came back changed`);
      });
      const huge = bytes(40 * 2 ** 20);
      const echo = await stage.answer(other, say('echo', { body: huge }));
      assert.equal(Buffer.compare(echo.body, huge), 0);
    },
  },
  {
    name: 'timers fire, and cancelled ones do not',
    async run(stage) {
      const outcome = await stage.answer(first, say('timers', { number: 10 }));
      assert.equal(outcome.number, 5, 'all that were not cancelled, before the later one');
    },
  },
  {
    name: 'the clock goes on, and its reading is the wall clock’s',
    async run(stage) {
      const before = await stage.answer(first, say('clock'));
      await stage.answer(first, say('hold', { number: 30 }));
      const after = await stage.answer(first, say('clock'));
      assert(after.number - before.number >= 29, 'a timer of 30 ms passed');
      assert(Number(after.text) - Number(before.text) >= 28);
      assert(Number(after.text) > Date.UTC(2025, 0), 'a wall clock counts since 1970');
    },
  },
  {
    name: 'a clean stop finishes what is in hand, and calls stop',
    async run(stage) {
      const [held] = await stage.inHand(other, 1, 40);
      await stage.system.stopThread(1);
      await stage.outcomesOf([held!]);
      assert.deepEqual(held!.failures, []);
      assert.equal(stage.mark(MARK.stops), 1);
      const late = stage.ask(other, say('echo'));
      await stage.outcomesOf([late]);
      assert(late.failures[0] === 'unreachable' || late.failures[0] === 'died');
      await stage.system.startThread(1);
      await stage.answerInTheEnd(other, say('echo'));
    },
  },
];
