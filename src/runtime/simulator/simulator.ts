/**
 * A simulation: threads of actors, the network between them, their clocks and disks, in one real thread and in virtual
 * time. Everything that chance decides is drawn from one seed, and no real time, timer or promise takes part: a seed
 * run twice does the same, which `trace.hash` shows.
 *
 * What loss and duplication mean, under "every request ends in exactly one reply or one failure":
 * - A lost request, reply or failure surfaces as the failure 'cut-off' once the connection has timed out, never earlier
 *   and never as silence. A lost notice is just gone.
 * - While a cut lasts, a thread that has seen its connection time out knows: its requests fail as 'unreachable'.
 * - A duplicated request reaches the actor twice, as a transport that resends would deliver it: actors must bear it.
 *   Its requester takes the first outcome and drops the second. 'refused', 'unreachable' and 'stale' say that nothing
 *   was received, so they are told only if every copy was turned away.
 * - Replies and failures are never duplicated: the table of open requests would drop the second one unseen.
 *
 * Sources: FoundationDB's simulation (Zhou et al., SIGMOD 2021); madsim; TigerBeetle's VOPR.
 */
import { assert } from '../../base/assert.js';
import { type Random, SeededRandom, unit } from '../../base/random.js';
import { type ActorRef, DEFAULT_SUPERVISION, type SupervisionPolicy, slotOf, threadOf } from '../actor.js';
import { Supervision } from '../supervision.js';
import { EventQueue, type EventReceiver, type ScheduledEvent } from './event-queue.js';
import { FRAME_NOTICE, FRAME_REQUEST, type Frame } from './mail.js';
import { Network } from './network.js';
import { SimulatedClock } from './simulated-clock.js';
import { SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.js';
import { SimulatedThread, type ThreadSetup } from './simulated-thread.js';
import { Trace } from './trace.js';
import { type CrashPoint, type CrashReport, DEFAULT_PACE, type Downfall, type Pace, type World } from './world.js';

export interface SimulatorOptions {
  readonly seed: number | bigint;
  /** How many threads there are; all are down at first. */
  readonly threads: number;
  readonly supervision?: SupervisionPolicy;
  readonly pace?: Partial<Pace>;
  /** How many happenings the trace keeps as text (default 4,096); its hash covers all. */
  readonly traceLines?: number;
  /** Told of every actor that throws, in addition to its restart. */
  readonly onCrash?: (report: CrashReport) => void;
  /** Told of every thread that goes down. */
  readonly onDown?: (thread: number, why: Downfall) => void;
}

/** So many unplanned crashes are kept. */
const MAX_CRASHES = 100;

const ARRIVAL = 0;
const PEER_NEWS = 1;
const THREAD_RESTART = 2;
const RECONNECTION = 3;
const ACTION = 4;

interface PeerNews {
  readonly at: number;
  readonly peer: number;
  readonly incarnation: number;
  readonly up: boolean;
}

/** An actor that a scenario crashed. */
export class PlannedCrash extends Error {
  override readonly name = 'PlannedCrash';
}

export class Simulator implements World, EventReceiver {
  readonly threads: number;
  readonly pace: Pace;
  readonly trace: Trace;
  readonly network: Network;
  /** For scenarios: faults drawn here do not shift what the simulation itself draws. */
  readonly random: Random;
  /** The first actors that threw by themselves: a scenario that does not expect any asserts that there are none. */
  readonly crashes: CrashReport[] = [];
  readonly #hosts: SimulatedThread[] = [];
  readonly #setups: (ThreadSetup | undefined)[] = [];
  readonly #supervisions: Supervision[] = [];
  readonly #disks: Map<string, SimulatedDisk>[] = [];
  readonly #diskSeeds: SeededRandom;
  readonly #chance: SeededRandom;
  readonly #queue: EventQueue;
  readonly #onCrash: ((report: CrashReport) => void) | undefined;
  readonly #onDown: ((thread: number, why: Downfall) => void) | undefined;
  #time = 0;
  #happened = 0;

  constructor(options: SimulatorOptions) {
    const seed = new SeededRandom(options.seed);
    this.threads = options.threads;
    this.pace = { ...DEFAULT_PACE, ...options.pace };
    this.trace = new Trace(options.traceLines ?? 4_096);
    this.#queue = new EventQueue(seed.fork());
    this.network = new Network(options.threads, seed.fork());
    this.#chance = seed.fork();
    this.#diskSeeds = seed.fork();
    this.random = seed.fork();
    this.#onCrash = options.onCrash;
    this.#onDown = options.onDown;
    const policy = options.supervision ?? DEFAULT_SUPERVISION;
    for (let thread = 0; thread < options.threads; thread++) {
      const random = seed.fork();
      // Monotonic clocks agree on nothing but pace.
      const clock = new SimulatedClock(Math.floor(unit(random) * 1e9));
      this.#hosts.push(new SimulatedThread(this, thread, random, clock, policy));
      this.#setups.push(undefined);
      this.#supervisions.push(new Supervision(policy));
      this.#disks.push(new Map());
    }
  }

  /** Virtual milliseconds since the simulation began. */
  get time(): number {
    return this.#time;
  }

  /** How many events have happened. */
  get happened(): number {
    return this.#happened;
  }

  // ── Running ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Lets the next event happen. False if there is none. */
  step(): boolean {
    const event = this.#queue.take();
    if (event === undefined) return false;
    this.#time = event.time;
    this.#happened++;
    event.receiver.fire(event.kind, event.subject);
    return true;
  }

  /** Runs for `ms` of virtual time. */
  runFor(ms: number): void {
    const end = this.#time + ms;
    for (let next = this.#queue.nextTime(); next !== undefined && next <= end; next = this.#queue.nextTime()) {
      this.step();
    }
    this.#time = end;
  }

  /** Runs until `predicate` holds, asking it after every event. False if it still did not after `limitMs`. */
  runUntil(predicate: () => boolean, limitMs: number): boolean {
    const end = this.#time + limitMs;
    while (!predicate()) {
      const next = this.#queue.nextTime();
      if (next === undefined || next > end) {
        this.#time = end;
        return predicate();
      }
      this.step();
    }
    return true;
  }

  /** Runs until nothing more is to come. False if something still was after `limitMs`, as with a periodic timer. */
  runUntilIdle(limitMs = 60_000): boolean {
    const end = this.#time + limitMs;
    for (let next = this.#queue.nextTime(); next !== undefined; next = this.#queue.nextTime()) {
      if (next > end) {
        this.#time = end;
        return false;
      }
      this.step();
    }
    return true;
  }

  /** Calls `action` between two events, `afterMs` from now. For fault scripts. */
  at(afterMs: number, action: () => void): void {
    this.#queue.add(this.#time + afterMs, this, ACTION, action);
  }

  // ── Threads and actors ─────────────────────────────────────────────────────────────────────────────────────────

  /** The host of a thread: its clock, whether it is up. */
  host(thread: number): SimulatedThread {
    const host = this.#hosts[thread];
    assert(host !== undefined, 'a thread is one of the simulation');
    return host;
  }

  /** Starts a thread that is down. `setup` is called for this incarnation and every restart; left out, the last one is. */
  startThread(thread: number, setup?: ThreadSetup): void {
    this.#supervisions[thread]!.reset();
    this.#start(thread, setup ?? this.#setups[thread], false);
  }

  /** Stops a thread cleanly: once every request in hand is answered. It asserts that this is so within `withinMs`. */
  stopThread(thread: number, withinMs = 60_000): void {
    this.host(thread).stop(withinMs);
  }

  /**
   * Kills a thread, now or at a point of the next turn that gets there. It stays down until `startThread`.
   * Does nothing to a thread that is down.
   */
  crashThread(thread: number, point: CrashPoint | 'now' = 'now'): void {
    const host = this.host(thread);
    if (!host.up) return;
    if (point === 'now') host.crash({ type: 'crashed' });
    else host.crashAt(point);
  }

  /** Lets a thread stand still for `ms`. */
  pauseThread(thread: number, ms: number): void {
    this.host(thread).pause(ms);
  }

  /** Fails one actor as if it had thrown; its supervisor restarts it. Does nothing if it does not live just now. */
  crashActor(ref: ActorRef<unknown, unknown>): void {
    const host = this.host(threadOf(ref.place));
    if (host.actorIncarnation(slotOf(ref.place)) > 0) host.crashActor(slotOf(ref.place), new PlannedCrash('planned'));
  }

  /**
   * Runs `action` on a thread between two events, as a turn of its own, so that the contexts of its actors can be
   * used: how a test acts through an actor that it keeps on a client's thread. Only while that thread is not busy.
   */
  outside<T>(thread: number, action: () => T): T {
    return this.host(thread).outside(action);
  }

  // ── Faults of network, disk and clocks ─────────────────────────────────────────────────────────────────────────

  /** Cuts `side` off from `other` (default: all other threads), both ways, until `heal`. */
  split(side: readonly number[], other?: readonly number[]): void {
    const rest = other ?? this.#hosts.map((host) => host.thread).filter((thread) => !side.includes(thread));
    this.trace.note(this.#time, -1, 'network', 0, 0, 0, `split ${side.join(',')} | ${rest.join(',')}`);
    this.network.cut(side, rest);
    this.network.cut(rest, side);
  }

  /** Lets nothing through from `from` to `to`, until `heal`; the other direction stays. */
  splitOneWay(from: readonly number[], to: readonly number[]): void {
    this.trace.note(this.#time, -1, 'network', 0, 0, 0, `cut ${from.join(',')} > ${to.join(',')}`);
    this.network.cut(from, to);
  }

  /** Ends all splits. Connections that had broken are made again within the detection time. */
  heal(): void {
    this.trace.note(this.#time, -1, 'network', 0, 0, 0, 'heal');
    this.network.heal();
    for (const host of this.#hosts) {
      this.#queue.add(this.#time + unit(this.#chance) * this.pace.detectionMs, this, RECONNECTION, host);
    }
  }

  /** The disk called `name` of a thread, made at the first call. It outlives every incarnation of the thread. */
  disk(thread: number, name: string, options: SimulatedDiskOptions = {}): SimulatedDisk {
    const disks = this.#disks[thread];
    assert(disks !== undefined, 'a thread is one of the simulation');
    let disk = disks.get(name);
    if (disk === undefined) {
      const say = (what: string): void => this.trace.note(this.#time, thread, 'disk', 0, 0, 0, `${name}: ${what}`);
      disk = new SimulatedDisk(this.#diskSeeds.fork(), options, say);
      disks.set(name, disk);
    }
    return disk;
  }

  /** Takes the power from a thread, or from all: it crashes, and its disks lose what was not durable. */
  powerFail(threads: number | readonly number[] | 'all' = 'all'): void {
    const struck = threads === 'all' ? this.#hosts.map((host) => host.thread) : [threads].flat();
    for (const thread of struck) {
      this.trace.note(this.#time, thread, 'power');
      this.crashThread(thread);
      for (const disk of this.#disks[thread]!.values()) disk.powerFail();
    }
  }

  /** Sets a thread's wall clock forward by `ms`, or back. */
  jumpClock(thread: number, ms: number): void {
    const { clock } = this.host(thread);
    clock.jumpWall(ms);
    this.trace.note(this.#time, thread, 'clock', ms, clock.drift);
  }

  /** Lets a thread's clocks run faster than the others by `drift` (0.001: a second in 1,000), or slower. */
  driftClock(thread: number, drift: number): void {
    const { clock } = this.host(thread);
    clock.setDrift(this.#time, drift);
    this.trace.note(this.#time, thread, 'clock', 0, drift);
  }

  // ── World: what the threads see ────────────────────────────────────────────────────────────────────────────────

  schedule(time: number, receiver: EventReceiver, kind: number, subject: unknown): ScheduledEvent {
    return this.#queue.add(time, receiver, kind, subject);
  }

  cancel(event: ScheduledEvent): void {
    this.#queue.cancel(event);
  }

  transmit(frame: Frame, departure: number): void {
    const { network } = this;
    const { from, to } = frame;
    const bytes = frame.body.length;
    if (frame.kind === FRAME_REQUEST && network.duplicates(from, to)) {
      this.trace.note(this.#time, from, 'duplicated', to, frame.requestId);
      frame.copies = { underWay: 2, admitted: false };
      this.#send(frame, departure + network.delayMs(from, to, bytes));
    }
    this.#send(frame, departure + network.delayMs(from, to, bytes));
  }

  incarnationIfUp(thread: number): number {
    const host = this.host(thread);
    return host.up ? host.incarnation : 0;
  }

  pulseOf(thread: number): number {
    return this.host(thread).pulse;
  }

  isCommitting(thread: number): boolean {
    const { committing, paused } = this.host(thread);
    return committing && !paused;
  }

  isCut(from: number, to: number): boolean {
    return this.network.isCut(from, to);
  }

  actorFailed(report: CrashReport): void {
    if (!(report.error instanceof PlannedCrash) && this.crashes.length < MAX_CRASHES) this.crashes.push(report);
    this.#onCrash?.(report);
  }

  threadWentDown(thread: number, why: Downfall): void {
    for (const disk of this.#disks[thread]!.values()) disk.detach();
    this.#tellPeers(thread, false);
    if (why.type === 'failed') {
      const decision = this.#supervisions[thread]!.failed(this.#time);
      if (decision.type === 'restart') {
        this.#queue.add(this.#time + decision.delayMs, this, THREAD_RESTART, thread);
      }
    }
    this.#onDown?.(thread, why);
  }

  fire(kind: number, subject: unknown): void {
    switch (kind) {
      case ARRIVAL: {
        const frame = subject as Frame;
        // A cut that came while the frame was under way catches it, too.
        if (this.network.isCut(frame.from, frame.to)) this.#lose(frame, 1);
        else this.#hosts[frame.to]!.arrive(frame);
        return;
      }
      case PEER_NEWS: {
        const news = subject as PeerNews;
        // Word of a rise that comes after the fall would never be taken back.
        if (news.up && this.incarnationIfUp(news.peer) !== news.incarnation) return;
        this.#hosts[news.at]!.peerIs(news.peer, news.incarnation, news.up);
        return;
      }
      case THREAD_RESTART: {
        const thread = subject as number;
        if (!this.#hosts[thread]!.up) this.#start(thread, this.#setups[thread], true);
        return;
      }
      case RECONNECTION:
        // Unless another split came meanwhile: then the connection times out once more, and is found to be cut.
        (subject as SimulatedThread).reconnect();
        return;
      default:
        (subject as () => void)();
    }
  }

  #start(thread: number, setup: ThreadSetup | undefined, restart: boolean): void {
    assert(setup !== undefined, 'a thread is started with a setup the first time');
    this.#setups[thread] = setup;
    const host = this.host(thread);
    host.start(setup, restart);
    if (host.up) this.#tellPeers(thread, true);
  }

  /** The others learn of a thread's rise or fall, each in its own time; before the simulation has begun, at once. */
  #tellPeers(peer: number, up: boolean): void {
    const { incarnation } = this.host(peer);
    for (const host of this.#hosts) {
      if (host.thread === peer) continue;
      if (this.#happened === 0) {
        host.peerIs(peer, incarnation, up);
      } else {
        const delay = unit(this.#chance) * this.pace.detectionMs;
        const news: PeerNews = { at: host.thread, peer, incarnation, up };
        this.#queue.add(this.#time + delay, this, PEER_NEWS, news);
      }
    }
  }

  #send(frame: Frame, arrival: number): void {
    const { from, to } = frame;
    if (this.network.isCut(from, to)) this.#lose(frame, 1);
    else if (this.network.loses(from, to)) this.#lose(frame, 0);
    else this.#queue.add(arrival, this, ARRIVAL, frame);
  }

  #lose(frame: Frame, byCut: number): void {
    this.trace.note(this.#time, frame.to, 'lost', frame.from, frame.requestId, byCut);
    if (frame.copies !== undefined && frame.kind === FRAME_REQUEST) frame.copies.underWay--;
    if (frame.kind === FRAME_NOTICE) return;
    const requester = frame.kind === FRAME_REQUEST ? frame.from : frame.to;
    this.#hosts[requester]!.frameLost(frame.requestId);
  }
}
