/**
 * A small world for the simulator's own tests: keepers that store what they are asked to, askers that ask them, and a
 * ledger outside of both that saw everything.
 */
import assert from 'node:assert/strict';
import {
  type Actor,
  type ActorContext,
  type Conversation,
  type Failure,
  type Incoming,
  type MessageCodec,
  neverReceived,
  type Release,
  refAt,
} from '../../src/runtime/actor.js';
import type { DiskStorage, SimulatedDiskOptions } from '../../src/runtime/simulator/simulated-disk.js';
import { Simulator, type SimulatorOptions } from '../../src/runtime/simulator/simulator.js';

export interface Keep {
  /** Unique among all requests of a test. */
  readonly id: number;
  readonly release: Release;
}

const RELEASES: readonly Release[] = ['now', 'stored', 'durable'];

const keepCodec: MessageCodec<Keep> = {
  size: () => 9,
  write(message, out) {
    out.f64(message.id);
    out.u8(RELEASES.indexOf(message.release));
  },
  read: (from) => ({ id: from.f64(), release: RELEASES[from.u8()]! }),
};
const kept: MessageCodec<number> = { size: () => 8, write: (id, out) => out.f64(id), read: (from) => from.f64() };
export const KEEPING: Conversation<Keep, number> = { name: 'keeping', request: keepCodec, answer: kept };

export interface Asked {
  readonly id: number;
  readonly to: number;
  readonly release: Release;
  readonly asker: Asker;
  readonly at: number;
  received: number;
  answers: number;
  readonly failures: Failure[];
  endedAt: number;
}

export const KEEPER_SLOT = 1;
export const ASKER_SLOT = 2;

const VALUE = new Uint8Array(1);

function keyOf(id: number): Uint8Array {
  const key = Buffer.alloc(8);
  key.writeDoubleBE(id);
  return key;
}

class Keeper implements Actor<Keep, number> {
  readonly #ledger: Ledger;
  readonly #storage: DiskStorage;

  constructor(ledger: Ledger, storage: DiskStorage) {
    this.#ledger = ledger;
    this.#storage = storage;
  }

  receive({ id, release }: Keep, incoming: Incoming<number>, context: ActorContext): void {
    this.#ledger.asked.get(id)!.received++;
    if (release !== 'now') this.#storage.put(keyOf(id), VALUE);
    context.reply(incoming, id, release);
  }

  commitFailed(): void {
    this.#ledger.commitsFailed++;
  }
}

/** Asks keepers; an incarnation knows only its own requests. */
export class Asker implements Actor<never, never, number> {
  readonly context: ActorContext;
  readonly #ledger: Ledger;

  constructor(ledger: Ledger, context: ActorContext) {
    this.#ledger = ledger;
    this.context = context;
  }

  ask(to: number, release: Release): Asked {
    const asked = this.#ledger.note(this, to, release);
    this.context.request(refAt(KEEPING, to, KEEPER_SLOT), { id: asked.id, release }, asked.id);
    return asked;
  }

  receive(): void {
    throw new Error('nobody asks an asker');
  }

  answered(correlation: number, answer: number): void {
    assert.equal(answer, correlation);
    const asked = this.#own(correlation);
    asked.answers++;
    asked.endedAt = this.#ledger.simulator.time;
  }

  failed(correlation: number, failure: Failure): void {
    const asked = this.#own(correlation);
    asked.failures.push(failure);
    asked.endedAt = this.#ledger.simulator.time;
  }

  #own(correlation: number): Asked {
    const asked = this.#ledger.asked.get(correlation)!;
    assert.equal(asked.asker, this, 'an outcome reached another incarnation than the one that asked');
    return asked;
  }
}

/** Every thread has a disk, a keeper and an asker. */
export class Ledger {
  readonly simulator: Simulator;
  readonly asked = new Map<number, Asked>();
  commitsFailed = 0;
  readonly #askers: (Asker | undefined)[] = [];
  #next = 1;

  constructor(options: SimulatorOptions, disk: SimulatedDiskOptions = {}) {
    this.simulator = new Simulator(options);
    for (let thread = 0; thread < options.threads; thread++) {
      this.simulator.startThread(thread, (host) => {
        this.#askers[thread] = undefined;
        const storage = this.simulator.disk(thread, 'objects', disk).open();
        host.addCommitter(storage);
        host.spawn(KEEPER_SLOT, KEEPING, () => new Keeper(this, storage), { mailbox: 64 });
        host.spawn(ASKER_SLOT, KEEPING as Conversation<never, never>, (context) => {
          const asker = new Asker(this, context);
          this.#askers[thread] = asker;
          return asker;
        });
      });
    }
    this.simulator.runFor(1);
  }

  note(asker: Asker, to: number, release: Release): Asked {
    const at = this.simulator.time;
    const id = this.#next++;
    const asked: Asked = { id, to, release, asker, at, received: 0, answers: 0, failures: [], endedAt: -1 };
    this.asked.set(id, asked);
    return asked;
  }

  /** Asks from a thread, as soon as it has time; undefined if it is down or stands still. */
  ask(from: number, to: number, release: Release = 'now'): Asked {
    const asked = this.tryAsk(from, to, release);
    assert(asked !== undefined, 'the asking thread is not at leisure');
    return asked;
  }

  tryAsk(from: number, to: number, release: Release): Asked | undefined {
    const host = this.simulator.host(from);
    if (!host.up || host.paused || host.committing || host.actorIncarnation(ASKER_SLOT) === 0) return undefined;
    const asker = this.#askers[from];
    if (asker?.context.incarnation !== host.actorIncarnation(ASKER_SLOT)) return undefined;
    return this.simulator.outside(from, () => asker.ask(to, release));
  }

  /** Whether the disk of the thread that was asked holds what was to be kept. */
  isOnDisk({ to, id }: Asked): boolean {
    return this.simulator.disk(to, 'objects').peek(keyOf(id)) !== undefined;
  }

  /**
   * The contract over all requests, once the simulation is idle.
   * @param lives - whether the incarnation that asked is still there to be told
   */
  check(lives: (asked: Asked) => boolean): void {
    for (const asked of this.asked.values()) {
      const { id, answers, failures, received } = asked;
      const outcomes = answers + failures.length;
      if (lives(asked)) assert.equal(outcomes, 1, `request ${id} had ${answers} answers, failures: ${failures}`);
      else assert(outcomes <= 1, `request ${id} had ${outcomes} outcomes`);
      if (failures.some(neverReceived)) assert.equal(received, 0, `request ${id}: ${failures}, and was received`);
      if (answers > 0) assert(received > 0, `request ${id} was answered by nobody`);
    }
  }

  /** The asker of a thread that is alive now. */
  currentAsker(thread: number): Asker | undefined {
    return this.simulator.host(thread).actorIncarnation(ASKER_SLOT) > 0 ? this.#askers[thread] : undefined;
  }
}
