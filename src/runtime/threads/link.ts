/**
 * A link: what one thread holds of the way to one incarnation of another. Two lanes, the requests outstanding there,
 * the incarnations known of its actors, and the bodies beside the lanes.
 *
 * Room: a request is admitted only while fewer than `outstanding.limit` are open. The limit is so chosen that three bare
 * headers for each fit into the reserves of the two lanes, which nothing else may use: its own, its notice's, and its
 * reply's or failure's. The answers' are freed before the request is closed here. So a header always finds room, and a
 * body that finds none goes beside the lane. A request is refused only for what the peer owes, or has left to pull.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { assert } from '../../base/assert.js';
import type { ActorRef, Failure, MessageCodec } from '../actor.js';
import { slotOf } from '../actor.js';
import type { ActorCell } from './actor-cell.js';
import { type BodyDesk, BodySide, encodeBody } from './bodies.js';
import { isInCommit, readPulse, ring } from './doorbell.js';
import { CODE_SHIFT, FAILURE, FAILURES, REQUEST } from './envelope.js';
import { BESIDE, createEmptyLane, createLane, LaneReader, LaneWriter, longestFrame, requestLimit } from './lane.js';
import { Outstanding } from './outstanding.js';

/** What a thread needs to reach another: made by the thread group, anew for each incarnation of either. */
export interface LinkEnds {
  readonly peer: number;
  readonly outgoing: SharedArrayBuffer;
  readonly incoming: SharedArrayBuffer;
  /** The peer's. */
  readonly doorbell: SharedArrayBuffer;
  /** For pulls and bodies. */
  readonly port: MessagePort;
}

/** One side of a link to be. */
export interface LinkSide {
  readonly thread: number;
  readonly doorbell: SharedArrayBuffer;
}

/** Makes the two ends of a link between two threads, with lanes of `laneBytes` each. */
export function createLinkEnds(a: LinkSide, b: LinkSide, laneBytes: number): [ofA: LinkEnds, ofB: LinkEnds] {
  const there = createLane(laneBytes);
  const back = createLane(laneBytes);
  const { port1, port2 } = new MessageChannel();
  return [
    { peer: b.thread, outgoing: there, incoming: back, doorbell: b.doorbell, port: port1 },
    { peer: a.thread, outgoing: back, incoming: there, doorbell: a.doorbell, port: port2 },
  ];
}

export class Link {
  readonly peer: number;
  readonly writer: LaneWriter;
  reader: LaneReader;
  readonly outstanding: Outstanding;
  readonly side: BodySide;
  /** True while frames are sealed and not published. */
  dirty = false;
  /** False once the peer is known to be gone, or the link is severed: answers are dropped. */
  open = true;
  /** True once the link was cut, by a split or because the peer was abandoned: whether the peer took what was sent cannot be known. */
  severed = false;
  /** True if the peer lives on although the link ends: what it has not taken yet it may still take. */
  peerLives = false;
  /** True if the peer counts as dead although its thread has not ended: nothing can end it. */
  abandoned = false;
  private readonly desk: BodyDesk;
  private readonly bell: Int32Array;
  private readonly longest: number;
  /** The last known incarnation by slot; an actor never heard of has its first. */
  private readonly book = new Map<number, number>();

  constructor(ends: LinkEnds, desk: BodyDesk) {
    this.peer = ends.peer;
    this.writer = new LaneWriter(ends.outgoing);
    this.reader = new LaneReader(ends.incoming);
    this.outstanding = new Outstanding(requestLimit(ends.incoming));
    this.side = new BodySide(ends.port);
    this.desk = desk;
    this.bell = new Int32Array(ends.doorbell);
    this.longest = longestFrame(ends.outgoing);
    desk.attach(this.side);
  }

  /** Sends a request, in the lane or beside it, or says why it is not delivered. */
  request<Request, Answer>(
    requester: ActorCell,
    requesterIncarnation: number,
    to: ActorRef<Request, Answer>,
    message: Request,
    correlation: number,
  ): Failure | undefined {
    if (this.outstanding.full) return 'refused';
    const { conversation } = to;
    const slot = slotOf(to.place);
    const incarnation = this.book.size === 0 ? 1 : (this.book.get(slot) ?? 1);
    const bound = conversation.request.size(message);
    const { outstanding, writer, desk } = this;
    if (bound <= this.longest && writer.claim(bound)) {
      // Encoded before the request is entered: a codec that throws leaves nothing behind.
      conversation.request.write(message, writer.encoder);
      const id = outstanding.open(requester, requesterIncarnation, correlation, conversation);
      writer.seal(REQUEST, slot, incarnation, id);
      outstanding.position[outstanding.indexOf(id)] = writer.position;
      return undefined;
    }
    // Too long, or the lane is full of others: beside it.
    if (!desk.hasRoom(bound)) return 'refused';
    const body = encodeBody(conversation.request, message, bound);
    const id = outstanding.open(requester, requesterIncarnation, correlation, conversation);
    desk.keep(this.side, REQUEST, id, body);
    writer.header(REQUEST, BESIDE, body.length, slot, incarnation, id);
    outstanding.position[outstanding.indexOf(id)] = writer.position;
    return undefined;
  }

  /** Answers a request of the peer's: its header in the reserve if need be, its body beside the lane if need be. */
  answer<Answer>(kind: number, requestId: number, codec: MessageCodec<Answer>, answer: Answer): void {
    const bound = codec.size(answer);
    if (bound <= this.longest && this.writer.claim(bound)) {
      codec.write(answer, this.writer.encoder);
      this.writer.seal(kind, 0, 0, requestId);
    } else {
      const body = encodeBody(codec, answer, bound);
      this.desk.keep(this.side, kind, requestId, body);
      this.writer.header(kind, BESIDE, body.length, 0, 0, requestId);
    }
  }

  /** The same for an answer encoded before: `length` bytes of `memory` from `start` on, which are copied. */
  answerEncoded(kind: number, requestId: number, memory: Uint8Array, start: number, length: number): void {
    if (length <= this.longest && this.writer.claim(length)) {
      this.writer.encoder.copy(memory, start, length);
      this.writer.seal(kind, 0, 0, requestId);
    } else {
      this.desk.keep(this.side, kind, requestId, { buffer: memory.slice(start, start + length).buffer, length });
      this.writer.header(kind, BESIDE, length, 0, 0, requestId);
    }
  }

  /** Fails a request of the peer's. @param incarnation - with 'stale', the actor's present one */
  fail(requestId: number, failure: Failure, slot: number, incarnation: number): void {
    const code = FAILURES.indexOf(failure);
    assert(code >= 0, `unknown failure ${failure}`);
    this.writer.header(FAILURE, code << CODE_SHIFT, 0, slot, incarnation, requestId);
  }

  /** Cuts the link: what its lanes hold is lost. Its requests stay outstanding until the link is ended. */
  sever(): void {
    this.open = false;
    this.severed = true;
    this.reader = new LaneReader(createEmptyLane());
  }

  /** Of a link that has ended: why a request fails that was answered in none of the frames. */
  failureOf(index: number): Failure {
    if (this.abandoned) return 'died';
    if (this.severed || this.peerLives) return 'cut-off';
    return this.writer.taken(this.outstanding.position[index]!) ? 'died' : 'unreachable';
  }

  /** Enters a request that nobody will receive. */
  lose<Request, Answer>(
    requester: ActorCell,
    requesterIncarnation: number,
    to: ActorRef<Request, Answer>,
    correlation: number,
  ): Failure | undefined {
    if (this.outstanding.full) return 'refused';
    this.outstanding.open(requester, requesterIncarnation, correlation, to.conversation);
    return undefined;
  }

  /** The peer's, or −1. */
  get pulse(): number {
    return readPulse(this.bell);
  }

  /** True while the peer is within a commit. */
  get committing(): boolean {
    return isInCommit(this.bell);
  }

  /** Remembers the incarnation of the peer's actor in `slot`. */
  learn(slot: number, incarnation: number): void {
    this.book.set(slot, incarnation);
  }

  /** Lets the peer see what was written, and wakes it if it is parked. */
  publish(): void {
    this.dirty = false;
    if (this.writer.publish()) ring(this.bell);
  }
}
