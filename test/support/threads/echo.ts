/** A conversation and actors for the tests of the threads runtime: an echo that can also forward, hold, throw and die. */
import type { Actor, ActorContext, Conversation, Failure, Incoming, Release } from '../../../src/runtime/actor.js';
import { refAt } from '../../../src/runtime/actor.js';

export interface Ask {
  /** 'echo' | 'hold' | 'throw' | 'exit' | 'notice' | 'forward' | 'store' */
  readonly verb: string;
  /** With 'forward': the thread to ask in turn; with 'echo': how many bytes to give back. */
  readonly number: number;
  readonly body: Uint8Array;
}

export interface Told {
  readonly number: number;
  readonly body: Uint8Array;
}

export const ECHO: Conversation<Ask, Told> = {
  name: 'echo',
  request: {
    size: (ask) => 4 + ask.verb.length * 3 + 8 + 4 + ask.body.length,
    write(ask, out) {
      out.text(ask.verb);
      out.f64(ask.number);
      out.bytes(ask.body);
    },
    read: (from) => ({ verb: from.text(), number: from.f64(), body: from.bytes() }),
  },
  answer: {
    size: (told) => 8 + 4 + told.body.length,
    write(told, out) {
      out.f64(told.number);
      out.bytes(told.body);
    },
    read: (from) => ({ number: from.f64(), body: from.bytes() }),
  },
};

/** The slot of the echo actor on each worker. */
export const ECHO_SLOT = 7;

export class EchoActor implements Actor<Ask, Told, Told> {
  private readonly held: Incoming<Told>[] = [];
  private readonly forwarded = new Map<number, Incoming<Told>>();
  private next = 0;
  private readonly onStore: () => void;

  constructor(onStore: () => void = () => {}) {
    this.onStore = onStore;
  }

  receive(ask: Ask, incoming: Incoming<Told>, context: ActorContext): void {
    switch (ask.verb) {
      case 'echo':
        context.reply(incoming, { number: ask.number, body: ask.body });
        return;
      case 'grow':
        context.reply(incoming, { number: ask.number, body: new Uint8Array(ask.number).fill(ask.number & 0xff) });
        return;
      case 'notice':
        context.notice(incoming, { number: 1, body: ask.body });
        context.reply(incoming, { number: 2, body: ask.body });
        return;
      case 'store':
      case 'durable': {
        this.onStore();
        const release: Release = ask.verb === 'store' ? 'stored' : 'durable';
        context.reply(incoming, { number: ask.number, body: ask.body }, release);
        return;
      }
      case 'hold':
        this.held.push(incoming);
        return;
      case 'release':
        for (const each of this.held.splice(0)) context.reply(each, { number: -1, body: ask.body });
        context.reply(incoming, { number: ask.number, body: ask.body });
        return;
      case 'forward': {
        const correlation = this.next++;
        this.forwarded.set(correlation, incoming);
        const to = refAt(ECHO, ask.number, ECHO_SLOT);
        context.request(to, { verb: 'echo', number: ask.number, body: ask.body }, correlation);
        return;
      }
      case 'throw':
        throw new Error('asked to throw');
      case 'exit':
        process.exit(1);
        break;
      case 'exhaust': {
        const hoard: number[][] = [];
        for (;;) hoard.push(new Array(100_000).fill(1.5));
      }
      case 'spin':
        for (;;);
      default:
        throw new Error(`unknown verb ${ask.verb}`);
    }
  }

  answered(correlation: number, told: Told, _interim: boolean, context: ActorContext): void {
    const incoming = this.forwarded.get(correlation)!;
    this.forwarded.delete(correlation);
    context.reply(incoming, told);
  }

  failed(correlation: number, failure: Failure, context: ActorContext): void {
    const incoming = this.forwarded.get(correlation)!;
    this.forwarded.delete(correlation);
    context.reply(incoming, { number: -2, body: Buffer.from(failure) });
  }

  stop(context: ActorContext): void {
    for (const each of this.held.splice(0)) context.reply(each, { number: -3, body: new Uint8Array(0) });
    for (const each of this.forwarded.values()) context.reply(each, { number: -3, body: new Uint8Array(0) });
    this.forwarded.clear();
  }
}
