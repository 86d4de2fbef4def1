/** Learns which dots were minted for which attempts, and upon which records, whether or not anything comes of them. */
import { latin1 } from '../base/bytes.js';
import { sameEvent } from '../clocks/event-id.js';
import { decodeLocatedKey } from '../codec/key.js';
import { decodeRecord } from '../codec/record.js';
import { hintKey } from '../hinted-handoff/hint-key.js';
import { hintedRecord } from '../hinted-handoff/hint-record.js';
import { type HintRequest, hintConversation } from '../messages/hint-messages.js';
import { type VnodeAnswer, type VnodeRequest, vnodeConversation } from '../messages/vnode-messages.js';
import type { Actor, ActorContext, ActorFactory, Conversation, Incoming } from '../runtime/actor.js';
import type { History } from './history.js';
import type { ReapTap } from './reap-tap.js';
import { type Tap, TappedActor, TappedContext } from './tapped-host.js';
import { TappedStorage } from './tapped-storage.js';

/** Vnodes, and those who stand in for them. */
const MINTERS: ReadonlySet<string> = new Set([vnodeConversation.name, hintConversation.name]);

/** Remembers what was read last under each key, until it is told to forget. */
export class ReadTap extends TappedStorage {
  private readonly reads = new Map<string, Uint8Array>();

  override get(key: Uint8Array): Uint8Array | undefined {
    const value = super.get(key);
    // A copy: it is lent only until the next call.
    if (value === undefined) this.reads.delete(latin1(key));
    else this.reads.set(latin1(key), new Uint8Array(value));
    return value;
  }

  lastRead(key: Uint8Array): Uint8Array | undefined {
    return this.reads.get(latin1(key));
  }

  forget(): void {
    this.reads.clear();
  }
}

/** What a mint was asked for. */
interface Minting {
  readonly place: string;
  /** What the minter has there, as it has read it. */
  upon(): Uint8Array | undefined;
}

export interface MintTapOptions {
  readonly history: History;
  /** The node's name. */
  readonly node: string;
  /** Virtual milliseconds. */
  time(): number;
  /** Undefined: nothing is reaped. */
  readonly reaps: ReapTap | undefined;
  /** As the actors are given them. */
  readonly objects: ReadTap;
  readonly hints: ReadTap;
}

export class MintTap implements Tap {
  private readonly options: MintTapOptions;
  private readonly mintings = new WeakMap<object, Minting>();

  constructor(options: MintTapOptions) {
    this.options = options;
  }

  context(conversation: Conversation<unknown, unknown>, _slot: number, inner: ActorContext): ActorContext {
    return MINTERS.has(conversation.name) ? new MintContext(inner, this) : inner;
  }

  // biome-ignore lint/suspicious/noExplicitAny: a tap takes actors of all conversations.
  actor(conversation: Conversation<any, any>, make: ActorFactory<Actor<any, any, any>>, context: ActorContext) {
    const actor = make(context);
    return MINTERS.has(conversation.name) ? new MintActor(actor, context, this) : actor;
  }

  /** A minter begins to do something: what it mints now it mints upon what it reads from now on. */
  begins(): void {
    this.options.objects.forget();
    this.options.hints.forget();
  }

  asked(message: VnodeRequest | HintRequest, incoming: object): void {
    const { history, objects, hints } = this.options;
    if (message.type === 'reap' && message.ask.type === 'commit') {
      for (const { key, verb } of message.ask.candidates) {
        if (verb === 'remove') this.options.reaps?.committed(key);
        history.minting.mayBeForgotten(this.placeOf(key));
        history.noteForgetting(Buffer.from(decodeLocatedKey(key).key).toString(), this.options.time());
      }
      return;
    }
    if (message.type !== 'mint') return;
    const { key } = message.put;
    if (!('owner' in message)) {
      this.mintings.set(incoming, { place: this.placeOf(key), upon: () => objects.lastRead(key) });
      return;
    }
    const stored = hintKey(message.owner, key);
    this.mintings.set(incoming, {
      place: this.placeOf(stored),
      upon: () => {
        const hint = hints.lastRead(stored);
        return hint === undefined ? undefined : hintedRecord(hint);
      },
    });
  }

  minted({ dot, record }: VnodeAnswer & { type: 'minted' }, incoming: object): void {
    const { history } = this.options;
    const { context, siblings } = decodeRecord(record);
    for (const one of siblings) {
      if (sameEvent(one.dot, dot)) history.noteMinted(dot, one.attempt, context);
    }
    const minting = this.mintings.get(incoming);
    if (minting !== undefined) history.minting.minted(minting.place, dot, minting.upon());
  }

  private placeOf(key: Uint8Array): string {
    return `on ${this.options.node} under ${latin1(key)}`;
  }
}

class MintActor extends TappedActor<VnodeRequest | HintRequest, VnodeAnswer, unknown> {
  private readonly tap: MintTap;

  constructor(inner: Actor<VnodeRequest | HintRequest, VnodeAnswer, unknown>, context: ActorContext, tap: MintTap) {
    super(inner, context);
    this.tap = tap;
  }

  override receive(message: VnodeRequest | HintRequest, incoming: Incoming<VnodeAnswer>, context: ActorContext): void {
    this.tap.begins();
    this.tap.asked(message, incoming);
    super.receive(message, incoming, context);
  }

  override timer(message: unknown, context: ActorContext): void {
    this.tap.begins();
    super.timer(message, context);
  }
}

class MintContext extends TappedContext {
  private readonly tap: MintTap;

  constructor(inner: ActorContext, tap: MintTap) {
    super(inner);
    this.tap = tap;
  }

  override notice<Answer>(incoming: Incoming<Answer>, answer: Answer): void {
    const minted = answer as VnodeAnswer;
    if (minted.type === 'minted') this.tap.minted(minted, incoming);
    super.notice(incoming, answer);
  }
}
