/**
 * Bodies beside the lane: what is too large for a lane, or finds no room in it now.
 *
 *     sender                                     receiver
 *     keeps the encoded body ── bare header ──▶  queues it
 *                            ◀── pull ────────   once it has byte credit
 *     gives it away          ── transfer ────▶   delivers it; the credit is free again
 *
 * The header goes through the lane, pulls and bodies through a MessagePort, collected per turn. A frame that waits for
 * its body holds up no other. Nobody blocks: a request that finds the outbox full is refused; an answer is always kept,
 * but while answers overfill the outbox, this thread refuses new requests, so that what it keeps stays bounded.
 */
import type { MessagePort } from 'node:worker_threads';
import type { MessageCodec } from '../actor.js';
import { FrameEncoder } from './frame.js';
import type { Link } from './link.js';

/** What a thread keeps for others to pull: four of the largest values (64 MiB). */
const OUTBOX_BYTES = 256 * 2 ** 20;
/** What a thread has pulled and not yet received: two of the largest values. One body may always be pulled. */
const CREDIT_BYTES = 128 * 2 ** 20;

export interface Body {
  readonly buffer: ArrayBuffer;
  readonly length: number;
}

interface Arrival {
  readonly key: number;
  /** Undefined if the sender has it no more: its request has ended otherwise. */
  readonly body: Body | undefined;
}

type PortMessage = { readonly pull: readonly number[] } | { readonly arrivals: readonly Arrival[] };

/** A header whose body is not here yet. */
export interface Announced {
  readonly link: Link;
  readonly kind: number;
  readonly slot: number;
  readonly incarnation: number;
  readonly requestId: number;
  readonly length: number;
}

/** Names a body between two threads: a request, its notice and its reply share their request's number. */
function keyOf(kind: number, requestId: number): number {
  return kind * 2 ** 32 + requestId;
}

/** The message in memory of its own. */
export function encodeBody<M>(codec: MessageCodec<M>, message: M, bound: number): Body {
  const buffer = new ArrayBuffer(bound);
  const encoder = new FrameEncoder(buffer);
  encoder.begin(0, bound);
  codec.write(message, encoder);
  return { buffer, length: encoder.written };
}

/** One thread's bodies, to and from all others. */
export class BodyDesk {
  private readonly deliver: (announced: Announced, body: Uint8Array) => void;
  private outboxBytes = 0;
  private pulledBytes = 0;
  /** First come, first pulled; bounded by the requests that may be outstanding on all links. */
  private announced: Announced[] = [];

  /** @param deliver - gets each body that arrived; called outside of turns */
  constructor(deliver: (announced: Announced, body: Uint8Array) => void) {
    this.deliver = deliver;
  }

  /** True while new requests must be refused, because answers overfill the outbox. */
  get congested(): boolean {
    return this.outboxBytes > OUTBOX_BYTES;
  }

  /** True while a body waits to be pulled. */
  get keeping(): boolean {
    return this.outboxBytes > 0;
  }

  /** True if a request's body of `bytes` may be kept. */
  hasRoom(bytes: number): boolean {
    return this.outboxBytes + bytes <= OUTBOX_BYTES || this.outboxBytes === 0;
  }

  /** Keeps a body until it is pulled or dropped. */
  keep(side: BodySide, kind: number, requestId: number, body: Body): void {
    side.outbox.set(keyOf(kind, requestId), body);
    this.outboxBytes += body.buffer.byteLength;
  }

  /** Forgets a request's body, because the request has ended. */
  drop(side: BodySide, kind: number, requestId: number): void {
    this.release(side, keyOf(kind, requestId));
  }

  /** Queues a body to be pulled. */
  announce(announced: Announced): void {
    this.announced.push(announced);
  }

  /** Pulls what the credit allows. Called with each publishing, and when bodies have arrived. */
  pull(): void {
    if (this.announced.length === 0) return;
    let count = 0;
    for (const next of this.announced) {
      if (this.pulledBytes > 0 && this.pulledBytes + next.length > CREDIT_BYTES) break;
      this.pulledBytes += next.length;
      next.link.side.pulled.set(keyOf(next.kind, next.requestId), next);
      next.link.side.toPull.push(keyOf(next.kind, next.requestId));
      count++;
    }
    if (count === 0) return;
    for (const { link } of this.announced.splice(0, count)) link.side.flushPulls();
  }

  /** Serves the port of a link. */
  attach(side: BodySide): void {
    side.port.on('message', (message: PortMessage) => {
      if ('pull' in message) this.give(side, message.pull);
      else this.arrived(side, message.arrivals);
    });
    // A link alone must not keep a process alive: the host holds it while requests are outstanding.
    side.port.unref();
  }

  /** Forgets all that belongs to a link whose other side is gone, but for what has arrived. */
  detach(link: Link): void {
    const { side } = link;
    for (const key of [...side.outbox.keys()]) this.release(side, key);
    for (const { length } of side.pulled.values()) this.pulledBytes -= length;
    side.pulled.clear();
    this.announced = this.announced.filter((each) => each.link !== link);
    side.port.close();
  }

  private give(side: BodySide, keys: readonly number[]): void {
    const arrivals: Arrival[] = [];
    const transfer: ArrayBuffer[] = [];
    for (const key of keys) {
      const body = this.release(side, key);
      arrivals.push({ key, body });
      if (body !== undefined) transfer.push(body.buffer);
    }
    side.port.postMessage({ arrivals }, transfer);
  }

  private arrived(side: BodySide, arrivals: readonly Arrival[]): void {
    for (const { key, body } of arrivals) {
      const announced = side.pulled.get(key);
      // Gone if the link was detached while the message was on its way.
      if (announced === undefined) continue;
      side.pulled.delete(key);
      this.pulledBytes -= announced.length;
      if (body !== undefined) this.deliver(announced, new Uint8Array(body.buffer, 0, body.length));
    }
    this.pull();
  }

  private release(side: BodySide, key: number): Body | undefined {
    const body = side.outbox.get(key);
    if (body !== undefined) {
      side.outbox.delete(key);
      this.outboxBytes -= body.buffer.byteLength;
    }
    return body;
  }
}

/** One link's part of the desk. */
export class BodySide {
  readonly port: MessagePort;
  readonly outbox = new Map<number, Body>();
  readonly pulled = new Map<number, Announced>();
  toPull: number[] = [];

  constructor(port: MessagePort) {
    this.port = port;
  }

  /** Sends the pulls collected in `toPull`, in one message. */
  flushPulls(): void {
    if (this.toPull.length === 0) return;
    this.port.postMessage({ pull: this.toPull });
    this.toPull = [];
  }
}
