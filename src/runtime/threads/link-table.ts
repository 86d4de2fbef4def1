/**
 * All links of one thread: takes frames and bodies from other threads to the actors here, and theirs to other threads.
 */
import { type ActorRef, type Failure, FrameError, threadOf } from '../actor.js';
import type { ActorCell } from './actor-cell.js';
import type { ActorTable } from './actor-table.js';
import { type Announced, BodyDesk } from './bodies.js';
import { CODE_SHIFT, Envelope, FAILURE, FAILURES, NOTICE, REPLY, REQUEST } from './envelope.js';
import { FrameDecoder } from './frame.js';
import type { HostEvents } from './host-events.js';
import { Batch, BESIDE } from './lane.js';
import { Link, type LinkEnds } from './link.js';
import { Splits } from './splits.js';

/** Frames are copied out of the lanes into stretches of so many bytes; a view on one keeps all of it alive. */
const BATCH_BYTES = 64 * 2 ** 10;

export class LinkTable {
  /** Requests of this thread that others have not yet answered. */
  inFlight = 0;
  /** True once every request from another thread is to fail with 'unreachable': the thread is about to stop. */
  refusing = false;
  private readonly actors: ActorTable;
  private readonly events: HostEvents;
  private readonly onMail: () => void;
  private readonly desk: BodyDesk;
  private readonly decoder = new FrameDecoder();
  private batch = new Batch(BATCH_BYTES);
  /** By the peer's thread. */
  private readonly links: (Link | undefined)[] = [];
  /**
   * The same and those whose peers are gone, but whose last frames are not yet taken. Changed in place: what is compiled
   * takes a field that was never set again for a constant, and all that looks for mail would be thrown away when a node dies.
   */
  private readonly readers: Link[] = [];
  private readonly splits = new Splits();
  private nextReader = 0;
  private readonly dirty: Link[] = [];
  /** Arrived since the last turn; bounded by the desk's credit. */
  private bodies: { readonly announced: Announced; readonly body: Uint8Array }[] = [];

  /** @param onMail - called when mail came by another way than a lane, outside of turns */
  constructor(actors: ActorTable, events: HostEvents, onMail: () => void) {
    this.actors = actors;
    this.events = events;
    this.onMail = onMail;
    this.desk = new BodyDesk((announced, body) => {
      this.bodies.push({ announced, body });
      onMail();
    });
  }

  get hasMail(): boolean {
    if (this.bodies.length > 0) return true;
    for (const link of this.readers) if (!link.open || !link.reader.empty) return true;
    return false;
  }

  /** True while something is sealed and not published. */
  get hasUnpublished(): boolean {
    return this.dirty.length > 0;
  }

  /** True while a body waits to be pulled by another thread. */
  get keepsBodies(): boolean {
    return this.desk.keeping;
  }

  connect(ends: LinkEnds): void {
    this.disconnect(ends.peer);
    const link = new Link(ends, this.desk);
    while (this.links.length <= ends.peer) this.links.push(undefined);
    this.links[ends.peer] = link;
    this.readers.push(link);
  }

  disconnect(peer: number, peerLives = false): void {
    const cut = this.splits.end(peer);
    if (cut !== undefined) this.readers.push(cut);
    const link = this.links[peer];
    if (link === undefined) return;
    this.links[peer] = undefined;
    link.peerLives = peerLives;
    link.open = false;
  }

  /** See `ThreadHost.abandon`. */
  abandon(peer: number): void {
    const link = this.links[peer];
    if (link !== undefined) link.abandoned = true;
    this.cutOff(peer, 0);
  }

  /** See `ThreadHost.cutOff`. Nothing is done to a link that is not there. */
  cutOff(peer: number, timeoutMs: number): void {
    const link = this.links[peer];
    if (link === undefined) return;
    this.links[peer] = undefined;
    this.forget(link);
    this.desk.detach(link);
    const broken = (): void => {
      // It counts as one whose peer is gone: the next turn ends what is outstanding.
      this.readers.push(link);
      this.onMail();
    };
    this.splits.begin(link, timeoutMs, broken);
  }

  /** See `ActorContext.pulse`. */
  pulse(peer: number): number {
    return this.links[peer]?.pulse ?? this.splits.pulse(peer);
  }

  /** See `ActorContext.committing`. */
  committing(peer: number): boolean {
    return this.links[peer]?.committing ?? false;
  }

  close(): void {
    this.splits.close();
    for (const link of this.readers) this.desk.detach(link);
    this.readers.length = 0;
    this.links.length = 0;
  }

  /** Sends a request to another thread, or says why it is not delivered. */
  request<Request, Answer>(
    requester: ActorCell,
    incarnation: number,
    to: ActorRef<Request, Answer>,
    message: Request,
    correlation: number,
  ): Failure | undefined {
    const link = this.links[threadOf(to.place)];
    if (link === undefined) return this.requestCutOff(requester, incarnation, to, correlation);
    const failure = link.request(requester, incarnation, to, message, correlation);
    if (failure === undefined) {
      this.inFlight++;
      this.touch(link);
    }
    return failure;
  }

  private requestCutOff<Request, Answer>(
    requester: ActorCell,
    incarnation: number,
    to: ActorRef<Request, Answer>,
    correlation: number,
  ): Failure | undefined {
    const link = this.splits.silent(threadOf(to.place));
    if (link === undefined) return 'unreachable';
    const failure = link.lose(requester, incarnation, to, correlation);
    if (failure === undefined) this.inFlight++;
    return failure;
  }

  /** Sends a notice or a reply. Dropped if the requester's thread is gone. */
  answer(link: Link, kind: number, request: Envelope, answer: unknown): void {
    if (!link.open) return;
    link.answer(kind, request.requestId, request.cell.conversation.answer, answer);
    this.touch(link);
  }

  /** Sends a reply that was held back, and encoded then. */
  answerHeld(link: Link, request: Envelope): void {
    if (!link.open) return;
    link.answerEncoded(REPLY, request.requestId, request.payload as Uint8Array, request.start, request.length);
    this.touch(link);
  }

  failTo(link: Link, requestId: number, failure: Failure, slot: number, incarnation: number): void {
    if (!link.open) return;
    link.fail(requestId, failure, slot, incarnation);
    this.touch(link);
  }

  /** Lets the others see what was sent, and pulls what bodies the credit allows. */
  publish(): void {
    this.desk.pull();
    for (let i = 0; i < this.dirty.length; i++) this.dirty[i]!.publish();
    this.dirty.length = 0;
  }

  /** Delivers the bodies that have arrived. */
  takeBodies(): void {
    if (this.bodies.length === 0) return;
    const arrived = this.bodies;
    this.bodies = [];
    for (const { announced, body } of arrived) this.receiveBody(announced, body);
  }

  /** Takes up to `limit` frames from all lanes, beginning with another one each time. @returns how many there were */
  takeFrames(limit: number): number {
    const { readers } = this;
    let left = limit;
    const first = readers.length === 0 ? 0 : this.nextReader++ % readers.length;
    for (let i = 0; i < readers.length && left > 0; i++) {
      left -= this.takeFrom(readers[(first + i) % readers.length]!, left);
    }
    for (const link of readers) {
      if (!link.open && link.reader.empty) {
        this.forget(link);
        this.endLink(link);
        break;
      }
    }
    return limit - left;
  }

  private takeFrom(link: Link, limit: number): number {
    let taken = 0;
    while (taken < limit) {
      const bytes = link.reader.peek(limit - taken, BATCH_BYTES);
      if (bytes === 0) break;
      if (this.batch.used + bytes > this.batch.bytes.length) this.batch = new Batch(Math.max(BATCH_BYTES, bytes));
      const { batch } = this;
      link.reader.take(bytes, batch);
      const end = batch.used;
      for (let at = link.reader.start; at < end; taken++) at = this.dispatch(link, batch, at);
    }
    return taken;
  }

  /** Handles the frame at byte `at` of `batch`; returns where the next begins. */
  private dispatch(link: Link, batch: Batch, at: number): number {
    const { words } = batch;
    const index = at >>> 2;
    const length = words[index]!;
    const second = words[index + 1]!;
    const kind = second & 0xff;
    const flags = (second >>> 8) & 0xff;
    const slot = second >>> 16;
    const incarnation = words[index + 2]!;
    const requestId = words[index + 3]! >>> 0;
    if (kind === FAILURE) {
      this.receiveFailure(link, requestId, FAILURES[flags >>> CODE_SHIFT]!, slot, incarnation);
      return at + 16;
    }
    if ((flags & BESIDE) !== 0) {
      this.announce({ link, kind, slot, incarnation, requestId, length });
      return at + 16;
    }
    this.decoder.begin(batch.bytes, at + 16, at + 16 + length);
    if (kind === REQUEST) this.receiveRequest(link, slot, incarnation, requestId);
    else this.receiveAnswer(link, requestId, kind === NOTICE);
    return at + 16 + ((length + 15) & ~15);
  }

  /** A bare header whose body travels beside. A request that is refused anyway is refused before its body is pulled. */
  private announce(announced: Announced): void {
    const { link, kind, slot, incarnation, requestId } = announced;
    const cell = this.actors.at(slot);
    const failure = kind === REQUEST ? this.refusal(cell, incarnation) : undefined;
    if (failure === undefined) this.desk.announce(announced);
    else this.failTo(link, requestId, failure, slot, cell?.incarnation ?? 0);
  }

  private receiveBody({ link, kind, slot, incarnation, requestId }: Announced, body: Uint8Array): void {
    this.decoder.begin(body, 0, body.length);
    if (kind === REQUEST) this.receiveRequest(link, slot, incarnation, requestId);
    else this.receiveAnswer(link, requestId, kind === NOTICE);
  }

  /** A request whose fields the decoder stands at. */
  private receiveRequest(link: Link, slot: number, incarnation: number, requestId: number): void {
    const cell = this.actors.at(slot);
    const failure = this.refusal(cell, incarnation);
    if (failure !== undefined || cell?.actor === undefined) {
      this.failTo(link, requestId, failure ?? 'unreachable', slot, cell?.incarnation ?? 0);
      return;
    }
    let message: unknown;
    try {
      message = cell.conversation.request.read(this.decoder);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.events.trouble?.('malformed-frame', error);
      this.failTo(link, requestId, 'refused', slot, incarnation);
      return;
    }
    const request = new Envelope(REQUEST, cell, incarnation, message);
    request.link = link;
    request.requestId = requestId;
    cell.held++;
    this.actors.receive(cell, cell.actor, request);
  }

  /** Why a request from another thread is not received; undefined if it is. */
  private refusal(cell: ActorCell | undefined, incarnation: number): Failure | undefined {
    if (cell?.actor === undefined || this.refusing) return 'unreachable';
    if (cell.incarnation !== incarnation) return 'stale';
    return cell.held >= cell.mailbox || this.desk.congested ? 'refused' : undefined;
  }

  /** A notice or reply whose fields the decoder stands at. */
  private receiveAnswer(link: Link, requestId: number, interim: boolean): void {
    const { outstanding } = link;
    const index = outstanding.find(requestId);
    if (index < 0) return;
    const cell = outstanding.requester[index]!;
    const live = cell.actor !== undefined && cell.incarnation === outstanding.incarnation[index];
    const correlation = outstanding.correlation[index]!;
    const conversation = outstanding.conversation[index]!;
    if (!interim) {
      outstanding.close(index);
      this.inFlight--;
    }
    if (!live) return;
    let answer: unknown;
    try {
      answer = conversation.answer.read(this.decoder);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.events.trouble?.('malformed-frame', error);
      if (!interim) this.actors.failed(cell, correlation, 'died');
      return;
    }
    this.actors.answered(cell, correlation, answer, interim);
  }

  private receiveFailure(link: Link, requestId: number, failure: Failure, slot: number, incarnation: number): void {
    const { outstanding } = link;
    const index = outstanding.find(requestId);
    if (index < 0) return;
    if (failure === 'stale') link.learn(slot, incarnation);
    this.desk.drop(link.side, REQUEST, requestId);
    this.endOutstanding(link, index, failure);
  }

  private endOutstanding(link: Link, index: number, failure: Failure): void {
    const { outstanding } = link;
    const cell = outstanding.requester[index]!;
    const live = cell.actor !== undefined && cell.incarnation === outstanding.incarnation[index];
    const correlation = outstanding.correlation[index]!;
    outstanding.close(index);
    this.inFlight--;
    if (live) this.actors.failed(cell, correlation, failure);
  }

  /** Ends what is outstanding on a link that is given up, and whose frames are all taken. */
  private endLink(link: Link): void {
    if (!link.severed) this.desk.detach(link);
    const { outstanding } = link;
    for (let index = 0; index < outstanding.requester.length; index++) {
      if (outstanding.requester[index] === undefined) continue;
      this.endOutstanding(link, index, link.failureOf(index));
    }
  }

  private forget(link: Link): void {
    const at = this.readers.indexOf(link);
    if (at >= 0) this.readers.splice(at, 1);
  }

  private touch(link: Link): void {
    if (link.dirty) return;
    link.dirty = true;
    this.dirty.push(link);
  }
}
