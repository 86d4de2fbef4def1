/**
 * The actors of one thread: their cells, what waits for them on the thread itself, their timers, and every call into
 * them. What an actor throws is its own: it ends that incarnation, and its supervision decides what follows.
 */
import { assert } from '../../base/assert.js';
import type { ActorFactory, Conversation, Failure, Incoming, SupervisionPolicy, TimerId } from '../actor.js';
import { ActorCell, type AnyActor, CellContext, type CellHost } from './actor-cell.js';
import { Envelope, EnvelopeQueue, FAILURE, NOTICE, REPLY, REQUEST } from './envelope.js';
import type { HostEvents } from './host-events.js';
import { TimerHeap } from './timer-heap.js';

const DEFAULT_MAILBOX = 4_096;

/** A timer of an actor's, or, without an actor's incarnation, the restart of one. */
interface HostTimer {
  readonly cell: ActorCell;
  readonly incarnation: number;
  readonly message: unknown;
}
const RESTART = 0;

/** The thread that the actors live on. */
export interface ActorTableHost extends CellHost {
  /** Fails a request, wherever it came from. */
  fail(request: Envelope, failure: Failure): void;
}

export class ActorTable {
  private readonly host: ActorTableHost;
  private readonly policy: SupervisionPolicy;
  private readonly events: HostEvents;
  /** By slot. */
  private readonly cells: (ActorCell | undefined)[] = [];
  /**
   * What stays on this thread. Bounded by the mailboxes for requests; by the requests made for answers and failures.
   */
  private readonly queue = new EnvelopeQueue();
  private readonly timers = new TimerHeap<HostTimer>();
  private starting: ActorCell[] = [];

  constructor(host: ActorTableHost, policy: SupervisionPolicy, events: HostEvents) {
    this.host = host;
    this.policy = policy;
    this.events = events;
  }

  /** True if something waits to be delivered here; timers aside. */
  get hasMail(): boolean {
    return this.queue.size > 0 || this.starting.length > 0;
  }

  get nextDueMs(): number {
    return this.timers.nextMs;
  }

  /** True while an actor has a request in hand or in the queue. */
  get busy(): boolean {
    return this.cells.some((cell) => cell !== undefined && cell.held > 0);
  }

  at(slot: number): ActorCell | undefined {
    return this.cells[slot];
  }

  spawn(
    slot: number,
    conversation: Conversation<unknown, unknown>,
    factory: ActorFactory,
    mailbox = DEFAULT_MAILBOX,
  ): void {
    assert(Number.isInteger(slot) && slot >= 0 && slot <= 0xffff, 'a slot is from 0 to 65,535');
    assert(this.cells[slot] === undefined, `slot ${slot} is taken`);
    const cell = new ActorCell(slot, conversation, factory, mailbox, this.policy);
    while (this.cells.length <= slot) this.cells.push(undefined);
    this.cells[slot] = cell;
    this.starting.push(cell);
  }

  // Sending on this thread: objects pass as they are.

  request(
    requester: ActorCell,
    incarnation: number,
    slot: number,
    message: unknown,
    correlation: number,
  ): Failure | undefined {
    const cell = this.cells[slot];
    if (cell === undefined) return 'unreachable';
    if (cell.held >= cell.mailbox) return 'refused';
    const request = new Envelope(REQUEST, cell, cell.incarnation, message);
    request.requester = requester;
    request.requesterIncarnation = incarnation;
    request.correlation = correlation;
    cell.held++;
    this.queue.push(request);
    return undefined;
  }

  queueFailure(cell: ActorCell, incarnation: number, correlation: number, failure: Failure): void {
    this.queueOutcome(FAILURE, cell, incarnation, correlation, failure);
  }

  /** The notice of a request of this thread's. */
  notice(request: Envelope, requester: ActorCell, answer: unknown): void {
    this.queueOutcome(NOTICE, requester, request.requesterIncarnation, request.correlation, answer);
  }

  /** The reply to a request of this thread's: the request becomes the reply. */
  reply(request: Envelope, requester: ActorCell, answer: unknown): void {
    request.kind = REPLY;
    request.cell = requester;
    request.incarnation = request.requesterIncarnation;
    request.payload = answer;
    this.queue.push(request);
  }

  after(cell: ActorCell, incarnation: number, delayMs: number, message: unknown): TimerId {
    return this.timers.add(this.host.nowMs + delayMs, { cell, incarnation, message });
  }

  cancel(timer: TimerId): void {
    this.timers.cancel(timer);
  }

  // Parts of a turn.

  /** Starts what was spawned, fires what is due. */
  startAndWake(): void {
    for (const cell of this.starting.splice(0)) {
      this.start(cell);
    }
    // Timers set by what runs here for at once are for the next turn: or one that renews itself would never end this one.
    let left = this.timers.size;
    while (left-- > 0) {
      const timer = this.timers.takeDue(this.host.nowMs);
      if (timer === undefined) break;
      const { cell, incarnation, message } = timer;
      if (incarnation === RESTART) {
        cell.incarnation++;
        this.start(cell);
      } else if (cell.actor !== undefined && cell.incarnation === incarnation) {
        try {
          cell.actor.timer?.(message, cell.context!);
        } catch (error) {
          this.crash(cell, error);
        }
      }
    }
  }

  /** Delivers up to `limit` messages of the queue, those that the first ones cause included. @returns how many */
  deliverLocal(limit: number): number {
    let count = 0;
    while (count < limit && this.queue.size > 0) {
      this.deliver(this.queue.shift());
      count++;
    }
    return count;
  }

  /** Puts a request into an actor's hand. */
  receive(cell: ActorCell, actor: AnyActor, request: Envelope): void {
    cell.take(request);
    try {
      actor.receive(request.payload, request as Incoming<unknown>, cell.context!);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  answered(cell: ActorCell, correlation: number, answer: unknown, interim: boolean): void {
    try {
      cell.actor!.answered?.(correlation, answer as never, interim, cell.context!);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  failed(cell: ActorCell, correlation: number, failure: Failure): void {
    try {
      cell.actor!.failed?.(correlation, failure, cell.context!);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  /** Tells the actors that held a reply in a turn whose commit failed, each once. */
  commitFailed(held: readonly Envelope[], error: unknown): void {
    const told = new Set<ActorCell>();
    for (const { cell, incarnation } of held) {
      if (told.has(cell) || cell.actor === undefined || cell.incarnation !== incarnation) continue;
      told.add(cell);
      try {
        cell.actor.commitFailed?.(error, cell.context!);
      } catch (thrown) {
        this.crash(cell, thrown);
      }
    }
  }

  /** Calls every actor's `stop`. */
  stop(): void {
    for (const cell of this.cells) {
      if (cell?.actor === undefined) continue;
      try {
        cell.actor.stop?.(cell.context!);
      } catch (error) {
        this.crash(cell, error);
      }
    }
  }

  /** After a stop: fails what is still in hand, and reports the actors that forgot it. */
  forget(): void {
    for (const cell of this.cells) {
      if (cell?.inHand === undefined) continue;
      const count = this.failAllInHand(cell);
      const error = new Error(`slot ${cell.slot} stopped with ${count} unanswered requests`);
      this.events.trouble?.('forgotten-request', error);
    }
  }

  private deliver(envelope: Envelope): void {
    const { cell } = envelope;
    if (envelope.kind === REQUEST) {
      if (cell.actor === undefined || cell.incarnation !== envelope.incarnation) {
        cell.held--;
        this.host.fail(envelope, cell.actor === undefined ? 'unreachable' : 'stale');
      } else {
        this.receive(cell, cell.actor, envelope);
      }
    } else if (cell.actor !== undefined && cell.incarnation === envelope.incarnation) {
      if (envelope.kind === FAILURE) this.failed(cell, envelope.correlation, envelope.payload as Failure);
      else this.answered(cell, envelope.correlation, envelope.payload, envelope.kind === NOTICE);
    }
  }

  private start(cell: ActorCell): void {
    const context = new CellContext(this.host, cell);
    cell.context = context;
    try {
      const actor = cell.factory(context);
      cell.actor = actor;
      actor.start?.(context);
    } catch (error) {
      this.crash(cell, error);
    }
  }

  /** Ends an incarnation: what it had in hand fails, its timers are gone, its supervision decides. */
  private crash(cell: ActorCell, error: unknown): void {
    const { nowMs } = this.host;
    cell.actor = undefined;
    this.failAllInHand(cell);
    this.timers.removeAll((timer) => timer.cell === cell);
    this.events.crashed?.(cell.slot, cell.incarnation, error);
    const decision = cell.supervision.failed(nowMs);
    if (decision.type === 'restart') {
      this.timers.add(nowMs + decision.delayMs, { cell, incarnation: RESTART, message: undefined });
    } else if (this.events.escalated === undefined) {
      throw new Error(`the actor in slot ${cell.slot} failed too often`, { cause: error });
    } else {
      this.events.escalated(cell.slot, error);
    }
  }

  private failAllInHand(cell: ActorCell): number {
    let count = 0;
    while (cell.inHand !== undefined) {
      const request = cell.inHand;
      cell.settle(request);
      this.host.fail(request, 'died');
      count++;
    }
    return count;
  }

  private queueOutcome(
    kind: number,
    cell: ActorCell,
    incarnation: number,
    correlation: number,
    payload: unknown,
  ): void {
    const envelope = new Envelope(kind, cell, incarnation, payload);
    envelope.correlation = correlation;
    this.queue.push(envelope);
  }
}
