/**
 * The actors by which both runtimes are held to the contract, and the storage that they write to. Worker threads get
 * them by module and name, so everything that a test wants to see goes through messages or through shared marks.
 */
import { isMainThread } from 'node:worker_threads';
import { StorageFullError } from '../../src/base/errors.js';
import {
  type Actor,
  type ActorContext,
  type ActorFactory,
  type ActorHost,
  type ActorRef,
  type Committer,
  type Conversation,
  type Failure,
  type Incoming,
  type MessageCodec,
  type Release,
  refAt,
  slotOf,
  threadOf,
} from '../../src/runtime/actor.js';

export interface Say {
  readonly verb: string;
  readonly number: number;
  readonly text: string;
  readonly body: Uint8Array;
}

const NOTHING = new Uint8Array(0);

export function say(verb: string, fields: Partial<Say> = {}): Say {
  return { verb, number: 0, text: '', body: NOTHING, ...fields };
}

const sayCodec: MessageCodec<Say> = {
  size: (message) => 4 + message.verb.length * 3 + 8 + 4 + message.text.length * 3 + 4 + message.body.length,
  write(message, out) {
    out.text(message.verb);
    out.f64(message.number);
    out.text(message.text);
    out.bytes(message.body);
  },
  read: (from) => ({ verb: from.text(), number: from.f64(), text: from.text(), body: from.bytes() }),
};

export const SAYING: Conversation<Say, Say> = { name: 'saying', request: sayCodec, answer: sayCodec };

export function sayer(thread: number, slot: number): ActorRef<Say, Say> {
  return refAt(SAYING, thread, slot);
}

/** Places of the shared marks: an Int32Array that actors count in, and tests look at. */
export const MARK = {
  /** Setups of threads. */
  threadStarts: 0,
  /** Starts of actors that were given a log of their own, and what they saw there. */
  starts: 1,
  stops: 2,
  commits: 3,
  flushes: 4,
  commitFailed: 5,
  /** Outcomes and timers that came to an incarnation which had not asked for them. */
  strays: 6,
  timers: 7,
  /** Commits of a gated storage wait until this is 1. */
  gate: 8,
  /** Commits that have begun. */
  commitsBegun: 9,
} as const;
export const MARKS = 16;

/** What is put where, before a thread starts. Plain data: it goes to workers as a copy. */
export interface Placement {
  readonly thread: number;
  readonly slot: number;
  /** A name in `ACTORS`. */
  readonly actor: keyof typeof ACTORS;
  readonly mailbox?: number;
}

/** Everything that one thread needs to set itself up. */
export interface ThreadPlan {
  readonly placements: readonly Placement[];
  readonly marks: Int32Array;
}

/** Puts the actors that the plan has for this host's thread into it, over a storage of their own. */
export function setUpConformanceThread(host: ActorHost, plan: ThreadPlan): void {
  Atomics.add(plan.marks, MARK.threadStarts, 1);
  const storage = new GatedStorage(plan.marks);
  host.addCommitter(storage);
  for (const { thread, slot, actor, mailbox } of plan.placements) {
    if (thread !== host.thread) continue;
    host.spawn(slot, SAYING, ACTORS[actor](storage, plan.marks), mailbox === undefined ? {} : { mailbox });
  }
}

/**
 * A storage that can be told to fail, and to take its time. A gated commit lasts until the gate is opened on a worker
 * thread, and 50 virtual milliseconds in the simulator, where nothing can wait; it does not fail, but the next one may.
 */
export class GatedStorage implements Committer {
  readonly commitIsDurable = false;
  failNextCommit = false;
  /** Of the commit that fails: for lack of room. */
  full = false;
  failNextFlush = false;
  gated = false;
  readonly #marks: Int32Array;
  readonly #stored = new Map<string, string>();
  readonly #written = new Map<string, string>();
  readonly #writtenValues: string[] = [];
  /** Every write that was committed, also those overwritten in their own turn. */
  readonly #everStored = new Set<string>();

  constructor(marks: Int32Array) {
    this.#marks = marks;
  }

  get pending(): boolean {
    return this.#written.size > 0;
  }

  get(key: string): string {
    return this.#written.get(key) ?? this.#stored.get(key) ?? '';
  }

  put(key: string, value: string): void {
    this.#written.set(key, value);
    this.#writtenValues.push(value);
  }

  wasStored(value: string): boolean {
    return this.#everStored.has(value);
  }

  /** For the simulator: how long the commit that is due takes. */
  commitMs(): number {
    Atomics.add(this.#marks, MARK.commitsBegun, 1);
    return this.gated ? 50 : 1;
  }

  flushMs(): number {
    return 1;
  }

  commit(): void {
    if (!isMainThread) Atomics.add(this.#marks, MARK.commitsBegun, 1);
    if (this.gated && !isMainThread && Atomics.wait(this.#marks, MARK.gate, 0, 10_000) === 'timed-out') {
      throw new Error('the test did not open the gate');
    }
    const wasGated = this.gated;
    this.gated = false;
    const written = [...this.#written];
    const values = this.#writtenValues.splice(0);
    this.#written.clear();
    if (this.failNextCommit && !wasGated) {
      this.failNextCommit = false;
      const what = 'a commit that was told to fail';
      throw this.full ? new StorageFullError(what) : new Error(what);
    }
    for (const [key, value] of written) this.#stored.set(key, value);
    for (const value of values) this.#everStored.add(value);
    Atomics.add(this.#marks, MARK.commits, 1);
  }

  flush(): void {
    if (this.failNextFlush) {
      this.failNextFlush = false;
      throw new Error('a flush that was told to fail');
    }
    Atomics.add(this.#marks, MARK.flushes, 1);
  }
}

/**
 * Does what it is told:
 *
 *     echo · hold (answer after `number` ms) · notice (and answer after `number` ms) · get · put, put-now, put-durable
 *     fail-commit (`text` 'full': for lack of room), fail-flush, gate (the storage's next) · throw · throw-after-put · forward (`text` to place `number`)
 *     ask-then-throw (place `number`) · timer-then-throw · timers · incarnation · pulse (of thread `number`) · flood (place `number`, `text` times)
 */
class Worker implements Actor<Say, Say, Say> {
  readonly #storage: GatedStorage;
  readonly #marks: Int32Array;
  readonly #waiting = new Map<number, Incoming<Say>>();
  readonly #flood = { incoming: undefined as Incoming<Say> | undefined, open: 0, counts: {} as Record<string, number> };
  #seenAtStart = '';
  #next = 1;

  constructor(storage: GatedStorage, marks: Int32Array) {
    this.#storage = storage;
    this.#marks = marks;
  }

  start(): void {
    Atomics.add(this.#marks, MARK.starts, 1);
    this.#seenAtStart = this.#storage.get('key');
  }

  receive(message: Say, incoming: Incoming<Say>, context: ActorContext): void {
    switch (message.verb) {
      case 'echo':
        context.reply(incoming, message);
        return;
      case 'hold':
        context.after(message.number, { incoming });
        return;
      case 'notice':
        context.notice(incoming, say('interim'));
        context.after(message.number, { incoming });
        return;
      case 'get':
        context.reply(incoming, say('got', { text: this.#storage.get('key') }));
        return;
      case 'seen-at-start':
        context.reply(incoming, say('seen', { text: this.#seenAtStart }));
        return;
      case 'put':
        this.#put(message, incoming, context, 'stored');
        return;
      case 'put-now':
        this.#put(message, incoming, context, 'now');
        return;
      case 'put-durable':
        this.#put(message, incoming, context, 'durable');
        return;
      case 'was-stored':
        context.reply(incoming, say('was-stored', { number: this.#storage.wasStored(message.text) ? 1 : 0 }));
        return;
      case 'fail-commit':
        this.#storage.failNextCommit = true;
        this.#storage.full = message.text === 'full';
        context.reply(incoming, message);
        return;
      case 'fail-flush':
        this.#storage.failNextFlush = true;
        context.reply(incoming, message);
        return;
      case 'gate':
        this.#storage.gated = true;
        context.reply(incoming, message);
        return;
      case 'incarnation':
        context.reply(incoming, say('incarnation', { number: context.incarnation }));
        return;
      case 'throw':
        throw new Error('told to throw');
      case 'failed-put-then-throw':
        // In one turn: a held reply whose commit fails, and a crash. Whoever starts next must not see the write.
        this.#storage.failNextCommit = true;
        this.#storage.put('key', message.text);
        context.reply(incoming, message, 'stored');
        throw new Error('told to throw after a write');
      case 'forward':
        this.#waiting.set(this.#next, incoming);
        this.#ask(message, message.text, context);
        return;
      case 'ask-then-throw':
        // The number that the next incarnation will use first.
        context.request(sayer(threadOf(message.number), slotOf(message.number)), say('hold', { number: 60 }), 1);
        throw new Error('told to throw with a request under way');
      case 'timer-then-throw':
        context.after(30, { stray: true });
        throw new Error('told to throw with a timer set');
      case 'timers':
        this.#timers(message.number, incoming, context);
        return;
      case 'flood':
        this.#flood.incoming = incoming;
        this.#flood.open = Number(message.text);
        for (let i = 0; i < Number(message.text); i++) this.#ask(message, 'hold', context);
        return;
      case 'pulse':
        context.reply(incoming, say('pulse', { number: context.pulse(message.number) }));
        return;
      case 'clock':
        context.reply(incoming, say('clock', { number: context.now(), text: String(context.wallClock()) }));
        return;
      default:
        throw new Error(`nobody taught me ${message.verb}`);
    }
  }

  answered(correlation: number, answer: Say, interim: boolean, context: ActorContext): void {
    if (!interim) this.#outcome(correlation, answer.verb, answer, context);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    this.#outcome(correlation, failure, say('failed', { text: failure }), context);
  }

  timer(message: unknown, context: ActorContext): void {
    const { incoming, stray, count } = message as { incoming?: Incoming<Say>; stray?: boolean; count?: boolean };
    if (stray) Atomics.add(this.#marks, MARK.strays, 1);
    if (count) Atomics.add(this.#marks, MARK.timers, 1);
    if (incoming !== undefined) context.reply(incoming, say('at last', { number: this.#marks[MARK.timers]! }));
  }

  commitFailed(): void {
    Atomics.add(this.#marks, MARK.commitFailed, 1);
  }

  stop(): void {
    Atomics.add(this.#marks, MARK.stops, 1);
  }

  /** Puts `text` under 'key' and reads it back; tells how many commits there had been. */
  #put(message: Say, incoming: Incoming<Say>, context: ActorContext, release: Release): void {
    const number = Atomics.load(this.#marks, release === 'durable' ? MARK.flushes : MARK.commits);
    this.#storage.put('key', message.text);
    context.reply(incoming, say('wrote', { text: this.#storage.get('key'), number }), release);
  }

  #ask({ number, body }: Say, verb: string, context: ActorContext): void {
    context.request(sayer(threadOf(number), slotOf(number)), say(verb, { body, number: 20 }), this.#next++);
  }

  #outcome(correlation: number, name: string, answer: Say, context: ActorContext): void {
    const flood = this.#flood;
    const waiting = this.#waiting.get(correlation);
    if (waiting !== undefined) {
      this.#waiting.delete(correlation);
      context.reply(waiting, answer);
    } else if (flood.incoming !== undefined && flood.open > 0) {
      flood.counts[name] = (flood.counts[name] ?? 0) + 1;
      if (--flood.open === 0) context.reply(flood.incoming, say('flooded', { text: JSON.stringify(flood.counts) }));
    } else {
      Atomics.add(this.#marks, MARK.strays, 1);
    }
  }

  /** Ten timers, of which every second is cancelled; the answer comes after all of them. */
  #timers(delayMs: number, incoming: Incoming<Say>, context: ActorContext): void {
    for (let i = 0; i < 10; i++) {
      const timer = context.after(delayMs + i, i % 2 === 0 ? { count: true } : { stray: true });
      if (i % 2 === 1) context.cancel(timer);
    }
    context.after(delayMs + 40, { incoming });
  }
}

/** What a thread can be asked to host, by name. */
export const ACTORS = {
  worker:
    (storage: GatedStorage, marks: Int32Array): ActorFactory<Actor<Say, Say, Say>> =>
    () =>
      new Worker(storage, marks),
};

/** What became of one request. */
export interface Outcome {
  readonly notices: Say[];
  readonly answers: Say[];
  readonly failures: Failure[];
}

/** A test's own actor, on the thread whose host the test has: asks, and keeps every outcome. */
export class Probe implements Actor<never, never, Say> {
  readonly outcomes: Outcome[] = [];
  readonly #context: ActorContext;

  constructor(context: ActorContext) {
    this.#context = context;
  }

  /** To be called within `outside`. */
  ask(to: ActorRef<Say, Say>, message: Say): Outcome {
    const outcome: Outcome = { notices: [], answers: [], failures: [] };
    this.#context.request(to, message, this.outcomes.length);
    this.outcomes.push(outcome);
    return outcome;
  }

  /** To be called within `outside`. */
  pulse(thread: number): number {
    return this.#context.pulse(thread);
  }

  /** To be called within `outside`. */
  committing(thread: number): boolean {
    return this.#context.committing(thread);
  }

  receive(): void {
    throw new Error('nobody asks a probe');
  }

  answered(correlation: number, answer: Say, interim: boolean): void {
    const { notices, answers } = this.outcomes[correlation]!;
    (interim ? notices : answers).push(answer);
  }

  failed(correlation: number, failure: Failure): void {
    this.outcomes[correlation]!.failures.push(failure);
  }
}
