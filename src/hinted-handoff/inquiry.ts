/**
 * What a node that was away asks the others: "what do you hold for me?" Until everyone who is up has said "nothing", or
 * has delivered what it held then, the node does not know what was acknowledged without it. Pure: the hint deliverer asks.
 *
 *    unknown ──"nothing", or all of it delivered──▶ clear        unknown, owing: the node is behind
 *       └──"some"──▶ owing ──delivered──▶ clear                  away, clear: it is not
 *    any ──gone, or out of reach──▶ away (asked again, less and less often) ──"some"──▶ owing
 *    away, clear ──there, but would not hear it──▶ unknown
 *    clear, away ──a holder that has started tells of what it has──▶ owing
 *
 * Who is away is not waited for: a node that never comes back would keep the others behind for ever. When it starts, it
 * tells what it holds.
 */
import { assert } from '../base/assert.js';
import type { Session } from './hint-record.js';

/** What a holder says of its hints for the one who asks. */
export interface Holding {
  readonly count: number;
  /** Of the holder's present life: its passes are counted within it. */
  readonly session: Session;
  /** See `Passes`. */
  readonly begun: number;
  readonly clean: number;
}

const FIRST_RETRY_MS = 10;
const MAX_RETRY_MS = 1_000;

interface Peer {
  state: 'unknown' | 'owing' | 'away' | 'clear';
  asked: boolean;
  askAtMs: number;
  /** Times that it was asked since it last told something new. */
  tries: number;
  /** While owing: everything it held when it said so is delivered after this pass of this session. */
  session: Session | undefined;
  pass: number;
}

export class Inquiry {
  private readonly peers = new Map<number, Peer>();

  /** @param others - every other node */
  constructor(others: Iterable<number>) {
    for (const node of others) this.peers.set(node, newPeer());
  }

  /** Nothing is known any more, whatever was said before. */
  begin(): void {
    for (const peer of this.peers.values()) Object.assign(peer, newPeer());
  }

  /** Everything is known, as far as anybody said. */
  end(): void {
    for (const peer of this.peers.values()) peer.state = 'clear';
  }

  /** True while some node may hold hints for this one. */
  get isOpen(): boolean {
    for (const { state } of this.peers.values()) if (state === 'unknown' || state === 'owing') return true;
    return false;
  }

  /** When somebody is to be asked: monotonic milliseconds; Infinity if all were asked, or nobody is to be. */
  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { state, asked, askAtMs } of this.peers.values()) {
      if (state !== 'clear' && !asked) next = Math.min(next, askAtMs);
    }
    return next;
  }

  /** Who is to be asked now; they count as asked. */
  due(nowMs: number): number[] {
    const due: number[] = [];
    for (const [node, peer] of this.peers) {
      if (peer.state === 'clear' || peer.asked || nowMs < peer.askAtMs) continue;
      peer.asked = true;
      due.push(node);
    }
    return due;
  }

  onAnswer(node: number, holding: Holding, nowMs: number): void {
    const peer = this.peerOf(node);
    peer.asked = false;
    if (holding.count === 0 || isDelivered(peer, holding)) {
      peer.state = 'clear';
      return;
    }
    if (peer.state !== 'owing' || !sameSession(peer.session, holding.session)) {
      peer.state = 'owing';
      peer.session = holding.session;
      // The pass under way may have begun before the last of them came.
      peer.pass = holding.begun + 1;
      peer.tries = 0;
    }
    this.askAgain(peer, nowMs);
  }

  /** It was asked, and is there, but had no room for the question, or was just restarted: what it holds is still not known. */
  onRefused(node: number, nowMs: number): void {
    const peer = this.peerOf(node);
    peer.asked = false;
    if (peer.state !== 'owing') peer.state = 'unknown';
    this.askAgain(peer, nowMs);
  }

  /** It was asked, and is gone, or cannot be reached. */
  onFailed(node: number, nowMs: number): void {
    const peer = this.peerOf(node);
    peer.asked = false;
    if (peer.state !== 'away') peer.tries = 0;
    peer.state = 'away';
    this.askAgain(peer, nowMs);
  }

  /** It has started, or is back: it says by itself that it holds hints for this node. */
  onTold(node: number): void {
    const peer = this.peerOf(node);
    if (peer.state === 'owing') return;
    peer.state = 'owing';
    peer.session = undefined;
    peer.tries = 0;
    peer.askAtMs = Number.NEGATIVE_INFINITY;
  }

  private askAgain(peer: Peer, nowMs: number): void {
    peer.askAtMs = nowMs + Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** peer.tries);
    peer.tries = Math.min(peer.tries + 1, 16);
  }

  private peerOf(node: number): Peer {
    const peer = this.peers.get(node);
    assert(peer !== undefined, 'Only other nodes of the ring are asked, and tell');
    return peer;
  }
}

function newPeer(): Peer {
  return { state: 'unknown', asked: false, askAtMs: Number.NEGATIVE_INFINITY, tries: 0, session: undefined, pass: 0 };
}

function isDelivered(peer: Peer, { session, clean }: Holding): boolean {
  return peer.state === 'owing' && sameSession(peer.session, session) && clean >= peer.pass;
}

function sameSession(a: Session | undefined, b: Session): boolean {
  return a !== undefined && a.high === b.high && a.low === b.low;
}
