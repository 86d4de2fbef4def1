/**
 * The correspondence of one simulated thread: its open requests, the requests that come in, and the outcomes that go
 * either way. Here "every request ends in exactly one reply or one failure" is kept: an outcome counts if the request is
 * still on the table, and takes it off.
 */
import { assert } from '../../base/assert.js';
import { EMPTY } from '../../base/bytes.js';
import { type Random, unit } from '../../base/random.js';
import { type ActorRef, type Failure, slotOf, threadOf } from '../actor.js';
import type { ActorCell } from './actor-cell.js';
import { encode } from './frame.js';
import {
  FAILURES,
  FRAME_FAILURE,
  FRAME_NOTICE,
  FRAME_REPLY,
  FRAME_REQUEST,
  type Frame,
  type FrameKind,
  MAIL_ANSWER,
  MAIL_FAILURE,
  type Mail,
  type Outstanding,
  Request,
} from './mail.js';
import { PeerTable } from './peer-table.js';
import type { TraceKind } from './trace.js';
import { MAX_OUTSTANDING_PER_LINK, type World } from './world.js';

/** The thread whose correspondence it is. */
export interface Correspondent {
  readonly thread: number;
  readonly incarnation: number;
  readonly up: boolean;
  /** True if requests of other threads are no longer taken. */
  readonly stopping: boolean;
  /** When what is sent now leaves the thread. */
  readonly departure: number;
  cellAt(slot: number): ActorCell | undefined;
  put(mail: Mail): void;
  /** Calls `lossDetected` with the request's id at `time`. */
  scheduleLoss(time: number, requestId: number): void;
}

/** Where an outcome goes: a thread's incarnation, and the request's number there. */
type Requester = Pick<Request, 'fromThread' | 'fromIncarnation' | 'requestId'>;

export class Correspondence {
  readonly #world: World;
  readonly #self: Correspondent;
  readonly #random: Random;
  readonly #peers: PeerTable;
  readonly #outstanding = new Map<number, Outstanding>();
  /** Never counted anew: what comes late for an earlier incarnation finds nothing. */
  #nextRequest = 1;

  constructor(world: World, self: Correspondent, random: Random) {
    this.#world = world;
    this.#self = self;
    this.#random = random;
    this.#peers = new PeerTable(world.threads);
  }

  // ── Life of the thread ─────────────────────────────────────────────────────────────────────────────────────────

  begin(): void {
    for (let peer = 0; peer < this.#world.threads; peer++) this.#peers.meet(peer, this.#world.incarnationIfUp(peer));
  }

  end(): void {
    this.#outstanding.clear();
    this.#peers.clear();
  }

  /** The thread learns that another is up or down. */
  peerIs(peer: number, incarnation: number, up: boolean): void {
    const known = this.#peers.incarnationOf(peer);
    // Once down, an incarnation stays down; news of an earlier one is no news.
    if (!this.#self.up || incarnation < known || (up && incarnation === known)) return;
    this.#note('peer', peer, incarnation, up ? 1 : 0);
    const gone = up ? incarnation - 1 : incarnation;
    for (const outstanding of this.#outstanding.values()) {
      if (outstanding.to === peer && outstanding.toIncarnation <= gone) this.#settleFailed(outstanding.id, 'died');
    }
    this.#peers.learn(peer, incarnation, up);
  }

  /** The connections that a cut had broken can be made again. */
  reconnect(): void {
    this.#peers.reconnect();
  }

  /** See `ActorContext.pulse`. */
  pulse(peer: number): number {
    assert(peer < this.#world.threads, 'a pulse is that of a thread of this simulation');
    const { thread } = this.#self;
    if (peer === thread) return this.#world.pulseOf(thread);
    return this.#peers.pulse(peer, this.#world.isCut(peer, thread) ? undefined : this.#world.pulseOf(peer));
  }

  /** See `ActorContext.committing`. */
  committing(peer: number): boolean {
    return !this.#world.isCut(peer, this.#self.thread) && this.#world.isCommitting(peer);
  }

  // ── Requests ───────────────────────────────────────────────────────────────────────────────────────────────────

  request(cell: ActorCell, ref: ActorRef<unknown, unknown>, message: unknown, correlation: number): void {
    const to = threadOf(ref.place);
    const slot = slotOf(ref.place);
    assert(to < this.#world.threads, 'a ref names a thread of this simulation');
    const local = to === this.#self.thread;
    const outstanding: Outstanding = {
      id: this.#nextRequest++,
      cell,
      incarnation: cell.incarnation,
      correlation,
      conversation: ref.conversation,
      to,
      toIncarnation: local ? this.#self.incarnation : this.#peers.incarnationOf(to),
      noticed: false,
      concluded: false,
    };
    this.#outstanding.set(outstanding.id, outstanding);
    this.#peers.opened(to);
    this.#note('request', to, outstanding.id, slot);
    if (local) this.#requestHere(outstanding, slot, message);
    else if (!this.#peers.reachable(to)) this.#settleFailed(outstanding.id, 'unreachable');
    else if (this.#peers.openTo(to) > MAX_OUTSTANDING_PER_LINK) this.#settleFailed(outstanding.id, 'refused');
    else this.#requestThere(outstanding, slot, message);
  }

  /** On the same thread: the message is passed as it is. */
  #requestHere({ id, conversation }: Outstanding, slot: number, message: unknown): void {
    const { thread, incarnation } = this.#self;
    const target = this.#self.cellAt(slot);
    const failure = this.#refusal(target, target?.incarnation ?? 0, conversation.name);
    if (failure !== undefined) this.#settleFailed(id, failure);
    else this.#admit(new Request(target!, thread, incarnation, id, message, undefined, undefined));
  }

  #requestThere({ id, conversation, to, toIncarnation }: Outstanding, slot: number, message: unknown): void {
    this.#transmit({
      kind: FRAME_REQUEST,
      from: this.#self.thread,
      fromIncarnation: this.#self.incarnation,
      to,
      toIncarnation,
      requestId: id,
      slot,
      actorIncarnation: this.#peers.actorIncarnation(to, slot),
      conversation: conversation.name,
      body: encode(conversation.request, message),
      failure: undefined,
      copies: undefined,
    });
  }

  // ── Outcomes that go out ───────────────────────────────────────────────────────────────────────────────────────

  /** The bytes of an answer that leaves the thread; undefined if it stays. */
  encodeAnswer(request: Request, answer: unknown): Uint8Array | undefined {
    if (request.fromThread === this.#self.thread) return undefined;
    return encode(request.cell.conversation.answer, answer);
  }

  /** Sends a notice (`interim`) or reply. @param body - of `encodeAnswer` */
  sendAnswer(request: Request, interim: boolean, message: unknown, body: Uint8Array | undefined): void {
    const { fromThread, requestId } = request;
    this.#note(interim ? 'notice' : 'reply', fromThread, requestId, body?.length ?? 0);
    if (body !== undefined) {
      this.#sendBack(request, interim ? FRAME_NOTICE : FRAME_REPLY, body, undefined, request.cell);
      return;
    }
    const outstanding = interim ? this.#outstanding.get(requestId) : this.#settle(requestId);
    if (outstanding === undefined) return;
    this.#self.put({ kind: MAIL_ANSWER, to: outstanding, interim, message, body: undefined });
  }

  sendFailure(request: Request, failure: Failure): void {
    if (request.fromThread === this.#self.thread) this.#settleFailed(request.requestId, failure);
    else this.#sendFailureBack(request, failure, request.cell);
  }

  #sendFailureBack(requester: Requester, failure: Failure, cell: ActorCell | undefined): void {
    this.#note('failure', requester.fromThread, requester.requestId, FAILURES.indexOf(failure));
    this.#sendBack(requester, FRAME_FAILURE, EMPTY, failure, cell);
  }

  #sendBack(
    requester: Requester,
    kind: FrameKind,
    body: Uint8Array,
    failure: Failure | undefined,
    cell: ActorCell | undefined,
  ): void {
    this.#transmit({
      kind,
      from: this.#self.thread,
      fromIncarnation: this.#self.incarnation,
      to: requester.fromThread,
      toIncarnation: requester.fromIncarnation,
      requestId: requester.requestId,
      slot: cell?.slot ?? 0,
      actorIncarnation: cell?.incarnation ?? 0,
      conversation: '',
      body,
      failure,
      copies: undefined,
    });
  }

  #transmit(frame: Frame): void {
    this.#world.trace.mixBytes(frame.body);
    this.#world.transmit(frame, this.#self.departure);
  }

  // ── What comes in ──────────────────────────────────────────────────────────────────────────────────────────────

  /** A frame arrives. The network has let it through. */
  arrive(frame: Frame): void {
    const { from, requestId, body } = frame;
    if (
      !this.#self.up ||
      frame.toIncarnation !== this.#self.incarnation ||
      frame.fromIncarnation < this.#peers.incarnationOf(from)
    ) {
      // An old connection's. A request that was in it fails when its sender learns that this thread died.
      this.#note('dropped', from, requestId);
      return;
    }
    this.#note('arrive', from, requestId, frame.kind);
    switch (frame.kind) {
      case FRAME_REQUEST:
        this.#requestArrives(frame);
        return;
      case FRAME_NOTICE: {
        const to = this.#outstanding.get(requestId);
        if (to === undefined || to.noticed) return;
        to.noticed = true;
        this.#self.put({ kind: MAIL_ANSWER, to, interim: true, message: undefined, body });
        return;
      }
      case FRAME_REPLY: {
        const to = this.#settle(requestId);
        if (to === undefined) return;
        this.#self.put({ kind: MAIL_ANSWER, to, interim: false, message: undefined, body });
        return;
      }
      case FRAME_FAILURE:
        if (frame.failure === 'stale') this.#peers.learnActor(from, frame.slot, frame.actorIncarnation);
        this.#settleFailed(requestId, frame.failure!);
        return;
    }
  }

  #requestArrives(frame: Frame): void {
    const { copies, from, fromIncarnation, requestId, body } = frame;
    if (copies !== undefined) copies.underWay--;
    const cell = this.#self.cellAt(frame.slot);
    const failure = this.#self.stopping
      ? 'unreachable'
      : this.#refusal(cell, frame.actorIncarnation, frame.conversation);
    if (failure === undefined) {
      if (copies !== undefined) copies.admitted = true;
      this.#admit(new Request(cell!, from, fromIncarnation, requestId, undefined, body, copies));
    } else if (copies === undefined || (copies.underWay === 0 && !copies.admitted)) {
      // The last copy to be turned away tells, and only if none was admitted: the failure says 'never received'.
      this.#sendFailureBack({ fromThread: from, fromIncarnation, requestId }, failure, cell);
    }
  }

  /** Why a request cannot be admitted, or undefined if it can. */
  #refusal(cell: ActorCell | undefined, incarnation: number, conversation: string): Failure | undefined {
    if (cell === undefined || !cell.alive) return 'unreachable';
    assert(cell.conversation.name === conversation, `slot ${cell.slot} does not speak ${conversation}`);
    if (incarnation !== cell.incarnation) return 'stale';
    return cell.unanswered.size >= cell.mailbox ? 'refused' : undefined;
  }

  #admit(request: Request): void {
    request.cell.unanswered.add(request);
    this.#self.put(request);
  }

  /** A frame of one of this thread's requests was lost: the request fails when the connection times out. */
  frameLost(requestId: number): void {
    const timeout = this.#world.pace.connectionTimeoutMs * (1 + unit(this.#random));
    this.#self.scheduleLoss(this.#world.time + timeout, requestId);
  }

  lossDetected(requestId: number): void {
    const outstanding = this.#outstanding.get(requestId);
    if (outstanding === undefined) return;
    // The connection broke. While it is cut, there is no other one to be had.
    if (this.#world.isCut(this.#self.thread, outstanding.to)) this.#peers.disconnected(outstanding.to);
    this.#settleFailed(requestId, 'cut-off');
  }

  // ── The table ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes a request off the table: what comes for it afterwards is dropped. */
  #settle(id: number): Outstanding | undefined {
    const outstanding = this.#outstanding.get(id);
    if (outstanding === undefined) return undefined;
    this.#outstanding.delete(id);
    this.#peers.closed(outstanding.to);
    return outstanding;
  }

  #settleFailed(id: number, failure: Failure): void {
    const outstanding = this.#settle(id);
    if (outstanding !== undefined) this.#self.put({ kind: MAIL_FAILURE, to: outstanding, failure });
  }

  #note(kind: TraceKind, a = 0, b = 0, c = 0): void {
    this.#world.trace.note(this.#world.time, this.#self.thread, kind, a, b, c);
  }
}
